"""Learning curves: the figures of each epoch of a training."""

from __future__ import annotations

import re
from pathlib import Path

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from leukopy.core.errors import InputError
from leukopy.core.files import atomic_path, read_json
from leukopy.core.runs import RUN_FILE

CURVES_FOLDER = "curves"
"""Path of the curves in a run: ``curves/version_N/metrics.csv``, a version for each start."""

_TRAIN, _VALIDATION = "#8a8a8a", ("#5a3d8a", "#d9663c", "#3f8fc4", "#b59a3c")
_LOSS = {"train/loss": "training", "val/loss": "validation"}
_SHARES = {
    "train/coarse_accuracy": "coarse accuracy, training",
    "val/coarse_accuracy": "coarse accuracy",
    "val/coarse_balanced_accuracy": "coarse balanced accuracy",
    "val/fine_accuracy": "fine accuracy",
    "val/fine_macro_f1": "fine macro F1",
}


def read_curves(run: Path) -> pl.DataFrame:
    """The figures of each epoch of a run, over all its starts.

    A resumed run has a version for each start; where two hold the same epoch, the later start is the one that went on.

    Args:
        run: the folder that ``leukopy train`` wrote.

    Returns:
        A row per epoch, ``epoch`` counted from 0, then a column per figure as logged (``train/loss``, ``val/loss`` …),
        null where it was not measured. No row where no epoch is finished.

    Raises:
        InputError: a ``metrics.csv`` is no table of epochs.
    """
    files = [(int(found[1]), path) for path in (run / CURVES_FOLDER).glob("version_*/metrics.csv")
             if (found := re.fullmatch(r"version_(\d+)", path.parent.name))]  # fmt: skip
    tables = [_read(path) for _, path in sorted(files)]
    if not tables:
        return pl.DataFrame(schema={"epoch": pl.Int64()})
    rows = pl.concat(tables, how="diagonal").drop_nulls("epoch")
    return rows.group_by("epoch").agg(pl.all().drop_nulls().last()).sort("epoch")


def _read(path: Path) -> pl.DataFrame:
    try:
        table = pl.read_csv(path, infer_schema=False)
        if "epoch" not in table.columns and "step" in table.columns:  # stopped within its first epoch
            table = table.clear().with_columns(epoch=pl.lit(None, pl.String))
        return table.select(
            pl.col("epoch").cast(pl.Int64), pl.col("^(train|val)/.*$").replace("", None).cast(pl.Float64)
        )
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error}).") from error
    except (pl.exceptions.PolarsError, UnicodeDecodeError) as error:
        reason = str(error).strip().splitlines()[0]
        raise InputError(f"{path}: not the curves of a training ({reason}). Remove it, or copy it again.") from error


def best_epoch(curves: pl.DataFrame) -> int | None:
    """The epoch, counted from 0, of the lowest finite validation loss."""
    if "val/loss" not in curves.columns:
        return None
    known = curves.filter(pl.col("val/loss").is_finite())
    return None if known.is_empty() else int(known.sort("val/loss", "epoch")["epoch"][0])


def _kept_epoch(run: Path, curves: pl.DataFrame) -> int | None:
    """The epoch, counted from 0, whose weights a run exports, as its recipe says."""
    record = read_json(run / RUN_FILE) if (run / RUN_FILE).is_file() else {}
    if record.get("settings", {}).get("optimisation", {}).get("epoch") == "last":
        return int(curves["epoch"][-1])
    return best_epoch(curves)


def write_curves(run: Path, path: Path | None = None) -> Path | None:
    """Draw loss, and accuracy and F1, by epoch, with the epoch whose weights were exported.

    Args:
        run: the folder that ``leukopy train`` wrote; where its weights are averaged over trainings, all are drawn.
        path: the PNG file; ``curves.png`` in ``run`` if not given.

    Returns:
        The file; None where the run has no finished epoch.

    Raises:
        InputError: a ``metrics.csv`` is no table of epochs.
        OutputError: the picture cannot be written.
    """
    trainings = [read_curves(folder) for folder in sorted(run.glob("seed*/")) or [run]]
    trainings = [curves for curves in trainings if not curves.is_empty()]
    if not trainings:
        return None
    path = path or run / "curves.png"
    figure = Figure(figsize=(9.6, 4), layout="constrained", dpi=150)
    loss, shares = figure.subplots(1, 2)
    for axes, names, label in ((loss, _LOSS, "loss"), (shares, _SHARES, "share")):
        for number, curves in enumerate(trainings):
            _lines(axes, curves, names, labelled=number == 0)
            _mark_kept(axes, _kept_epoch(run, curves))
        axes.set(xlabel="epoch", ylabel=label)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.spines[["top", "right"]].set_visible(False)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(frameon=False, fontsize=8)
    shares.set_ylim(top=1)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", metadata={"Software": None})
    return path


def _lines(axes: Axes, curves: pl.DataFrame, names: dict[str, str], *, labelled: bool) -> None:
    colours = iter(_VALIDATION)
    for name, label in names.items():
        if name not in curves.columns:
            continue
        known = curves.drop_nulls(name)
        training = name.startswith("train/")
        colour, style = (_TRAIN, "--") if training else (next(colours), "-")
        axes.plot(known["epoch"] + 1, known[name], style, color=colour, marker=".", label=label if labelled else None)


def _mark_kept(axes: Axes, kept: int | None) -> None:
    if kept is not None:
        axes.axvline(kept + 1, color="#2b2435", linewidth=0.8, linestyle=":")
        axes.annotate(f"kept: epoch {kept + 1}", (kept + 1, 1.01), xycoords=("data", "axes fraction"),
                      ha="center", va="bottom", fontsize=8)  # fmt: skip
