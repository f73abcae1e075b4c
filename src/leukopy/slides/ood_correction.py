"""How strange a cell is among the cells of its own slide.

To a model that has not learnt a laboratory all cells of it are strange, whatever their class: its stain and its lens
are. What the slide's usual cell has too much is therefore taken off all its cells. Elsewhere all distances are so many
times larger, so *far* is divided; and the other parts of strangeness are higher, so they are lowered. The usual cell is
the one that a quarter of the cells lie below: a slide is judged by its known cells as long as a quarter of them are
known. Nothing is ever added, so that a slide of the training's laboratories is judged as it was.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from leukopy.slides.laboratory_check import ENOUGH_CELLS

_QUANTILE = 0.25


@dataclass(frozen=True)
class Rise:
    """What the usual cell of a slide has more than a known one."""

    times: float = 1.0
    """How many times further it is, 1 or more."""
    more: float = 0.0
    """By how much all else that makes it strange is higher, 0 or more."""


NO_RISE = Rise()
"""Of a slide that is usual, or that nothing is known of: each cell is judged by itself."""


def usual(strangeness: NDArray[np.floating], far: NDArray[np.floating]) -> tuple[float, float]:
    """What a quarter of N cells stay below: of far (N,), and of the rest of the sum behind strangeness (N,)."""
    return float(np.quantile(far, _QUANTILE)), float(np.quantile(_sum_of(strangeness) - far, _QUANTILE))


def rise(strangeness: NDArray[np.floating], far: NDArray[np.floating], known: tuple[float, float]) -> Rise:
    """The rise of a slide.

    Args:
        strangeness: (N,), of its cells; of fewer than ``ENOUGH_CELLS`` nothing is said.
        far: (N,), that part of it.
        known: what is `usual` of known cells.
    """
    if len(strangeness) < ENOUGH_CELLS:
        return NO_RISE
    slide = usual(strangeness, far)
    return Rise(times=max(1.0, slide[0] / max(known[0], 1e-6)), more=max(0.0, slide[1] - known[1]))


def among(strangeness: NDArray[np.floating], far: NDArray[np.floating], risen: Rise) -> NDArray[np.float32]:
    """Strangeness (N,) as it would be on a slide of known cells.

    Args:
        strangeness: (N,), by itself.
        far: (N,), that part of it.
        risen: of the slide.
    """
    if risen == NO_RISE:
        return np.asarray(strangeness, np.float32)
    less = far.astype(np.float64) * (1 - 1 / risen.times) + risen.more
    return np.logaddexp(0, _sum_of(strangeness) - less).astype(np.float32)


def _sum_of(strangeness: NDArray[np.floating]) -> NDArray[np.float64]:
    """The sum of its parts: strangeness is log(1 + exp(sum))."""
    above = np.maximum(np.asarray(strangeness, np.float64), 1e-30)
    return np.asarray(above + np.log(-np.expm1(-above)))
