"""Add the classification error of a count to a bundle's card: confusion in laboratories that the model has not seen."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from leukopy.core.errors import InputError, TrainingError
from leukopy.core.files import atomic_path, write_json
from leukopy.core.progress import Progress, silent
from leukopy.core.runs import begin, finish, record
from leukopy.core.settings import Settings
from leukopy.workflows.fit_outside import CELLS_FILE, holds_outside

if TYPE_CHECKING:
    import numpy as np
    import polars as pl
    from numpy.typing import NDArray

    from leukopy.bundle import Bundle, Card, Confusion, CountError, Metric
    from leukopy.slides.classifier import Classifier

REPORT_FILE, ANSWERS_FILE = "count_error.json", "answers.parquet"

METHOD = (
    "95 % limits from sampling and classification error. The answers to each class are counted on slides that the "
    "network did not learn from; a slide's own confusion is Dirichlet distributed about their mean, with the "
    "overdispersion between them by the method of moments; a class with few cells borrows from the other laboratories. "
    "Compositions that explain the counts of a slide are drawn "
    "from both errors (Rogan and Gladen 1978; Grassia and Sundberg 1982); the limits enclose those of sampling."
)


class FitCountErrorSettings(Settings):
    """Settings of `fit_count_error`."""

    model: str = "default"
    """A bundled model, or a bundle folder."""
    evidence: Path | None = None
    """``cells.parquet`` of `leukopy model fit-outside` for this model; by default the one beside the bundle folder."""
    fold_models: tuple[str, ...] = ()
    """For a model trained on these patients: bundle folders of its trainings, each without one part of the patients, as
    for fit-outside. None: the network did not see them."""
    folds: int = Field(default=7, ge=2)
    """Parts of the slides; each is left out in turn, to measure how often the limits hold the truth."""
    home_below: float = Field(default=0.25, ge=0, le=1)
    """Mean probability of a foreign cell below which a slide counts as one of the reference laboratory."""
    seed: int = 0
    """Seed of the parts."""


@dataclass(frozen=True)
class FitCountErrorResult:
    """The new bundle, its card, and the number of cells that were not classified."""

    bundle: Path
    card: Card
    failures: int


def fit_count_error(
    settings: FitCountErrorSettings, out: Path, *, overwrite: bool = False, progress: Progress = silent
) -> FitCountErrorResult:
    """Write the classification error of a count into a bundle's card. The network does not change.

    Slides are the patients of the sources that hold classes outside, as served, with the evidence of heads that saw
    other patients alone; the reference laboratory is the validation split.

    Args:
        settings: the settings.
        out: receives ``bundle/``, ``count_error.json`` (all figures), ``answers.parquet`` and ``run.json``.
        overwrite: overwrite the results in ``out``.
        progress: reports the cells.

    Raises:
        BundleError: the model is absent, broken or foreign.
        TrainingError: the model answers no class outside, or the evidence is of another model or holds no patient.
        InputError: the evidence or its pictures are not there.
        OutputError: ``out`` holds something else, or cannot be written.
    """
    from leukopy.bundle import carry_over, open_bundle, write_bundle
    from leukopy.slides.classifier import Classifier

    bundle = open_bundle(settings.model)
    evidence = read_evidence(bundle, settings.evidence)
    _check_folds(settings, bundle.card, evidence)
    run = record("fit-count-error", settings, model={"name": bundle.card.name, "sha256": bundle.card.model.sha256})
    begin(out, run, overwrite=overwrite)
    folds = [Classifier(open_bundle(one)) for one in settings.fold_models]
    table = served_answers(Classifier(bundle), folds, evidence, progress)
    with atomic_path(out / ANSWERS_FILE) as temporary:
        table.write_parquet(temporary)
    error = _error(bundle.card, table, settings)
    found = coverage_left_out(error, table, settings)
    recipe = settings.model_dump(mode="json", include={"folds", "home_below", "seed"})
    error = error.model_copy(update={"metrics": _metrics(found), "recipe": recipe})
    card = bundle.card.model_copy(update={"count_error": error})
    written = write_bundle(out / "bundle", card, bundle.model_path.read_bytes())
    carry_over(bundle, written)
    write_json(out / REPORT_FILE, {**found, "home": error.home is not None})
    missing = int(table["answer"].null_count())
    finish(out, run, failures=missing)
    return FitCountErrorResult(written.path, card, missing)


def read_evidence(bundle: Bundle, path: Path | None) -> pl.DataFrame:
    """Cells with their left-out evidence (`fit_outside`), those of patients and of the validation split.

    Raises:
        InputError: there is no such table.
        TrainingError: it is of another model, or holds no patient.
    """
    import polars as pl

    path = path or bundle.path.parent / CELLS_FILE
    if bundle.card.outside is None:
        raise TrainingError(f"{bundle.path}: answers no class outside. Add them: leukopy model fit-outside.")
    if not path.is_file():
        raise InputError(f"{path}: no such table. Give --evidence: cells.parquet of leukopy model fit-outside.")
    cells = pl.read_parquet(path)
    if cells.schema.get("evidence") != pl.Array(pl.Float32, len(bundle.card.answers)):
        raise TrainingError(
            f"{path}: holds no evidence for the classes of this model. Give the cells.parquet of its fit-outside."
        )
    cells = cells.filter(holds_outside() | (pl.col("split") == "val"))
    if not cells.select(holds_outside()).to_series().any():
        raise TrainingError(f"{path}: no source holds a class outside.")
    return cells


def _check_folds(settings: FitCountErrorSettings, card: Card, evidence: pl.DataFrame) -> None:
    """Refuse a confusion of patients whom the network itself saw.

    Raises:
        TrainingError: it learnt classes outside, and there is no network without each part of the patients.
    """
    learnt = bool((card.recipe or {}).get("outside"))
    wanted = int(evidence["fold"].max()) + 1 if learnt and "fold" in evidence.columns else 0  # type: ignore[arg-type]
    if len(settings.fold_models) != wanted or (learnt and not wanted):
        raise TrainingError(
            f"{card.name}: learnt classes outside, so its patients are not unseen. Give the fold_models of its "
            "fit-outside; 'leukopy model build' makes them."
            if learnt
            else f"{card.name}: did not learn classes outside, so it needs no fold_models. Leave them out."
        )


def served_answers(
    classifier: Classifier, folds: Sequence[Classifier], evidence: pl.DataFrame, progress: Progress = silent
) -> pl.DataFrame:
    """The class in which each cell is counted: ``slide``, ``code`` (its label), ``answer``, ``home``.

    ``answer`` is null for pictures that show no single cell or were not read.

    Args:
        classifier: of the model.
        folds: of its trainings without each part of the patients; none where it did not see them.
        evidence: of `read_evidence`.
        progress: reports the cells.
    """
    import polars as pl

    tables: list[pl.DataFrame] = []
    for cells, home in _slides(evidence):
        fine = folds[cells["fold"][0]] if folds and not home else classifier
        answers = _home_answers(classifier, cells) if home else _answers(classifier, fine, cells)
        tables.append(cells.select("cell_id", "code", slide="group", home=pl.lit(home)).with_columns(answer=answers))
        progress("classifying", sum(map(len, tables)), len(evidence))
    return pl.concat(tables)


def _slides(evidence: pl.DataFrame) -> Iterator[tuple[pl.DataFrame, bool]]:
    """The cells of each patient, then those of the validation split, with whether they are of the reference."""
    import polars as pl

    held = evidence.filter(holds_outside())
    yield from ((part, False) for part in held.partition_by("group", maintain_order=True))
    validation = evidence.filter(pl.col("split") == "val").join(held, on="cell_id", how="anti")
    if len(validation):
        yield validation.with_columns(group=pl.lit("validation")), True


def _rows(classifier: Classifier, cells: pl.DataFrame) -> pl.DataFrame:
    """Rows of the cells of one slide, as served."""
    import polars as pl

    from leukopy.inference.rows import CellInput

    inputs = [CellInput(*cell) for cell in cells.select("cell_id", "path").iter_rows()]
    return pl.concat([classifier.nothing.cells, *(part.cells for part in classifier.slide(inputs).rows())])


def _home_answers(classifier: Classifier, cells: pl.DataFrame) -> pl.Series:
    """Counted class of the cells of the validation split, which no part of the network has seen, in their order."""
    from leukopy.inference.rows import counted_code

    rows = _rows(classifier, cells).select("cell_id", answer=counted_code())
    return cells.join(rows, on="cell_id", how="left", maintain_order="left")["answer"]


def _answers(classifier: Classifier, fine: Classifier, cells: pl.DataFrame) -> pl.Series:
    """Counted class of the cells of one patient, in their order: classes outside by the left-out evidence, fine classes
    by a network that did not see the patient."""
    import numpy as np
    import polars as pl

    from leukopy.inference.rows import is_counted
    from leukopy.network.outside import outside_logits
    from leukopy.slides.columns import among_fine
    from leukopy.slides.laboratory_check import ENOUGH_CELLS
    from leukopy.slides.outside import estimate_shift, with_fine
    from leukopy.slides.survey import sample_of

    how = classifier.card.outside
    assert how is not None
    logits = outside_logits(cells["evidence"].to_numpy())
    shift = estimate_shift(logits[sample_of(range(len(cells)))], how) if len(cells) >= ENOUGH_CELLS else ()
    called = pl.Series("called", np.array(["", *how.classes])[with_fine(logits, shift).argmax(axis=1)])
    rows = _rows(classifier, cells)
    strange = pl.col("ood_score") > 1 if "ood_score" in rows.columns else pl.lit(value=False)
    own = among_fine(rows if fine is classifier else _rows(fine, cells)).select("cell_id", "fine")
    found = rows.select("cell_id", counted=is_counted(), strange=strange).join(own, on="cell_id", how="left")
    found = cells.select("cell_id").with_columns(called).join(found, on="cell_id", how="left", maintain_order="left")
    known = pl.when("strange").then(pl.lit("UNIDENTIFIED")).otherwise("fine")
    answer = pl.when(pl.col("called") == "").then(known).otherwise("called")
    return found.select(answer=pl.when("counted").then(answer)).to_series()


def _error(card: Card, table: pl.DataFrame, settings: FitCountErrorSettings) -> CountError:
    from leukopy.bundle import CountError

    unseen, home = table.filter(~table["home"]), table.filter("home")
    patients = f"{unseen['slide'].n_unique()} patients that the model has not seen"
    return CountError(
        classes=card.answers,
        answers=(*card.answers, "UNIDENTIFIED"),
        unseen=_confusion(card.answers, unseen, home, patients),
        home=_confusion(card.answers, home, unseen, "the validation split of the reference laboratory")
        if len(home)
        else None,
        home_below=settings.home_below,
        method=METHOD,
    )


def _confusion(classes: Sequence[str], table: pl.DataFrame, others: pl.DataFrame, origin: str) -> Confusion:
    """Confusion on some slides; rows with few cells are filled with those of the others.

    Args:
        classes: the classes.
        table: rows of `served_answers`.
        others: further rows.
        origin: of the table, in words.
    """
    from leukopy.bundle import Confusion
    from leukopy.evaluation.count_error import fill_rows, fit_confusion

    tables = answer_tables(table, classes)
    cells = tables.sum(axis=(0, 2))
    found = fit_confusion(tables)
    if len(others):
        found = fill_rows(found, cells, fit_confusion(answer_tables(others, classes)))
    shares, overdispersion = found
    return Confusion(
        shares=tuple(tuple(round(float(share), 5) for share in row) for row in shares),
        overdispersion=tuple(round(float(value), 4) for value in overdispersion),
        cells=tuple(int(count) for count in cells),
        fitted_on=f"{int(cells.sum()):,} cells of {origin}",
    )


def answer_tables(table: pl.DataFrame, classes: Sequence[str]) -> NDArray[np.intp]:
    """Cells by slide, class and answer (S, R, R + 1), the last answer being ``UNIDENTIFIED``.

    Cells whose label is none of the classes, such as a neutrophil without a stage, are left out.

    Args:
        table: rows of `served_answers`.
        classes: the R classes.
    """
    import numpy as np

    answers = (*classes, "UNIDENTIFIED")
    found = np.zeros((table["slide"].n_unique(), len(classes), len(answers)), np.intp)
    place = {slide: number for number, slide in enumerate(table["slide"].unique(maintain_order=True))}
    for slide, code, answer in table.select("slide", "code", "answer").drop_nulls().iter_rows():
        if (label := _class_of(code)) in classes:
            found[place[slide], classes.index(label), answers.index(answer)] += 1
    return found


def _class_of(code: str) -> str:
    """The class of a label: a kind of lymphocyte is a lymphocyte."""
    from leukopy.taxonomy import OUTSIDE, find

    return (find(code).coarse or code) if code in {cell.code for cell in OUTSIDE} else code


def coverage_left_out(error: CountError, table: pl.DataFrame, settings: FitCountErrorSettings) -> dict[str, Any]:
    """How often the limits of each line hold the labels' share, on slides that the confusion was not measured on.

    Args:
        error: classes and method.
        table: rows of `served_answers`.
        settings: number of folds, seed.
    """
    import numpy as np
    import polars as pl

    unseen = table.filter(~table["home"] & pl.col("answer").is_not_null())
    slides = unseen["slide"].unique(maintain_order=True)
    fold = np.random.default_rng(settings.seed).permutation(len(slides)) % settings.folds
    rows: dict[str, list[tuple[bool, bool, float, float]]] = {}
    for part in range(settings.folds):
        own = unseen["slide"].is_in(slides.filter(pl.Series(fold == part)).implode())
        if not own.any() or own.all():
            continue
        confusion = _confusion(error.classes, unseen.filter(~own), table.filter("home"), "the other patients")
        for cells in unseen.filter(own).partition_by("slide", maintain_order=True):
            for code, held in _held(cells, error, confusion).items():
                rows.setdefault(code, []).append(held)
    lines = {
        code: dict(zip(("sampling", "total", "width_sampling", "width_total"), np.mean(held, axis=0).round(4).tolist(),
                       strict=True)) | {"slides": len(held)}
        for code, held in rows.items()
    }  # fmt: skip
    return {"slides": len(slides), "lines": lines}


def _held(cells: pl.DataFrame, error: CountError, confusion: Confusion) -> dict[str, tuple[bool, bool, float, float]]:
    """By line of one slide: whether the limits of sampling and both limits hold the share of the labels, to .1, and
    their widths."""
    from leukopy.slides.count_error import SlideError, with_total_limits
    from leukopy.slides.differential import differential

    truth = differential(Counter(map(_class_of, cells["code"])), answered=error.classes)
    counts = Counter(cells["answer"])
    found = with_total_limits(differential(counts, answered=error.classes), counts, SlideError(error, confusion))
    shares = {line.code: line.percent for line in (*truth.lines, *truth.beside)}
    held = {}
    for line in (*found.lines, *found.beside):
        ends = (shares.get(line.code), line.low, line.high, line.total_low, line.total_high)
        share, low, high, total_low, total_high = (round(end, 1) if end is not None else math.nan for end in ends)
        if not math.isnan(share + total_low):
            held[line.code] = low <= share <= high, total_low <= share <= total_high, high - low, total_high - total_low
    return held


def _metrics(found: dict[str, Any]) -> tuple[Metric, ...]:
    """Coverage on average and of the worst line, by the limits of sampling alone and by both errors."""
    import numpy as np

    from leukopy.bundle import Metric

    data = f"{found['slides']} patients, left out in turn; all lines of the differential"
    metrics = []
    for name, words in (("sampling", "sampling alone"), ("total", "sampling and classification")):
        held = [line[name] for line in found["lines"].values()]
        for value, part in ((np.mean(held), "mean of the lines"), (np.min(held), "worst line")):
            metrics.append(
                Metric(name=f"95 % limits of {words} hold the share, {part}", value=round(float(value), 4), data=data)
            )
    return tuple(metrics)
