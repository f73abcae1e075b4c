"""Fit a model to a laboratory from a few labelled cells of its own: a new last layer, in seconds, without torch."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import Field, field_validator

from leukopy.core.errors import ManifestError
from leukopy.core.files import atomic_path, write_json
from leukopy.core.progress import Progress, silent
from leukopy.core.runs import begin, finish, record
from leukopy.core.settings import Settings, Shown
from leukopy.workflows.adapt_bundle import write_adapted
from leukopy.workflows.adapt_gain import Judged, judge, numbers
from leukopy.workflows.adapt_outside import (
    OutsideGain,
    answered_outside,
    fit_outside_cells,
    head_outside,
    join_cells,
    with_fitted_outside,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    import polars as pl
    from numpy.typing import NDArray

    from leukopy.bundle import Bundle, Card
    from leukopy.evaluation.intervals import Estimate
    from leukopy.inference.adaptation import Adaptable, Labelled
    from leukopy.inference.pictures import Pictures
    from leukopy.inference.rows import CellInput
    from leukopy.network.head import Head
    from leukopy.slides.slide import Slide
    from leukopy.taxonomy import CellClass
    from leukopy.workflows.adapt_labels import Labels

REPORT_FILE = "adapt.json"

_MOST_VARIANTS = 8000
"""Pictures: half a minute of work."""

_PICTURES = 256_000_000
"""Memory for decoded pictures, bytes: 2,500 labelled JPEG cells. Further pictures are read again."""

_FEWEST = 10
"""Minimum number of labelled cells to measure a gain."""


class AdaptSettings(Settings):
    """Settings of `adapt`."""

    labels: Path
    """The zip of labels that the review station exports, or a manifest (.csv, .parquet) of labelled cells: columns path
    and label (or code); group (slide or field) and split where known."""
    model: str = "default"
    """A bundled model, or a bundle folder."""
    label_map: Annotated[str | None, Shown("leukopy's names")] = None
    """Data set whose class names the labels are, or a table with columns label and code (docs/studies.md)."""
    folds: int = Field(default=5, ge=2)
    """Folds of the cross-validation that measures the gain."""
    penalty: float = Field(default=0.1, gt=0)
    """Strength of the regularisation towards the shipped last layer."""
    # In four laboratories .1 to .001 were equal with 100 cells, and .1 best with few cells.
    variants: int = Field(default=8, ge=0)
    """Augmented variants of each labelled picture; fewer where there are more than 1,000 cells."""
    # In four laboratories they added .01 to .02.
    seed: int = Field(default=0, ge=0)
    """Seed of the folds and the variants."""

    @field_validator("labels")
    @classmethod
    def _absolute(cls, path: Path) -> Path:
        """Make the paths absolute, so that a saved run can be repeated from any folder."""
        return path.absolute()


@dataclass(frozen=True)
class AdaptResult:
    """Gain by the labels, measured on held-out cells."""

    bundle: Path
    card: Card
    cells: int
    """Number of cells fitted to."""
    held_out: str
    """Held-out cells and protocol, in a sentence."""
    before: Judged
    after: Judged
    gain: Estimate
    """Gain in balanced accuracy, by a paired bootstrap."""
    outside: OutsideGain | None
    """Classes outside before and after; None where no label names one that the model answers."""
    left_out: dict[str, int]
    """Labelled cells of classes that the model does not hold, by code."""
    failures: int


def adapt(settings: AdaptSettings, out: Path, *, overwrite: bool = False, progress: Progress = silent) -> AdaptResult:
    """Fit the last layer to labelled cells, and measure the gain on held-out cells.

    The test split of the manifest is held out; without one, each of ``folds`` parts in turn, split by group. The
    written model is fitted to all cells outside the test split.

    Args:
        settings: the settings.
        out: receives ``bundle/``, ``adapt.json``, ``failures.csv`` and ``run.json``.
        overwrite: overwrite the results in ``out``.
        progress: reports the cells processed.

    Raises:
        ManifestError: no table, or too few labelled cells.
        BundleError: the model is absent, broken or foreign, or its head is not linear.
        MissingExtraError: onnx is not installed.
        OutputError: ``out`` holds something else, or cannot be written.
    """
    from leukopy.workflows.adapt_labels import open_labels

    with open_labels(settings.labels) as labels:
        return _adapt(settings, labels, out, overwrite=overwrite, progress=progress)


def _adapt(settings: AdaptSettings, labels: Labels, out: Path, *, overwrite: bool, progress: Progress) -> AdaptResult:
    import polars as pl

    from leukopy.bundle import add_learnt, open_bundle
    from leukopy.inference.adaptation import adaptable, fit_head, held_out, logits_of
    from leukopy.inference.openvino import runtime
    from leukopy.inference.pictures import Pictures
    from leukopy.slides.classifier import Classifier

    served = bundle = open_bundle(settings.model)
    listed, beside, left_out = _labelled(settings, labels, bundle.card)
    model = {"name": bundle.card.name, "sha256": bundle.card.model.sha256}
    run = record("adapt", settings, model=model, runtime=runtime())
    begin(out, run, overwrite=overwrite)
    pictures = Pictures(_PICTURES)
    own = _own_classes(bundle.card, listed)
    slide = Classifier(served if own else served.healthy).slide(list(_inputs(listed)), pictures)
    bundle = served.with_preprocess(slide.preprocess)
    with adaptable(bundle) as network:
        start = _with_own_rows(bundle, network.head, own)
        table, labelled, failures = _read(network, (listed, own), settings, progress, pictures)
        _write_failures(out / "failures.csv", failures)
        test = (table["split"] == "test").fill_null(value=False).to_numpy()
        _check(settings.labels, labelled, test)
        train = _with_variants(network, labelled[~test], table.filter(~test), settings, pictures)
        outside, unread = _fit_outside(network, bundle, (train, table.filter(~test), beside), settings, pictures)
        _write_failures(out / "failures.csv", failures := pl.concat([failures, unread]))
    before, usual = _as_served(served, slide, (table, own), progress, pictures)
    adapted = fit_head(start, train, settings.penalty)
    out_of_fold = held_out(start, train, settings.penalty)
    after = logits_of(adapted, labelled[test].embeddings) if test.any() else out_of_fold
    how = _protocol(train, test)
    rows, shown = (table.filter(test), before[test]) if test.any() else (table, before)
    temperature = _temperature(out_of_fold, train, usual)
    result = judge((rows, own), shown, after / temperature)
    fitted = table.filter(~test)
    bundle = _knowing(bundle, fitted, settings.labels.name, pictures)
    bundle, content = _rewritten(bundle, network, (adapted, temperature), own, fitted)
    if outside:
        bundle, content = with_fitted_outside(bundle, content, *outside, f"of {settings.labels.name}")
    elif len(beside):
        left_out |= dict(beside["code"].value_counts(sort=True).iter_rows())
    fitted_as = (how, len(train.embeddings), result)
    card = write_adapted(bundle, (content, temperature), settings.labels.name, out, fitted_as)
    add_learnt(out / "bundle", fitted["path"])
    report = {
        "cells": len(train.embeddings),
        "held_out": how,
        "before": numbers(result[0]),
        "after": numbers(result[1]),
        "gain": asdict(result[2]),
        "outside": asdict(outside[1]) if outside else None,
        "left_out": left_out,
    }
    write_json(out / REPORT_FILE, report)
    finish(out, run, cells=len(train.embeddings), failures=failures.height)
    further = (outside[1] if outside else None, left_out, failures.height)
    return AdaptResult(out / "bundle", card, len(train.embeddings), how, *result, *further)


def _labelled(settings: AdaptSettings, labels: Labels, card: Card) -> tuple[pl.DataFrame, pl.DataFrame, dict[str, int]]:
    """The cells of the fine and coarse classes and of own ones, those of the classes outside that the model answers,
    and the number left out by class code."""
    import polars as pl

    from leukopy.taxonomy import OUTSIDE
    from leukopy.workflows.evaluation_images import read_images

    images = read_images(str(labels.table), None, settings.label_map or labels.classes, card.learnt_outside)
    table = images.filter(pl.col("code").is_not_null())
    outside = pl.col("code").is_in([cell.code for cell in OUTSIDE if cell.coarse is None])
    answered = pl.col("code").is_in(answered_outside(card))
    counts = table.filter(outside & ~answered)["code"].value_counts(sort=True)
    return table.filter(~outside), table.filter(answered), dict(counts.iter_rows())


def _own_classes(card: Card, listed: pl.DataFrame) -> tuple[CellClass, ...]:
    """Own classes that the adapted model answers: those of the model, then those of the labels."""
    from leukopy.taxonomy import OUTSIDE, outside_classes

    labelled = [cell for cell in outside_classes() if cell not in OUTSIDE and cell.code in set(listed["code"])]
    return tuple(dict.fromkeys((*card.learnt_outside, *labelled)))


def _with_own_rows(bundle: Bundle, head: Head, own: tuple[CellClass, ...]) -> Head:
    """The head with a row for each own class: that of the model, or zeros, below every class that a cell looks like."""
    import numpy as np

    if not own:
        return head
    import onnx

    from leukopy.inference.adaptation import widened
    from leukopy.network.outside import read_rows

    weights, bias = head
    rows, shifts = np.zeros((len(own), weights.shape[1]), np.float32), np.zeros(len(own), np.float32)
    known = len(bundle.card.learnt_outside)  # the first of own, and the last of the output
    found = read_rows(onnx.load(bundle.model_path), head, known)
    if found is not None:
        rows[:known], shifts[:known] = widened(found, weights.shape[1])
    return np.concatenate([weights, rows]), np.concatenate([bias, shifts])


def _rewritten(
    bundle: Bundle, network: Adaptable, fitted: tuple[Head, float], own: tuple[CellClass, ...], cells: pl.DataFrame
) -> tuple[Bundle, bytes]:
    """The bundle whose card answers the own classes, and the content of its network with the fitted head."""
    from dataclasses import replace

    from leukopy.bundle import OutsideClasses
    from leukopy.taxonomy import FINE

    (weights, bias), temperature = fitted
    content = network.with_head((weights[: len(FINE)], bias[: len(FINE)]))
    if not own:
        return bundle, content
    earlier, again = bundle.card.outside, {cell.code for cell in own}
    classes = earlier.classes if earlier else ()
    kept = [place for place, code in enumerate(classes) if code not in again]
    content = network.with_own(content, (weights / temperature, bias / temperature), kept)
    shares = [max(int((cells["code"] == cell.code).sum()), 1) / (len(cells) + len(own)) for cell in own]
    before = [earlier.prior[1 + place] for place in kept] if earlier else []
    left = (1 - sum(shares)) / ((earlier.prior[0] if earlier else 1.0) + sum(before))  # fine classes and those kept
    prior = [(earlier.prior[0] if earlier else 1.0) * left, *(share * left for share in before), *shares]
    count = int(cells["code"].is_in(list(again)).sum())
    words = f"{', '.join(sorted(again))}: rows of the last layer, fitted to labelled cells of one laboratory."
    outside = OutsideClasses(
        classes=(*(classes[place] for place in kept), *(cell.code for cell in own)),
        own=own,
        prior=tuple(prior),
        prior_cells=earlier.prior_cells if earlier else 200,
        method=" ".join(filter(None, (earlier.method if earlier and kept else "", words))),
        fitted_on="; ".join(filter(None, (earlier.fitted_on if earlier else "", f"{count:,} labelled cells"))),
        extends=earlier.extends if earlier else "",
        trained_on=earlier.trained_on if earlier else (),
    )
    return replace(bundle, card=bundle.card.model_copy(update={"outside": outside})), content


def _read(
    network: Adaptable,
    listed: tuple[pl.DataFrame, tuple[CellClass, ...]],
    settings: AdaptSettings,
    progress: Progress,
    pictures: Pictures,
) -> tuple[pl.DataFrame, Labelled, pl.DataFrame]:
    """The readable cells, the network's outputs for them, and the unreadable cells with the reason."""
    import numpy as np
    import polars as pl

    from leukopy.evaluation.classification import member_mask
    from leukopy.inference import file_activations
    from leukopy.inference.adaptation import Labelled

    cells, own = listed
    seen, reasons = file_activations(network.bundle, cells["path"].to_list(), network.output, progress, pictures)
    kept = [row for row in range(len(cells)) if row not in reasons]
    failures = pl.DataFrame(
        {"cell_id": cells["cell_id"][list(reasons)], "message": list(reasons.values())},
        schema={"cell_id": pl.String, "message": pl.String},
    )
    cells = cells[kept]
    codes, folds = cells["code"].to_numpy(), _folds(cells, settings)
    members = np.column_stack([member_mask(codes.tolist()), *(codes == cell.code for cell in own)])
    return cells, Labelled(seen[kept], members, folds, details=network.details), failures


