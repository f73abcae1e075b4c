"""``card.json`` of a detector of cells on fields."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from leukopy.bundle.card import DatasetUse, Metric, ModelFile
from leukopy.core.provenance import RESEARCH_USE_ONLY
from leukopy.core.settings import Settings


class DetectorCard(Settings):
    """Identity of a detector, training data, scale, and metrics."""

    name: str
    title: str
    description: str
    model: ModelFile
    """Input ``images``: uint8 (N, H, W, 3); outputs ``scores``: (N, K, h, w), 0 off the peaks, and ``sides``:
    (N, K, 4, h, w), pixels from the middle of a cell of the map to left, top, right and bottom."""
    kinds: tuple[str, ...] = Field(min_length=1)
    """In the order of the network's outputs."""
    red_cell_px: float = Field(gt=0)
    """Diameter of a red cell, in pixels, to which a field is scaled."""
    stride: int = Field(ge=1)
    """Pixels of the input per cell of the outputs."""
    multiple: int = Field(ge=1)
    """Height and width of the input are multiples of this."""
    trained_on: tuple[DatasetUse, ...] = ()
    metrics: tuple[Metric, ...] = ()
    limits: tuple[str, ...] = ()
    notice: str = RESEARCH_USE_ONLY
    recipe: dict[str, Any] = Field(default_factory=dict)
    provenance: dict[str, Any] = Field(default_factory=dict)
