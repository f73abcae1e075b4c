"""Overview: a whole picture in few pixels, from which `leukopy.imaging.content` detects its content."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIDE = 64
"""Pixels along a side."""


def overview(picture: Image.Image) -> NDArray[np.uint8]:
    """The whole of an RGB picture as uint8 (SIDE, SIDE, 3), its sides stretched to a square.

    It is reduced by a whole factor, then sampled: half the time of an antialiased resize.
    """
    factor = max(1, min(picture.size) // SIDE)
    small = picture.reduce(factor) if factor > 1 else picture
    return np.asarray(small.resize((SIDE, SIDE), Image.Resampling.NEAREST))
