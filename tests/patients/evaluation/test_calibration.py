from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import expit

from leukopy.evaluation.intervals import clopper_pearson
from leukopy.patients.evaluation.calibration import calibration_curve, calibration_regression


def _cohort(patients, seed=0):
    rng = np.random.default_rng(seed)
    logits = rng.normal(0.5, 1.5, patients)
    return (rng.random(patients) < expit(logits)).astype(int), logits


def _slow_regression(labels, logits, weights):
    def loss(beta):
        return weights @ np.logaddexp(0, np.where(labels == 1, -1, 1) * (beta[0] + beta[1] * logits))

    return minimize(loss, [0.0, 0.0], method="BFGS", options={"gtol": 1e-6}).x


def test_replicates_at_once_give_what_a_general_minimiser_gives():
    labels, logits = _cohort(80)
    logits = 3 * logits - 2  # overconfident and shifted
    weights = np.random.default_rng(1).multinomial(80, np.full(80, 1 / 80), size=5).astype(float)
    intercepts, slopes = calibration_regression(labels, logits, weights)
    for row, *found in zip(weights, intercepts, slopes, strict=True):
        assert found == pytest.approx(_slow_regression(labels, logits, row), abs=1e-4)


def test_right_probabilities_have_intercept_0_and_slope_1():
    labels, logits = _cohort(200_000)
    intercept, slope = calibration_regression(labels, logits, np.ones((1, len(labels))))
    assert [intercept[0], slope[0]] == pytest.approx([0, 1], abs=0.03)
    _, halved = calibration_regression(labels, 2 * logits, np.ones((1, len(labels))))
    assert halved[0] == pytest.approx(slope[0] / 2)  # twice too extreme


@pytest.mark.parametrize("logits", [[-2.0, -1.0, 1.0, 2.0], [1.0, 1.0, 1.0, 1.0]])
def test_where_there_is_no_finite_fit_there_is_none(logits):
    found = calibration_regression(np.array([0, 0, 1, 1]), np.array(logits), np.ones((1, 4)))
    assert np.isnan(found).all()


def test_one_replicate_without_a_fit_leaves_the_others_alone():
    labels, logits = np.array([0, 0, 1, 1, 0, 1]), np.array([-2.0, -1.0, 1.0, 2.0, 3.0, -3.0])
    weights = np.array([[1.0, 1, 1, 1, 0, 0], [1.0, 1, 1, 1, 1, 1]])
    intercepts, slopes = calibration_regression(labels, logits, weights)
    assert np.isnan([intercepts[0], slopes[0]]).all()
    expected = _slow_regression(labels, logits, weights[1])
    assert [intercepts[1], slopes[1]] == pytest.approx(expected, abs=1e-4)


_PREDICTED = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 20)), min_size=1, max_size=60)


@given(_PREDICTED)
def test_every_patient_is_in_one_bin_with_its_equals(rows):
    labels, twentieths = (np.array(column) for column in zip(*rows, strict=True))
    probabilities = twentieths / 20
    bins = calibration_curve(labels, probabilities)
    assert len(bins) <= 8
    assert sum(found.patients for found in bins) == len(rows)
    assert sum(found.tumoral for found in bins) == labels.sum()
    assert all(found.low <= found.observed <= found.high for found in bins)
    ordered, start = np.sort(probabilities), 0
    for found in bins:  # bins are runs of the sorted probabilities, and no value lies in two
        inside = ordered[start : start + found.patients]
        assert found.predicted == pytest.approx(inside.mean())
        start += found.patients
        assert start == len(rows) or ordered[start] > inside[-1]


def test_bins_hold_equally_many_and_exact_limits():
    labels, logits = _cohort(160)
    bins = calibration_curve(labels, expit(logits))
    assert [found.patients for found in bins] == [20] * 8
    assert (bins[0].low, bins[0].high) == clopper_pearson(bins[0].tumoral, 20)