def _fit_outside(
    network: Adaptable,
    bundle: Bundle,
    tables: tuple[Labelled, pl.DataFrame, pl.DataFrame],
    settings: AdaptSettings,
    pictures: Pictures,
) -> tuple[tuple[Head, OutsideGain] | None, pl.DataFrame]:
    """The fitted head of the classes outside, and its gain, None without a labelled cell of them, or such a head; and
    the unreadable cells with the reason.

    Args:
        network: with all readable columns.
        bundle: of the model.
        tables: known cells, their rows, and rows of the classes outside.
        settings: the settings.
        pictures: cache.
    """
    import polars as pl

    from leukopy.taxonomy import find

    known, rows, beside = tables
    head = head_outside(bundle, network.head[0].shape[1])
    beside = beside.filter((pl.col("split") != "test").fill_null(value=True))
    if head is None or beside.is_empty():
        return None, pl.DataFrame(schema={"cell_id": pl.String, "message": pl.String})
    classes = answered_outside(bundle.card)
    found, labelled, failures = _read(network, (beside, tuple(map(find, classes))), settings, silent, pictures)
    if found.is_empty():
        return None, failures
    count = 0 if known.variants is None else known.variants.shape[1]
    labelled = _with_variants(network, labelled, found, settings.model_copy(update={"variants": count}), pictures)
    columns = ["cell_id", "group", "code"]
    folds = _folds(pl.concat([rows.select(columns), found.select(columns)]), settings)
    return fit_outside_cells(head, join_cells(known, labelled, folds), classes, settings.penalty), failures


