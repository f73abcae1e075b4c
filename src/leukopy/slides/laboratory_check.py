"""Check for slides that look unlike the laboratories of the training data.

The mean appearance of a slide's cells is compared with each laboratory by the distance of Mahalanobis (Proceedings of
the National Institute of Sciences of India 2, 1936), as in Hotelling's test of a mean. Two slides of one laboratory
differ by more than chance, since each has its own stain and focus. The covariance of a mean is therefore the covariance
of single cells times (between + 1 / cells), where ``between`` is the share that lies between slides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl
from numpy.typing import NDArray

from leukopy.bundle import LaboratoryAppearance, SlideCheck
from leukopy.imaging.appearance import APPEARANCE_FEATURES
from leukopy.inference.rows import APPEARANCE_SCHEMA

ENOUGH_CELLS = 20
"""Least number of cells; a slide with fewer is not checked."""


@dataclass(frozen=True)
class SlideDistance:
    """Distance of a slide to the nearest laboratory of the training data."""

    distance: float
    """99 of 100 slides of a known laboratory stay below 1; two decimals."""
    nearest: str
    """Name of the nearest laboratory."""
    cells: int
    """Number of cells behind the distance."""

    @property
    def foreign(self) -> bool:
        """True where the slide looks unlike the training data."""
        return self.distance > 1


@dataclass
class AppearanceSum:
    """Sum of the appearance of any number of a slide's cells."""

    total: NDArray[np.float64] = field(default_factory=lambda: np.zeros(len(APPEARANCE_FEATURES)))
    """(A,), of ``imaging.appearance.APPEARANCE_FEATURES``, with the class of each cell accounted for."""
    cells: int = 0

    def add(self, appearance: pl.DataFrame | None) -> None:
        """Add the cells of ``Predictions.appearance``."""
        if appearance is not None:
            cells = appearance.drop_nulls()
            self.total = self.total + cells.to_numpy().sum(axis=0, dtype=np.float64)
            self.cells += len(cells)


def class_free(appearance: NDArray[np.float32], classes: Sequence[str], check: SlideCheck) -> pl.DataFrame:
    """Appearance without the effect of the class, so that a slide of lymphocytes alone is not foreign.

    Args:
        appearance: (N, A), from `measure_appearance`.
        classes: coarse codes of the N cells.
        check: the bundle's.

    Returns:
        A table of ``APPEARANCE_SCHEMA``.
    """
    nothing = (0.0,) * len(APPEARANCE_FEATURES)
    by_class = np.array([check.classes.get(code, nothing) for code in classes]).reshape(-1, len(APPEARANCE_FEATURES))
    return pl.DataFrame((appearance - by_class).astype(np.float32), schema=APPEARANCE_SCHEMA)


def with_laboratory(
    check: SlideCheck, name: str, appearance: NDArray[np.float32], classes: Sequence[str]
) -> SlideCheck:
    """The check with one more laboratory, or with a newer version of it.

    Args:
        check: the bundle's.
        name: of the laboratory.
        appearance: (N, A) of some of its cells, ``ENOUGH_CELLS`` or more.
        classes: their coarse codes.
    """
    free = class_free(appearance, classes, check).to_numpy().astype(np.float64)
    # Few cells give no covariance: it is the mean of the known covariances.
    usual = np.mean([one.covariance for one in check.laboratories], axis=0)
    own = (len(free) * np.cov(free.T) + ENOUGH_CELLS * usual) / (len(free) + ENOUGH_CELLS)
    new = LaboratoryAppearance(
        name=name,
        images=len(free),
        mean=tuple(free.mean(axis=0).tolist()),
        covariance=tuple(map(tuple, own.tolist())),
    )
    others = (one for one in check.laboratories if one.name != name)
    return check.model_copy(update={"laboratories": (*others, new)})


def nearest_laboratory(appearance: AppearanceSum, check: SlideCheck | None) -> SlideDistance | None:
    """The distance of a slide; None with too few cells, or without a check in the bundle."""
    if check is None or appearance.cells < ENOUGH_CELLS:
        return None
    mean = appearance.total / appearance.cells
    spread = check.limit * (check.between + 1 / appearance.cells)
    distances = {}
    for laboratory in check.laboratories:
        apart = mean - np.array(laboratory.mean)
        squared = apart @ np.linalg.solve(np.array(laboratory.covariance), apart)
        distances[laboratory.name] = float(np.sqrt(squared / spread))
    nearest = min(distances, key=lambda name: distances[name])
    return SlideDistance(round(distances[nearest], 2), nearest, appearance.cells)
