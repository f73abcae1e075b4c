"""Find labels that the cells of other patients contradict, so that a training can leave them out.

A linear layer on the wide embedding of a network (`leukopy.network.wide_head`) learns the labels of all parts but one
and judges that part. Parts hold whole patients or slides: no cell is judged by a head that saw its patient.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from leukopy.core.errors import InputError
from leukopy.core.files import write_json, write_text
from leukopy.core.progress import Progress, silent
from leukopy.core.runs import begin, finish, record
from leukopy.core.settings import Settings
from leukopy.workflows.fit_outside import read_wide
from leukopy.workflows.train import require_torch

if TYPE_CHECKING:
    import numpy as np
    import polars as pl
    from numpy.typing import NDArray

    from leukopy.training.outside_head import OutsideCells, OutsideSettings

LABELS_FILE, KEPT_FILE, REPORT_FILE = "labels.csv", "kept.csv", "clean.json"


class CleanSettings(Settings):
    """Settings of `clean`."""

    data: str
    """Name of a data set (`leukopy study datasets`), or `manifest` or `folders`."""
    root: Path
    """Folder of the data set, or the manifest."""
    model: str = "default"
    """A bundled model, or a bundle folder: its network reads the cells."""
    folds: int = Field(default=5, ge=2)
    """Parts of the patients or slides; each is judged by the cells of the others."""
    below: float = Field(default=0.02, gt=0, lt=1)
    """A label is doubtful below this probability."""
    fewest: int = Field(default=20, ge=2)
    """Minimum number of cells of a class; rarer classes are listed and not judged."""
    steps: int = Field(default=840, ge=10)
    """Steps of each fit."""
    seed: int = 0
    """Seed of the parts and of the fits."""


@dataclass(frozen=True)
class CleanResult:
    """Judged labels of a data set."""

    counts: pl.DataFrame
    """By class: ``code``, ``cells``, ``doubtful``, ``mostly`` (class that most of the doubtful ones look like)."""
    cells: int
    doubtful: int
    not_judged: int
    """Cells of rare classes, and pictures that were not read or show no single cell."""
    out: Path


def clean(
    settings: CleanSettings, out: Path, *, overwrite: bool = False, progress: Progress = silent
) -> CleanResult:  # fmt: skip
    """Judge each label by heads that did not see its patient or slide.

    A doubtful label is no proof of an error: look at the cell. Cells of a test split are never read.

    Args:
        settings: the settings.
        out: receives ``labels.csv`` (every cell, the least probable label first, with the reason), ``kept.csv`` (a
            manifest without the doubtful ones), ``clean.json`` (counts by class) and ``run.json``.
        overwrite: overwrite the results in ``out``.
        progress: reports the cells and the fits.

    Raises:
        MissingExtraError: torch is not installed.
        BundleError: the model is absent or broken, or it lacks the stages.
        InputError: too few labelled cells, classes or groups.
        OutputError: ``out`` holds something else, or cannot be written.
    """
    require_torch()
    from leukopy.bundle import open_bundle
    from leukopy.training.outside_head import OutsideSettings, OutsideSource

    source = OutsideSource(dataset=settings.data, root=str(settings.root.absolute()), share=1, slides="source")
    how = OutsideSettings(sources=(source,), views=0, steps=settings.steps, seed=settings.seed)
    bundle, cells = open_bundle(settings.model), _labelled(settings)
    if not cells["group"].is_unique().all():
        how = how.model_copy(update={"sources": (source.model_copy(update={"slides": "group"}),)})
    run = record("study clean", settings, model={"name": bundle.card.name, "sha256": bundle.card.model.sha256})
    begin(out, run, overwrite=overwrite)
    seen = read_wide(bundle, cells, how, progress)
    table = _with_reasons(cells, _judged(seen, how, settings, progress), settings.below)
    counts = _counts(table)
    kept = table.filter(table["reason"].is_null()).select("cell_id", "path", "label", "group", "split")
    write_text(out / LABELS_FILE, table.write_csv(float_precision=4))
    write_text(out / KEPT_FILE, kept.write_csv())
    doubtful, unjudged = int(table["doubtful"].sum()), table["label_probability"].null_count()
    facts = {"cells": len(table), "doubtful": doubtful, "not_judged": unjudged, "classes": counts.to_dicts()}
    write_json(out / REPORT_FILE, facts)
    finish(out, run, cells=len(table), doubtful=doubtful, not_judged=unjudged)
    return CleanResult(counts, len(table), doubtful, unjudged, out)


def _labelled(settings: CleanSettings) -> pl.DataFrame:
    """The labelled cells outside any test split; a cell without a group is one."""
    import polars as pl

    from leukopy.datasets import open_dataset

    cells = open_dataset(settings.data, settings.root).filter(
        pl.col("code").is_not_null() & (pl.col("split").fill_null("train") != "test")
    )
    cells = cells.with_columns(pl.col("group").fill_null(pl.col("cell_id")), pl.col("split").fill_null("train"))
    common = cells["code"].value_counts().filter(pl.col("count") >= settings.fewest)
    if len(common) < 2 or cells["group"].n_unique() < settings.folds:
        raise InputError(
            f"{settings.root}: {len(common)} classes of {settings.fewest} labelled cells or more, in "
            f"{cells['group'].n_unique()} patients or slides; two classes and {settings.folds} of these are needed."
        )
    return cells


def _judged(seen: OutsideCells, how: OutsideSettings, settings: CleanSettings, progress: Progress) -> pl.DataFrame:
    """``cell_id``, ``label_probability``, ``predicted`` and ``probability`` of the cells of common classes."""
    import numpy as np
    import polars as pl
    from sklearn.model_selection import StratifiedGroupKFold

    from leukopy.network.probabilities import softmax
    from leukopy.training.outside_head import evidence_of, fit_outside_head

    codes = seen.cells["code"].to_numpy()
    classes, members = _members(codes, settings.fewest)
    rows = np.flatnonzero(members.any(axis=1))
    _, place, number = np.unique(codes, return_inverse=True, return_counts=True)
    chance = number[place] ** -how.class_balance
    probabilities = np.zeros(members.shape, np.float32)
    parts = StratifiedGroupKFold(settings.folds, shuffle=True, random_state=settings.seed)
    groups = seen.cells["group"].to_numpy()
    for done, (others, part) in enumerate(parts.split(rows, codes[rows], groups[rows])):
        progress("judging labels", done, settings.folds)
        own = np.zeros(len(codes))
        own[rows[others]] = chance[rows[others]]
        head = fit_outside_head(seen.views, members, own / own.sum(), how)
        probabilities[rows[part]] = softmax(evidence_of(head, seen.views[0][rows[part]]))
    progress("judging labels", settings.folds, settings.folds)
    return pl.DataFrame({
        "cell_id": seen.cells["cell_id"].to_numpy()[rows],
        "label_probability": (probabilities * members).sum(axis=1)[rows],
        "predicted": classes[probabilities.argmax(axis=1)][rows],
        "probability": probabilities.max(axis=1)[rows],
    })  # fmt: skip


def _members(codes: NDArray[np.str_], fewest: int) -> tuple[NDArray[np.str_], NDArray[np.bool_]]:
    """Classes with enough cells, and which of them (N, C) each label may stand for: a coarse one for its fine ones."""
    import numpy as np

    from leukopy.taxonomy import FINE, fine_members

    found, counts = np.unique(codes, return_counts=True)
    fine_of = {str(code): {FINE[index].code for index in fine_members(str(code))} - {str(code)} for code in found}
    common = [str(code) for code in found[counts >= fewest]]
    classes = np.array([code for code in common if not fine_of[code] & set(common)])
    stands = {code: np.isin(classes, sorted(fine_of[code] & set(common)) or [code]) for code in fine_of}
    return classes, np.array([stands[str(code)] for code in codes])


def _with_reasons(cells: pl.DataFrame, judged: pl.DataFrame, below: float) -> pl.DataFrame:
    """Every cell with its judgement and, where it is left out, the reason; the least probable label first."""
    import polars as pl

    from leukopy.taxonomy import find

    names = {code: find(code).name for code in judged["predicted"].unique()}
    words = pl.format("looks like a {} by the cells of others", pl.col("predicted").replace(names))
    table = cells.join(judged, on="cell_id", how="left", maintain_order="left")
    unread = pl.col("label_probability").is_null()
    reason = pl.when(pl.col("label_probability") < below).then(words).when(unread).then(
        pl.lit("not judged: a rare class, unreadable, or no single cell")
    )  # fmt: skip
    return table.select(
        "cell_id", "path", "label", "code", "group", "split", "label_probability", "predicted", "probability",
        doubtful=(pl.col("label_probability") < below).fill_null(value=False), reason=reason,
    ).sort("label_probability", "cell_id", nulls_last=True)  # fmt: skip


def _counts(table: pl.DataFrame) -> pl.DataFrame:
    import polars as pl

    mostly = pl.col("predicted").filter("doubtful").mode().sort().first()
    return table.group_by("code").agg(
        cells=pl.len(), doubtful=pl.col("doubtful").sum(), mostly=mostly
    ).sort("doubtful", "code", descending=[True, False])  # fmt: skip
