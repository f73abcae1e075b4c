"""Conformal prediction: sets of classes with a stated coverage, for any model.

Split conformal prediction with the probability of the class as score: the smallest sets on average for a coverage
(Sadinle, Lei and Wasserman, "Least ambiguous set-valued classifiers with bounded error levels", JASA 114, 2019). The
coverage holds for cells like those behind the threshold; in another laboratory it must be measured.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from leukopy.evaluation.intervals import Estimate

COVERAGE = 0.9


@dataclass(frozen=True)
class SetScore:
    """Scores of sets of classes on images with a known class."""

    images: int
    coverage: Estimate
    """Share of the images whose set contains their class, with exact limits."""
    size: float
    """Classes in a set, on average."""
    single: float
    """Share of the sets with one class."""


def set_threshold(probabilities: NDArray[np.floating], truth: NDArray[np.intp], coverage: float = COVERAGE) -> float:
    """The probability from which a class belongs to the set.

    Args:
        probabilities: (N, C), of images outside the training data.
        truth: (N,), indices of their classes.
        coverage: wanted, 0 to 1.

    Returns:
        0 where the images are too few for the coverage: every set then contains every class.
    """
    own = np.sort(probabilities[np.arange(len(truth)), truth])
    left_out = int(np.floor((len(own) + 1) * (1 - coverage) + 1e-9))
    return float(own[left_out - 1]) if left_out else 0.0


def prediction_sets(probabilities: NDArray[np.floating], threshold: float) -> NDArray[np.bool_]:
    """Bool (N, C): the classes of each set; the most probable one is always included."""
    sets: NDArray[np.bool_] = probabilities >= threshold
    sets[np.arange(len(sets)), probabilities.argmax(axis=1)] = True
    return sets


def score_sets(sets: NDArray[np.bool_], truth: NDArray[np.intp]) -> SetScore:
    """Score sets (N, C) against the classes (N,) of at least one image."""
    from leukopy.evaluation.intervals import Estimate, clopper_pearson  # noqa: PLC0415 (scipy: classifying does not need it)

    held = int(sets[np.arange(len(truth)), truth].sum())
    sizes = sets.sum(axis=1)
    coverage = Estimate.of(held / len(truth), *clopper_pearson(held, len(truth)))
    return SetScore(len(truth), coverage, float(sizes.mean()), float((sizes == 1).mean()))
