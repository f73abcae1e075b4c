"""The settings of a detector (``kind: detector`` in ``configs/*.yaml``)."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from leukopy.core.settings import Settings
from leukopy.datasets.boxes import BOX_SOURCES, DRAWN
from leukopy.models.detector import MULTIPLE

MOST_DRAWN = 10_000


class BoxUse(Settings):
    """One source of boxes."""

    source: str
    """One of `leukopy.datasets.boxes.BOX_SOURCES`."""
    share: float = Field(gt=0)
    """Share of the tiles, relative to the other sources."""
    pictures: int | None = Field(default=None, ge=1)
    """Largest number of its training pictures, spread evenly; None: all."""

    @field_validator("source")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in BOX_SOURCES:
            raise ValueError(f"unknown: choose from {', '.join(BOX_SOURCES)}")
        return name


class DrawnUse(Settings):
    """Drawn fields, whose objects are all known."""

    share: float = Field(gt=0)
    """Share of the tiles, relative to the other sources."""
    fields: int = Field(ge=10, le=MOST_DRAWN)
    """Number of drawn fields; one in ten measures the validation loss."""
    many_platelets: float = Field(default=0, ge=0, le=1)
    """Share of the fields with one platelet for each two to ten red cells: more of them lie on red cells, where they
    resemble the nucleus of an erythroblast."""


class FieldAugmentation(Settings):
    """Random changes of a tile; an amount of 0 changes nothing."""

    scale: tuple[float, float] = (0.6, 1.6)
    """Smallest and largest size of the red cells, relative to the working scale."""
    mosaic: float = Field(default=0.75, ge=0, le=1)
    """Share of the canvases that show four pictures; the others show one part of a field."""
    stain: float = Field(default=0.35, ge=0, le=1)
    """Share of the tiles that take the mean and deviation of another picture's optical density."""
    gain: float = Field(default=0.08, ge=0)
    """Standard deviation of the logarithm of each channel's gain; twice this of gamma."""
    fade: float = Field(default=0.7, ge=0, le=1)
    """Largest loss of colour, as a share."""
    haze: float = Field(default=0.6, ge=0, le=1)
    """Largest loss of contrast, as a share."""
    light: float = Field(default=0.25, ge=0, le=0.9)
    """Largest fall of the light across a tile; half of it differs between the channels."""
    blur: float = Field(default=1.5, ge=0)
    """Largest radius of the blur, in pixels."""
    sharpen: float = Field(default=0.2, ge=0, le=1)
    """Share of the tiles with bright and dark rings around edges, as of refractile cells."""
    noise: float = Field(default=6.0, ge=0)
    """Largest standard deviation of the noise, in grey levels."""


class DetectorOptimisation(Settings):
    """AdamW (Loshchilov and Hutter, ICLR 2019), warm-up, cosine, and an average of the weights."""

    steps: int = Field(default=4000, ge=2)
    batch_size: int = Field(default=16, ge=1)
    canvas: int = Field(default=256, ge=64)
    """Side of the training pictures, in pixels."""
    learning_rate: float = Field(default=1e-3, gt=0)
    weight_decay: float = Field(default=1e-4, ge=0)
    warm_up: float = Field(default=0.03, ge=0, lt=1)
    """Share of the steps."""
    average: float = Field(default=0.998, ge=0, lt=1)
    """Decay of the exponential average of the weights."""
    checkpoint_steps: int = Field(default=200, ge=1)
    """Steps between checkpoints; each measures the validation loss."""

    @field_validator("canvas")
    @classmethod
    def _multiple(cls, side: int) -> int:
        if side % MULTIPLE:
            raise ValueError(f"must be a multiple of {MULTIPLE}")
        return side


class DetectorSettings(Settings):
    """One training of the detector."""

    kind: Literal["detector"]
    name: str
    title: str
    description: str
    sources: tuple[BoxUse, ...] = Field(min_length=1)
    drawn: DrawnUse | None = None
    """Drawn fields beside the sources; they alone mark platelet clumps."""
    red_cell_px: float = Field(default=28.0, gt=4)
    """Diameter of a red cell at the working scale, in pixels."""
    width: int = Field(default=64, ge=8)
    """Channels of the feature pyramid."""
    pretrained: bool = True
    augmentation: FieldAugmentation = FieldAugmentation()
    optimisation: DetectorOptimisation = DetectorOptimisation()
    seed: int = 0
    limits: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _each_source_once(self) -> Self:
        names = [use.source for use in self.sources]
        if len(set(names)) < len(names):
            raise ValueError("sources: name each source once")
        return self

    @property
    def shares(self) -> dict[str, float]:
        """Share of the tiles by source, the drawn fields included; not normed."""
        drawn = {DRAWN: self.drawn.share} if self.drawn else {}
        return {use.source: use.share for use in self.sources} | drawn
