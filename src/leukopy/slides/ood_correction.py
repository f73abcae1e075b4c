"""Correction of the out-of-distribution score by the cells of the slide.

In a foreign laboratory the stain and the lens raise the score of every cell of any class. The correction removes this
rise. Foreign distances grow by a factor, so the part *far* is divided; the other parts grow by a constant, which is
subtracted. The rise is estimated at the first quartile of the slide's cells: it holds as long as a quarter of them are
of known classes. The correction never raises a score, so slides of known laboratories keep theirs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_QUANTILE = 0.25


@dataclass(frozen=True)
class Shift:
    """Rise of the out-of-distribution score on a slide, against the baseline of known cells."""

    times: float = 1.0
    """Factor of the part *far*, 1 or more."""
    more: float = 0.0
    """Rise of the other parts, 0 or more."""


NO_SHIFT = Shift()
"""No correction: each cell is scored alone."""


def baseline(ood_score: NDArray[np.floating], far: NDArray[np.floating]) -> tuple[float, float]:
    """First quartiles over N cells: of far (N,), and of the remaining sum behind the score (N,)."""
    return float(np.quantile(far, _QUANTILE)), float(np.quantile(_sum_of(ood_score) - far, _QUANTILE))


def estimate_shift(ood_score: NDArray[np.floating], far: NDArray[np.floating], known: tuple[float, float]) -> Shift:
    """Estimate the rise of the score on a slide with any number of cells.

    The estimate from few cells is rough. From one cell it removes the whole score: a single cell is never unidentified
    by its score. Without the correction, a whole foreign laboratory is unidentified (``benchmarks/few_cells.py``).

    Args:
        ood_score: (N,), of its cells; without cells there is no correction.
        far: (N,), that part of it.
        known: the `baseline` of known cells.
    """
    if not len(ood_score):
        return NO_SHIFT
    slide = baseline(ood_score, far)
    return Shift(times=max(1.0, slide[0] / max(known[0], 1e-6)), more=max(0.0, slide[1] - known[1]))


def correct(ood_score: NDArray[np.floating], far: NDArray[np.floating], shift: Shift) -> NDArray[np.float32]:
    """The score (N,) as it would be on a slide of known cells.

    Args:
        ood_score: (N,), uncorrected.
        far: (N,), that part of it.
        shift: of the slide.
    """
    if shift == NO_SHIFT:
        return np.asarray(ood_score, np.float32)
    less = far.astype(np.float64) * (1 - 1 / shift.times) + shift.more
    return np.logaddexp(0, _sum_of(ood_score) - less).astype(np.float32)


def _sum_of(ood_score: NDArray[np.floating]) -> NDArray[np.float64]:
    """The sum of its parts: the score is log(1 + exp(sum))."""
    above = np.maximum(np.asarray(ood_score, np.float64), 1e-30)
    return np.asarray(above + np.log(-np.expm1(-above)))
