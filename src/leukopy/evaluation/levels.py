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
    """Scores of a model at one level."""

    classes: tuple[CellClass, ...]
    """``COARSE`` or ``FINE``, then the classes outside that the model learnt."""
    classification: Classification
    calibration: CalibrationReport
    sets: SetScore | None = None
    """Score of the sets with 90 % coverage; None where the model gives none."""

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
    """Scores of a model on some images."""

    model: str
    data: str
    """Name of the data set, or of the manifest's file."""
    split: str
    drawn_by: str
    """Unit of the bootstrap: ``image``, or ``group`` (patient, slide)."""
    counts: Mapping[str, int]
    """Numbers of images of the split by result: ``listed``, ``unlabelled``, ``outside`` (of the classes), ``learnt``
    (by the model, and left out), ``failed``, ``scored``."""
    coarse: Level
    fine: Level | None
    """None where fewer than two fine classes are known."""
    summing: Summing | None = None
    """Both levels on the same images; None without the fine level."""
    agreement: tuple[Agreement, ...] = ()
    """Agreement between two annotators, and of the model with each, for images with two labels."""
    notes: tuple[str, ...] = ()
    """Missing measurements with their reasons: whole sentences."""

    @property
    def levels(self) -> tuple[Level, ...]:
        """Levels with a score, coarse first."""
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
        classes: ``COARSE`` or ``FINE``, with or without classes outside after them.
        truth: shape (N,), indices into ``classes``.
        predicted: shape (N,), likewise.
        probabilities: shape (N, C).
        groups: shape (N,), patients or slides; the bootstrap draws whole groups.
        replicates: bootstrap replicates.
    """
    return Level(
        classes,
        classification(truth, predicted, classes, groups=groups, replicates=replicates),
        calibration(probabilities, predicted, truth, groups=groups, replicates=replicates),
    )
