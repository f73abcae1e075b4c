"""One cell of an exploration: its measures, and a small picture."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from leukopy.imaging.decode import read_cell
from leukopy.imaging.measures import measure_cell
from leukopy.imaging.preprocess import Preprocess

SIDE = 128
"""Pixels of the centred square that is measured."""
PICTURE_SIDE = 96
"""Pixels of the small picture."""

_SPEC = Preprocess(size=SIDE)


@dataclass(frozen=True, eq=False)
class Measured:
    """One cell, measured."""

    width: int
    """Pixels, as stored."""
    height: int
    values: NDArray[np.float32]
    """One number for each of ``FEATURES``; not-a-number where the cell has none."""
    picture: bytes
    """JPEG of the centred square, ``PICTURE_SIDE`` pixels wide and high."""


def measure(path: Path) -> Measured:
    """Read one image of a cell and measure it.

    Raises:
        ImageError: it cannot be read.
    """
    cell = read_cell(path, _SPEC)
    return Measured(cell.width, cell.height, measure_cell(cell.pixels), _jpeg(cell.pixels))


def _jpeg(pixels: NDArray[np.uint8]) -> bytes:
    small = Image.fromarray(pixels).resize((PICTURE_SIDE, PICTURE_SIDE), Image.Resampling.BILINEAR)
    stream = BytesIO()
    small.save(stream, "JPEG", quality=85)
    return stream.getvalue()
