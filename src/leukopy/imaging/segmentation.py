"""Nucleus and whole cell in a crop that is centred on one cell."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.filters import threshold_otsu

from leukopy.imaging.stains import deconvolve, glass

Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Masks:
    """Where the centred cell is."""

    nucleus: Mask
    """(H, W), inside ``cell``; empty for a platelet."""
    cell: Mask
    """(H, W), nucleus and cytoplasm; empty where no cell was found."""


def segment(picture: NDArray[np.uint8]) -> Masks:
    """Find the nucleus and the whole of the cell in the middle of a crop.

    Args:
        picture: uint8 (H, W, 3), RGB.

    Returns:
        Masks of the picture's height and width; both empty where there is no cell.
    """
    amount = deconvolve(picture)[..., 0]
    if np.ptp(amount) < 0.1:
        nothing = np.zeros(picture.shape[:2], dtype=bool)
        return Masks(nothing, nothing.copy())
    nucleus = amount > threshold_otsu(amount)
    cell = ndimage.binary_fill_holes(ndimage.binary_dilation(nucleus, iterations=max(1, len(picture) // 40)))
    return Masks(nucleus, cell)


def remove_background(picture: NDArray[np.uint8], masks: Masks) -> NDArray[np.uint8]:
    """Paint all that is outside the cell in the colour of the picture's own empty glass.

    White would put a hard edge round every cell and, in a picture with a colour cast, would tell the laboratory
    instead of hiding it.

    Args:
        picture: uint8 (H, W, 3), RGB.
        masks: of the same height and width. Where no cell was found, the picture comes back as it is.

    Returns:
        uint8 (H, W, 3).
    """
    if not masks.cell.any():
        return picture.copy()
    colour = np.rint(glass(picture)).astype(np.uint8)
    return np.where(masks.cell[..., None], picture, colour)
