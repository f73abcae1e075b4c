"""Boxes of red cells that a source marks with a point alone, from the light that they absorb."""

from __future__ import annotations

import numpy as np
import scipy  # its parts load on first use
import skimage  # its parts load on first use
from numpy.typing import NDArray

_AREA = (0.3, 1.6)
"""Least and largest area of one cell, in usual red cells."""
_SOLID = 0.94
"""Least share of its convex hull that one cell fills; two that overlap leave a notch."""


def boxes_of_points(pixels: NDArray[np.uint8], points: NDArray[np.float32], red_cell_px: float) -> NDArray[np.float32]:
    """Boxes of the cells that lie alone, (m, 4): left, top, width and height, m <= n.

    People set points up to .4 of a cell from its middle, so that a point says which cell is meant, not where it lies.
    Cells are told from glass by one threshold of the field in green (Otsu, IEEE Trans Syst Man Cybern 1979). A cell
    that touches another, the border or a second point has no box.

    Args:
        pixels: (height, width, 3), RGB.
        points: (n, 2), x and y in pixels.
        red_cell_px: diameter of a usual red cell, in pixels.
    """
    cells, count = scipy.ndimage.label(_cells(pixels[..., 1], red_cell_px))
    height, width = cells.shape
    columns, rows = np.clip(np.round(points).astype(int), 0, (width - 1, height - 1)).T
    marked = np.bincount(cells[rows, columns], minlength=count + 1)
    usual = np.pi / 4 * red_cell_px**2
    boxes = []
    for cell, (down, across) in enumerate(scipy.ndimage.find_objects(cells), start=1):
        cut = down.start == 0 or across.start == 0 or down.stop == height or across.stop == width
        if marked[cell] != 1 or cut:
            continue
        shape = cells[down, across] == cell
        alone = _AREA[0] * usual < shape.sum() < _AREA[1] * usual
        if alone and shape.sum() > _SOLID * skimage.morphology.convex_hull_image(shape).sum():  # type: ignore[no-untyped-call]
            boxes.append((across.start, down.start, across.stop - across.start, down.stop - down.start))
    return np.array(boxes, np.float32).reshape(-1, 4)


def _cells(green: NDArray[np.uint8], red_cell_px: float) -> NDArray[np.bool_]:
    """Pixels of cells, without threads between them."""
    density = scipy.ndimage.gaussian_filter(-np.log10(np.maximum(green, 1).astype(np.float32)), red_cell_px / 30)
    dark = density > skimage.filters.threshold_otsu(density)  # type: ignore[no-untyped-call]
    whole = scipy.ndimage.binary_fill_holes(dark)
    opened = scipy.ndimage.binary_opening(whole, iterations=max(1, round(red_cell_px / 16)))
    return np.asarray(opened, np.bool_)
