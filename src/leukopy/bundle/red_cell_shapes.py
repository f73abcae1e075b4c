"""Bundles of kind red_cell_shapes: a network that names the shapes of red cells, and its card."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from leukopy.bundle.field_bundles import FieldBundle, FieldCard, bundled, open_field_bundle
from leukopy.core.errors import BundleError
from leukopy.core.settings import Settings
from leukopy.taxonomy.red_cell_shapes import SHAPE_NAMES

_SHELF = "red_cell_shapes"


class ShapeRule(Settings):
    """Decision on one shape, set on validation cells."""

    least_probability: float = Field(ge=0, le=1)
    """A cell whose likeliest shape has a lower probability is left unsure."""
    found: float = Field(ge=0, le=1)
    """Share of the cells of this shape that are named so."""
    false: float = Field(ge=0, le=1)
    """Share of normal cells that are named so; for ``normal``, of all other cells."""
    f1: float = Field(ge=0, le=1)
    """Without the threshold."""
    graded: bool
    """False for a shape that is told from others too poorly: it is counted, and has no grade."""


class RedCellShapesCard(FieldCard):
    """Card of a network for shapes of red cells.

    Its network has the input ``images``: uint8 (N, S, S, 3), as `fields.red_cell_crops` cuts them; and the outputs
    ``logits``: (N, K), and ``distance``: (N,), squared Mahalanobis distance from the training cells of the nearest
    shape.
    """

    kind: Literal["red_cell_shapes"]
    shapes: tuple[str, ...] = Field(min_length=2)
    """In the order of the network's outputs."""
    temperature: float = Field(gt=0)
    """Probabilities are softmax(logits / temperature), fitted on validation cells."""
    far: float = Field(ge=0)
    """Distance above which a cell is unlike the training cells, and left unsure."""
    rules: dict[str, ShapeRule]
    """Shape -> its decision."""
    least_red_cell_px: float = Field(gt=0)
    """Diameter of a red cell, in pixels of the field, below which no shape is named."""
    least_focus: float = Field(ge=0)
    """Focus of a field (`fields.quality.FieldQuality`) below which no shape is named."""


RedCellShapesBundle = FieldBundle[RedCellShapesCard]


def bundled_red_cell_shapes() -> list[str]:
    """Names of the bundles that ship with the package."""
    return bundled(_SHELF)


def open_red_cell_shapes(name: str | Path = "default") -> RedCellShapesBundle:
    """Open a bundle and check that it is complete.

    Args:
        name: of a bundle that ships with the package, or its folder.

    Raises:
        BundleError: absent, broken, changed since it was written, or made for other shapes.
    """
    opened = open_field_bundle(name, _SHELF, RedCellShapesCard, "network for shapes of red cells")
    if opened.card.shapes != SHAPE_NAMES or set(opened.card.rules) != set(SHAPE_NAMES):
        raise BundleError(f"{name}: made for other shapes. Train it again with this version of leukopy.")
    return opened
