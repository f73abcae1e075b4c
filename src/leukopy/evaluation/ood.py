"""Out-of-distribution detection: separation of an unseen class from the known classes by a score."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from leukopy.evaluation.intervals import Estimate, clopper_pearson
from leukopy.evaluation.roc import delong_interval


@dataclass(frozen=True)
class OpenSetScore:
    """Scores of a detector on cells of known classes and of one unknown class."""

    known: int
    """Cells of known classes."""
    unknown: int
    """Cells of the unknown class."""
    auroc: Estimate
    """Area under the ROC curve: chance that an unknown cell scores above a known one (DeLong's interval)."""
    false: Estimate
    """Share of the known cells above the threshold, wrongly flagged `unidentified` (exact limits)."""
    found: Estimate
    """Share of the unknown cells above the threshold (exact limits)."""


def threshold_keeping(ood_score: NDArray[np.floating], share: float) -> float:
    """The out-of-distribution score that a new known cell does not exceed with a chance of at least ``share``.

    Split conformal prediction (Vovk, Gammerman and Shafer, Algorithmic Learning in a Random World, 2005): the chance
    holds for cells like the given ones, for any score.

    Args:
        ood_score: (N,), of known cells outside all fits.
        share: the share to keep, 0 to 1.

    Raises:
        ValueError: the cells are too few for the share.
    """
    place = math.ceil((len(ood_score) + 1) * share - 1e-9)
    if not 0 < place <= len(ood_score):
        raise ValueError(f"{len(ood_score)} known cells are too few to keep {share:.1%} of such cells")
    return float(np.sort(ood_score)[place - 1])


def share_of(flagged: NDArray[np.bool_]) -> Estimate:
    """Share of the cells (N,) that are flagged, with exact limits; all None where there is no cell."""
    count, total = int(flagged.sum()), len(flagged)
    return Estimate.of(count / total, *clopper_pearson(count, total)) if total else Estimate(None, None, None)


def score_open_set(ood_score: NDArray[np.floating], unknown: NDArray[np.bool_], threshold: float) -> OpenSetScore:
    """Score the out-of-distribution score of N cells.

    Args:
        ood_score: (N,).
        unknown: (N,), true for the cells of the unseen class.
        threshold: above it, a cell is flagged `unidentified`.

    Raises:
        ValueError: all cells are known, or none.
    """
    return OpenSetScore(
        known=int((~unknown).sum()),
        unknown=int(unknown.sum()),
        auroc=delong_interval(unknown, ood_score),
        false=share_of(ood_score[~unknown] > threshold),
        found=share_of(ood_score[unknown] > threshold),
    )
