from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from leukopy.core.errors import SettingsError
from leukopy.evaluation.classification import (
    UNKNOWN,
    classification,
    classify_scores,
    coarse_indices,
    confusions,
    fine_indices,
    member_mask,
)
from leukopy.taxonomy import COARSE, FINE


def test_coarse_truth_counts_at_the_coarse_level_only():
    codes = ["NEU", "SNE", "IG", "EO", "BLAST", None]
    assert coarse_indices(codes).tolist() == [0, 0, 5, 1, UNKNOWN, UNKNOWN]
    assert fine_indices(codes).tolist() == [UNKNOWN, 0, UNKNOWN, 2, UNKNOWN, UNKNOWN]


def test_member_mask_marks_what_a_label_may_stand_for():
    mask = member_mask(["NEU", "LY", "IG", "BLAST"])
    members = [[FINE[index].code for index in np.flatnonzero(row)] for row in mask]
    assert members == [["SNE", "BNE"], ["LY"], ["MMY", "MY", "PMY"], []]


def test_unknown_code_is_named():
    with pytest.raises(SettingsError, match="'XYZ'"):
        coarse_indices(["XYZ"])


_labels = st.integers(1, 60).flatmap(
    lambda n: st.tuples(*(st.lists(st.integers(0, 7), min_size=n, max_size=n) for _ in range(2)))
)


@settings(max_examples=60)
@given(_labels)
@pytest.mark.filterwarnings("ignore:A single label was found")
@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true")
def test_figures_are_those_of_scikit_learn(labels):
    truth, predicted = map(np.array, labels)
    found = classification(truth, predicted, COARSE, replicates=2)
    present = np.unique(truth)
    assert found.confusion.tolist() == metrics.confusion_matrix(truth, predicted, labels=range(8)).tolist()
    assert found.accuracy.value == pytest.approx(metrics.accuracy_score(truth, predicted))
    assert found.balanced_accuracy.value == pytest.approx(metrics.balanced_accuracy_score(truth, predicted))
    macro = metrics.f1_score(truth, predicted, labels=present, average="macro", zero_division=0)
    assert found.macro_f1.value == pytest.approx(macro)
    columns = metrics.precision_recall_fscore_support(truth, predicted, labels=range(8), zero_division=np.nan)
    for score, precision, recall, f1, support in zip(found.classes, *columns, strict=True):
        assert score.support == support
        for estimate, expected in ((score.precision, precision), (score.recall, recall), (score.f1, f1)):
            assert estimate.value == pytest.approx(None if np.isnan(expected) else expected)


def test_classes_come_in_taxonomy_order_even_when_absent():
    found = classification(np.array([2, 2, 3]), np.array([2, 3, 3]), FINE, replicates=50)
    assert [score.code for score in found.classes] == [cell.code for cell in FINE]
    absent = found.classes[0]
    assert absent.support == 0
    assert absent.f1.value is None
    assert absent.f1.low is None


def test_intervals_hold_their_figures_and_shrink_with_more_images():
    rng = np.random.default_rng(0)

    def evaluate(images):
        truth = rng.integers(0, 8, images)
        predicted = np.where(rng.random(images) < 0.9, truth, rng.integers(0, 8, images))
        return classification(truth, predicted, COARSE)

    few, many = evaluate(200), evaluate(5000)
    for found in (few, many):
        for estimate in (found.accuracy, found.balanced_accuracy, found.macro_f1, found.classes[0].f1):
            assert estimate.low < estimate.value < estimate.high
    assert many.macro_f1.high - many.macro_f1.low < 0.4 * (few.macro_f1.high - few.macro_f1.low)


def test_the_interval_of_accuracy_covers_as_often_as_it_says():
    rng = np.random.default_rng(1)
    covered = 0
    for seed in range(150):
        truth = rng.integers(0, 8, 400)
        predicted = np.where(rng.random(400) < 0.8, truth, (truth + 1) % 8)
        found = classification(truth, predicted, COARSE, replicates=300, seed=seed).accuracy
        covered += found.low <= 0.8 <= found.high
    assert 0.89 <= covered / 150 <= 0.99


def test_replicates_are_scored_many_at_a_time(monkeypatch):
    scored = []

    def noted(confusion):
        scored.append(len(confusion))
        return classify_scores(confusion)

    monkeypatch.setattr("leukopy.evaluation.classification.classify_scores", noted)
    rng = np.random.default_rng(2)
    truth = rng.integers(0, 11, 2500)
    predicted = np.where(rng.random(2500) < 0.9, truth, rng.integers(0, 11, 2500))
    classification(truth, predicted, FINE, replicates=2000)
    assert sum(scored) == 2000 + 1  # the images as they are, once
    assert len(scored) <= 3


@pytest.mark.parametrize("truth", [[], [0, 11], [0, UNKNOWN]])
def test_indices_outside_the_classes_are_refused(truth):
    with pytest.raises(ValueError, match="from 0 to 10"):
        classification(np.array(truth, dtype=int), np.zeros(len(truth), dtype=int), FINE)


def test_confusions_come_with_the_most_frequent_first():
    matrix = np.zeros((8, 8), dtype=np.int64)
    matrix[0, :3] = 90, 5, 5
    matrix[1, 0] = 5
    matrix[1, 1] = 5
    matrix[5, 0] = 7
    found = [(pair.truth, pair.predicted, pair.images, pair.share) for pair in confusions(matrix, COARSE)]
    assert found == [("IG", "NEU", 7, 1.0), ("EO", "NEU", 5, 0.5), ("NEU", "EO", 5, 0.05), ("NEU", "BA", 5, 0.05)]


def test_nothing_confused():
    assert confusions(np.eye(8, dtype=np.int64), COARSE) == ()
