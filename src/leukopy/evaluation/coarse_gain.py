"""The gain of summing fine classes into coarse ones: the same predictions of the same cells at both levels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from leukopy.evaluation.intervals import Estimate, bootstrap
from leukopy.taxonomy import COARSE, coarse_matrix


@dataclass(frozen=True)
class CoarseErrors:
    """Errors of a model at the fine level on the cells of one coarse class."""

    code: str
    images: int
    errors: int
    """Errors at the fine level."""
    vanished: int
    """Fine errors that are right at the coarse level: the chosen fine class sums into the same coarse one."""


@dataclass(frozen=True)
class Summing:
    """Fine classes against the coarse ones they sum into, over the cells whose fine class is known."""

    images: int
    fine_accuracy: Estimate
    coarse_accuracy: Estimate
    gain: Estimate
    """Coarse accuracy less fine accuracy of the same cells: a paired difference."""
    errors: int
    vanished: int
    classes: tuple[CoarseErrors, ...]
    """All coarse classes, in taxonomy order."""


def summing(
    truth: NDArray[np.intp],
    predicted: NDArray[np.intp],
    *,
    groups: ArrayLike | None = None,
    replicates: int = 2000,
    seed: int = 0,
) -> Summing:
    """Count the errors between fine classes of one coarse class.

    Args:
        truth: shape (N,), indices into ``FINE``.
        predicted: shape (N,), likewise.
        groups: shape (N,), patients or slides; the bootstrap draws whole groups.
        replicates: bootstrap replicates.
        seed: seed of the bootstrap.

    Raises:
        ValueError: no image.
    """
    if not len(truth):
        raise ValueError("summing needs at least one image")
    to_coarse = coarse_matrix().argmax(axis=1)
    coarse = to_coarse[truth]
    right_fine, right_coarse = truth == predicted, coarse == to_coarse[predicted]
    sums = np.stack([right_fine, right_coarse, np.ones(len(truth), dtype=bool)], axis=1).astype(np.int8)

    def scores(total: NDArray[np.float64]) -> NDArray[np.float64]:
        shares = total[:, :2] / total[:, 2:]
        return np.concatenate([shares, shares[:, 1:] - shares[:, :1]], axis=1)

    low, high = bootstrap(sums, scores, groups=groups, replicates=replicates, seed=seed)
    value = scores(sums.sum(axis=0, dtype=np.float64)[None])[0]
    fine_accuracy, coarse_accuracy, gain = (Estimate.of(*numbers) for numbers in zip(value, low, high, strict=True))
    vanished = ~right_fine & right_coarse
    return Summing(
        images=len(truth),
        fine_accuracy=fine_accuracy,
        coarse_accuracy=coarse_accuracy,
        gain=gain,
        errors=int((~right_fine).sum()),
        vanished=int(vanished.sum()),
        classes=tuple(
            CoarseErrors(cell.code, int(rows.sum()), int((rows & ~right_fine).sum()), int((rows & vanished).sum()))
            for cell, rows in ((cell, coarse == index) for index, cell in enumerate(COARSE))
        ),
    )
