"""One evaluation: the same predictions scored at the coarse level and at the fine one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from leukopy.evaluation.agreement import Agreement
from leukopy.evaluation.calibration import CalibrationReport, calibration
from leukopy.evaluation.classification import Classification, classification
from leukopy.evaluation.coarse_gain import Summing
from leukopy.evaluation.conformal import SetScore
from leukopy.taxonomy import CellClass, level_key


@dataclass(frozen=True)
class Level:
    """How a model does at one level."""

    classes: tuple[CellClass, ...]
    """``COARSE`` or ``FINE``."""
    classification: Classification
    calibration: CalibrationReport
    sets: SetScore | None = None
    """Of the sets that hold the class with a chance of 90 %; None where the model gives none."""

    @property
    def key(self) -> str:
        """``coarse`` or ``fine``: its name in files."""
        return level_key(self.classes)

    @property
    def name(self) -> str:
        """``coarse classes`` or ``fine classes``."""
        return f"{self.key} classes"


@dataclass(frozen=True)
class Evaluation:
    """How a model does on some images."""

    model: str
    data: str
    """Name of the data set, or of the manifest's file."""
    split: str
    drawn_by: str
    """What the bootstrap draws: ``image``, or ``group`` (patient, slide)."""
    counts: Mapping[str, int]
    """What became of the images of the split: ``listed``, ``unlabelled``, ``outside`` (of the classes), ``failed``,
    ``scored``."""
    coarse: Level
    fine: Level | None
    """None where fewer than two fine classes are known."""
    summing: Summing | None = None
    """The two levels on the same images; None where there is no fine one."""
    agreement: tuple[Agreement, ...] = ()
    """Between two annotators, and of the model with each, where the images have two labels."""
    notes: tuple[str, ...] = ()
    """What could not be measured, and why: whole sentences."""

    @property
    def levels(self) -> tuple[Level, ...]:
        """The levels that could be scored, coarse first."""
        return (self.coarse, self.fine) if self.fine else (self.coarse,)


def score_level(
    classes: tuple[CellClass, ...],
    truth: NDArray[np.intp],
    predicted: NDArray[np.intp],
    probabilities: NDArray[np.floating],
    *,
    groups: ArrayLike | None = None,
    replicates: int = 2000,
) -> Level:
    """Score one level.

    Args:
        classes: ``COARSE`` or ``FINE``.
        truth: shape (N,), indices into ``classes``.
        predicted: shape (N,), likewise.
        probabilities: shape (N, C).
        groups: shape (N,), patients or slides that the bootstrap draws whole.
        replicates: bootstrap replicates.
    """
    return Level(
        classes,
        classification(truth, predicted, classes, groups=groups, replicates=replicates),
        calibration(probabilities, predicted, truth, groups=groups, replicates=replicates),
    )
