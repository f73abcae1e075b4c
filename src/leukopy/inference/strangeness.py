"""How strange a cell is among the cells of its own slide.

To a model that has not learnt a laboratory all cells of it are strange, whatever their class: its stain and its lens
are. What a slide's usual cell has more of strangeness than a known cell is therefore taken off all its cells. The usual
cell is the one that a quarter of the cells lie below, so that a slide is judged by its known cells as long as a quarter
of them are known; and nothing is ever added, so that a slide of the training's laboratories is judged as it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from leukopy.inference.slides import ENOUGH_CELLS

SAMPLE = 64
"""Cells of a slide that tell which strangeness is usual on it, at most."""
_QUANTILE = 0.25

T = TypeVar("T")


def sample_of(slide: Sequence[T]) -> list[T]:
    """Up to ``SAMPLE`` of a slide's cells, evenly over the list: it may be sorted by class."""
    places = np.linspace(0, len(slide) - 1, min(SAMPLE, len(slide))).round().astype(int)
    return [slide[place] for place in places]


def usual(strangeness: NDArray[np.floating]) -> float:
    """What a quarter of cells (N,) stay below."""
    return float(np.quantile(strangeness, _QUANTILE))


def rise(strangeness: NDArray[np.floating], known: float) -> float:
    """How much higher the strangeness of a slide lies than that of known cells; never below 0.

    Args:
        strangeness: (N,), of a slide's cells; of fewer than ``ENOUGH_CELLS`` nothing is said: 0.
        known: what is `usual` of known cells.
    """
    if len(strangeness) < ENOUGH_CELLS:
        return 0.0
    slide, cells = _evidence(np.array([usual(strangeness), known]))
    return max(0.0, float(slide - cells))


def among(strangeness: NDArray[np.floating], risen: float) -> NDArray[np.float32]:
    """Strangeness (N,) as it would be on a slide of known cells, by the `rise` of its own."""
    if not risen:
        return np.asarray(strangeness, np.float32)
    return np.logaddexp(0, _evidence(strangeness) - risen).astype(np.float32)


def _evidence(strangeness: NDArray[np.floating]) -> NDArray[np.float64]:
    """The sum behind strangeness, which is log(1 + exp(sum)): what a strange laboratory adds, it adds to the sum."""
    above = np.maximum(np.asarray(strangeness, np.float64), 1e-30)
    return np.asarray(above + np.log(-np.expm1(-above)))
