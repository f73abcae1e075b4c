"""Pictures of single cells, cut out of a field at the scale of the classifier's training cells."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

RED_CELLS_ACROSS = 4.56
"""Side of a cell's picture, in diameters of a red cell: 360 pixels in PBC Barcelona, where 3,153 whole red cells on 498
pictures of TXL-PBC have a median diameter of 79 pixels."""

_LEUKOCYTE = 1.6
"""Usual diameter of a leukocyte in diameters of a red cell, for fields without a measurable red cell."""


def red_cell_px_from(leukocytes: NDArray[np.float32]) -> float:
    """Rough diameter of a red cell, in pixels, from the boxes of leukocytes (n, 4), n > 0."""
    return float(np.median(leukocytes[:, 2:].mean(axis=1))) / _LEUKOCYTE


def whole_centres(boxes: NDArray[np.float32], sides: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Centres (n, 2: x, y) of whole cells.

    Args:
        boxes: (n, 4), left, top, width and height in pixels of the field.
        sides: (n, 4), true where the left, upper, right or lower side lies on the border: beyond it the cell is taken
            to go on until it is as wide as high.
    """
    upper_left, size = boxes[:, :2].astype(np.float64), boxes[:, 2:].astype(np.float64)
    reach = size.max(axis=1, keepdims=True) / 2
    before, after = sides[:, :2], sides[:, 2:]
    return np.select(
        [before & ~after, after & ~before], [upper_left + size - reach, upper_left + reach], upper_left + size / 2
    )


def background(pixels: NDArray[np.uint8]) -> tuple[int, int, int]:
    """Red, green and blue of the glass of a field (height, width, 3): the 90th percentiles."""
    step = max(1, min(pixels.shape[:2]) // 100)
    red, green, blue = np.percentile(pixels[::step, ::step].reshape(-1, 3), 90, axis=0).astype(int).tolist()
    return red, green, blue


def cut_out(
    pixels: NDArray[np.uint8], centre: NDArray[np.float64], side: int, short_side: int, beyond: tuple[int, int, int]
) -> Image.Image:
    """The square of a field around a cell.

    Args:
        pixels: (height, width, 3), RGB.
        centre: (2,), x and y in pixels.
        side: of the square, in pixels.
        short_side: sufficient pixels: a larger square is reduced by a whole number, as a JPEG is decoded.
        beyond: colour beyond the border.
    """
    height, width = pixels.shape[:2]
    left, top = (round(float(value) - side / 2) for value in centre)
    inside = pixels[max(top, 0) : max(0, min(top + side, height)), max(left, 0) : max(0, min(left + side, width))]
    if inside.shape[:2] == (side, side):
        picture = Image.fromarray(np.ascontiguousarray(inside))
    else:
        picture = Image.new("RGB", (side, side), beyond)
        if inside.size:
            picture.paste(Image.fromarray(np.ascontiguousarray(inside)), (max(-left, 0), max(-top, 0)))
    step = side // short_side
    return picture.reduce(step) if step > 1 else picture
