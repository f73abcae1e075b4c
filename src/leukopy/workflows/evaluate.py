"""Measure a model on labelled images."""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from leukopy.core.errors import InputError, SettingsError
from leukopy.core.files import atomic_path, write_text
from leukopy.core.places import data_folder
from leukopy.core.progress import Progress, silent
from leukopy.core.runs import Record, begin, finish, record
from leukopy.core.settings import Settings

if TYPE_CHECKING:
    import polars as pl

    from leukopy.bundle import Bundle, Card
    from leukopy.evaluation.levels import Evaluation
    from leukopy.inference.classifier import Classifier
    from leukopy.inference.rows import Predictions

ENOUGH_GROUPS = 20
"""With fewer patients or slides, drawing them whole gives no limits to rely on (Cameron et al., 2008)."""


class EvaluateSettings(Settings):
    """What to measure on what."""

    data: str
    """A manifest (CSV or Parquet), or the name of a data set."""
    root: Path | None = None
    """Where the data set lies; only with a data set's name."""
    model: str = "default"
    """Name of a bundled model, or a bundle folder."""
    split: Literal["train", "val", "test", "all"] = "test"
    replicates: int = Field(default=2000, ge=100, le=100_000)
    """Bootstrap replicates of each interval."""

    @property
    def command(self) -> str:
        """The command that does this again, without its output folder."""
        root = "" if self.root is None else f" --root {_shown(self.root)}"
        options = shlex.join(["--model", self.model, "--split", self.split])
        return f"leukopy evaluate {_shown(Path(self.data))}{root} {options}"


def _shown(path: Path) -> str:
    """A path as a shell takes it, from LEUKOPY_DATA where it lies there: so that others can repeat the command."""
    folder = data_folder().resolve()
    if "LEUKOPY_DATA" in os.environ and path.resolve().is_relative_to(folder):
        return f'"$LEUKOPY_DATA"/{shlex.quote(str(path.resolve().relative_to(folder)))}'
    return shlex.quote(str(path))


@dataclass(frozen=True)
class EvaluateResult:
    """What was measured, and where its files are."""

    evaluation: Evaluation
    failures: int
    """Images that could not be read; ``failures.csv`` lists them."""
    out: Path


def evaluate(
    settings: EvaluateSettings,
    out: Path,
    *,
    overwrite: bool = False,
    into_card: bool = False,
    progress: Progress = silent,
) -> EvaluateResult:
    """Classify the labelled images of a split and score what comes out.

    Images without a label, and those of classes that the model does not know, are left out and counted. Intervals are
    bootstrapped by image; by whole group (patient, slide) where every image has one and there are enough.

    Args:
        settings: what to measure on what.
        out: receives ``report.json``, ``summary.md``, ``per_class.csv``, confusion matrices, ``reliability.png``,
            ``predictions.parquet``, ``failures.csv`` and ``run.json``.
        overwrite: replace an evaluation that ``out`` holds.
        into_card: write the averages into the card of the model's bundle too.
        progress: told how many images are classified.

    Raises:
        InputError: no images in the split, no labels, fewer than two classes, or no image that can be read.
        SettingsError: a data set without its root, or figures on training images meant for a card.
        BundleError: no such model.
        OutputError: ``out`` holds something else, or cannot be written.
    """
    from leukopy.inference.classifier import Classifier
    from leukopy.reports.evaluation import write_evaluation

    listed = _select(_read(settings), settings)
    labelled, counts = _labelled(listed, settings)
    classifier = Classifier.open(settings.model)
    relation = _relation(settings, classifier.card) if into_card else None
    run = _begin(settings, out, classifier, overwrite=overwrite)
    found = _classify(classifier, labelled, progress)
    _write_rows(out, found, labelled)
    if found.cells.is_empty():
        raise InputError(
            f"{settings.data}: none of the {len(labelled):,} images could be read; see {out}/failures.csv."
        )
    counts |= {"failed": len(found.failures), "scored": len(found.cells)}
    evaluation = _score(found.cells, labelled, settings, classifier.card.name, counts)
    write_evaluation(out, evaluation, run["provenance"])
    finish(out, run, counts=counts)
    if relation is not None:
        _into_card(evaluation, classifier.bundle, relation, settings.command)
    return EvaluateResult(evaluation, len(found.failures), out)


def _relation(settings: EvaluateSettings, card: Card) -> str:
    """How the images stand to those the model was trained on: without it a figure means nothing."""
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


def _read(settings: EvaluateSettings) -> pl.DataFrame:
    from leukopy.datasets import DATASETS, open_dataset, read_manifest

    if settings.data in DATASETS:
        if settings.root is None:
            raise SettingsError(f"{settings.data} is a data set: say where it lies with --root DIR.")
        return open_dataset(settings.data, settings.root)
    if settings.root is not None:
        raise SettingsError(
            f"--root goes with the name of a data set, and {settings.data!r} is none; known: {', '.join(DATASETS)}."
        )
    return read_manifest(Path(settings.data))


