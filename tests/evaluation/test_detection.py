"""Scores of found boxes against marked ones."""

from __future__ import annotations

import numpy as np
import pytest

from leukopy.evaluation.detection import (
    Marked,
    Matched,
    best_threshold,
    cut_by_border,
    match,
    middle_threshold,
    overlaps,
    score,
)


def _boxes(*rows):
    return np.array(rows, np.float32).reshape(-1, 4)


def _match(found, scores, marked, unsure=None, at_border=None):
    boxes = _boxes(*marked)
    unsure = np.zeros(len(boxes), bool) if unsure is None else np.array(unsure)
    at_border = np.zeros(len(found), bool) if at_border is None else np.array(at_border)
    return match(_boxes(*found), np.array(scores, np.float32), Marked(boxes, unsure), at_border)


def test_overlaps_of_known_boxes():
    shared, inside = overlaps(_boxes((0, 0, 10, 10)), _boxes((5, 0, 10, 10), (20, 20, 5, 5), (0, 0, 20, 20)))
    assert shared[0] == pytest.approx([50 / 150, 0, 100 / 400])
    assert inside[0] == pytest.approx([0.5, 0, 1])


def test_each_marked_box_counts_once():
    found = _match([(0, 0, 10, 10), (1, 0, 10, 10), (50, 50, 10, 10)], [0.8, 0.9, 0.7], [(0, 0, 10, 10)])
    assert found.scores.tolist() == pytest.approx([0.9, 0.8, 0.7])
    assert found.right.tolist() == [True, False, False]
    assert found.wanted == 1


def test_open_boxes_are_neither_missed_nor_false():
    found = _match([(0, 0, 10, 10), (2, 2, 4, 4)], [0.9, 0.8], [(0, 0, 10, 10)], unsure=[True])
    assert found.scores.size == 0
    assert found.wanted == 0


def test_a_sure_box_is_preferred_to_an_open_one():
    found = _match([(0, 0, 10, 10)], [0.9], [(0, 0, 10, 10), (1, 0, 10, 10)], unsure=[True, False])
    assert found.right.tolist() == [True]


def test_boxes_at_the_border_are_judged_only_where_one_is_marked():
    found = _match([(0, 0, 10, 10), (40, 40, 10, 10)], [0.9, 0.8], [(40, 40, 10, 10)], at_border=[True, True])
    assert found.right.tolist() == [True]
    assert cut_by_border(_boxes((0, 5, 4, 4), (5, 5, 4, 4), (90, 5, 10, 4)), (100, 50)).tolist() == [True, False, True]


def test_scores_of_a_worked_example():
    """Precision at the three right boxes: 1, 2/3, 3/4; monotone: 1, 3/4, 3/4; one of four marked boxes is missed."""
    first = Matched(np.array([0.9, 0.8, 0.7], np.float32), np.array([True, False, True]), 2)
    second = Matched(np.array([0.6], np.float32), np.array([True]), 2)
    found = score([first, second], false_per_picture=0.4, replicates=100)
    assert found.average_precision.value == pytest.approx((1 + 0.75 + 0.75) / 4)
    assert found.recall.value == pytest.approx(1 / 4)
    assert found.threshold == pytest.approx(0.9)
    assert score([first, second], false_per_picture=0.5, replicates=100).recall.value == pytest.approx(3 / 4)
    assert found.average_precision.low <= found.average_precision.value <= found.average_precision.high
    assert best_threshold([first, second]) == pytest.approx(0.6)


def _seen(right, false, wanted):
    """One picture with right and false objects of these scores."""
    scores = np.array(right + false, np.float32)
    return Matched(scores, np.array([True] * len(right) + [False] * len(false)), wanted)


def test_the_middle_threshold_keeps_its_distance_from_right_and_false_objects():
    pictures = [_seen([0.9, 0.6], [0.3, 0.1], 2), _seen([0.8], [], 1)]
    found = middle_threshold(pictures, false_per_picture=0.5)
    assert found == pytest.approx((score(pictures, false_per_picture=0.5).threshold + 0.6) / 2)
    assert 0.3 < found < 0.6
    both = [*pictures, _seen([0.35], [0.5], 1)]  # an object less clear than a false one: no room between
    assert middle_threshold(both, false_per_picture=0.5) == pytest.approx(
        (score(both, false_per_picture=0.5).threshold + 0.35) / 2
    )
    assert middle_threshold([_seen([0.2], [0.9], 1)], false_per_picture=0) is None


def test_nothing_found_scores_zero():
    nothing = Matched(np.empty(0, np.float32), np.empty(0, bool), 3)
    found = score([nothing, nothing], replicates=100)
    assert found.average_precision.value == 0
    assert found.recall.value == 0
    assert best_threshold([nothing]) == 1
