"""Scores of classification at the fine level and at the coarse one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from leukopy.evaluation.intervals import Estimate, bootstrap
from leukopy.taxonomy import COARSE, FINE, CellClass, find, fine_members

UNKNOWN = -1
"""Index of an image without a known class at this level."""


@dataclass(frozen=True)
class ClassScore:
    """Scores of one class."""

    code: str
    support: int
    """Images of this true class."""
    precision: Estimate
    recall: Estimate
    f1: Estimate


@dataclass(frozen=True)
class Classification:
    """Scores of the classes of one level. Averages run over the classes in the truth."""

    images: int
    accuracy: Estimate
    balanced_accuracy: Estimate
    """Mean recall."""
    macro_f1: Estimate
    """Mean F1."""
    classes: tuple[ClassScore, ...]
    """All classes of the level, in taxonomy order, absent ones with a support of 0."""
    confusion: NDArray[np.int64]
    """Shape (C, C): row = truth, column = predicted, in taxonomy order."""


@dataclass(frozen=True)
class Confusion:
    """Images of one class that were predicted as another."""

    truth: str
    predicted: str
    images: int
    share: float
    """Share of the images of the true class, 0 to 1."""


def confusions(confusion: NDArray[np.integer], classes: Sequence[CellClass]) -> tuple[Confusion, ...]:
    """All confused pairs of classes, the most frequent first.

    Args:
        confusion: shape (C, C), row = truth, column = predicted.
        classes: the classes of the rows and columns.

    Returns:
        By falling number of images; among equals the greater share of its row first, then taxonomy order.
    """
    support = confusion.sum(axis=1)
    found = [
        Confusion(classes[row].code, classes[column].code, int(images), float(images / support[row]))
        for (row, column), images in np.ndenumerate(confusion)
        if row != column and images
    ]
    return tuple(sorted(found, key=lambda pair: (-pair.images, -pair.share)))


def coarse_indices(codes: Sequence[str | None], outside: Sequence[CellClass] = ()) -> NDArray[np.intp]:
    """Indices into ``(*COARSE, *outside)`` of class codes; ``UNKNOWN`` for None and for other classes outside."""
    position = {cell.code: index for index, cell in enumerate((*COARSE, *outside))}
    return np.array([UNKNOWN if code is None else position.get(find(code).coarse or code, UNKNOWN) for code in codes])


def fine_indices(codes: Sequence[str | None], outside: Sequence[CellClass] = ()) -> NDArray[np.intp]:
    """Indices into ``(*FINE, *outside)`` of class codes; ``UNKNOWN`` for None, for coarse codes (NEU, IG) and for other
    classes outside."""
    position = {cell.code: index for index, cell in enumerate((*FINE, *outside))}
    return np.array([UNKNOWN if code is None else position.get(find(code).code, UNKNOWN) for code in codes])


def member_mask(codes: Sequence[str]) -> NDArray[np.bool_]:
    """Shape (N, F): the fine classes that each code may stand for; an empty row for a class outside."""
    mask = np.zeros((len(codes), len(FINE)), dtype=bool)
    for row, code in enumerate(codes):
        mask[row, list(fine_members(code))] = True
    return mask


def classify_scores(confusion: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scores of confusion matrices, for one or for thousands of bootstrap replicates at once.

    Args:
        confusion: shape (R, C, C).

    Returns:
        Shape (R, 3 + 3 C): accuracy, balanced accuracy, macro F1, then precision, recall and F1 of each class;
        not-a-number where a score is undefined (0 of 0). The averages run over the classes present in the truth.
    """
    hits = np.diagonal(confusion, axis1=1, axis2=2)
    truth, predicted = confusion.sum(axis=2), confusion.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        precision, recall = hits / predicted, hits / truth
        f1 = 2 * hits / (truth + predicted)
        accuracy = hits.sum(axis=1) / truth.sum(axis=1)
        present = truth > 0
        balanced = np.where(present, recall, 0).sum(axis=1) / present.sum(axis=1)
        macro = np.where(present, f1, 0).sum(axis=1) / present.sum(axis=1)
    averages = np.stack([accuracy, balanced, macro], axis=1)
    return np.concatenate([averages, precision, recall, f1], axis=1)


def classification(
    truth: NDArray[np.intp],
    predicted: NDArray[np.intp],
    classes: Sequence[CellClass],
    *,
    groups: ArrayLike | None = None,
    replicates: int = 2000,
    seed: int = 0,
) -> Classification:
    """Score predicted against true classes, with bootstrap intervals.

    Args:
        truth: shape (N,), indices into ``classes``.
        predicted: shape (N,), likewise.
        classes: ``FINE`` or ``COARSE``.
        groups: shape (N,), patients or slides, resampled whole.
        replicates: bootstrap replicates.
        seed: seed of the bootstrap.

    Raises:
        ValueError: no image, or an index outside ``classes``.
    """
    size = len(classes)
    if not len(truth) or min(truth.min(), predicted.min()) < 0 or max(truth.max(), predicted.max()) >= size:
        raise ValueError(f"classification needs at least one image and indices from 0 to {size - 1}")
    cells = np.zeros((len(truth), size * size), dtype=np.int8)
    cells[np.arange(len(truth)), truth * size + predicted] = 1
    confusion = cells.sum(axis=0, dtype=np.int64).reshape(size, size)

    def scores(sums: NDArray[np.float64]) -> NDArray[np.float64]:
        return classify_scores(sums.reshape(-1, size, size))

    low, high = bootstrap(cells, scores, groups=groups, replicates=replicates, seed=seed)
    value = scores(confusion.astype(np.float64))[0]
    estimates = [Estimate.of(*numbers) for numbers in zip(value, low, high, strict=True)]
    precision, recall, f1 = (estimates[3 + part * size : 3 + (part + 1) * size] for part in range(3))
    support = confusion.sum(axis=1)
    return Classification(
        images=len(truth),
        accuracy=estimates[0],
        balanced_accuracy=estimates[1],
        macro_f1=estimates[2],
        classes=tuple(
            ClassScore(cell.code, int(support[index]), precision[index], recall[index], f1[index])
            for index, cell in enumerate(classes)
        ),
        confusion=confusion,
    )
