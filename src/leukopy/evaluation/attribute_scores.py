"""Scores of attributes: the F1 of their values."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from leukopy.evaluation.classification import classify_scores
from leukopy.evaluation.intervals import Estimate, bootstrap
from leukopy.taxonomy import ATTRIBUTES


@dataclass(frozen=True)
class AttributeScore:
    """Score of one attribute."""

    name: str
    accuracy: Estimate
    macro_f1: Estimate
    """Mean F1 of the values in the truth."""


@dataclass(frozen=True)
class AttributeScores:
    """Scores of all attributes, and their means over the attributes."""

    cells: int
    accuracy: Estimate
    macro_f1: Estimate
    attributes: tuple[AttributeScore, ...]
    """In the order of ``taxonomy.ATTRIBUTES``."""


def attribute_scores(truth: NDArray[np.intp], found: NDArray[np.intp], *, replicates: int = 1000) -> AttributeScores:
    """Score predicted against true attributes, with 95 % intervals, bootstrapped by cell.

    Args:
        truth: shape (N, A), the index of each attribute's value, in the order of ``taxonomy.ATTRIBUTES``.
        found: shape (N, A), likewise.
        replicates: bootstrap replicates.
    """
    sizes = [len(attribute.values) for attribute in ATTRIBUTES]
    cells = [_confusion_cells(truth[:, i], found[:, i], size) for i, size in enumerate(sizes)]
    contributions = np.concatenate(cells, axis=1)
    ends = np.cumsum([size**2 for size in sizes])

    def scores(sums: NDArray[np.float64]) -> NDArray[np.float64]:
        """Sums (R, K) to accuracy and macro F1 of the mean, then of each attribute: (R, 2 + 22)."""
        parts = zip(np.split(sums, ends[:-1], axis=1), sizes, strict=True)
        each = np.stack([classify_scores(own.reshape(-1, size, size))[:, [0, 2]] for own, size in parts], axis=1)
        return np.concatenate([each.mean(axis=1), each.reshape(len(sums), -1)], axis=1)

    values = scores(contributions.sum(axis=0, keepdims=True).astype(np.float64))[0]
    low, high = bootstrap(contributions, scores, replicates=replicates)
    accuracy, macro_f1, *rest = map(Estimate.of, values, low, high)
    found_scores = zip(ATTRIBUTES, rest[::2], rest[1::2], strict=True)
    return AttributeScores(
        len(truth), accuracy, macro_f1, tuple(AttributeScore(own.name, *estimates) for own, *estimates in found_scores)
    )


def _confusion_cells(truth: NDArray[np.intp], found: NDArray[np.intp], size: int) -> NDArray[np.uint8]:
    """One-hot (N, size x size): the cell of the confusion matrix that each image falls into."""
    cells = np.zeros((len(truth), size * size), np.uint8)
    cells[np.arange(len(truth)), truth * size + found] = 1
    return cells
