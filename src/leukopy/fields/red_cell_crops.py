"""Pictures of single red cells, cut out of a field at one scale and with one colour of the glass."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from leukopy.fields.crops import background

CELL_PX = 40.0
"""Diameter, in pixels of the picture, of a red cell of 7.5 µm."""
SIDE = 60
"""Side of a picture, in pixels: 1.5 red cells."""
_REACH = 0.4
"""Distance of a point from the middle of its cell, in red cells."""
_GLASS = 240
"""Level of the glass in each channel."""


def cut_red_cells(
    pixels: NDArray[np.uint8], centres: NDArray[np.float64], red_cell_px: float, side: int = SIDE
) -> NDArray[np.uint8]:
    """The squares around red cells.

    Args:
        pixels: (height, width, 3), RGB.
        centres: (n, 2), x and y in pixels.
        red_cell_px: pixels of 7.5 µm, or of a usual red cell where the scale is unknown.
        side: of a square, in pixels of the result.

    Returns:
        uint8 (n, side, side, 3).
    """
    scale = CELL_PX / red_cell_px
    size = (max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale)))
    picture = Image.fromarray(np.ascontiguousarray(pixels))
    small = np.asarray(picture.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0))
    levels = np.arange(256)[:, None] * (_GLASS / np.maximum(background(pixels), 60.0))
    table = levels.round().clip(max=255).astype(np.uint8)
    planes = np.stack([np.take(table[:, channel], small[..., channel]) for channel in range(3)], axis=2)
    padded = np.pad(planes, ((side, side), (side, side), (0, 0)), constant_values=_GLASS)
    ratio = np.array(size) / pixels.shape[1::-1]
    corners = np.round(centres * ratio + side / 2).astype(int)
    corners = corners.clip(0, np.array(size) + side)
    found = [padded[top : top + side, left : left + side] for left, top in corners.tolist()]
    return np.stack(found) if found else np.empty((0, side, side, 3), np.uint8)


def recentre(
    points: NDArray[np.float64], boxes: NDArray[np.float32], red_cell_px: float, reach: float = _REACH
) -> NDArray[np.float64]:
    """Points that people set on red cells, moved to the middle of their boxes, as cells are served; shape (n, 2).

    Args:
        points: (n, 2), x and y in pixels.
        boxes: (m, 4) of red cells: left, top, width and height.
        red_cell_px: diameter of a red cell, in pixels.
        reach: in red cells; a point without a box so near stays.
    """
    if not len(boxes) or not len(points):
        return points
    middles = boxes[:, :2].astype(np.float64) + boxes[:, 2:] / 2
    apart = np.hypot(*(points[:, None] - middles[None]).transpose(2, 0, 1))
    nearest = apart.argmin(axis=1)
    near = apart[np.arange(len(points)), nearest] <= reach * red_cell_px
    return np.where(near[:, None], middles[nearest], points)
