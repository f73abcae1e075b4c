"""Outputs of the network to the columns of classified cells: classes, probabilities, flags."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from leukopy.bundle import Card
from leukopy.evaluation.conformal import prediction_sets
from leukopy.slides.outside import is_outside
from leukopy.taxonomy import COARSE, FINE, coarse_matrix, outside_classes

ELONGATED = 1.5
"""A picture whose long side exceeds this many short sides is flagged ``not_square``: the network gets a small part of
it."""

_TO_COARSE = coarse_matrix()
_FINE_CODES = np.array([cell.code for cell in FINE])
_COARSE_CODES = np.array([cell.code for cell in COARSE])
_SUMS = [index for index, code in enumerate(_COARSE_CODES) if code not in _FINE_CODES]
"""Coarse classes that are not fine classes: NEU and IG."""


def class_columns(
    fine: NDArray[np.float32], sizes: NDArray[np.int32], card: Card, outside: NDArray[np.float32] | None = None
) -> dict[str, NDArray[Any]]:
    """Classes, probabilities and flags of N cells.

    Args:
        fine: calibrated probabilities of the F fine classes among each other, (N, F).
        sizes: widths and heights, (N, 2), pixels.
        card: of the model.
        outside: `leukopy.slides.outside.with_fine` of the model's K classes outside, (N, 1 + K); None: it has none.
    """
    columns = _fine_columns(fine)
    if card.thresholds.set_from is not None:
        columns["fine_set"] = _joined(fine, prediction_sets(fine, card.thresholds.set_from))
    if card.outside and outside is not None:
        columns = _with_outside(columns, outside, card.outside.classes)
    short, long = sizes.min(axis=1), sizes.max(axis=1)
    return {
        **columns,
        "flags": _words(
            uncertain=columns["confidence"] < card.thresholds.uncertain_below,
            low_resolution=2 * short < card.preprocess.size,
            not_square=long > ELONGATED * short,
        ),
    }


def _fine_columns(fine: NDArray[np.floating]) -> dict[str, NDArray[Any]]:
    """Classes and probabilities of N cells among the fine classes (N, F)."""
    coarse = (fine @ _TO_COARSE).clip(max=1)
    best = coarse.argmax(axis=1)
    # The fine class is chosen within the coarse one, so the two agree.
    best_fine = np.where(_TO_COARSE.T[best] > 0, fine, -1).argmax(axis=1)
    every = np.arange(len(fine))
    return {
        "coarse": _COARSE_CODES[best],
        "fine": _FINE_CODES[best_fine],
        "confidence": coarse[every, best],
        "fine_confidence": fine[every, best_fine],
        **{f"p_{code}": fine[:, index] for index, code in enumerate(_FINE_CODES)},
        **{f"p_{_COARSE_CODES[index]}": coarse[:, index] for index in _SUMS},
    }


def _with_outside(
    columns: dict[str, NDArray[Any]], outside: NDArray[np.float32], codes: Sequence[str]
) -> dict[str, NDArray[Any]]:
    """The columns with classes outside: a class outside where it is more probable than all fine ones together.

    ``fine_set`` keeps the sets among the fine classes.
    """
    rows, called = np.arange(len(outside)), is_outside(outside)
    code, own = np.array(["", *codes])[outside.argmax(axis=1)], outside[rows, outside.argmax(axis=1)]
    shares = [name for name in columns if name.startswith("p_")]
    within = {name: columns[name] * outside[:, 0] for name in (*shares, "confidence", "fine_confidence")}
    found = columns | within | {f"p_{one}": outside[:, 1 + place] for place, one in enumerate(codes)}
    found |= {name: np.where(called, own, found[name]) for name in ("confidence", "fine_confidence")}
    return found | {name: np.where(called, code, found[name]) for name in ("coarse", "fine")}


def among_fine(cells: pl.DataFrame, kept: Sequence[str] = ()) -> pl.DataFrame:
    """Rows of ``CELL_SCHEMA`` as a model without classes outside gives them, with a column ``outside``: the class
    outside that was called, null for the others.

    Args:
        cells: the rows.
        kept: codes of classes outside that stay.
    """
    codes = [cell.code for cell in outside_classes() if cell.code not in kept]
    cells = cells.with_columns(outside=pl.when(pl.col("fine").is_in(codes)).then("fine"))
    if not any(f"p_{code}" in cells.columns for code in codes):
        return cells
    kept = [code for code in kept if f"p_{code}" in cells.columns]
    shares = cells.select(f"p_{code}" for code in (*_FINE_CODES, *kept)).to_numpy()
    shares = shares / np.maximum(shares.sum(axis=1, keepdims=True), 1e-12)
    fine = shares[:, : len(_FINE_CODES)]
    inside = fine.sum(axis=1, keepdims=True)
    found = _fine_columns(fine / np.maximum(inside, 1e-12))
    if kept:
        found = _with_outside(found, np.concatenate([inside, shares[:, len(_FINE_CODES) :]], axis=1), kept)
    has_class = pl.col("fine").is_not_null()
    table = pl.DataFrame(found).select(pl.col(name).cast(cells.schema[name]) for name in found)
    return cells.with_columns(pl.when(has_class).then(table[name]).alias(name) for name in found)


def with_flag(name: str, up: NDArray[np.bool_], flags: Sequence[str]) -> list[str]:
    """Flags with one more before the others, where it is set."""
    return [";".join(filter(None, (name, own))) if is_up else own for own, is_up in zip(flags, up, strict=True)]


def _joined(fine: NDArray[np.float32], sets: NDArray[np.bool_]) -> NDArray[np.str_]:
    """The codes of each set joined by ``;``, the most probable first."""
    order = np.argsort(-np.where(sets, fine, -1), axis=1, kind="stable")
    return np.array([";".join(_FINE_CODES[row[:size]]) for row, size in zip(order, sets.sum(axis=1), strict=True)])


def _words(**flags: NDArray[np.bool_]) -> NDArray[np.str_]:
    """The names of the set flags, joined by ``;``, for each row."""
    names = list(flags)
    every_set = [";".join(name for bit, name in enumerate(names) if code >> bit & 1) for code in range(2 ** len(names))]
    codes: NDArray[np.intp] = np.sum([up.astype(np.intp) << bit for bit, up in enumerate(flags.values())], axis=0)
    rows: NDArray[np.str_] = np.array(every_set)[codes]
    return rows
