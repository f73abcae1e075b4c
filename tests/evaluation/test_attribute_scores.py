"""Scores of attributes against a literal reading of their definition."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score

from leukopy.evaluation.attribute_scores import attribute_scores
from leukopy.taxonomy import ATTRIBUTES


@pytest.fixture(scope="module")
def judged() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    sizes = [len(attribute.values) for attribute in ATTRIBUTES]
    truth = np.stack([rng.integers(size, size=300) for size in sizes], axis=1)
    wrong = rng.random(truth.shape) < np.linspace(0, 0.5, len(sizes))
    return truth, np.where(wrong, (truth + 1) % sizes, truth)


def test_each_attribute_is_scored_as_sklearn_does(judged) -> None:
    truth, found = judged
    scores = attribute_scores(truth, found, replicates=50)
    assert [score.name for score in scores.attributes] == [attribute.name for attribute in ATTRIBUTES]
    for index, score in enumerate(scores.attributes):
        assert score.accuracy.value == pytest.approx(accuracy_score(truth[:, index], found[:, index]))
        assert score.macro_f1.value == pytest.approx(f1_score(truth[:, index], found[:, index], average="macro"))
    assert scores.cells == 300
    assert scores.attributes[0].macro_f1.value == scores.attributes[0].macro_f1.low == 1


def test_the_means_are_those_of_the_attributes(judged) -> None:
    scores = attribute_scores(*judged, replicates=50)
    assert scores.macro_f1.value == pytest.approx(np.mean([score.macro_f1.value for score in scores.attributes]))
    assert scores.accuracy.value == pytest.approx(np.mean([score.accuracy.value for score in scores.attributes]))
    assert scores.macro_f1.low < scores.macro_f1.value < scores.macro_f1.high


def test_a_value_that_is_never_met_does_not_count() -> None:
    truth = np.zeros((10, len(ATTRIBUTES)), int)
    truth[:5, 2] = 1  # nucleus shape: two of its six values
    assert attribute_scores(truth, truth, replicates=20).macro_f1.value == 1
