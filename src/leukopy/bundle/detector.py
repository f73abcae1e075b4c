"""Bundles of kind detector: a network that finds cells on fields, and its card."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from leukopy.bundle.field_bundles import FieldBundle, FieldCard, bundled, open_field_bundle
from leukopy.core.errors import BundleError
from leukopy.taxonomy.objects import OBJECTS

_SHELF = "detectors"


class DetectorCard(FieldCard):
    """Card of a detector.

    Its network has the input ``images``: uint8 (N, H, W, 3); and the outputs ``scores``: (N, K, h, w), 0 off the peaks,
    and ``sides``: (N, K, 4, h, w), pixels from the middle of a cell of the map to left, top, right and bottom.
    """

    kind: Literal["detector"]
    kinds: tuple[str, ...] = Field(min_length=1)
    """In the order of the network's outputs."""
    red_cell_px: float = Field(gt=0)
    """Diameter of a red cell, in pixels, to which a field is scaled."""
    stride: int = Field(ge=1)
    """Pixels of the input per cell of the outputs."""
    multiple: int = Field(ge=1)
    """Height and width of the input are multiples of this."""
    thresholds: dict[str, float]
    """Kind -> least score of an object that is reported."""


DetectorBundle = FieldBundle[DetectorCard]


def bundled_detectors() -> list[str]:
    """Names of the detectors that ship with the package."""
    return bundled(_SHELF)


def open_detector(name: str | Path = "default") -> DetectorBundle:
    """Open a detector and check that it is complete.

    Args:
        name: of a detector that ships with the package, or the folder of a bundle.

    Raises:
        BundleError: absent, broken, changed since it was written, or made for other kinds of objects.
    """
    opened = open_field_bundle(name, _SHELF, DetectorCard, "detector")
    if opened.card.kinds != OBJECTS or set(opened.card.thresholds) != set(OBJECTS):
        raise BundleError(f"{name}: made for other kinds of objects. Train it again with this version of leukopy.")
    return opened
