"""Heat maps averaged over test-time views, independent of the orientation of the cell.

A blood cell has no upper side, yet a network need not answer a turned cell by a turned map: strides and padding favour
some places of a coarse feature map, and training for a right class alone does not forbid it. The mean over the
eight turned and mirrored views, each turned back, removes this (the test-time smoothing of pytorch-grad-cam, over the
whole symmetry group of the square; Cohen and Welling, "Group equivariant convolutional networks", ICML 2016).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from leukopy.explain.heat import Explainer, Heat, Pictures

VIEWS = 8
"""Four quarter turns, each also mirrored."""


def of_all_views(explain: Explainer) -> Explainer:
    """The mean of a method's maps over the eight views of each picture, scaled to [0, 1]; eight times the work."""

    def explain_all(pictures: Pictures, classes: NDArray[np.intp]) -> Heat:
        total = np.zeros(pictures.shape[:3], np.float32)
        for view in range(VIEWS):
            turned = np.ascontiguousarray(turn(pictures, view))
            total += turn_back(explain(turned, classes), view)
        total -= total.min(axis=(1, 2), keepdims=True)
        highest = total.max(axis=(1, 2), keepdims=True)
        scaled: Heat = np.divide(total, highest, out=np.zeros_like(total), where=highest > 0)
        return scaled

    return explain_all


def turn(pictures: NDArray[Any], view: int) -> NDArray[Any]:
    """One of the eight views of pictures or maps (N, S, S, …): turned by quarters, then, from 4 on, mirrored."""
    turned = np.rot90(pictures, view % 4, axes=(1, 2))
    return turned[:, :, ::-1] if view >= 4 else turned


def turn_back(turned: NDArray[Any], view: int) -> NDArray[Any]:
    """Undo `turn`."""
    mirrored_back = turned[:, :, ::-1] if view >= 4 else turned
    return np.rot90(mirrored_back, -(view % 4), axes=(1, 2))
