"""An ablation of training settings: the validation fold's balanced accuracy after each epoch, over folds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from leukopy.core.errors import InputError
from leukopy.core.files import atomic_path, write_text
from leukopy.core.provenance import RESEARCH_USE_ONLY

CURVE_SCHEMA: dict[str, pl.DataType] = {
    "setting": pl.String(),  # for people: "SGD 1e-4 decay .95"
    "fold": pl.Int64(),
    "epoch": pl.Int64(),
    "balanced_accuracy": pl.Float64(),  # of the validation fold after this epoch, 0 to 1
}

INNER = "inner_balanced_accuracy"
"""One more column where some training patients were held back to choose the epoch: theirs, 0 to 1."""

OPTIMISM = (
    "The best epoch of each fold is chosen on the patients that also score it, so the mean of these is optimistic: "
    "compare it only with figures read in the same way. The mean at the last epoch involves no choice. The mean at the "
    "one epoch that is best on average involves one choice for all folds and is less optimistic."
)

NESTED = (
    "The last column is unbiased by that choice: the epoch is the best on training patients that were held back, and "
    "the validation patients score it once."
)

_MEAN, _OTHERS = "#5a3d8a", "#d9d4e3"
_COLUMNS = 4


@dataclass(frozen=True)
class SettingFigures:
    """What one setting reached, read in three ways."""

    setting: str
    folds: tuple[int, ...]
    best: tuple[float, ...]
    """Of each fold, at its own best epoch."""
    best_epochs: tuple[int, ...]
    """The first of equals."""
    mean_of_best: float
    mean_at_last: float
    last_epoch: int
    mean_at_one: float
    """At the single epoch that is best on average."""
    one_epoch: int
    chosen: tuple[float, ...] = ()
    """Of each fold, at the epoch that its held-back training patients chose; none where none were held back."""
    chosen_epochs: tuple[int, ...] = ()

    @property
    def mean_of_chosen(self) -> float | None:
        """Their mean."""
        return sum(self.chosen) / len(self.chosen) if self.chosen else None


def ablation_figures(curves: pl.DataFrame) -> tuple[SettingFigures, ...]:
    """Each setting's figures, in the order in which settings first appear.

    Args:
        curves: rows of ``CURVE_SCHEMA``, and ``INNER`` where patients were held back.

    Raises:
        InputError: a column is missing, a value is empty, or the folds of a setting differ in their epochs.
    """
    return tuple(_figures(setting, *grid) for setting, grid in _grids(curves).items())


def write_ablation(folder: Path, curves: pl.DataFrame, provenance: Mapping[str, Any]) -> None:
    """Write ``ablation.png``, ``ablation.csv`` (the curves) and ``ablation.md`` (the table).

    Args:
        folder: receives the files.
        curves: rows of ``CURVE_SCHEMA``, and ``INNER`` where patients were held back; every fold of a setting with the
            same epochs.
        provenance: ``protocol``, ``command``, ``commit``, ``machine`` and ``created`` are quoted where they are there.

    Raises:
        InputError: as for `ablation_figures`.
        OutputError: they cannot be written.
    """
    figures = ablation_figures(curves)
    write_text(folder / "ablation.csv", curves.select(_columns(curves)).write_csv(float_precision=4))
    write_text(folder / "ablation.md", _markdown(figures, provenance))
    _write_png(folder / "ablation.png", curves)


_Grid = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]
"""Folds (F,), epochs (E,), balanced accuracy (F, E, 1), or (F, E, 2) with that of the patients held back."""


def _columns(curves: pl.DataFrame) -> list[str]:
    return [*CURVE_SCHEMA, *(name for name in curves.columns if name == INNER)]


def _grids(curves: pl.DataFrame) -> dict[str, _Grid]:
    missing = [name for name in CURVE_SCHEMA if name not in curves.columns]
    if missing:
        raise InputError(f"curves of an ablation: column {missing[0]!r} is missing. Give {', '.join(CURVE_SCHEMA)}.")
    if curves.is_empty():
        raise InputError("curves of an ablation: no rows. Give one for each setting, fold and epoch.")
    table = curves.select(_columns(curves))
    figures = [name for name in ("balanced_accuracy", INNER) if name in table.columns]
    if table.null_count().sum_horizontal()[0] or not np.isfinite(table.select(figures).to_numpy()).all():
        raise InputError("curves of an ablation: a value is empty or not finite. Fill it in, or leave the setting out.")
    found = {}
    for setting in table["setting"].unique(maintain_order=True):
        rows = table.filter(setting=setting).sort("fold", "epoch")
        folds, epochs = rows["fold"].unique().sort().to_numpy(), rows["epoch"].unique().sort().to_numpy()
        if rows.height != len(folds) * len(epochs) or rows.select("fold", "epoch").is_duplicated().any():
            raise InputError(f"curves of an ablation: the folds of {setting!r} differ in their epochs. Run them alike.")
        found[setting] = (folds, epochs, rows.select(figures).to_numpy().reshape(len(folds), len(epochs), len(figures)))
    return found


def _figures(
    setting: str, folds: NDArray[np.int64], epochs: NDArray[np.int64], values: NDArray[np.float64]
) -> SettingFigures:
    inner, values = values[..., 1:], values[..., 0]
    best, mean = values.argmax(axis=1), values.mean(axis=0)
    one = int(mean.argmax())
    chosen = inner[..., 0].argmax(axis=1) if inner.size else None
    return SettingFigures(
        setting=setting,
        folds=tuple(folds.tolist()),
        best=tuple(values.max(axis=1).tolist()),
        best_epochs=tuple(epochs[best].tolist()),
        mean_of_best=float(values.max(axis=1).mean()),
        mean_at_last=float(mean[-1]),
        last_epoch=int(epochs[-1]),
        mean_at_one=float(mean[one]),
        one_epoch=int(epochs[one]),
        chosen=() if chosen is None else tuple(values[np.arange(len(folds)), chosen].tolist()),
        chosen_epochs=() if chosen is None else tuple(epochs[chosen].tolist()),
    )


def _markdown(figures: Sequence[SettingFigures], provenance: Mapping[str, Any]) -> str:
    honest = any(row.chosen for row in figures)
    head = ["setting", "each fold at its best epoch (which)", "mean of these", "mean at the last epoch",
            "mean at the one best epoch (which)", *["chosen on patients held back (which), mean"] * honest]  # fmt: skip
    lines = ["# Ablation: balanced accuracy of the validation fold", "", OPTIMISM, *["", NESTED] * honest, "",
             f"| {' | '.join(head)} |", "|---" * len(head) + "|"]  # fmt: skip
    for row in figures:
        folds = _by_fold(row.best, row.best_epochs)
        name = " ".join(row.setting.split()).replace("|", "\\|").replace("<", "&lt;")
        lines.append(
            f"| {name} | {folds} | {row.mean_of_best:.3f} | {row.mean_at_last:.3f} "
            f"| {row.mean_at_one:.3f} ({row.one_epoch}) |"
            + (f" {_by_fold(row.chosen, row.chosen_epochs)}, mean {row.mean_of_chosen:.3f} |" if row.chosen else "")
        )
    quoted = [name for name in ("protocol", "command", "commit", "machine", "created") if name in provenance]
    lines += ["", *(f"- {name}: `{provenance[name]}`" for name in quoted), f"- {RESEARCH_USE_ONLY}", ""]
    return "\n".join(lines)


def _by_fold(values: Sequence[float], epochs: Sequence[int]) -> str:
    return ", ".join(f"{value:.3f} ({epoch})" for value, epoch in zip(values, epochs, strict=True))


def _write_png(path: Path, curves: pl.DataFrame) -> None:
    """A panel for each setting: mean over folds, half a standard deviation to either side; the others' means behind."""
    grids = _grids(curves)
    columns = min(_COLUMNS, len(grids))
    rows = -(-len(grids) // columns)
    figure = Figure(figsize=(2.9 * columns + 0.4, 2.5 * rows + 0.3), layout="constrained", dpi=150)
    panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
    for axes, (setting, (folds, epochs, read)) in zip(panels, grids.items(), strict=False):
        for _, other_epochs, others in grids.values():
            axes.plot(other_epochs, others[..., 0].mean(axis=0), color=_OTHERS, linewidth=0.8)
        values = read[..., 0]
        mean = values.mean(axis=0)
        half = values.std(axis=0, ddof=1) / 2 if len(folds) > 1 else np.zeros(len(epochs))
        axes.fill_between(epochs, mean - half, mean + half, color=_MEAN, alpha=0.2, linewidth=0)
        axes.plot(epochs, mean, color=_MEAN, linewidth=1.4, marker=".", markersize=3)
        axes.set_title(" ".join(setting.split()), fontsize=9, parse_math=False)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.spines[["top", "right"]].set_visible(False)
    for axes in panels[len(grids) :]:
        axes.set_visible(False)
    figure.supxlabel("epoch", fontsize=9)
    figure.supylabel("balanced accuracy, mean ± half a standard deviation", fontsize=9)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", metadata={"Software": None})
