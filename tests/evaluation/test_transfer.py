from __future__ import annotations

import numpy as np
import pytest

from leukopy.evaluation.transfer import restrict, score_transfer


def test_restricted_probabilities_are_conditional_on_the_held_classes():
    probabilities = np.array([[0.5, 0.1, 0.3, 0.1], [0.0, 0.9, 0.0, 0.1]])
    found = restrict(probabilities, np.array([1, 2]))
    assert found[0].tolist() == pytest.approx([0, 0.25, 0.75, 0])
    assert found[1].tolist() == [0, 1, 0, 0]


def test_a_cell_that_gave_the_held_classes_nothing_is_spread_evenly_over_them():
    assert restrict(np.array([[1.0, 0.0, 0.0]]), np.array([1, 2])).tolist() == [[0, 0.5, 0.5]]


def test_a_cell_called_an_absent_class_is_right_once_only_held_classes_may_be_answered():
    truth = np.array([0, 0, 1, 1])
    probabilities = np.zeros((4, 8))
    probabilities[:, 5] = 0.6  # no label of the laboratory is this one
    probabilities[np.arange(4), truth] = 0.4
    found = score_transfer(truth, probabilities, replicates=100)
    assert found.all_classes.classification.balanced_accuracy.value == 0
    assert found.held_classes.classification.balanced_accuracy.value == 1
    assert found.all_classes.calibration.ece.value == pytest.approx(0.6)
    assert found.held_classes.calibration.ece.value == pytest.approx(0)
