"""Optical density of objects on a field: how much light of each colour they absorb."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_SIDE = 128
"""Least side, in pixels, of the reduced picture that is measured."""
_PLACES = np.array([(0, 0), (-1, 0), (1, 0), (0, -1), (0, 1)]) / 4
"""Places inside a box, from its centre, in units of its sides."""
_GLASS = 95
"""Percentile of the picture's levels that is the light without a cell."""


class OpticalDensity:
    """Measures boxes of one picture, of which it keeps a reduced copy."""

    def __init__(self, pixels: NDArray[np.uint8]) -> None:
        """
        Args:
            pixels: (height, width, 3), RGB.
        """
        height, width = pixels.shape[:2]
        self._factor = max(1, min(height, width) // _SIDE)
        self._levels = np.asarray(Image.fromarray(np.ascontiguousarray(pixels)).reduce(self._factor))
        self._glass = np.percentile(self._levels.reshape(-1, 3), _GLASS, axis=0)

    def of(self, boxes: NDArray[np.float32]) -> NDArray[np.float64]:
        """Decadic optical density of boxes (n, 4: left, top, width, height) in red, green and blue: (n, 3)."""
        places = (boxes[:, None, :2] + boxes[:, None, 2:] * (0.5 + _PLACES)) / self._factor
        rows, columns = (places[..., axis].astype(int).clip(0, self._levels.shape[1 - axis] - 1) for axis in (1, 0))
        density = np.log10((self._glass + 1) / (self._levels[rows, columns].mean(axis=1) + 1))
        return np.asarray(density)
