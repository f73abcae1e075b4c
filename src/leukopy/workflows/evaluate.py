"""Measure a model on labelled images."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from leukopy.core.devices import Device
from leukopy.core.errors import InputError, SettingsError
from leukopy.core.files import atomic_path, write_text
from leukopy.core.paths import data_folder
from leukopy.core.progress import Progress, silent
from leukopy.core.runs import Record, begin, finish, record
from leukopy.core.settings import Settings, Shown
from leukopy.workflows.evaluation_images import has_no_split, read_images, scorable, select_split

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    from leukopy.bundle import Bundle, Card
    from leukopy.evaluation.agreement import Agreement
    from leukopy.evaluation.levels import Evaluation, Level
    from leukopy.inference.rows import Predictions
    from leukopy.slides.classifier import Classifier

CURVES_FILE = "curves.png"

ENOUGH_GROUPS = 20
"""With fewer patients or slides, drawing them whole gives no limits to rely on (Cameron et al., 2008)."""


class EvaluateSettings(Settings):
    """Settings of an evaluation."""

    data: str
    """A manifest (.csv, .parquet) of labelled cells, or the name of a data set."""
    root: Path | None = None
    """Folder of the data set, where DATA is the name of one."""
    model: str = "default"
    """A bundled model, or a bundle folder."""
    label_map: Annotated[str | None, Shown("the data set's own")] = None
    """Data set whose class names the labels are, or a table with columns label and code (docs/studies.md)."""
    split: Annotated[Literal["train", "val", "test", "all"], Shown("test, or all without splits")] = "test"
    """Images to measure on. By default, data without splits are measured whole."""
    with_learnt: bool = False
    """Include images that the model was trained on. By default, images listed in its bundle are excluded."""
    replicates: int = Field(default=2000, ge=100, le=100_000)
    """Bootstrap replicates of each interval."""
    examples: int = Field(default=6, ge=0, le=100)
    """Pictures of each confusion in the page; 0: a page without pictures, which may be shared."""
    device: Device = "auto"
    """Device that runs the network. If it is missing, the CPU runs the network and a note says so."""

    @property
    def command(self) -> str:
        """The command that does this again, without its output folder."""
        root = "" if self.root is None else f" --root {_shown(self.root)}"
        options = ["--model", self.model, "--split", self.split, *(["--with-learnt"] if self.with_learnt else [])]
        labels = ["--label-map", self.label_map] if self.label_map else []
        return f"leukopy evaluate {_shown(Path(self.data))}{root} {shlex.join([*options, *labels])}"


def _shown(path: Path) -> str:
    """A path as a shell takes it, from LEUKOPY_DATA where it lies there: so that others can repeat the command."""
    folder = data_folder().resolve()
    if "LEUKOPY_DATA" in os.environ and path.resolve().is_relative_to(folder):
        return f'"$LEUKOPY_DATA"/{shlex.quote(str(path.resolve().relative_to(folder)))}'
    return shlex.quote(str(path))


@dataclass(frozen=True)
class EvaluateResult:
    """Results of an evaluation, and their files."""

    evaluation: Evaluation
    failures: int
    """Images that could not be read; ``failures.csv`` lists them."""
    doubtful: int
    """Number of doubtful labels; ``label_errors.csv`` lists them."""
    out: Path


def evaluate(
    settings: EvaluateSettings,
    out: Path,
    *,
    overwrite: bool = False,
    into_card: bool = False,
    progress: Progress = silent,
) -> EvaluateResult:
    """Classify the labelled images of a split and score the predictions.

    A table, or a folder of classes, that tells no split is evaluated whole unless a split is asked for; a note says so.
    Images without a label, and those of classes that the model does not know, are left out and counted. Intervals are
    bootstrapped by image; by whole group (patient, slide) where every image has one and there are enough. Where the
    manifest has the labels of a second annotator (columns ``label2`` or ``code2``), their agreement is measured too,
    and the agreement of the model with each; all other figures compare the model with the first.

    Args:
        settings: the model, the images and the options.
        out: receives ``report.html``, ``report.json``, ``summary.md``, ``per_class.csv``, ``confusions.csv``, confusion
            matrices, ``reliability.png``, ``label_errors.csv``, ``predictions.parquet``, ``failures.csv`` and
            ``run.json``; ``agreement.csv`` with a second annotator; ``curves.png`` where the model lies in the folder
            of its training.
        overwrite: overwrite the results in ``out``.
        into_card: write the averages into the card of the model's bundle too.
        progress: reports the images classified.

    Raises:
        InputError: no images in the split, no labels, fewer than two classes, or no image that can be read.
        SettingsError: a data set without its root, or figures on training images meant for a card.
        BundleError: no such model.
        OutputError: ``out`` holds something else, or cannot be written.
    """
    from leukopy.reports.evaluation import write_evaluation
    from leukopy.slides.classifier import Classifier

    classifier = Classifier.open(settings.model, device=settings.device)
    card = classifier.card
    images = read_images(settings.data, settings.root, settings.label_map, card.learnt_outside)
    settings, notes = _with_split(settings, images)
    listed = select_split(images, settings.split, settings.data)
    labelled, counts = scorable(listed, f"{settings.data}, split {settings.split}", card.learnt_outside)
    notes = (*notes, *filter(None, (_unread(settings.root), classifier.device.note)))
    relation = _relation(settings, card) if into_card else None
    run = _begin(settings, out, classifier, overwrite=overwrite)
    found = _classify(classifier, labelled, progress)
    notes = (*notes, *_called_outside(found.cells))
    _write_rows(out, found)
    if found.cells.is_empty():
        raise InputError(
            f"{settings.data}: none of the {len(labelled):,} images could be read; see {out}/failures.csv."
        )
    found, learnt = _without_learnt(found, classifier.bundle, settings)
    counts |= {"learnt": learnt, "failed": len(found.failures), "scored": len(found.cells)}
    evaluation = replace(_score(found.cells, settings, card, counts), notes=notes)
    evaluation = _with_agreement(evaluation, listed, found.cells, settings.replicates)
    evaluation = _with_curves(evaluation, classifier.bundle, out)
    write_evaluation(out, evaluation, run["provenance"])
    doubtful = _write_page(out, evaluation, found, classifier.bundle, settings, run["provenance"])
    finish(out, run, counts=counts)
    if relation is not None:
        _into_card(evaluation, classifier.bundle, relation, settings.command)
    return EvaluateResult(evaluation, len(found.failures), doubtful, out)


def _without_learnt(found: Predictions, bundle: Bundle, settings: EvaluateSettings) -> tuple[Predictions, int]:
    """The rows without the images that the model learnt from, where its bundle lists them, and the number of these."""
    import polars as pl

    from leukopy.bundle import is_learnt, read_learnt

    learnt = read_learnt(bundle.path)
    if learnt is None or settings.with_learnt:
        return found, 0
    new = found.cells.filter(~pl.Series(is_learnt(learnt, found.cells["digest"].to_list())))
    if new.is_empty():
        raise InputError(
            f"{settings.data}: {bundle.card.name} learnt from all {len(found.cells):,} images of split "
            f"{settings.split!r}; its figures on them say nothing of new images. Choose other images, or add "
            "--with-learnt."
        )
    return replace(found, cells=new), len(found.cells) - len(new)


def _with_split(settings: EvaluateSettings, images: pl.DataFrame) -> tuple[EvaluateSettings, tuple[str, ...]]:
    """The settings for all images where these have no split and none was asked for, and the note that says so."""
    if "split" in settings.model_fields_set or not has_no_split(images, settings.data, settings.root):
        return settings, ()
    note = (
        f"{settings.data} has no split: all {len(images):,} images are evaluated. The figures are optimistic if the "
        "model was trained on some of them; a column 'split' (train, val, test) keeps them apart."
    )
    return settings.model_copy(update={"split": "all"}), (note,)


def _relation(settings: EvaluateSettings, card: Card) -> str:
    """Relation of the images to the training images, as a metric's ``data`` states it."""
    sources = {source["dataset"] for source in card.recipe.get("sources", ())}
    if settings.data not in sources:
        return "a source that training never saw"
    if settings.split != "test":
        raise SettingsError(f"{settings.data}: {card.name} was trained on it; only its test split goes into the card.")
    return "kept apart from training, of a laboratory that training saw"


