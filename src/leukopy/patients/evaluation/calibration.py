"""Whether a patient's probability means what it says: two classes, few patients."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from leukopy.evaluation.intervals import clopper_pearson

BINS = 8
"""Bins of equally many patients: some 20 in each for 160 patients."""

_STEPS = 30
"""Newton steps; a fit that has an end needs fewer than ten."""


@dataclass(frozen=True)
class CalibrationBin:
    """Patients with neighbouring probabilities."""

    patients: int
    tumoral: int
    predicted: float
    """Mean probability."""
    observed: float
    """Share that is tumoral."""
    low: float
    """Exact 95 % limits of that share (Clopper and Pearson, 1934)."""
    high: float


def calibration_curve(
    labels: NDArray[np.integer], probabilities: NDArray[np.floating], bins: int = BINS
) -> tuple[CalibrationBin, ...]:
    """Observed against predicted share of tumoral patients, in bins of equally many patients.

    Args:
        labels: shape (P,), 0 or 1.
        probabilities: shape (P,).
        bins: at most this many: equal probabilities are never parted, and empty bins are left out.
    """
    edges = np.unique(np.quantile(probabilities, np.linspace(0, 1, bins + 1)[1:-1]))
    member = np.searchsorted(edges, probabilities, side="right")
    found = []
    for index in np.unique(member):
        inside = member == index
        patients, tumoral = int(inside.sum()), int(labels[inside].sum())
        low, high = clopper_pearson(tumoral, patients)
        predicted = float(probabilities[inside].mean())
        found.append(CalibrationBin(patients, tumoral, predicted, tumoral / patients, low, high))
    return tuple(found)


def calibration_regression(
    labels: NDArray[np.integer], logits: NDArray[np.float64], weights: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Intercept and slope of the logistic regression of the label on the predicted log-odds.

    0 and 1 where probabilities are right; a slope below 1: predictions too extreme (Cox, Biometrika 45, 1958).

    Args:
        labels: shape (P,), 0 or 1.
        logits: shape (P,), log-odds of 1.
        weights: shape (R, P), how often each patient counts, for R bootstrap replicates at once.

    Returns:
        Intercepts and slopes, each of shape (R,); not-a-number where there is no finite fit (classes that a threshold
        parts, or equal logits).
    """
    intercept, slope = np.zeros(len(weights)), np.zeros(len(weights))
    with np.errstate(all="ignore"):  # a fit without an end runs into infinity, and is then set aside
        centre, spread = logits.mean(), logits.std()
        score = (logits - centre) / spread
        for _ in range(_STEPS):
            fitted = expit(intercept[:, None] + slope[:, None] * score)
            residual = weights * (labels - fitted)
            curvature = weights * fitted * (1 - fitted)
            h0, h1, h2 = curvature.sum(axis=1), curvature @ score, curvature @ score**2
            g0, g1 = residual.sum(axis=1), residual @ score
            determinant = h0 * h2 - h1**2
            step = np.stack([h2 * g0 - h1 * g1, h0 * g1 - h1 * g0]) / determinant
            intercept, slope = intercept + step[0], slope + step[1]
            settled = np.abs(step).max(axis=0) < 1e-8
            if settled.all():
                break
        slope = np.where(settled, slope / spread, np.nan)
        return np.where(settled, intercept, np.nan) - slope * centre, slope
