from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, logit
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from leukopy.evaluation.intervals import Estimate
from leukopy.evaluation.roc import auc, delong_covariance, delong_interval, delong_test, mean_roc

# Coarse scores, so that ties are common.
_SCORED = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 6), st.integers(0, 6)), min_size=4, max_size=40).filter(
    lambda rows: 2 <= sum(row[0] for row in rows) <= len(rows) - 2
)


def _columns(rows):
    return tuple(np.array(column) for column in zip(*rows, strict=True))


def _slow_delong(labels, scores):
    """DeLong et al. (1988), pair after pair as in their equations 2 to 5."""
    positive, negative = scores[:, labels == 1], scores[:, labels == 0]
    models, m, n = len(scores), positive.shape[1], negative.shape[1]

    def psi(x, y):
        return 1.0 if y < x else 0.5 if y == x else 0.0

    v10 = np.array([[sum(psi(x, y) for y in negative[k]) / n for x in positive[k]] for k in range(models)])
    v01 = np.array([[sum(psi(x, y) for x in positive[k]) / m for y in negative[k]] for k in range(models)])
    areas = v10.mean(axis=1)
    covariance = np.zeros((models, models))
    for r in range(models):
        for s in range(models):
            s10 = sum((v10[r, i] - areas[r]) * (v10[s, i] - areas[s]) for i in range(m)) / (m - 1)
            s01 = sum((v01[r, j] - areas[r]) * (v01[s, j] - areas[s]) for j in range(n)) / (n - 1)
            covariance[r, s] = s10 / m + s01 / n
    return areas, covariance


@given(_SCORED)
def test_midranks_give_what_all_pairs_give(rows):
    labels, a, b = _columns(rows)
    areas, covariance = delong_covariance(labels, [a, b])
    slow_areas, slow_covariance = _slow_delong(labels, np.array([a, b]))
    assert areas == pytest.approx(slow_areas, abs=1e-12)
    assert covariance == pytest.approx(slow_covariance, abs=1e-12)
    assert auc(labels, a) == pytest.approx(roc_auc_score(labels, a), abs=1e-12)


@given(_SCORED)
def test_a_test_turned_around_says_the_opposite(rows):
    labels, a, b = _columns(rows)
    one, other = delong_test(labels, a, b), delong_test(labels, b, a)
    assert one.difference.value == pytest.approx(-other.difference.value)
    assert one.p == pytest.approx(other.p)
    assert 0 <= one.p <= 1


def test_p_and_interval_are_those_of_the_normal():
    rng = np.random.default_rng(2)
    labels = np.repeat([0, 1], 40)
    a, b = labels + rng.normal(size=80), labels + 2 * rng.normal(size=80)
    areas, covariance = _slow_delong(labels, np.array([a, b]))
    error = np.sqrt(np.array([1, -1]) @ covariance @ np.array([1, -1]))
    found = delong_test(labels, a, b)
    assert found.p == pytest.approx(2 * (1 - norm.cdf(abs(areas[0] - areas[1]) / error)))
    assert found.difference.high - found.difference.low == pytest.approx(2 * 1.959964 * error, rel=1e-6)


def test_the_interval_of_an_area_is_normal_in_log_odds_and_covers():
    rng = np.random.default_rng(4)
    labels = np.repeat([0, 1], [50, 100])
    covered = 0
    for _ in range(300):
        found = delong_interval(labels, 2.6 * labels + rng.normal(size=150))
        covered += found.low <= norm.cdf(2.6 / 2**0.5) <= found.high
    assert 0.91 <= covered / 300 <= 0.98
    labels, score = np.array([0, 1, 0, 1, 1]), np.array([1, 2, 3, 4, 5])
    areas, covariance = _slow_delong(labels, score[None])
    reach = 1.959964 * covariance[0, 0] ** 0.5 / (areas[0] * (1 - areas[0]))
    assert delong_interval(labels, score).low == pytest.approx(expit(logit(areas[0]) - reach))
    assert delong_interval(labels, labels) == Estimate(1.0, None, None)


def test_where_no_difference_is_true_p_is_uniform():
    """Two equally noisy readings of 60 patients, 400 times: a test at .05 or .5 errs so often."""
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], 30)
    p = [delong_test(labels, *(labels + rng.normal(size=(2, 60)) + rng.normal(size=60))).p for _ in range(400)]
    assert np.mean(np.array(p) < 0.05) == pytest.approx(0.05, abs=0.03)
    assert np.mean(np.array(p) < 0.5) == pytest.approx(0.5, abs=0.07)


def test_scores_of_the_same_order_do_not_differ():
    labels, score = np.array([0, 1, 0, 1, 1]), np.array([0.1, 0.4, 0.5, 0.8, 0.9])
    found = delong_test(labels, score, score**2)
    assert (found.difference, found.p) == (Estimate(0.0, 0.0, 0.0), 1.0)


def test_perfect_against_perfectly_wrong_differs_for_certain():
    labels = np.array([0, 0, 1, 1])
    assert delong_test(labels, labels, -labels).p == 0.0


def test_a_single_patient_of_a_class_says_nothing_of_the_error():
    found = delong_test([0, 0, 1], [1, 2, 3], [1, 3, 2])
    assert found.difference == Estimate(0.5, None, None)
    assert found.p is None


def test_a_class_that_is_absent_is_refused():
    for call in (auc, delong_interval, mean_roc):
        with pytest.raises(ValueError, match="both classes"):
            call([1, 1], [0.2, 0.3])


@given(_SCORED)
def test_the_mean_curve_has_the_mean_area_and_never_falls(rows):
    labels, a, b = _columns(rows)
    curve = mean_roc(labels, [a, b])
    assert (curve.false_positives[0], curve.sensitivity[0]) == (0, 0)
    assert (curve.false_positives[-1], curve.sensitivity[-1]) == (1, 1)
    assert (np.diff(curve.false_positives) >= 0).all()
    assert (np.diff(curve.sensitivity) >= -1e-12).all()
    area = np.trapezoid(curve.sensitivity, curve.false_positives)
    assert area == pytest.approx((auc(labels, a) + auc(labels, b)) / 2, abs=1e-6)