def _into_card(evaluation: Evaluation, bundle: Bundle, relation: str, command: str) -> None:
    from leukopy.bundle import Metric, add_metrics
    from leukopy.reports.evaluation import averages

    data = f"{evaluation.data}, split {evaluation.split}, {evaluation.counts['scored']:,} images: {relation}"
    add_metrics(
        bundle,
        [
            Metric(name=f"{name}, {level.name}", value=found.value, low=found.low, high=found.high,
                   data=data, command=command)
            for level in evaluation.levels
            for name, found in averages(level).items()
            if found.value is not None
        ],
    )  # fmt: skip


def _unread(root: Path | None) -> str:
    """Note on files of a data set's folder that may hold pictures and are not read."""
    from leukopy.datasets import leftovers

    return leftovers(root).pictures_note if root is not None and root.is_dir() else ""


def _begin(settings: EvaluateSettings, out: Path, classifier: Classifier, *, overwrite: bool) -> Record:
    """Prepare ``out``, write its ``run.json``, and return it."""
    from leukopy.inference.openvino import runtime

    run = record(
        "evaluate",
        settings,
        model={"name": classifier.card.name, "sha256": classifier.card.model.sha256},
        runtime=runtime(classifier.device.name),
    )
    run["provenance"] = {"command": settings.command, **run["provenance"]}
    begin(out, run, overwrite=overwrite)
    return run


