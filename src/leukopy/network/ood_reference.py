"""Reference of the out-of-distribution score: known cells, as constants of the network."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from leukopy.network.head import Head

Array = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class OodReference:
    """What a cell is compared with. F statistics, C classes, B training cells, embeddings of D."""

    projection: Array
    """(F, F): from statistics to where the covariance within classes is the identity."""
    offset: Array
    """(F,): added to the projected."""
    means: Array
    """(C, F): of the classes, projected."""
    discriminants: Array
    """(F, C - 1): of the projected, along which the classes differ."""
    cells: Array
    """(B, C - 1): the training cells along the discriminants, brought to length 1."""
    neighbours: int
    head: Head
    """A copy of the network's own: adapting the head leaves the score unchanged."""
    temperature: float
    doubt: float
    middles: Array
    """(3,): far, new and doubtful of a usual known cell."""
    spreads: Array
    """(3,): what the parts rise by from a usual known cell to one that is barely kept."""
