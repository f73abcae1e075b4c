"""Confusion matrices as picture and table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from numpy.typing import NDArray

from leukopy.core.files import atomic_path, write_text
from leukopy.taxonomy import CellClass


def row_shares(confusion: NDArray[np.integer]) -> NDArray[np.float64]:
    """Each row divided by its sum; not-a-number where the truth holds no image of the class."""
    with np.errstate(invalid="ignore"):
        return np.asarray(confusion / confusion.sum(axis=1, keepdims=True))


def write_confusion_csv(path: Path, confusion: NDArray[np.integer], classes: Sequence[CellClass]) -> None:
    """Write a row per true class: its images, how many went to each class, and the same as shares of the row.

    Args:
        path: the CSV file.
        confusion: shape (C, C), row = truth, column = predicted.
        classes: of the rows and columns.

    Raises:
        OutputError: it cannot be written.
    """
    codes = [cell.code for cell in classes]
    table = pl.DataFrame({
        "truth": codes,
        "images": confusion.sum(axis=1),
        **{code: confusion[:, column] for column, code in enumerate(codes)},
        **{f"share_{code}": row_shares(confusion)[:, column] for column, code in enumerate(codes)},
    })  # fmt: skip
    write_text(path, table.fill_nan(None).write_csv(float_precision=4))


def write_confusion_png(path: Path, confusion: NDArray[np.integer], classes: Sequence[CellClass], title: str) -> None:
    """Draw the row-normalised matrix: each row gives the predicted classes of one true class, in %.

    Args:
        path: the PNG file.
        confusion: shape (C, C), row = truth, column = predicted.
        classes: of the rows and columns.
        title: what was evaluated, on what.

    Raises:
        OutputError: it cannot be written.
    """
    shares, support = 100 * row_shares(confusion), confusion.sum(axis=1)
    side = 2.6 + 0.52 * len(classes)
    figure = Figure(figsize=(side, side), layout="constrained", dpi=150)
    axes = figure.add_subplot()
    # A square-root scale makes errors of a few per cent visible.
    axes.imshow(np.nan_to_num(shares), cmap="Purples", norm=PowerNorm(0.5, vmin=0, vmax=100))
    codes = [cell.code for cell in classes]
    axes.set_xticks(range(len(codes)), codes)
    axes.set_yticks(range(len(codes)), [f"{code}  n={count:,}" for code, count in zip(codes, support, strict=True)])
    axes.set_xlabel("predicted")
    axes.set_ylabel("truth")
    axes.set_title(f"{title}\n% of each row", fontsize=10)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    for (row, column), count in np.ndenumerate(confusion):
        if count:
            share = float(shares[row, column])
            colour = "white" if share > 35 else "#1d1b22"
            axes.text(column, row, percent(share), ha="center", va="center", color=colour, fontsize=8)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", metadata={"Software": None})


def percent(share: float) -> str:
    """Short, and 100 only where nothing was missed."""
    return "100" if share == 100 else f"{min(share, 99.9):.1f}"