def _classify(classifier: Classifier, labelled: pl.DataFrame, progress: Progress) -> Predictions:
    """Results of the images; cells come with ``source``, ``group``, ``truth`` and, where listed, ``truth2``.

    A picture that holds no single cell has no class, and is a failure. A cell called a class outside has its class
    among the fine ones, and the class outside in the column ``outside``.
    """
    import polars as pl

    from leukopy.inference.rows import FAILURE_SCHEMA, CellInput, Predictions, without_class
    from leukopy.slides.columns import among_fine

    inputs = [CellInput(cell_id, path) for cell_id, path in labelled.select("cell_id", "path").iter_rows()]
    parts = [Predictions(pl.DataFrame(schema=classifier.schema), pl.DataFrame(schema=FAILURE_SCHEMA))]
    for part in classifier.slide(inputs).rows():  # the images count as one slide
        failures = pl.concat([part.failures, without_class(part.cells)])
        parts.append(Predictions(part.cells.filter(pl.col("fine").is_not_null()), failures))
        progress("classifying", sum(map(len, parts)), len(labelled))
    found = Predictions.concat(parts)
    truth = labelled.select("cell_id", "source", "group", "^code2?$").rename(lambda name: name.replace("code", "truth"))
    kept = [cell.code for cell in classifier.card.learnt_outside]
    cells = among_fine(found.cells, kept) if classifier.card.outside else found.cells
    return Predictions(truth.join(cells, on="cell_id", how="inner", maintain_order="left"), found.failures)


def _called_outside(cells: pl.DataFrame) -> Iterator[str]:
    """A note on the cells that were called a class outside, and the accuracy where they count as errors."""
    import polars as pl

    from leukopy.taxonomy import find

    if "outside" not in cells.columns or not (outside := cells["outside"].drop_nulls()).len():
        return
    counts = outside.value_counts(sort=True).iter_rows()
    listed = ", ".join(f"{count} {find(code).name}" for code, count in counts)
    coarse = pl.col("truth").map_elements(lambda code: find(code).coarse or code, return_dtype=pl.String)
    right = cells.select(((coarse == pl.col("coarse")) & pl.col("outside").is_null()).mean()).item()
    yield (
        f"{len(outside):,} of {len(cells):,} cells were called a class outside ({listed}). All figures are of their "
        f"class among the fine ones. Counted as errors, they give an accuracy of {right:.4f} for the coarse classes."
    )


