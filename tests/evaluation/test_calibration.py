from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax

from leukopy.evaluation.calibration import (
    brier_scores,
    calibration,
    expected_calibration_error,
    fit_temperature,
    negative_log_likelihood,
    reliability,
)
from leukopy.evaluation.classification import member_mask
from leukopy.taxonomy import FINE


def _literal_ece(confidence, correct):
    """Guo et al. 2017, equation 3: bins ((m-1)/15, m/15]."""
    error = 0.0
    for m in range(1, 16):
        inside = [i for i, c in enumerate(confidence) if (m - 1) / 15 < c <= m / 15]
        if inside:
            accuracy = sum(correct[i] for i in inside) / len(inside)
            mean = sum(confidence[i] for i in inside) / len(inside)
            error += len(inside) / len(confidence) * abs(accuracy - mean)
    return error


@given(st.lists(st.tuples(st.floats(0.001, 1), st.booleans()), min_size=1, max_size=80))
def test_ece_is_the_papers_sum_over_bins(pairs):
    confidence, correct = (np.array(column) for column in zip(*pairs, strict=True))
    assert expected_calibration_error(confidence, correct) == pytest.approx(_literal_ece(confidence, correct))


def test_ece_by_hand():
    # One bin holds both: claimed 95 %, true 50 %.
    assert expected_calibration_error(np.array([0.95, 0.95]), np.array([True, False])) == pytest.approx(0.45)


def test_bins_hold_every_image_and_know_when_they_are_empty():
    bins = reliability(np.array([1.0, 0.97, 0.5, 1 / 15]), np.array([True, False, True, True]))
    assert bins.images.sum() == 4
    assert bins.images[[0, 7, 14]].tolist() == [1, 1, 2]
    assert bins.accuracy[14] == 0.5
    assert bins.confidence[14] == pytest.approx(0.985)
    assert np.isnan(bins.accuracy[3])


def test_brier_goes_from_certain_and_right_to_certain_and_wrong():
    probabilities = np.array([[1.0, 0, 0], [0, 1.0, 0], [1 / 3, 1 / 3, 1 / 3]], dtype=np.float32)
    assert brier_scores(probabilities, np.array([0, 0, 0])) == pytest.approx([0, 2, 2 / 3])
    assert probabilities[0, 0] == 1  # the caller's array is not changed


def _honest_images(temperature, images=4000):
    """Logits whose softmax at ``temperature`` is exactly the chance of each class."""
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 3, (images, 11))
    chances = softmax(logits / temperature, axis=1)
    truth = (chances.cumsum(axis=1) > rng.random((images, 1))).argmax(axis=1)
    return logits, truth


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_the_true_temperature_is_found(temperature):
    logits, truth = _honest_images(temperature)
    found = fit_temperature(logits, np.eye(11, dtype=bool)[truth])
    assert found == pytest.approx(temperature, rel=0.06)


def test_the_true_temperature_is_found_from_coarse_labels():
    logits, truth = _honest_images(1.7)
    codes = [{"SNE": "NEU", "BNE": "NEU"}.get(FINE[index].code, FINE[index].code) for index in truth]
    assert fit_temperature(logits, member_mask(codes)) == pytest.approx(1.7, rel=0.06)


@settings(max_examples=20)
@given(st.integers(0, 1000))
def test_no_other_temperature_fits_better(seed):
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (60, 11)).astype(np.float32)
    members = np.eye(11, dtype=bool)[(logits + rng.normal(0, 2, logits.shape)).argmax(axis=1)]
    best = negative_log_likelihood(logits, members, fit_temperature(logits, members))
    others = [negative_log_likelihood(logits, members, math.exp(log_t)) for log_t in np.linspace(-2.9, 2.9, 60)]
    assert best <= min(others) + 1e-9


def test_partial_label_likelihood_by_hand():
    logits = np.array([[1.0, 2.0, 0.0, *[-50.0] * 8]])
    members = member_mask(["NEU"])
    expected = -math.log((math.exp(1) + math.exp(2)) / (math.exp(1) + math.exp(2) + 1))
    assert negative_log_likelihood(logits, members, 1.0) == pytest.approx(expected)


def test_temperature_fitted_at_the_true_value_repairs_the_calibration_error():
    logits, truth = _honest_images(3.0)
    found = fit_temperature(logits, np.eye(11, dtype=bool)[truth])

    def ece(temperature):
        probabilities = softmax(logits / temperature, axis=1)
        return calibration(probabilities, probabilities.argmax(axis=1), truth, replicates=20).ece.value

    assert ece(1.0) > 0.2
    assert ece(found) < 0.03


def test_images_without_a_class_are_refused():
    with pytest.raises(ValueError, match="at least one member"):
        fit_temperature(np.zeros((2, 11)), member_mask(["LY", "BLAST"]))


def test_report_holds_both_figures_with_intervals():
    logits, truth = _honest_images(1.0, images=1500)
    probabilities = softmax(logits / 0.5, axis=1)
    predicted = probabilities.argmax(axis=1)
    found = calibration(probabilities, predicted, truth, groups=np.arange(1500) // 3)
    assert found.ece.low < found.ece.value < found.ece.high
    assert found.brier.low < found.brier.value < found.brier.high
    assert found.brier.value == pytest.approx(brier_scores(probabilities, truth).mean())