def _folds(cells: pl.DataFrame, settings: AdaptSettings) -> NDArray[np.intp]:
    """A part for each cell: groups whole, classes spread as evenly as that allows."""
    import warnings

    import numpy as np
    from sklearn.model_selection import GroupKFold, StratifiedGroupKFold

    groups, codes = cells["group"].fill_null(cells["cell_id"]).to_numpy(), cells["code"].to_numpy()
    parts = min(settings.folds, len(set(groups)))
    folds = np.zeros(len(cells), np.intp)
    if parts < 2:
        return folds
    spread = np.unique(codes, return_counts=True)[1].max() >= parts
    splitter = (StratifiedGroupKFold if spread else GroupKFold)(parts, shuffle=True, random_state=settings.seed)
    with warnings.catch_warnings():  # a class of fewer cells than parts is spread as far as it goes
        warnings.filterwarnings("ignore", message="The least populated class")
        for part, (_, rows) in enumerate(splitter.split(codes, codes, groups)):
            folds[rows] = part
    return folds


def _check(path: Path, labelled: Labelled, test: NDArray[np.bool_]) -> None:
    count = int((~test).sum())
    if count < _FEWEST:
        raise ManifestError(f"{path}: {count} readable labelled cells to fit to; give {_FEWEST} or more, 100 do well.")
    if not test.any() and len(set(labelled.folds.tolist())) < 2:
        raise ManifestError(
            f"{path}: all cells are of one group, so that none can be held out. Give cells of two slides, or a column "
            "'split' with some 'test'."
        )