def _write_rows(out: Path, found: Predictions) -> None:
    """Write each cell beside its truth, and what failed."""
    from io import BytesIO

    stream = BytesIO()  # a full disk must be met by Python, whose errors say so
    found.cells.write_parquet(stream)
    with atomic_path(out / "predictions.parquet") as temporary:
        temporary.write_bytes(stream.getvalue())
    write_text(out / "failures.csv", found.failures.write_csv())


def _groups(table: pl.DataFrame) -> NDArray[Any] | None:
    """Patients or slides, where every image has one and there are enough."""
    known = table["group"].null_count() == 0 and table["group"].n_unique() >= ENOUGH_GROUPS
    return table["group"].to_numpy() if known else None


def _score(cells: pl.DataFrame, settings: EvaluateSettings, card: Card, counts: dict[str, int]) -> Evaluation:
    import numpy as np

    from leukopy.evaluation.classification import coarse_indices, fine_indices
    from leukopy.evaluation.coarse_gain import summing
    from leukopy.evaluation.conformal import score_sets
    from leukopy.evaluation.levels import Evaluation, score_level
    from leukopy.taxonomy import COARSE, FINE

    codes, groups, learnt = cells["truth"].to_list(), _groups(cells), card.learnt_outside
    coarse_classes, fine_classes = (*COARSE, *learnt), (*FINE, *learnt)
    coarse = score_level(
        coarse_classes,
        coarse_indices(codes, learnt),
        coarse_indices(cells["coarse"].to_list(), learnt),
        cells.select(f"p_{cell.code}" for cell in coarse_classes).to_numpy(),
        groups=groups,
        replicates=settings.replicates,
    )
    truth, predicted = fine_indices(codes, learnt), fine_indices(cells["fine"].to_list(), learnt)
    rows = truth >= 0  # NEU and IG say nothing about the fine class
    fine = sums = None
    if len(np.unique(truth[rows])) >= 2:
        drawn = None if groups is None else groups[rows]
        probabilities = cells.select(f"p_{cell.code}" for cell in fine_classes).to_numpy()[rows]
        fine = score_level(
            fine_classes, truth[rows], predicted[rows], probabilities, groups=drawn, replicates=settings.replicates
        )
        if not learnt:
            sums = summing(truth[rows], predicted[rows], groups=drawn, replicates=settings.replicates)
        inside = rows & (truth < len(FINE))
        if "fine_set" in cells.columns and inside.any():
            held = [[cell.code in said.split(";") for cell in FINE] for said in cells["fine_set"].to_numpy()[inside]]
            fine = replace(fine, sets=score_sets(np.array(held), truth[inside]))
    drawn_by = "image" if groups is None else "group"
    return Evaluation(card.name, Path(settings.data).name, settings.split, drawn_by, counts, coarse, fine, sums)


def _with_agreement(evaluation: Evaluation, listed: pl.DataFrame, cells: pl.DataFrame, replicates: int) -> Evaluation:
    """Add how two annotators agree, and the model with each of them on the images that both place in its classes."""
    import polars as pl

    from leukopy.evaluation.agreement import ANNOTATORS, MODEL
    from leukopy.taxonomy import COARSE, FINE

    if "code2" not in listed.columns:
        return evaluation
    both = listed.drop_nulls(["code", "code2"])
    if both.is_empty():
        note = "Column label2 or code2 is there, but no image has both labels: no agreement could be measured."
        return replace(evaluation, notes=(*evaluation.notes, note))
    inside = pl.col("truth2").is_in([cell.code for cell in (*FINE, *COARSE, *evaluation.coarse.classes)])
    scored = cells.filter(inside).rename({"truth": "code", "truth2": "code2"})
    found = [
        _agree(table, columns, level, readers, replicates)
        for level in evaluation.levels
        for table, columns, readers in (
            (both, ("code", "code2"), ANNOTATORS),
            (scored, ("code", level.key), (ANNOTATORS[0], MODEL)),
            (scored, ("code2", level.key), (ANNOTATORS[1], MODEL)),
        )
    ]
    measured = tuple(pair for pair in found if pair is not None)
    notes = tuple(
        f"{pair.level}: {pair.first} and {pair.second} both name {pair.classes[0].code} only; kappa needs two classes."
        for pair in measured
        if pair.kappa.value is None
    )
    return replace(evaluation, agreement=measured, notes=evaluation.notes + notes)


