"""The settings of a network for the shapes of red cells (``kind: red_cell_shapes`` in ``configs/*.yaml``)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from leukopy.core.settings import Settings


class RedCellAugmentation(Settings):
    """Random changes of a picture; an amount of 0 changes nothing. Turns and mirror images are always drawn."""

    scale: float = Field(default=0.05, ge=0, lt=1)
    """Largest change of the size: macrocytes and microcytes differ from others by their size alone."""
    shift: float = Field(default=2.0, ge=0)
    """Largest shift, in pixels."""
    gain: float = Field(default=0.15, ge=0)
    """Standard deviation of the logarithm of the gain of each channel's optical density."""
    level: float = Field(default=6.0, ge=0)
    """Standard deviation of the glass, in grey levels."""
    blur: float = Field(default=0.3, ge=0, le=1)
    """Share of the batches that are blurred."""
    noise: float = Field(default=3.0, ge=0)
    """Largest standard deviation of the noise, in grey levels."""


class RedCellOptimisation(Settings):
    """AdamW (Loshchilov and Hutter, ICLR 2019), warm-up, cosine, and an average of the weights."""

    epochs: int = Field(default=25, ge=1)
    batch_size: int = Field(default=128, ge=2)
    learning_rate: float = Field(default=4e-3, gt=0)
    weight_decay: float = Field(default=0.02, ge=0)
    warm_up: float = Field(default=0.05, ge=0, lt=1)
    """Share of the steps."""
    average: float = Field(default=0.99, ge=0, lt=1)
    """Decay of the exponential average of the weights."""
    balance: float = Field(default=0.5, ge=0, le=1)
    """Power of a shape's inverse frequency that weighs its loss."""
    smoothing: float = Field(default=0.1, ge=0, lt=1)
    """Share of each label that is spread over all shapes: two readings of one RBC-12 field differ on 14 % of the
    cells."""


class RedCellSettings(Settings):
    """One training."""

    kind: Literal["red_cell_shapes"]
    name: str
    title: str
    description: str
    width: int = Field(default=24, ge=4)
    """Channels after the first convolution."""
    dropout: float = Field(default=0.2, ge=0, lt=1)
    augmentation: RedCellAugmentation = RedCellAugmentation()
    optimisation: RedCellOptimisation = RedCellOptimisation()
    least_probability: float = Field(default=0.5, ge=0, le=1)
    """A cell whose likeliest shape has a lower probability is left unsure."""
    false_rate: float = Field(default=0.01, gt=0, lt=1)
    """Largest share of the normal validation cells that get a shape by error, and at most a fifth of the share that
    the ICSH grades 2+; it raises that shape's least probability."""
    near: float = Field(default=0.975, gt=0, lt=1)
    """Share of the validation cells that are near enough to the training cells; farther cells are left unsure."""
    least_f1: float = Field(default=0.6, ge=0, le=1)
    """Shapes of a lower F1 on validation are named, but not graded."""
    least_red_cell_px: float = Field(default=24.0, gt=0)
    """Diameter of a red cell, in pixels of a field, below which no shape is named."""
    least_focus: float = Field(default=0.12, ge=0)
    """Focus of a field below which no shape is named."""
    seed: int = 0
    limits: tuple[str, ...] = ()