def _protocol(train: Labelled, test: NDArray[np.bool_]) -> str:
    """Held-out cells and protocol, in a sentence."""
    if test.any():
        return f"{test.sum():,} cells of the manifest's test split"
    parts = len(set(train.folds.tolist()))
    return f"{len(train.embeddings):,} cells, each judged by a model fitted without its part ({parts} parts, by group)"


def _with_variants(
    network: Adaptable, cells: Labelled, table: pl.DataFrame, settings: AdaptSettings, pictures: Pictures
) -> Labelled:
    """The cells with variants of their pictures, as many as stay quick."""
    from dataclasses import replace

    from leukopy.inference.adaptation import variants

    count = min(settings.variants, _MOST_VARIANTS // len(table))
    if not count:
        return cells
    side = network.bundle.card.preprocess.short_side
    decoded = (pictures.keep(cell, side) for cell in _inputs(table))
    varied = variants(network.bundle, decoded, count, settings.seed, network.output)
    return replace(cells, variants=varied)


def _inputs(table: pl.DataFrame) -> Iterator[CellInput]:
    from leukopy.inference.rows import CellInput

    return (CellInput(cell_id, path) for cell_id, path in table.select("cell_id", "path").iter_rows())


def _as_served(
    bundle: Bundle,
    slide: Slide,
    listed: tuple[pl.DataFrame, tuple[CellClass, ...]],
    progress: Progress,
    pictures: Pictures,
) -> tuple[NDArray[np.float32], float]:
    """Log-probabilities (N, F + K) of the cells by the model as it is, as one slide, and its mean temperature.

    A labelled cell to which the model gives no class (a picture without a single cell) has equal probabilities.
    """
    import numpy as np

    from leukopy.inference import file_activations
    from leukopy.inference.rows import Predictions
    from leukopy.network.probabilities import temperatures
    from leukopy.slides.columns import among_fine
    from leukopy.taxonomy import FINE

    cells, own = listed
    paths, calibration = cells["path"].to_list(), bundle.card.calibration
    rows = Predictions.concat(list(slide.rows(_inputs(cells)))).cells
    answered = [cell.code for cell in own if f"p_{cell.code}" in rows.columns]
    rows = among_fine(rows, answered)
    found = rows.select(f"p_{cell.code}" for cell in FINE).to_numpy()
    beside = [rows[f"p_{cell.code}"].to_numpy() if cell.code in answered else np.zeros(len(rows)) for cell in own]
    found = np.nan_to_num(np.column_stack([found, *beside]))
    further = [name for name in calibration.outputs if name != "logits"]
    usual = temperatures(
        calibration, {name: file_activations(bundle, paths, name, progress, pictures)[0] for name in further}
    )
    found = np.nan_to_num(found).clip(min=1e-12)  # a picture without a class: every class is as likely
    return np.log(found), float(usual.mean())


def _temperature(logits: NDArray[np.float32], cells: Labelled, usual: float) -> float:
    """Temperature of the new head, on held-out cells; the old temperature where these are too few."""
    from leukopy.evaluation.calibration import fit_temperature

    return fit_temperature(logits, cells.members) if len(logits) >= 5 * _FEWEST else usual


def _knowing(bundle: Bundle, cells: pl.DataFrame, labels: str, pictures: Pictures) -> Bundle:
    """The bundle with this laboratory added to its slide check: its slides are no longer foreign."""
    from dataclasses import replace

    import numpy as np
    import polars as pl

    from leukopy.imaging.appearance import measure_appearance
    from leukopy.imaging.decode import prepare
    from leukopy.slides.laboratory_check import ENOUGH_CELLS, with_laboratory
    from leukopy.taxonomy import find

    check, spec = bundle.card.slide_check, bundle.card.preprocess
    in_coarse = [find(code).coarse is not None for code in cells["code"]]
    known = cells.filter(pl.Series(in_coarse, dtype=pl.Boolean))
    if check is None or len(known) < ENOUGH_CELLS:
        return bundle
    appearance = np.concatenate(
        [
            measure_appearance(prepare(pictures.keep(cell, spec.short_side), spec).pixels[None])
            for cell in _inputs(known)
        ]
    )
    check = with_laboratory(
        check, f"the laboratory of {labels}", appearance, [str(find(code).coarse) for code in known["code"]]
    )
    return replace(bundle, card=bundle.card.model_copy(update={"slide_check": check}))


def _write_failures(path: Path, failures: pl.DataFrame) -> None:
    with atomic_path(path) as temporary:
        failures.write_csv(temporary)
