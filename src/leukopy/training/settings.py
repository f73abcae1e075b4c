"""The settings of a training run: what ``configs/*.yaml`` hold."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from leukopy.core.settings import Settings
from leukopy.imaging.augmentation import Augmentation
from leukopy.imaging.preprocess import Preprocess


class Source(Settings):
    """One laboratory that the training reads."""

    dataset: str
    """A data set's name (``leukopy datasets list``), or ``drawn`` for cells drawn by leukopy."""
    root: str = ""
    """Its folder, absolute or below the data folder; nothing for drawn cells."""
    share: float = Field(gt=0, le=1)
    """Share of the images of an epoch that come from it; shares are scaled to sum to 1."""
    images: int = Field(default=0, ge=0)
    """For drawn cells: how many are drawn."""
    validation_share: float = Field(default=0.2, ge=0, lt=1)
    """Where the data set comes without a split: the share of its groups kept for validation."""


class BackboneChoice(Settings):
    """Which network."""

    name: str
    pretrained: bool = False
    dropout: float = Field(default=0.0, ge=0, lt=1)


class Optimisation(Settings):
    """How it is fitted: AdamW (or Adam), a warm-up, then a cosine to zero."""

    epochs: int = Field(default=30, ge=1)
    epoch_images: int = Field(default=0, ge=0)
    """Images drawn for one epoch; 0: as many as the training split holds."""
    small_epochs: int = Field(default=0, ge=0)
    """First epochs, trained on pictures shrunk to ``small_size``: cheaper (Tan & Le, EfficientNetV2, ICML 2021)."""
    small_size: int = Field(default=96, ge=32)
    """Pixels."""
    frozen_stages: int = Field(default=0, ge=0)
    """First stages of the backbone that learn no more once the small epochs are over: half the time of a step."""
    batch_size: int = Field(default=64, ge=2)
    learning_rate: float = Field(default=1e-3, gt=0)
    weight_decay: float = Field(default=0.02, ge=0)
    warmup: float = Field(default=0.1, ge=0, lt=1)
    """Share of the steps during which the rate rises."""
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    class_balance: float = Field(default=0.5, ge=0, le=1)
    """0: classes as often as they are; 1: all equally often, within each source."""
    average: float = Field(default=0.0, ge=0, lt=1)
    """Decay of the exponential average of the weights; 0: none."""
    gradient_clip: float = Field(default=1.0, ge=0)
    patience: int = Field(default=0, ge=0)
    """Epochs without a better validation loss before it stops; 0: never."""


class TrainSettings(Settings):
    """One training run, whole."""

    name: str
    title: str
    description: str
    level: Literal["fine", "coarse"] = "fine"
    """``coarse``: every label is brought to the 8 classes first, as in the study's 8-class runs."""
    backbone: BackboneChoice
    preprocess: Preprocess
    sources: tuple[Source, ...] = Field(min_length=1)
    augmentation: Augmentation | None = None
    """None: none, as in the study's LeNet."""
    optimisation: Optimisation = Optimisation()
    uncertain_share: float = Field(default=0.03, gt=0, lt=1)
    """Share of validation cells that the ``uncertain`` threshold flags."""
    seed: int = 0
    licence: str = "Apache-2.0"
    limits: tuple[str, ...] = ()
    """Sentences for the model card."""

    @model_validator(mode="after")
    def _names_once(self) -> TrainSettings:
        names = [source.dataset for source in self.sources]
        if len(set(names)) != len(names):
            raise ValueError("each source may be listed once")
        return self
