"""What a patient's bundle holds and takes: the cells of one patient as numbers, and two clinical numbers.

A patient's bundle is a folder with ``card.json``, ``model.onnx``, and ``cells.onnx`` where its cell network is its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from leukopy.bundle.card import DatasetUse, Metric
from leukopy.core.provenance import RESEARCH_USE_ONLY
from leukopy.core.settings import Settings
from leukopy.imaging.preprocess import Preprocess

CLINICAL = ("age", "lymphocytes")
"""The clinical numbers, in their order: age in years, lymphocyte count in 10^9/L."""


@dataclass(frozen=True, eq=False)
class Bag:
    """One patient as a model takes it."""

    patient_id: str
    cells: NDArray[Any]
    """Features of N cells, float32 (N, D); or their prepared pictures, uint8 (N, S, S, 3). N is at least 1."""
    clinical: NDArray[np.float32]
    """Shape (2,), in the order of ``CLINICAL``; not-a-number where unknown."""
    label: int | None = None
    """0 reactive, 1 tumoral; None where unknown."""


class CellNetwork(Settings):
    """What makes the features of a cell from its picture."""

    model: str | None
    """Name of the bundled cell model that is read; None: it is ``cells.onnx`` of this bundle."""
    sha256: str
    """Of its file; checked each time the bundle is opened."""
    outputs: tuple[str, ...]
    """The outputs that are joined to the D features, in this order (``embedding``, ``logits``, ``attributes``)."""
    preprocess: Preprocess
    measures: bool = False
    """Whether the size, shape, colour and stain of each cell follow, as ``patients.inference.measures`` gives them:
    not-a-number where no cell or no nucleus was found."""


class PatientModelFile(Settings):
    """``model.onnx``. Inputs: ``cells`` float32 (N, D), ``clinical`` float32 (2,), not-a-number where unknown.
    Outputs: ``logits`` float32 (M,), one for each member of the ensemble, whose mean is the log-odds of tumoral;
    ``weights`` float32 (N,), the share each cell has in the pooling, summing to 1.
    """

    architecture: str
    members: int = Field(ge=1)
    features: int = Field(ge=1)
    """D."""
    sha256: str


class FeatureReference(Settings):
    """One feature of a cell in words, and where patients of the training stand."""

    name: str
    """For people: ``nucleus area, log``."""
    reactive: float
    """Mean over reactive patients of the mean over their cells."""
    tumoral: float


class ClinicalBounds(Settings):
    """Bounds of the part that reads age and lymphocyte count: it is monotone in both, and constant outside."""

    ages: tuple[float, float]
    """Years. An age outside counts as the nearer end."""
    counts: tuple[float, float]
    """10^9/L. A count outside counts as the nearer end."""
    log_odds: tuple[float, float]
    """Floor and ceiling of the log-odds of tumoral by age and count alone, prevalence included."""


class OperatingPoint(Settings):
    """A threshold on the probability, and what it gave in cross-validation on patients it was not chosen on."""

    name: str
    """``balanced`` or ``triage``."""
    title: str
    threshold: float = Field(ge=0, le=1)
    """Tumoral from this probability on."""
    sensitivity: Metric
    specificity: Metric


class PatientCard(Settings):
    """The whole of a patient bundle's ``card.json``."""

    format: Literal[1] = 1
    kind: Literal["patient"] = "patient"
    name: str
    title: str
    description: str
    intended_use: str = RESEARCH_USE_ONLY
    limits: tuple[str, ...] = ()
    licence: str
    classes: tuple[str, str] = ("reactive", "tumoral")
    network: CellNetwork
    model: PatientModelFile
    operating_points: tuple[OperatingPoint, ...] = Field(min_length=1)
    """The first is the one that is used unless another is asked for."""
    trained_on: tuple[DatasetUse, ...]
    prevalence: float = Field(gt=0, lt=1)
    """Share of tumoral among the patients of the training: probabilities hold where it is the same."""
    ages: tuple[float, float]
    """Least and greatest age of the training's patients, in years."""
    counts: tuple[float, float]
    """Least and greatest lymphocyte count of the training's patients, in 10^9/L."""
    clinical: ClinicalBounds | None = None
    """None where age and count are read by another model than naive Bayes, or not at all."""
    features: tuple[FeatureReference, ...] = ()
    """In the order of the D features; empty where they have no meaning for people."""
    metrics: tuple[Metric, ...] = ()
    recipe: dict[str, Any] = Field(default_factory=dict)
    provenance: dict[str, Any] = Field(default_factory=dict)
