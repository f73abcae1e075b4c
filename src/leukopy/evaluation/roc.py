"""Ranking of two classes by a score: the ROC curve, its area, and the confidence interval of the area."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, logit
from scipy.stats import norm, rankdata
from sklearn.metrics import roc_curve

from leukopy.evaluation.intervals import LEVEL, Estimate

_VERGE = 1e-9
"""Distance from a step of a ROC curve at which it is read, as a share of the negatives; far less than one patient."""


@dataclass(frozen=True)
class DeLongTest:
    """The areas of two scores on the same patients; None where the test is undefined."""

    auc_a: float
    auc_b: float
    difference: Estimate
    """``auc_a - auc_b`` with its normal 95 % interval."""
    p: float | None
    """Two-sided p-value of no difference."""


@dataclass(frozen=True)
class RocCurve:
    """Sensitivity at each false-positive rate, from (0, 0) to (1, 1)."""

    false_positives: tuple[float, ...]
    sensitivity: tuple[float, ...]


def delong_covariance(labels: ArrayLike, scores: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Areas under the ROC curve of M scores of the same patients, and the covariance of these areas.

    DeLong, DeLong and Clarke-Pearson, Biometrics 44 (1988); by midranks as Sun and Xu, IEEE Signal Processing Letters
    21 (2014), so that it costs N log N rather than N squared.

    Args:
        labels: shape (N,), 0 or 1.
        scores: shape (M, N), greater for 1; ties count half.

    Returns:
        Areas, shape (M,), and covariance, shape (M, M); not-a-number where a class has a single patient.

    Raises:
        ValueError: a class is absent.
    """
    positive = _positive(labels)
    table = np.atleast_2d(np.asarray(scores, dtype=np.float64))
    m, n = int(positive.sum()), int((~positive).sum())
    ranks = rankdata(table, axis=1)
    # The share of negatives below each positive, and of positives above each negative.
    below = (ranks[:, positive] - rankdata(table[:, positive], axis=1)) / n
    above = 1 - (ranks[:, ~positive] - rankdata(table[:, ~positive], axis=1)) / m
    return below.mean(axis=1), _covariance(below) / m + _covariance(above) / n


def _covariance(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    if rows.shape[1] < 2:
        return np.full((len(rows), len(rows)), np.nan)
    return np.atleast_2d(np.cov(rows))


def auc(labels: ArrayLike, scores: ArrayLike) -> float:
    """Area under the ROC curve: the chance that a 1 is given a greater score than a 0 (ties count half).

    Raises:
        ValueError: a class is absent.
    """
    return float(delong_covariance(labels, scores)[0][0])


def delong_interval(labels: ArrayLike, scores: ArrayLike) -> Estimate:
    """The area with a 95 % interval from DeLong's variance, normal on the scale of log-odds.

    On this scale the coverage is close to nominal, also near 1, where the plain normal interval is optimistic (Pepe,
    The Statistical Evaluation of Medical Tests, 2003). The arguments equal those of `auc`; an area of 0 or 1 has no
    limits.
    """
    areas, covariance = delong_covariance(labels, scores)
    value, variance = float(areas[0]), float(covariance[0, 0])
    if not 0 < value < 1:
        return Estimate(value, None, None)
    reach = norm.ppf((1 + LEVEL) / 2) * math.sqrt(variance) / (value * (1 - value))
    return Estimate.of(value, *expit(logit(value) + np.array([-reach, reach])))


def delong_test(labels: ArrayLike, scores_a: ArrayLike, scores_b: ArrayLike) -> DeLongTest:
    """Test of one score against another on the same patients (DeLong et al. 1988).

    Args:
        labels: shape (N,), 0 or 1.
        scores_a: shape (N,).
        scores_b: shape (N,), of the same patients in the same order.

    Raises:
        ValueError: a class is absent.
    """
    areas, covariance = delong_covariance(labels, np.stack([np.asarray(scores_a), np.asarray(scores_b)]))
    difference = float(areas[0] - areas[1])
    variance = float(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    error = math.sqrt(max(variance, 0.0)) if not math.isnan(variance) else math.nan
    reach = norm.ppf((1 + LEVEL) / 2) * error
    if math.isnan(error):
        p = None
    elif error < 1e-12:  # each patient has the same place in both, or no patient is out of place in either
        p = 1.0 if abs(difference) < 1e-12 else 0.0
    else:
        p = float(2 * norm.sf(abs(difference) / error))
    return DeLongTest(
        float(areas[0]), float(areas[1]), Estimate.of(difference, difference - reach, difference + reach), p
    )


def mean_roc(labels: ArrayLike, scores: ArrayLike) -> RocCurve:
    """The ROC curve whose sensitivity, at each false-positive rate, is the mean over K scores of the same patients.

    Its area is the mean of the K areas (vertical averaging; Fawcett, Pattern Recognition Letters 27, 2006).

    Args:
        labels: shape (N,), 0 or 1.
        scores: shape (K, N).

    Raises:
        ValueError: a class is absent.
    """
    positive = _positive(labels)
    negatives = int((~positive).sum())
    # Curves step up only at multiples of 1 / negatives: read each just before and just after its steps.
    steps = np.repeat(np.arange(negatives + 1) / negatives, 2)
    read_at = steps + np.tile([-_VERGE, _VERGE], negatives + 1)
    heights = [
        np.interp(read_at, *roc_curve(positive, row, drop_intermediate=False)[:2])
        for row in np.atleast_2d(np.asarray(scores, dtype=np.float64))
    ]
    mean = np.mean(heights, axis=0)
    mean[0], mean[-1] = 0, 1
    return RocCurve(tuple(steps.tolist()), tuple(mean.tolist()))


def _positive(labels: ArrayLike) -> NDArray[np.bool_]:
    positive: NDArray[np.bool_] = np.asarray(labels) == 1
    if positive.all() or not positive.any():
        raise ValueError("a ROC curve needs patients of both classes")
    return positive
