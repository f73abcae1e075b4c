"""Transfer: scores of a model on the classes present in another laboratory.

A laboratory that labels five classes cannot hold the others. Scored over all classes, a model chooses among all;
restricted to the held ones, it answers the same question as the laboratory.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from leukopy.evaluation.levels import Level, score_level
from leukopy.taxonomy import COARSE


@dataclass(frozen=True)
class Transfer:
    """One model on one laboratory, at the coarse level."""

    all_classes: Level
    """Any coarse class may be predicted."""
    held_classes: Level
    """Only classes among the laboratory's labels may be predicted."""


def restrict(probabilities: NDArray[np.floating], held: NDArray[np.intp]) -> NDArray[np.float64]:
    """Probabilities restricted to the held classes.

    Args:
        probabilities: shape (N, C).
        held: indices of the classes that are possible.

    Returns:
        Shape (N, C): rows sum to 1, zero outside ``held``; uniform over it where a row gave it zero.
    """
    possible = np.zeros(probabilities.shape[1], dtype=bool)
    possible[held] = True
    kept = np.where(possible, probabilities, 0).astype(np.float64)
    total = kept.sum(axis=1, keepdims=True)
    even = possible / possible.sum()
    return np.where(total > 0, kept / np.where(total > 0, total, 1), even)


def score_transfer(
    truth: NDArray[np.intp],
    probabilities: NDArray[np.floating],
    *,
    groups: NDArray[np.str_] | None = None,
    replicates: int = 2000,
) -> Transfer:
    """Score a model on a laboratory it was not trained on.

    Args:
        truth: shape (N,), indices into ``COARSE``.
        probabilities: shape (N, C).
        groups: shape (N,), slides; the bootstrap draws whole groups.
        replicates: bootstrap replicates.
    """
    among_held = restrict(probabilities, np.unique(truth))
    levels = [
        score_level(COARSE, truth, answers.argmax(axis=1), answers, groups=groups, replicates=replicates)
        for answers in (probabilities, among_held)
    ]
    return Transfer(*levels)
