"""State of a smear at middle power: area covered by cells, crowding of the red cells, and their size.

The light absorbed in green is compared with the empty glass of the whole slide, and cells are told from glass by one
threshold for the slide (Otsu, IEEE Trans Syst Man Cybern 1979, on squares that show both).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import scipy  # its parts load on first use
import skimage  # its parts load on first use
from numpy.typing import NDArray

LOOK_PX = 7.0
"""Diameter of a red cell, in pixels, from which a smear is measured."""

_CLUSTER = 2.5
"""Red cells, by area, from which touching cells count as a cluster."""
_DUST = 0.3
"""Red cells, by area, below which an object is a platelet or dust."""
_PALLOR = 0.25
"""Red cells, by area, up to which a hole is the pallor of a cell."""
_DENSEST = 0.5
"""Optical density beyond which all is alike: nuclei do not move the threshold."""
_FAINTEST = 0.02
"""Least optical density of a cell."""
_BOTH = (0.03, 0.97)
"""Share of a square that cells cover where it shows cells and glass."""
_PARTS = 4
"""Parts of each side of a square whose cover is compared."""
_MEMBRANE = 1.3
"""Largest ratio of the sides of a single round cell."""
_ROUND = (0.68, 0.88)
"""Area of a single round cell as a share of its box; a disc has .785."""

Pixels = NDArray[np.uint8]
Mask = NDArray[np.bool_]


class SmearLevels(NamedTuple):
    """What is glass and what is cell on one slide."""

    glass: float
    """Level of the empty glass in green, 0 to 255."""
    threshold: float
    """Optical density (decadic) from which a pixel shows a cell."""


class SmearState(NamedTuple):
    """State of one square of a smear."""

    cover: float
    """Share of the square that cells cover."""
    touching: float
    """Share of the cells, by area, in clusters of more than 2.5 red cells; 0 without cells."""
    uneven: float
    """Distance between the quartiles of the cover of 16 equal parts: large where the smear ends in the square."""


def find_levels(squares: Sequence[Pixels]) -> SmearLevels | None:
    """Levels of a slide from squares (height, width, 3) all over it; None where all are empty.

    Pure white is where a scanner saw nothing, and is not glass.
    """
    greens = [square[..., 1][(square < 255).any(axis=2)] for square in squares]
    seen = [green for green in greens if green.size]
    if not seen:
        return None
    glass = max(1.0, float(np.percentile([np.percentile(green, 95) for green in seen], 75)))
    found = []
    for green in seen:
        density = np.clip(_density(green, glass), 0, _DENSEST)
        threshold = float(skimage.filters.threshold_otsu(density)) if np.ptp(density) else 0.0  # type: ignore[no-untyped-call]
        if threshold >= _FAINTEST and _BOTH[0] <= float((density > threshold).mean()) <= _BOTH[1]:
            found.append(threshold)
    return SmearLevels(glass, float(np.percentile(found, 10))) if found else None


def measure_smear(pixels: Pixels, red_cell_px: float, levels: SmearLevels) -> SmearState:
    """Measure a square.

    Args:
        pixels: (height, width, 3), RGB, where a red cell measures about ``LOOK_PX``.
        red_cell_px: diameter of a red cell.
        levels: of the slide.
    """
    one = np.pi / 4 * red_cell_px**2
    cells = _cells(pixels, levels, _PALLOR * one)
    areas = np.bincount(scipy.ndimage.label(cells)[0].ravel())[1:]
    whole = areas[areas > _DUST * one].sum()
    touching = float(areas[areas > _CLUSTER * one].sum() / whole) if whole else 0.0
    parts = [part.mean() for rows in np.array_split(cells, _PARTS) for part in np.array_split(rows, _PARTS, axis=1)]
    lower, upper = np.percentile(parts, (25, 75))
    return SmearState(float(cells.mean()), touching, float(upper - lower))


def single_cells(pixels: Pixels, levels: SmearLevels) -> NDArray[np.float64]:
    """Diameters (n,), in pixels, of the round objects that touch neither another nor the border."""
    height, width = pixels.shape[:2]
    cells = scipy.ndimage.binary_fill_holes(_cells(pixels, levels, 0))
    labels, _ = scipy.ndimage.label(cells)
    areas = np.bincount(labels.ravel())[1:]
    found = []
    for area, (rows, columns) in zip(areas, scipy.ndimage.find_objects(labels), strict=True):
        high, wide = rows.stop - rows.start, columns.stop - columns.start
        at_border = rows.start == 0 or columns.start == 0 or rows.stop == height or columns.stop == width
        alike = max(high, wide) <= _MEMBRANE * min(high, wide)
        if not at_border and alike and _ROUND[0] < area / (high * wide) < _ROUND[1]:
            found.append(2 * np.sqrt(area / np.pi))
    return np.array(found, np.float64)


def typical_diameter(diameters: NDArray[np.float64]) -> float:
    """Median of diameters (n,), n > 0, weighted by area: platelets and dust count little."""
    ordered = np.sort(diameters)
    weight = np.cumsum(ordered**2)
    return float(ordered[np.searchsorted(weight, weight[-1] / 2)])


def _density(green: NDArray[np.uint8], glass: float) -> NDArray[np.float32]:
    return np.take(np.log10(glass / np.maximum(np.arange(256), 1)).astype(np.float32), green)


def _cells(pixels: Pixels, levels: SmearLevels, largest_hole: float) -> Mask:
    """Pixels of cells, holes up to ``largest_hole`` pixels filled."""
    cells = scipy.ndimage.binary_opening(_density(pixels[..., 1], levels.glass) > levels.threshold)
    if largest_hole:
        labels, _ = scipy.ndimage.label(~cells)
        small = np.bincount(labels.ravel()) <= largest_hole
        small[0] = False
        cells |= small[labels]
    return np.asarray(cells)