def _select(manifest: pl.DataFrame, settings: EvaluateSettings) -> pl.DataFrame:
    """The images of the split."""
    if settings.split == "all":
        return manifest
    chosen = manifest.filter(split=settings.split)
    if chosen.is_empty():
        sizes = manifest["split"].fill_null("none").value_counts(sort=True).iter_rows()
        there = ", ".join(f"{name}: {count:,}" for name, count in sizes)
        raise InputError(
            f"{settings.data}: no image is in split {settings.split!r} (images by split: {there}). "
            "Choose another --split, or --split all."
        )
    return chosen


def _labelled(listed: pl.DataFrame, settings: EvaluateSettings) -> tuple[pl.DataFrame, dict[str, int]]:
    """The images whose class the model can name, and how many were left out for what."""
    import polars as pl

    from leukopy.taxonomy import OUTSIDE, find

    unlabelled, outside = pl.col("code").is_null(), pl.col("code").is_in([cell.code for cell in OUTSIDE])
    counts = {
        "listed": len(listed),
        "unlabelled": listed.filter(unlabelled).height,
        "outside": listed.filter(outside).height,
    }
    labelled = listed.filter(~unlabelled & ~outside)
    classes = {find(code).coarse for code in labelled["code"]}
    where = f"{settings.data}, split {settings.split}"
    if counts["unlabelled"] == len(listed):
        raise InputError(f"{where}: none of the {len(listed):,} images has a label. Fill in column 'label' or 'code'.")
    if len(classes) < 2:
        only = f"only {', '.join(map(str, classes))}" if classes else "none that the model knows"
        raise InputError(f"{where}: an evaluation needs two classes, and the labels hold {only}.")
    return labelled, counts


def _begin(settings: EvaluateSettings, out: Path, classifier: Classifier, *, overwrite: bool) -> Record:
    """Prepare ``out``, write its ``run.json``, and return it."""
    run = record("evaluate", settings, model={"name": classifier.card.name, "sha256": classifier.card.model.sha256})
    run["provenance"] = {"command": settings.command, **run["provenance"]}
    begin(out, run, overwrite=overwrite)
    return run


def _classify(classifier: Classifier, labelled: pl.DataFrame, progress: Progress) -> Predictions:
    import polars as pl

    from leukopy.inference.rows import CELL_SCHEMA, FAILURE_SCHEMA, CellInput, Predictions

    inputs = (CellInput(cell_id, path) for cell_id, path in labelled.select("cell_id", "path").iter_rows())
    cells, failures, done = [pl.DataFrame(schema=CELL_SCHEMA)], [pl.DataFrame(schema=FAILURE_SCHEMA)], 0
    for part in classifier.stream(inputs):
        cells.append(part.cells)
        failures.append(part.failures)
        done += len(part.cells) + len(part.failures)
        progress("classifying", done, len(labelled))
    return Predictions(pl.concat(cells), pl.concat(failures))


def _write_rows(out: Path, found: Predictions, labelled: pl.DataFrame) -> None:
    """Write each cell beside its truth, and what failed."""
    from io import BytesIO

    truth = labelled.select("cell_id", "source", "group", truth="code")
    stream = BytesIO()  # a full disk must be met by Python, whose errors say so
    truth.join(found.cells, on="cell_id", how="inner", maintain_order="left").write_parquet(stream)
    with atomic_path(out / "predictions.parquet") as temporary:
        temporary.write_bytes(stream.getvalue())
    write_text(out / "failures.csv", found.failures.write_csv())


def _score(
    cells: pl.DataFrame, labelled: pl.DataFrame, settings: EvaluateSettings, model: str, counts: dict[str, int]
) -> Evaluation:
    import numpy as np

    from leukopy.evaluation.classification import coarse_indices, fine_indices
    from leukopy.evaluation.levels import Evaluation, score_level
    from leukopy.taxonomy import COARSE, FINE

    truth = cells.select("cell_id").join(labelled, on="cell_id", how="left", maintain_order="left")
    codes = truth["code"].to_list()
    known = truth["group"].null_count() == 0 and truth["group"].n_unique() >= ENOUGH_GROUPS
    groups = truth["group"].to_numpy() if known else None
    coarse = score_level(
        COARSE,
        coarse_indices(codes),
        coarse_indices(cells["class8"].to_list()),
        cells.select(f"p_{cell.code}" for cell in COARSE).to_numpy(),
        groups=groups,
        replicates=settings.replicates,
    )
    fine_truth = fine_indices(codes)
    rows = fine_truth >= 0  # NEU and IG say nothing about the fine class
    fine = None
    if len(np.unique(fine_truth[rows])) >= 2:
        fine = score_level(
            FINE,
            fine_truth[rows],
            fine_indices(cells["class11"].to_list())[rows],
            cells.select(f"p_{cell.code}" for cell in FINE).to_numpy()[rows],
            groups=None if groups is None else groups[rows],
            replicates=settings.replicates,
        )
    drawn = "image" if groups is None else "group"
    return Evaluation(model, Path(settings.data).name, settings.split, drawn, counts, coarse, fine)
