"""Reference of the out-of-distribution score: known cells, as constants of the network."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from leukopy.network.head import Head

Array = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class OodReference:
    """Reference of a cell's score. F statistics, C classes, B training cells, embeddings of D."""

    projection: Array
    """(F, F): projection of statistics to unit covariance within classes."""
    offset: Array
    """(F,): offset added after projection."""
    means: Array
    """(C, F): projected means of the classes."""
    discriminants: Array
    """(F, C - 1): discriminants, the projected directions along which the classes differ."""
    cells: Array
    """(B, C - 1): the training cells along the discriminants, normalised to length 1."""
    neighbours: int
    head: Head
    """A copy of the network's own head: adapting the head leaves the score unchanged."""
    temperature: float
    doubt: float
    middles: Array
    """(3,): far, new and doubtful of a typical known cell."""
    spreads: Array
    """(3,): increase of the parts from a typical known cell to a cell at the threshold."""
