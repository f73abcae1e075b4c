"""Outputs of the network to the columns of classified cells: classes, probabilities, flags."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leukopy.bundle import Card
from leukopy.evaluation.conformal import prediction_sets
from leukopy.taxonomy import COARSE, FINE, coarse_matrix

ELONGATED = 1.5
"""A picture whose long side exceeds this many short sides is flagged ``not_square``: the network gets a small part of
it."""

_TO_COARSE = coarse_matrix()
_FINE_CODES = np.array([cell.code for cell in FINE])
_COARSE_CODES = np.array([cell.code for cell in COARSE])
_SUMS = [index for index, code in enumerate(_COARSE_CODES) if code not in _FINE_CODES]
"""Coarse classes that are not fine classes: NEU and IG."""


def class_columns(fine: NDArray[np.float32], sizes: NDArray[np.int32], card: Card) -> dict[str, NDArray[Any]]:
    """Classes, probabilities and flags of N cells.

    Args:
        fine: calibrated probabilities of the F fine classes, (N, F).
        sizes: widths and heights, (N, 2), pixels.
        card: of the model.
    """
    coarse = (fine @ _TO_COARSE).clip(max=1)
    best = coarse.argmax(axis=1)
    # The fine class is chosen within the coarse one, so the two agree.
    best_fine = np.where(_TO_COARSE.T[best] > 0, fine, -1).argmax(axis=1)
    every = np.arange(len(fine))
    confidence = coarse[every, best]
    probabilities: dict[str, NDArray[Any]] = {f"p_{code}": fine[:, index] for index, code in enumerate(_FINE_CODES)}
    probabilities |= {f"p_{_COARSE_CODES[index]}": coarse[:, index] for index in _SUMS}
    if card.thresholds.set_from is not None:
        probabilities["fine_set"] = _joined(fine, prediction_sets(fine, card.thresholds.set_from))
    short, long = sizes.min(axis=1), sizes.max(axis=1)
    return {
        "coarse": _COARSE_CODES[best],
        "fine": _FINE_CODES[best_fine],
        "confidence": confidence,
        "fine_confidence": fine[every, best_fine],
        "flags": _words(
            uncertain=confidence < card.thresholds.uncertain_below,
            low_resolution=2 * short < card.preprocess.size,
            not_square=long > ELONGATED * short,
        ),
        **probabilities,
    }


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
