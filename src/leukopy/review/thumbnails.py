"""Small pictures of cells for the gallery."""

from __future__ import annotations

from functools import lru_cache
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from leukopy.imaging.decode import read_image
from leukopy.imaging.segmentation import box, find_cell

BROWSERS_READ = frozenset({"image/jpeg", "image/png", "image/bmp", "image/webp", "image/avif"})
"""Media types that every browser shows."""
SMALLEST, LARGEST = 16, 1024
"""Long side, px."""
_CACHED_UP_TO = 320
_CACHED = 4096
"""Pictures kept in memory: at some 6 to 15 kB each, those of several large slides."""
_MARGIN = 1.15
"""Side of a picture that is cropped to its cell, in longest sides of the cell."""


def thumbnail(path: Path, side: int, cropped: bool = False) -> bytes:
    """A JPEG of a stored picture, never enlarged.

    Args:
        path: where the picture lies; under a path there is always the same picture, since it is its digest.
        side: most pixels of its long side.
        cropped: show the square around the cell in the middle, where one is found; else the whole picture.

    Raises:
        ImageError: the file is no longer readable.
    """
    return _cached(path, side, cropped) if side <= _CACHED_UP_TO else _made(path, side, cropped)


def displayable(path: Path) -> bytes:
    """A stored picture as PNG, whole and at its size: for browsers that do not read its kind.

    Raises:
        ImageError: the file is no longer readable.
    """
    stream = BytesIO()
    Image.fromarray(read_image(path)).save(stream, "PNG", compress_level=3)
    return stream.getvalue()


def _made(path: Path, side: int, cropped: bool) -> bytes:
    picture = _cell(read_image(path)) if cropped else Image.fromarray(read_image(path, short_side=side))
    picture.thumbnail((side, side))
    stream = BytesIO()
    picture.save(stream, "JPEG", quality=85)
    return stream.getvalue()


def _cell(pixels: NDArray[np.uint8]) -> Image.Image:
    """The square around the cell in the middle of a picture; the whole picture where no cell is found."""
    mask = find_cell(pixels)
    if not mask.any():
        return Image.fromarray(pixels)
    rows, columns = box(mask)
    reach = _MARGIN * max(rows.stop - rows.start, columns.stop - columns.start) / 2
    middle = ((columns.start + columns.stop) / 2, (rows.start + rows.stop) / 2)
    left, upper = (max(0, round(place - reach)) for place in middle)
    right, lower = (
        min(most, round(place + reach)) for place, most in zip(middle, reversed(pixels.shape[:2]), strict=True)
    )
    return Image.fromarray(pixels[upper:lower, left:right])


_cached = lru_cache(maxsize=_CACHED)(_made)
