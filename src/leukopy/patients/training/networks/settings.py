"""How a patient's network is trained."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from leukopy.core.settings import Settings
from leukopy.imaging.preprocess import Preprocess
from leukopy.patients.models import BAG_NETS, BagShape
from leukopy.training.settings import BackboneChoice


class PictureSettings(Settings):
    """A backbone that is trained with the patient's network, from the pictures of cells."""

    backbone: BackboneChoice
    preprocess: Preprocess
    """The pictures come as it says, uint8 (N, size, size, 3); its mean and std are inside the network."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """Of the backbone in training. bf16: mixed precision, about twice as fast for resnet18 on processors that have
    units for it. auto: bf16 on a GPU, fp32 on a CPU."""
    flips: bool = True
    """Mirror each picture at random, each time it is seen: left to right, and top to bottom."""

    @model_validator(mode="after")
    def _no_head(self) -> Self:
        if self.backbone.dropout:
            raise ValueError("backbone.dropout acts on the classes of cells, which are not used here; set dropout")
        return self


class PatientNetSettings(Settings):
    """One network of patients and its fitting, whole."""

    net: str = "mean"
    """An entry of ``leukopy.patients.models.BAG_NETS``."""
    clinical: bool = True
    """Whether age and lymphocyte count are read; False: the cells alone."""
    hidden: int | None = Field(default=64, ge=1)
    """Units of the layer that encodes each cell; None: features go straight into the pooling."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Share of the encoded features that are zeroed in training."""
    clinical_dropout: float = Field(default=0.1, ge=0, lt=1)
    """Chance that a patient's clinical numbers are taken for unknown while it trains."""
    clinical_gain: float = Field(default=1.0, gt=0)
    """Factor of the standardised clinical numbers: above 1, they are learnt faster than the many features."""
    standardise: bool = True
    """Bring features to mean 0 and deviation 1 over the training's cells. Embeddings of a backbone that is trained too
    stay as they are."""
    epochs: int = Field(default=20, ge=1)
    optimiser: Literal["sgd", "adam"] = "adam"
    """Stochastic gradient descent with momentum .9, or Adam with decoupled weight decay (AdamW, Loshchilov & Hutter,
    ICLR 2019; without weight decay it is Adam)."""
    learning_rate: float = Field(default=1e-3, gt=0)
    decay: float = Field(default=1.0, gt=0, le=1)
    """Factor of the learning rate after each epoch; 1: it stays."""
    weight_decay: float = Field(default=0.0, ge=0)
    patients_per_step: int = Field(default=1, ge=1)
    """Patients whose mean loss makes one step of the optimiser."""
    cells_per_step: int | None = Field(default=None, ge=1)
    """Cells of a patient that are looked at, drawn anew each time it is seen; None: all."""
    cell_dropout: float = Field(default=0.0, ge=0, lt=1)
    """Chance of each cell to be left out, drawn anew each time; one always stays."""
    class_weights: Literal["none", "balanced"] = "none"
    """balanced: reactive and tumoral patients weigh the same in sum."""
    pictures: PictureSettings | None = None
    """None: cells come as features."""

    @model_validator(mode="after")
    def _builds(self) -> Self:
        BAG_NETS[self.net]
        if self.net == "experts" and not self.clinical:
            raise ValueError("net: experts needs clinical: true, since one of the experts reads age and count alone")
        return self

    def shape(self, features: int) -> BagShape:
        """The sizes of the network for cells of ``features`` numbers."""
        return BagShape(features, self.hidden, self.dropout, self.clinical, self.clinical_dropout, self.clinical_gain)
