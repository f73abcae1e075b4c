"""Measurements of the picture of one cell: light, colour, stains, size and shape."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from math import nan
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from leukopy.imaging.morphology import morphology
from leukopy.imaging.segmentation import segment
from leukopy.imaging.stains import deconvolve


class Feature(NamedTuple):
    """One measured number."""

    name: str
    title: str
    unit: str


FEATURES: tuple[Feature, ...] = (
    Feature("luminance", "luminance", "% of white"),
    Feature("brightness", "brightness", "L*, 0 to 100"),
    Feature("red", "mean red", "0 to 255"),
    Feature("green", "mean green", "0 to 255"),
    Feature("blue", "mean blue", "0 to 255"),
    Feature("stain_nuclear", "nuclear stain", "optical density"),
    Feature("stain_eosin", "eosin", "optical density"),
    Feature("stain_residual", "residual", "optical density"),
    Feature("nucleus_area", "nucleus area", "% of the picture"),
    Feature("cell_area", "cell area", "% of the picture"),
    Feature("nucleus_to_cytoplasm", "nucleus/cytoplasm", "ratio of areas"),
    Feature("nucleus_to_cell", "nucleus/cell", "ratio of areas"),
    Feature("cell_roundness", "cell roundness", "1 is a disc"),
    Feature("nucleus_roundness", "nucleus roundness", "1 is a disc"),
    Feature("nucleus_lobes", "lobes of the nucleus", "count"),
    Feature("nucleus_solidity", "nucleus solidity", "1 is convex"),
)
"""In the order of `measure_cell`."""

LIGHT = ("luminance", "brightness")
COLOURS = ("red", "green", "blue")
STAINS = ("stain_nuclear", "stain_eosin", "stain_residual")
SHAPES = (
    "cell_area", "nucleus_area", "nucleus_to_cytoplasm", "nucleus_to_cell", "cell_roundness", "nucleus_roundness",
    "nucleus_lobes", "nucleus_solidity",
)  # fmt: skip

_REC709 = np.array([0.2126, 0.7152, 0.0722])
_SRGB = np.arange(256) / 255
_LINEAR = np.where(_SRGB <= 0.04045, _SRGB / 12.92, ((_SRGB + 0.055) / 1.055) ** 2.4)
"""Light of each of the 256 levels of sRGB (IEC 61966-2-1), 0 to 1."""
_LIGHT = _REC709[:, None] * _LINEAR
"""Share of each channel's levels (3, 256) in the luminance."""


def measure_cell(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Measure a cell.

    Args:
        pixels: uint8 (H, W, 3), RGB, centred on the cell.

    Returns:
        One number for each of ``FEATURES``; not-a-number where undefined.
    """
    light = luminance(pixels)
    found = {
        "luminance": 100 * float(light.mean()),
        "brightness": float(lightness(light).mean()),
        **dict(zip(COLOURS, _means(pixels), strict=True)),
        **dict(zip(STAINS, _means(deconvolve(pixels)), strict=True)),
        **_shape(pixels),
    }
    return np.array([found[feature.name] for feature in FEATURES], dtype=np.float32)


def _means(planes: NDArray[np.generic]) -> list[float]:
    """Mean of each channel of (H, W, 3)."""
    return [float(np.ascontiguousarray(planes[..., channel]).mean()) for channel in range(3)]


def _shape(pixels: NDArray[np.uint8]) -> dict[str, float]:
    """Size and shape of the cell in the middle; all not-a-number where none was found."""
    masks = segment(pixels)
    if not masks.cell.any():
        return dict.fromkeys(SHAPES, nan)
    shape = asdict(morphology(pixels, masks))
    areas = {name: 100 * shape[name] / masks.cell.size for name in ("nucleus_area", "cell_area")}
    return shape | areas


def named(names: Sequence[str]) -> list[Feature]:
    """The features of these names, in this order."""
    known = {feature.name: feature for feature in FEATURES}
    return [known[name] for name in names]


def luminance(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """CIE 1931 relative luminance Y of sRGB pixels (..., 3), 0 (black) to 1 (white), with Rec. 709 weights."""
    red, green, blue = (np.take(_LIGHT[channel], pixels[..., channel]) for channel in range(3))
    return np.asarray(red + green + blue)


def lightness(light: NDArray[np.float64]) -> NDArray[np.float64]:
    """CIE 1976 lightness L* of relative luminances, 0 to 100: equal steps look equal."""
    return np.where(light > (6 / 29) ** 3, 116 * np.cbrt(light) - 16, (29 / 3) ** 3 * light)
