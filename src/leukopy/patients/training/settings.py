"""The recipe of a patient's model: what ``configs/patients/*.yaml`` hold."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from leukopy.core.settings import Settings
from leukopy.patients.models.statistics import Statistic
from leukopy.patients.training.networks.settings import PatientNetSettings


class CellSource(Settings):
    """What is known of each cell."""

    model: str = "default"
    """A bundled cell model; it learns no more."""
    outputs: tuple[Literal["embedding", "logits", "attributes"], ...] = ("embedding",)
    measures: bool = False
    """Also size, shape, colour and stain (``leukopy.patients.inference.measures``)."""


class ClinicalModel(Settings):
    """Age and lymphocyte count alone."""

    kind: Literal["clinical"] = "clinical"
    classifier: Literal["naive_bayes", "logistic", "svm", "random_forest"] = "naive_bayes"


class StatisticsModel(Settings):
    """Statistics of a patient's cells, and a classifier of patients."""

    kind: Literal["statistics"] = "statistics"
    statistics: tuple[Statistic, ...] = Field(default=("mean",), min_length=1)
    classifier: Literal["logistic", "gradient_boosting"] = "logistic"
    components: tuple[int, ...] = (10, 15, 20, 25)
    """Principal components that are kept of the standardised statistics; the inner folds choose."""
    C: tuple[float, ...] = (0.1, 0.3, 1.0, 3.0)
    """Inverse of the penalty of logistic regression; the inner folds choose."""


class NetModel(Settings):
    """Multiple-instance networks; the inner folds choose among their settings and epochs."""

    kind: Literal["net"] = "net"
    nets: tuple[PatientNetSettings, ...] = Field(min_length=1)
    every: int = Field(default=1, ge=1)
    """Epochs between two that may be chosen."""

    @model_validator(mode="after")
    def _features_only(self) -> Self:
        if any(net.pictures for net in self.nets):
            raise ValueError("nets read the features of cells here; a network of pictures is run by 'study ablate'")
        return self


class PatientRecipe(Settings):
    """One model of patients, whole."""

    name: str
    title: str
    description: str
    cells: CellSource = CellSource()
    model: Annotated[ClinicalModel | StatisticsModel | NetModel, Field(discriminator="kind")]
    fusion: Literal["none", "late", "voting"] = "none"
    """How naive Bayes on age and count joins a model of the cells: its log-odds are added (late), or probabilities are
    averaged (voting; Sahasrabudhe et al., 2020)."""
    inner_folds: int = Field(default=10, ge=2)
    """Folds within the training patients; fewer, where a label has fewer patients. They choose settings, epoch and
    thresholds, and the models that were trained on all but one of them are the ensemble."""
    limits: tuple[str, ...] = ()
    """Sentences for the model card."""
    licence: str = "Apache-2.0"

    @model_validator(mode="after")
    def _fusion_once(self) -> Self:
        if self.fusion != "none":
            if self.model.kind == "clinical":
                raise ValueError("fusion joins age and count to a model of cells; this model reads age and count alone")
            if self.model.kind == "net" and any(net.clinical for net in self.model.nets):
                raise ValueError("fusion joins age and count; set clinical: false in the nets, or fusion: none")
        return self
