"""Limits of figures of few patients of two classes: the bias-corrected, accelerated bootstrap.

The plain percentile bootstrap flatters where a figure is near 1: of simulated cohorts of 50 and 113 patients with a
true AUC of .967, its 95 % interval held the truth in 90 %, and nearly all misses lay above it. The correction brings
that to 92 %, with misses on both sides, and lower true areas to 94 %.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from leukopy.evaluation.intervals import LEVEL, Estimate


def resampling(labels: NDArray[np.integer], replicates: int, seed: int) -> NDArray[np.float64]:
    """How often each patient counts: in the cohort as it is, with each patient left out, and in each replicate.

    Patients of a class are drawn among themselves, so that no replicate lacks a class; where one is left out, the
    others of its class make up for it. The same labels and seed give the same draws.

    Args:
        labels: shape (P,), 0 or 1, both of them.
        replicates: R, how many times the patients are drawn again.
        seed: of the draw.

    Returns:
        Shape (1 + P + R, P).
    """
    rng = np.random.default_rng(seed)
    patients = len(labels)
    left_out, drawn = np.ones((patients, patients)), np.zeros((replicates, patients))
    for label in (0, 1):
        members = np.flatnonzero(labels == label)
        size = len(members)
        if size > 1:  # the only patient of a class cannot be left out
            left_out[np.ix_(members, members)] = size / (size - 1)
            left_out[members, members] = 0
        drawn[:, members] = rng.multinomial(size, np.full(size, 1 / size), size=replicates)
    return np.concatenate([np.ones((1, patients)), left_out, drawn])


def accelerated(scores: NDArray[np.float64], labels: NDArray[np.integer]) -> Estimate:
    """A figure with its bias-corrected and accelerated 95 % limits (BCa).

    Efron, Journal of the American Statistical Association 82 (1987); for two samples, Davison and Hinkley, Bootstrap
    Methods and their Application (1997), section 5.3.2.

    Args:
        scores: shape (1 + P + R,), the figure at each row of `resampling`; not-a-number where it cannot be told.
        labels: shape (P,), as given to `resampling`.

    Returns:
        None throughout where the cohort as it is cannot tell, or no replicate can. A figure that no draw can change has
        limits of zero width.
    """
    value, left_out, drawn = float(scores[0]), scores[1 : 1 + len(labels)], scores[1 + len(labels) :]
    drawn = drawn[~np.isnan(drawn)]
    if np.isnan(value) or not len(drawn):
        return Estimate(None, None, None)
    # Where the figure stands among its replicates; those equal to it count half.
    below = ((drawn < value - 1e-12).mean() + (drawn <= value + 1e-12).mean()) / 2
    bias = ndtri(np.clip(below, 1 / (len(drawn) + 1), len(drawn) / (len(drawn) + 1)))
    normal = bias + ndtri([(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    shares = ndtr(bias + normal / (1 - _acceleration(left_out, labels) * normal))
    return Estimate.of(value, *np.quantile(drawn, shares))


def _acceleration(left_out: NDArray[np.float64], labels: NDArray[np.integer]) -> float:
    cubes = squares = 0.0
    for label in (0, 1):
        scores = left_out[labels == label]
        scores = scores[~np.isnan(scores)]
        if len(scores) > 1:
            influence = (len(scores) - 1) * (scores.mean() - scores) / len(scores)
            cubes, squares = cubes + float((influence**3).sum()), squares + float((influence**2).sum())
    return cubes / (6 * squares**1.5) if squares > 1e-24 else 0.0
