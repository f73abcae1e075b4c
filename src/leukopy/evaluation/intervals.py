"""Confidence intervals: exact limits of counts and shares, bootstrap and jackknife limits of measured scores."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy  # its parts load on first use
from numpy.typing import ArrayLike, NDArray

LEVEL = 0.95
"""The confidence level of every interval in leukopy."""

_DRAWS_AT_ONCE = 2_000_000
"""Resampled units held in memory at a time (16 MB)."""


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95 % interval; all None where undefined (an absent class)."""

    value: float | None
    low: float | None
    high: float | None

    @classmethod
    def of(cls, value: float, low: float, high: float) -> Estimate:
        """The estimate from floats; not-a-number marks undefined values."""
        return cls(*(None if math.isnan(number) else float(number) for number in (value, low, high)))


def clopper_pearson(count: int, total: int) -> tuple[float, float]:
    """Exact 95 % limits of the share ``count / total``; (0, 1) where ``total`` is 0.

    Clopper and Pearson, Biometrika 26 (1934); in haematology, Rümke's table (Triangle 4, 1960).
    """
    if not 0 <= count <= total:
        raise ValueError(f"a count lies between 0 and its total, not {count} of {total}")
    tail = (1 - LEVEL) / 2
    low = scipy.special.betaincinv(count, total - count + 1, tail) if count else 0.0
    high = scipy.special.betaincinv(count + 1, total - count, 1 - tail) if count < total else 1.0
    return float(low), float(high)


def poisson(count: int) -> tuple[float, float]:
    """Exact 95 % limits of the mean of a Poisson variable that was ``count`` once.

    Garwood, Biometrika 28 (1936). The limits of a concentration are these, divided by the volume or area.
    """
    if count < 0:
        raise ValueError(f"a count is 0 or more, not {count}")
    tail = (1 - LEVEL) / 2
    low = scipy.special.gammaincinv(count, tail) if count else 0.0
    return float(low), float(scipy.special.gammaincinv(count + 1, 1 - tail))


def jackknife(
    contributions: NDArray[np.generic], metric: Callable[[NDArray[np.float64]], NDArray[np.float64]]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """95 % limits of scores that depend on sums over few units, such as fields of view.

    The variance is that of the jackknife over units, the quantile Student's with ``N - 1`` degrees of freedom (Tukey,
    Annals of Mathematical Statistics 29, 1958; Efron and Tibshirani, 1993, chapter 11). For a mean over units they are
    the limits of the t-test. Unlike `bootstrap`, they hold with fewer than ten units.

    Args:
        contributions: shape (N, K), contribution of each unit to the K sums.
        metric: sums of shape (R, K) to scores of shape (R, M); not-a-number where undefined.

    Returns:
        Lower and upper limits, each of shape (M,); not-a-number with fewer than two units, or where the score without
        one of them is undefined.
    """
    units = np.asarray(contributions, np.float64)
    count, total = len(units), units.sum(axis=0, keepdims=True)
    value = metric(total)[0]
    if count < 2:
        return np.full(len(value), np.nan), np.full(len(value), np.nan)
    without = metric(total - units)
    error = np.sqrt((count - 1) / count * ((without - without.mean(axis=0)) ** 2).sum(axis=0))
    reach = scipy.special.stdtrit(count - 1, (1 + LEVEL) / 2) * error
    return value - reach, value + reach


def bootstrap(
    contributions: NDArray[np.generic],
    metric: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    *,
    groups: ArrayLike | None = None,
    replicates: int = 2000,
    seed: int = 0,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """95 % percentile limits of scores that depend on sums over images (Efron and Tibshirani, 1993, chapter 13).

    A confusion matrix is such a sum, and so is the gap of each calibration bin. Images with equal contributions are
    drawn together from one multinomial, so a confusion matrix costs the same for any number of images.

    Args:
        contributions: shape (N, K), contribution of each image to the K sums.
        metric: sums of shape (R, K) to scores of shape (R, M); not-a-number where a replicate is undefined.
        groups: shape (N,), the patient or slide of each image; whole groups are then drawn instead of images.
        replicates: number of resamplings.
        seed: seed of the draw.

    Returns:
        Lower and upper limits, each of shape (M,). A score that is constant over all resamplings (a class never missed)
        has limits of zero width.
    """
    if groups is None:
        units, sizes = np.unique(contributions, axis=0, return_counts=True)
    else:
        _, member = np.unique(np.asarray(groups), return_inverse=True)
        units = np.zeros((member.max() + 1, contributions.shape[1]))
        np.add.at(units, member, contributions)
        sizes = np.ones(len(units), dtype=np.intp)
    rng = np.random.default_rng(seed)
    total, chunk = int(sizes.sum()), max(1, _DRAWS_AT_ONCE // len(units))
    scores = np.concatenate([
        metric(rng.multinomial(total, sizes / total, size=min(chunk, replicates - start)) @ units.astype(np.float64))
        for start in range(0, replicates, chunk)
    ])  # fmt: skip
    limits = np.full((2, scores.shape[1]), np.nan)
    known = ~np.isnan(scores).all(axis=0)
    limits[:, known] = np.nanquantile(scores[:, known], [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    return limits[0], limits[1]
