"""Agreement of two readers on the same cells: two annotators, or an annotator and a model.

Cohen's kappa (Educational and Psychological Measurement 20, 1960) is unweighted: cell classes have no order, so linear
or quadratic weights would be meaningless. The specific agreement of a class (Cicchetti and Feinstein, Journal of
Clinical Epidemiology 43, 1990) is the chance that one reader names the class where the other has named it; in terms of
a classifier, the F1 of the class.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from leukopy.evaluation.intervals import Estimate, bootstrap
from leukopy.taxonomy import FINE, CellClass, find, level_key, outside_classes

ANNOTATORS = ("annotator 1", "annotator 2")
"""Readers behind ``label`` and ``label2``."""
MODEL = "the model"


@dataclass(frozen=True)
class ClassAgreement:
    """Agreement of two readers on one class."""

    code: str
    first: int
    """Images of this class by the first reader."""
    second: int
    both: int
    agreement: Estimate
    """Specific agreement: 2 both / (first + second)."""
    kappa: Estimate
    """Kappa of this class against all others."""


@dataclass(frozen=True)
class Agreement:
    """Agreement of two readers on the images that both have named."""

    level: str
    """``coarse classes`` or ``fine classes``; classes outside the taxonomy are added where a reader names one."""
    first: str
    """Names of the two readers."""
    second: str
    images: int
    raw: Estimate
    """Share of images with the same class from both."""
    kappa: Estimate
    """None where both use one class only: their agreement is then certain by chance."""
    classes: tuple[ClassAgreement, ...]
    """Classes used by either reader, in taxonomy order."""
    table: NDArray[np.int64]
    """Shape (C, C): row = first reader, column = second, in the order of ``classes``."""


def cohen_kappa(tables: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cohen's kappa of contingency tables, for thousands of bootstrap replicates at once.

    Args:
        tables: shape (…, C, C).

    Returns:
        Shape (…): not-a-number where chance agreement is certain (one class only) or the table is empty.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = tables / tables.sum(axis=(-2, -1), keepdims=True)
        observed = np.trace(shares, axis1=-2, axis2=-1)
        expected = (shares.sum(axis=-1) * shares.sum(axis=-2)).sum(axis=-1)
        kappa = (observed - expected) / (1 - expected)
    return np.where(np.isclose(expected, 1, rtol=0, atol=1e-12), np.nan, kappa)


def at_level(code: str | None, classes: Sequence[CellClass]) -> str | None:
    """A class code at a level: itself, its coarse class, or None where it has no such level.

    A class outside the taxonomy is unchanged: a reader who names a blast disagrees with one who names a known class.
    """
    if code is None:
        return None
    cell = find(code)
    if cell.coarse is None:
        return cell.code
    if level_key(classes) == "coarse":
        return cell.coarse
    return cell.code if cell in FINE else None


def agreement(
    readings: Sequence[tuple[str, str]],
    classes: Sequence[CellClass],
    readers: tuple[str, str],
    *,
    groups: ArrayLike | None = None,
    replicates: int = 2000,
    seed: int = 0,
) -> Agreement:
    """Measure how two readers agree, with bootstrap intervals.

    Args:
        readings: the codes of both readers for each image, from `at_level`.
        classes: ``FINE`` or ``COARSE``.
        readers: their names.
        groups: patients or slides, one per image; the bootstrap draws whole groups.
        replicates: bootstrap replicates.
        seed: seed of the bootstrap.

    Raises:
        ValueError: no image.
    """
    if not readings:
        raise ValueError("agreement needs at least one image that both readers have named")
    used = {code for pair in readings for code in pair}
    codes = list(dict.fromkeys(cell.code for cell in (*classes, *outside_classes()) if cell.code in used))
    position = {code: index for index, code in enumerate(codes)}
    size = len(codes)
    images = np.zeros((len(readings), size * size), dtype=np.int8)
    images[np.arange(len(readings)), [position[one] * size + position[other] for one, other in readings]] = 1
    table = images.sum(axis=0, dtype=np.int64).reshape(size, size)

    def scores(sums: NDArray[np.float64]) -> NDArray[np.float64]:
        return _scores(sums.reshape(-1, size, size))

    low, high = bootstrap(images, scores, groups=groups, replicates=replicates, seed=seed)
    found = [Estimate.of(*numbers) for numbers in zip(scores(table.astype(np.float64))[0], low, high, strict=True)]
    rows, columns = table.sum(axis=1), table.sum(axis=0)
    return Agreement(
        f"{level_key(classes)} classes",
        *readers,
        images=len(readings),
        raw=found[0],
        kappa=found[1],
        classes=tuple(
            ClassAgreement(
                code, int(rows[index]), int(columns[index]), int(table[index, index]),
                found[2 + index], found[2 + size + index],
            )
            for index, code in enumerate(codes)
        ),
        table=table,
    )  # fmt: skip


def _scores(tables: NDArray[np.float64]) -> NDArray[np.float64]:
    """Raw agreement, kappa, then specific agreement and kappa of each class: (R, C, C) to (R, 2 + 2 C)."""
    total = tables.sum(axis=(1, 2))
    both = np.diagonal(tables, axis1=1, axis2=2)
    first, second = tables.sum(axis=2), tables.sum(axis=1)
    with np.errstate(invalid="ignore"):
        specific = 2 * both / (first + second)
    only_first, only_second = first - both, second - both
    neither = total[:, None] - both - only_first - only_second
    one_against_rest = np.stack([both, only_first, only_second, neither], axis=-1).reshape(*both.shape, 2, 2)
    totals = np.stack([both.sum(axis=1) / total, cohen_kappa(tables)], axis=1)
    return np.concatenate([totals, specific, cohen_kappa(one_against_rest)], axis=1)
