"""Boxes of one field that overlap each other."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import scipy  # its parts load on first use
from numpy.typing import NDArray

from leukopy.evaluation.detection import Boxes


class Pairs(NamedTuple):
    """Pairs of boxes that share some area, each pair once."""

    later: NDArray[np.intp]
    """(p,): the larger index."""
    earlier: NDArray[np.intp]
    """(p,): the smaller index."""
    shared: NDArray[np.float32]
    """(p,): common area."""


def pairs(boxes: Boxes) -> Pairs:
    """The pairs of boxes (n, 4: left, top, width, height) that share some area.

    The time grows with the number of boxes and of neighbours, not with that of all pairs.
    """
    if not len(boxes):
        return Pairs(np.empty(0, np.intp), np.empty(0, np.intp), np.empty(0, np.float32))
    # a box no larger than another has its centre within the other's longest side where they overlap
    reach = boxes[:, 2:].max(axis=1)
    centres = boxes[:, :2] + boxes[:, 2:] / 2
    near = scipy.spatial.KDTree(centres).query_ball_point(centres, reach, p=np.inf)
    first = np.repeat(np.arange(len(boxes)), [len(each) for each in near])
    second = np.concatenate(near).astype(np.intp)
    met = (reach[second] < reach[first]) | ((reach[second] == reach[first]) & (second < first))
    first, second = first[met], second[met]
    ends = boxes[:, :2] + boxes[:, 2:]
    common = np.minimum(ends[first], ends[second]) - np.maximum(boxes[first, :2], boxes[second, :2])
    shared = common.clip(min=0).prod(axis=1)
    met = shared > 0
    return Pairs(np.maximum(first, second)[met], np.minimum(first, second)[met], shared[met])


def overlapping(boxes: Boxes, share: float = 0.0) -> NDArray[np.bool_]:
    """Boxes (n, 4) that overlap another one, (n,).

    Args:
        boxes: in pixels.
        share: of the smaller box's area that must be exceeded.
    """
    later, earlier, shared = pairs(boxes)
    areas = boxes[:, 2:].prod(axis=1)
    over = shared > share * np.minimum(areas[later], areas[earlier])
    found = np.zeros(len(boxes), bool)
    found[later[over]] = found[earlier[over]] = True
    return found
