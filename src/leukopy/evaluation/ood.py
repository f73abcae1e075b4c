"""How well a score tells cells of a class that a model never learnt from cells of the classes that it did."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from leukopy.evaluation.intervals import Estimate, clopper_pearson
from leukopy.evaluation.roc import delong_interval


@dataclass(frozen=True)
class OpenSetScore:
    """How a score does on cells of known classes and of one that is not known."""

    known: int
    """Cells of known classes."""
    unknown: int
    """Cells of the other."""
    auroc: Estimate
    """The chance that an unknown cell is stranger than a known one (DeLong's interval)."""
    false: Estimate
    """Share of the known cells that are stranger than the threshold: taken for unidentified, wrongly (exact limits)."""
    found: Estimate
    """Share of the unknown cells that are stranger than the threshold (exact limits)."""


def threshold_keeping(ood_score: NDArray[np.floating], share: float) -> float:
    """The out-of-distribution score up to which a new known cell lies with a chance of at least ``share``.

    Split conformal prediction (Vovk, Gammerman and Shafer, Algorithmic Learning in a Random World, 2005): the chance
    holds for cells like those given, whatever the score.

    Args:
        ood_score: (N,), of known cells that nothing was fitted to.
        share: to be kept, 0 to 1.

    Raises:
        ValueError: the cells are too few to promise it.
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
        unknown: (N,), the cells of the class that the model never learnt.
        threshold: above it, a cell is taken for unidentified.

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
