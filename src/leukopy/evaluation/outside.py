"""Scores of classes outside: blasts and smudge cells against known cells, cell by cell and patient by patient."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from leukopy.evaluation.intervals import Estimate, bootstrap
from leukopy.evaluation.roc import delong_interval

FALSE_RATE = 0.03
"""Share of known cells called, at which `OutsideScore.recall_at` is measured."""


@dataclass(frozen=True)
class OutsideScore:
    """Scores of one class outside."""

    code: str
    cells: int
    """Cells of the class."""
    known: int
    """Cells of known classes."""
    auroc: Estimate
    """Chance that a cell of the class has a higher probability than a known one."""
    recall_at: float
    """Recall where ``FALSE_RATE`` of the known cells are called."""
    recall: Estimate
    """Recall of the model's own decision; limits by patient."""
    precision: Estimate
    """Share of the called cells that are of the class, among known cells and the classes outside; by patient."""


def score_outside(
    code: str, is_class: NDArray[np.bool_], is_known: NDArray[np.bool_], probability: NDArray[np.floating],
    called: NDArray[np.bool_], groups: NDArray[np.str_],
) -> OutsideScore:  # fmt: skip
    """Score one class outside.

    Args:
        code: of the class.
        is_class: (N,), cells labelled so.
        is_known: (N,), cells of known classes.
        probability: (N,), of the class.
        called: (N,), cells that the model calls so.
        groups: (N,), patients: the bootstrap draws whole patients.
    """
    threshold = np.quantile(probability[is_known], 1 - FALSE_RATE)
    both = is_class | is_known
    sums = np.stack([is_class & called, is_class, called], axis=1).astype(np.int8)

    def scores(total: NDArray[np.float64]) -> NDArray[np.float64]:
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.stack([total[:, 0] / total[:, 1], total[:, 0] / total[:, 2]], axis=1)

    low, high = bootstrap(sums, scores, groups=groups)
    recall, precision = scores(sums.sum(axis=0, dtype=np.float64)[None])[0]
    return OutsideScore(
        code=code,
        cells=int(is_class.sum()),
        known=int(is_known.sum()),
        auroc=delong_interval(is_class[both], probability[both]),
        recall_at=float((probability[is_class] > threshold).mean()),
        recall=Estimate.of(recall, low[0], high[0]),
        precision=Estimate.of(precision, low[1], high[1]),
    )


def shares(
    is_class: NDArray[np.bool_], called: NDArray[np.bool_], leukocyte: NDArray[np.bool_],
    leukocyte_called: NDArray[np.bool_], groups: NDArray[np.str_],
) -> NDArray[np.float64]:  # fmt: skip
    """True and called share of a class among the leukocytes of each patient, and how many were called: (P, 3).

    Args:
        is_class: (N,), cells of the class.
        called: (N,), cells that the model calls so.
        leukocyte: (N,), cells labelled as leukocytes.
        leukocyte_called: (N,), cells that the model counts as leukocytes.
        groups: (N,), patients.
    """
    rows = []
    for group in np.unique(groups):
        own = groups == group
        truth = (is_class & own).sum() / max(1, (leukocyte & own).sum())
        rows.append((truth, (called & own).sum() / max(1, (leukocyte_called & own).sum()), (called & own).sum()))
    return np.array(rows, np.float64).reshape(-1, 3)
