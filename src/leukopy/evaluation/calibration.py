"""Calibration: agreement of probabilities with frequencies."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp

from leukopy.evaluation.intervals import Estimate, bootstrap

BINS = 15
"""Equal-width confidence bins, as in Guo et al. (2017)."""
_TEMPERATURES = (0.05, 20.0)
"""Outside these bounds a network is broken rather than badly calibrated."""


@dataclass(frozen=True)
class Reliability:
    """A reliability diagram: claimed against observed accuracy, by confidence bin; each of shape (15,)."""

    edges: NDArray[np.float64]
    """Shape (16,); a bin includes its upper edge and excludes its lower one."""
    images: NDArray[np.int64]
    confidence: NDArray[np.float64]
    """Mean confidence; not-a-number in an empty bin."""
    accuracy: NDArray[np.float64]
    """Share of right classes; not-a-number in an empty bin."""


@dataclass(frozen=True)
class CalibrationReport:
    """Distance between confidence and accuracy."""

    ece: Estimate
    """Expected calibration error, 0 to 1."""
    brier: Estimate
    """Brier score over all classes, 0 to 2."""
    reliability: Reliability


def _bins(confidence: NDArray[np.floating]) -> NDArray[np.intp]:
    bins: NDArray[np.intp] = np.ceil(confidence * BINS).astype(np.intp) - 1
    return bins.clip(0, BINS - 1)


def reliability(confidence: NDArray[np.floating], correct: NDArray[np.bool_]) -> Reliability:
    """Sort images into 15 equal-width confidence bins. Both arguments have shape (N,)."""
    index = _bins(confidence)
    images = np.bincount(index, minlength=BINS)
    with np.errstate(invalid="ignore"):
        return Reliability(
            edges=np.linspace(0, 1, BINS + 1),
            images=images,
            confidence=np.bincount(index, confidence, BINS) / images,
            accuracy=np.bincount(index, correct, BINS) / images,
        )


def expected_calibration_error(confidence: NDArray[np.floating], correct: NDArray[np.bool_]) -> float:
    """Mean over images of the gap between confidence and accuracy of their bin.

    Naeini et al., AAAI 2015, as used by Guo et al., "On Calibration of Modern Neural Networks", ICML 2017: 15
    equal-width bins of the confidence of the chosen class. Both arguments have shape (N,).
    """
    gaps = np.bincount(_bins(confidence), confidence - correct, BINS)
    return float(np.abs(gaps).sum() / len(confidence))


def brier_scores(probabilities: NDArray[np.floating], truth: NDArray[np.intp]) -> NDArray[np.float64]:
    """Squared error of each image's probabilities over all classes, 0 to 2 (Brier, 1950).

    Args:
        probabilities: shape (N, C).
        truth: shape (N,), indices of the true classes.
    """
    errors = probabilities.astype(np.float64)
    errors[np.arange(len(truth)), truth] -= 1
    return np.asarray((errors**2).sum(axis=1))


def calibration(
    probabilities: NDArray[np.floating],
    predicted: NDArray[np.intp],
    truth: NDArray[np.intp],
    *,
    groups: ArrayLike | None = None,
    replicates: int = 2000,
    seed: int = 0,
) -> CalibrationReport:
    """Measure calibration, with bootstrap intervals.

    The expected calibration error of few images is biased upwards, and its bootstrap limits are biased more.

    Args:
        probabilities: shape (N, C).
        predicted: shape (N,), the chosen class (under the class hierarchy not always the most probable).
        truth: shape (N,).
        groups: shape (N,), patients or slides, resampled whole.
        replicates: bootstrap replicates.
        seed: seed of the bootstrap.
    """
    rows = np.arange(len(truth))
    confidence = probabilities[rows, predicted].astype(np.float64)
    correct = predicted == truth
    brier = brier_scores(probabilities, truth)
    sums = np.zeros((len(truth), BINS + 2))
    sums[rows, _bins(confidence)] = confidence - correct
    sums[:, BINS] = brier
    sums[:, BINS + 1] = 1

    def scores(total: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.stack([np.abs(total[:, :BINS]).sum(axis=1), total[:, BINS]], axis=1) / total[:, BINS + 1 :]

    low, high = bootstrap(sums, scores, groups=groups, replicates=replicates, seed=seed)
    return CalibrationReport(
        ece=Estimate.of(expected_calibration_error(confidence, correct), low[0], high[0]),
        brier=Estimate.of(float(brier.mean()), low[1], high[1]),
        reliability=reliability(confidence, correct),
    )


def negative_log_likelihood(logits: NDArray[np.floating], members: NDArray[np.bool_], temperature: float) -> float:
    """Mean over images of ``-log sum(softmax(logits / temperature)[members])``; arguments as in `fit_temperature`."""
    scaled = logits.astype(np.float64) / temperature
    labelled = np.where(members, scaled, -np.inf)
    return float(np.mean(logsumexp(scaled, axis=1) - logsumexp(labelled, axis=1)))


def fit_temperature(logits: NDArray[np.floating], members: NDArray[np.bool_]) -> float:
    """The temperature that minimises the negative log-likelihood of a validation split (Guo et al., ICML 2017).

    Args:
        logits: shape (N, F).
        members: shape (N, F), the fine classes allowed by the image's label: one for a fine label, several for
            ``NEU`` and ``IG``.

    Returns:
        The minimum of the negative log-likelihood, between 0.05 and 20.

    Raises:
        ValueError: no image, or an image whose label allows no class.
    """
    if not len(logits) or logits.shape != members.shape or not members.any(axis=1).all():
        raise ValueError("fit_temperature needs images, and at least one member class for each of them")
    found = minimize_scalar(
        lambda log_t: negative_log_likelihood(logits, members, math.exp(log_t)),
        bounds=(math.log(_TEMPERATURES[0]), math.log(_TEMPERATURES[1])),
        method="bounded",
        options={"xatol": 1e-6},
    )
    return math.exp(found.x)
