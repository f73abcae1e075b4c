"""The mean cell of each class and source, and how its light changes from the centre outwards."""

from __future__ import annotations

from dataclasses import dataclass, field
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from leukopy.explore.features import PICTURE_SIDE
from leukopy.imaging.measures import luminance

RINGS = 32
"""Rings between the centre and the nearest edge of the picture."""

_OFFSETS = (np.arange(PICTURE_SIDE) + 0.5) / PICTURE_SIDE * 2 - 1
_RING = np.minimum((np.hypot(*np.meshgrid(_OFFSETS, _OFFSETS)) * RINGS).astype(int), RINGS).ravel()
"""The ring of each pixel; the corners, which are farther than the edges, share one more that is not used."""
_PIXELS = np.bincount(_RING)[:RINGS]

RADII = (np.arange(RINGS) + 0.5) / RINGS * 100
"""Middle of each ring, % of the way from the centre to the edge."""


@dataclass(eq=False)
class MeanCell:
    """Sums over the cells of one class and source; memory does not grow with their number."""

    cells: int = 0
    _colour: NDArray[np.float64] = field(default_factory=lambda: np.zeros((PICTURE_SIDE, PICTURE_SIDE, 3)))
    _profile: NDArray[np.float64] = field(default_factory=lambda: np.zeros(RINGS))
    _squares: NDArray[np.float64] = field(default_factory=lambda: np.zeros(RINGS))

    def add(self, pixels: NDArray[np.uint8]) -> None:
        """Take one cell in: uint8 (``PICTURE_SIDE``, ``PICTURE_SIDE``, 3)."""
        profile = radial_profile(pixels)
        self.cells += 1
        self._colour += pixels
        self._profile += profile
        self._squares += profile**2

    @property
    def picture(self) -> NDArray[np.uint8]:
        """The mean cell."""
        return np.rint(self._colour / self.cells).astype(np.uint8)

    @property
    def profile(self) -> NDArray[np.float64]:
        """Mean luminance of each ring, % of white."""
        return self._profile / self.cells

    @property
    def deviation(self) -> NDArray[np.float64]:
        """Standard deviation of each ring's luminance from cell to cell."""
        return np.sqrt(np.maximum(self._squares / self.cells - self.profile**2, 0))


def radial_profile(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Mean luminance (% of white) in each of ``RINGS`` rings around the centre, shape (RINGS,)."""
    light = luminance(pixels).ravel()
    profile: NDArray[np.float64] = 100 * np.bincount(_RING, light)[:RINGS] / _PIXELS
    return profile


def unpack(picture: bytes) -> NDArray[np.uint8]:
    """The pixels of a small picture, uint8 (PICTURE_SIDE, PICTURE_SIDE, 3)."""
    return np.array(Image.open(BytesIO(picture)))
