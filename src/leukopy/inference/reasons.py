"""Why a cell is unidentified, in words, from cheap measures of its picture: some 20 ms for each such cell.

The limits were set on 150 validation cells of each of PBC Barcelona, Raabin, Chula and BCISC, and on the same cells
blurred, paired and cut away.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from leukopy.core.errors import ImageError
from leukopy.imaging.decode import read_image
from leukopy.imaging.segmentation import Masks, segment
from leukopy.imaging.stains import density_against_glass

NO_CELL, OUT_OF_FOCUS, SEVERAL = "no cell", "out of focus", "two cells or more"
UNLIKE = "unlike every class"
"""What is said where the picture itself is good: a class that the model does not know, or an artefact."""

_SIDE = 128
"""Short side, in pixels, of the picture that is measured."""
_BLURRED = 0.16
"""Deviation of the finest detail against that of coarser detail. Of 600 sharp cells the least had .18; cells blurred
by a Gaussian of 2 pixels had .15 at most."""
_SECOND = 0.4
"""Area of the largest nucleus outside the cell, in units of its own: of single cells 1 in 100 has more."""


def reasons(paths: Sequence[Path | None], threads: int) -> list[str | None]:
    """The reason for each picture, on several threads; None for None."""
    if not any(paths):
        return [None] * len(paths)
    with ThreadPoolExecutor(threads, thread_name_prefix="leukopy") as pool:
        return list(pool.map(lambda path: None if path is None else _of_file(path), paths))


def reason(picture: NDArray[np.uint8]) -> str:
    """Why a cell may be unidentified: the first that holds of ``NO_CELL``, ``OUT_OF_FOCUS``, ``SEVERAL``, ``UNLIKE``.

    Args:
        picture: uint8 (H, W, 3), RGB, centred on what should be a cell.
    """
    height, width = picture.shape[:2]
    scale = _SIDE / min(height, width)
    size = (round(width * scale), round(height * scale))
    small = np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BILINEAR))
    masks = segment(small)
    if not masks.cell.any():
        return NO_CELL
    density = density_against_glass(small)
    if _sharpness(density.mean(axis=-1)) < _BLURRED:
        return OUT_OF_FOCUS
    if _second_nucleus(density[..., 1] - density[..., 2], masks) > _SECOND:
        return SEVERAL
    return UNLIKE


def _of_file(path: Path) -> str:
    try:
        return reason(read_image(path, short_side=_SIDE))
    except ImageError:  # it was read a moment ago; gone since, it can only be told by what the network saw
        return UNLIKE


def _sharpness(grey: NDArray[np.float32]) -> float:
    """Detail of 1 pixel against detail of 1 to 4 pixels: a lens out of focus takes the finest first."""
    soft = ndimage.gaussian_filter(grey, 1)
    coarse = soft - ndimage.gaussian_filter(grey, 4)
    return float((grey - soft).std() / (coarse.std() + 1e-6))


def _second_nucleus(dye: NDArray[np.float32], masks: Masks) -> float:
    """Area of the largest dyed part outside the cell, in units of the cell's nucleus; 0 where it has none."""
    if not masks.nucleus.any() or masks.cell.all():
        return 0.0
    soft = ndimage.gaussian_filter(dye, 1)
    ground = np.median(soft[~masks.cell])
    limit = ground + 0.6 * (np.median(soft[masks.nucleus]) - ground)
    outside = (soft > limit) & ~ndimage.binary_dilation(masks.cell, iterations=2)
    labels, _ = ndimage.label(ndimage.binary_opening(outside, iterations=2))
    largest = np.bincount(labels.ravel())[1:].max(initial=0)
    return float(largest / masks.nucleus.sum())
