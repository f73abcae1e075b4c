"""Boxes of one field that overlap each other."""

import numpy as np
import pytest

from leukopy.fields.box_pairs import overlapping, pairs


def _boxes(count: int) -> np.ndarray:
    """Boxes of very different sizes, some of them the same."""
    rng = np.random.default_rng(0)
    boxes = np.c_[rng.uniform(0, 100, (count, 2)), rng.uniform(1, 12, (count, 2))].astype(np.float32)
    boxes[:3, 2:] *= 5
    return np.concatenate([boxes, boxes[:2]])


def _shared(boxes: np.ndarray) -> np.ndarray:
    """Common area of each box with each other."""
    first, last = boxes[:, :2], boxes[:, :2] + boxes[:, 2:]
    common = np.minimum(last[:, None], last) - np.maximum(first[:, None], first)
    shared = common.clip(min=0).prod(axis=2)
    np.fill_diagonal(shared, 0)
    return shared


def test_each_pair_that_shares_area_is_found_once():
    boxes = _boxes(60)
    later, earlier, shared = pairs(boxes)
    expected = np.tril(_shared(boxes))
    assert sorted(zip(later.tolist(), earlier.tolist(), strict=True)) == list(zip(*np.nonzero(expected), strict=True))
    assert shared == pytest.approx(expected[later, earlier])


@pytest.mark.parametrize("share", [0.0, 0.3])
def test_boxes_overlap_as_each_pair_says(share):
    boxes = _boxes(40)
    areas = boxes[:, 2:].prod(axis=1)
    over = (_shared(boxes) > share * np.minimum(areas[:, None], areas)).any(axis=1)
    assert (overlapping(boxes, share) == over).all()
    assert 0.2 < over.mean() < 0.95  # both answers occur


def test_no_boxes_overlap_nothing():
    assert not len(overlapping(np.empty((0, 4), np.float32)))
    assert not len(pairs(np.empty((0, 4), np.float32)).later)
