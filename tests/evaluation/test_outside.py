"""Scores of classes outside, against counting by hand."""

from __future__ import annotations

import numpy as np
import pytest

from leukopy.evaluation.outside import score_outside, shares

IS_CLASS = np.array([True] * 4 + [False] * 6)
CALLED = np.array([True, True, True, False, True, False, False, False, False, False])
GROUPS = np.array(["a", "b"] * 5)


def test_recall_and_precision_are_those_counted_by_hand() -> None:
    probability = np.array([0.9, 0.8, 0.7, 0.05, 0.6, 0.4, 0.3, 0.2, 0.1, 0.0])
    found = score_outside("BLAST", IS_CLASS, ~IS_CLASS, probability, CALLED, GROUPS)
    assert (found.cells, found.known) == (4, 6)
    assert (found.recall.value, found.precision.value) == (0.75, 0.75)
    pairs = [a > b for a in probability[IS_CLASS] for b in probability[~IS_CLASS]]
    assert found.auroc.value == pytest.approx(np.mean(pairs))
    assert found.recall_at == 0.75  # the threshold lies near the highest known cell


def test_shares_are_of_the_leukocytes_of_each_patient() -> None:
    leukocyte = np.array([True] * 8 + [False] * 2)
    table = shares(IS_CLASS, CALLED, leukocyte, CALLED | leukocyte, GROUPS)
    assert table.tolist() == [[2 / 4, 3 / 4, 3], [2 / 4, 1 / 4, 1]]