def _agree(
    table: pl.DataFrame, columns: tuple[str, str], level: Level, readers: tuple[str, str], replicates: int
) -> Agreement | None:
    """Agreement of two columns of class codes at a level; None where no image is named in both."""
    import polars as pl

    from leukopy.evaluation.agreement import agreement, at_level

    said = table.with_columns(
        pl.col(columns).map_elements(lambda code: at_level(code, level.classes), return_dtype=pl.String)
    ).drop_nulls(columns)
    if said.is_empty():
        return None
    return agreement(said.select(columns).rows(), level.classes, readers, groups=_groups(said), replicates=replicates)


def _standing(settings: EvaluateSettings, cells: pl.DataFrame, card: Card, learnt: int | None) -> tuple[str, bool]:
    """Relation of the images to the training images, one sentence; True where the model was trained on some.

    ``learnt`` is the number of images left out as learnt; None: the bundle keeps no list, or they are measured too.
    """
    trained = {source["dataset"] for source in card.recipe.get("sources", ())}
    shared = ", ".join(sorted(trained & {settings.data, *cells["source"].unique()}))
    if shared and settings.split == "val":
        return f"The model was trained on other images of {shared}; epoch and temperature were chosen on these.", False
    if learnt is not None:
        return f"No image is a file that the model learnt from; {learnt:,} such images were left out.", False
    if not shared:
        return "The card names none of these sources among those of the training.", False
    if settings.split == "test":
        return f"The model was trained on other images of {shared}; the test split was kept apart.", False
    return (
        f"The model was trained on {shared}, on images of split {settings.split!r} too: it has learnt their labels, "
        "and the figures say nothing of new images.",
        True,
    )


def _with_curves(evaluation: Evaluation, bundle: Bundle, out: Path) -> Evaluation:
    """Draw the curves of the training in whose folder the model lies; add a note where they cannot be read."""
    from leukopy.reports.curves import write_curves

    try:
        write_curves(bundle.path.resolve().parent, out / CURVES_FILE)
    except InputError as error:
        return replace(evaluation, notes=(*evaluation.notes, f"No learning curves: {error}"))
    return evaluation


def _write_page(
    out: Path,
    evaluation: Evaluation,
    found: Predictions,
    bundle: Bundle,
    settings: EvaluateSettings,
    provenance: Record,
) -> int:
    """Write ``report.html`` and ``label_errors.csv``; return the number of doubtful labels."""
    from leukopy.bundle import read_learnt
    from leukopy.reports.evaluation_page import EvaluationContent, write_evaluation_page
    from leukopy.reports.examples import doubtful_labels

    labels, labels_note = doubtful_labels(found.cells, [level.classes for level in evaluation.levels])
    write_text(out / "label_errors.csv", labels.write_csv(float_precision=4))
    listed = read_learnt(bundle.path) is not None and not settings.with_learnt
    learnt = evaluation.counts["learnt"] if listed else None
    relation, in_sample = _standing(settings, found.cells, bundle.card, learnt)
    curves = out / CURVES_FILE
    content = EvaluationContent(
        evaluation=evaluation,
        rows=found.cells,
        labels=labels,
        labels_note=labels_note,
        relation=relation,
        in_sample=in_sample,
        examples=settings.examples,
        reliability=(out / "reliability.png").read_bytes(),
        curves=curves.read_bytes() if curves.exists() else None,
        failures=found.failures,
        card=bundle.card,
        provenance=provenance,
    )
    write_evaluation_page(out / "report.html", content)
    return labels["cell_id"].n_unique()
