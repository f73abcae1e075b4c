"""The settings of a shallow model: which features, which classifier (``kind: shallow`` in ``configs/*.yaml``)."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from leukopy.core.settings import Settings
from leukopy.imaging.preprocess import Preprocess
from leukopy.models.shallow import SHALLOW, Value
from leukopy.training.settings import BackboneChoice, Recipe


class Features(Settings):
    """Features of a cell for the classifier: the embedding of a frozen network, or the picture itself.

    ``model``, or ``backbone`` with ``preprocess``, or ``preprocess`` alone: the picture's pixels.
    """

    model: str | None = None
    """A bundled model, or a bundle folder."""
    backbone: str | None = None
    """A backbone with its published weights, or those of ``weights``: never trained on cells."""
    weights: Path | None = None
    preprocess: Preprocess | None = None
    background: Literal["kept", "removed"] = "kept"
    """removed: pixels outside the cell are painted over (``leukopy.imaging.segmentation``)."""

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if (self.model is None) == (self.preprocess is None):
            raise ValueError("give model (its embedding), or preprocess, with backbone (its embedding) or without")
        if self.model is not None and self.backbone is not None:
            raise ValueError("give model or backbone, not both")
        if self.weights is not None and self.backbone is None:
            raise ValueError("weights go with a backbone")
        return self

    @property
    def start(self) -> BackboneChoice | None:
        """The backbone and its first weights."""
        if self.backbone is None:
            return None
        return BackboneChoice(name=self.backbone, pretrained=self.weights is None, weights=self.weights)


class Reduction(Settings):
    """Fewer dimensions, learnt from the training features without their labels."""

    method: Literal["pca", "umap"]
    """Principal components (Pearson, 1901), or UMAP (McInnes et al., arXiv:1802.03426, 2018; extra ``study``)."""
    components: int = Field(default=2, ge=1)
    neighbours: int = Field(default=15, ge=2)
    """UMAP: how many neighbours a cell's place depends on."""
    minimum_distance: float = Field(default=0.1, ge=0)
    """UMAP: how close cells may lie."""


class ShallowSettings(Recipe):
    """One shallow model, whole: trained on the training split, chosen on validation, measured on test."""

    kind: Literal["shallow"]
    features: Features
    reduction: Reduction | None = None
    classifier: str
    grid: dict[str, tuple[Value, ...]] = Field(default_factory=dict)
    """Parameter -> values to try, in place of the classifier's own."""
    two_stages: bool = False
    """First the coarse classes, then neutrophils and immature granulocytes each by a classifier of their own."""
    replicates: int = Field(default=2000, ge=100, le=100_000)
    """Bootstrap replicates of each interval."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.two_stages and self.level == "coarse":
            raise ValueError("two_stages needs level: fine")
        tries = SHALLOW[self.classifier].grid
        if unknown := set(self.grid) - set(tries):
            raise ValueError(f"grid: {self.classifier} tries {', '.join(tries)}, not {', '.join(sorted(unknown))}")
        if any(source.dataset == "drawn" for source in self.sources):
            raise ValueError("sources: shallow models read image files, not drawn cells")
        return self
