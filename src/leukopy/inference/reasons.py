"""Reasons why a cell is unidentified, from cheap measures of its picture: some 3 ms for each such cell on one core.

The cheap tests come first. The dye in the middle shows the presence of a cell; its finest detail shows
focus. The whole cell is segmented, in four times the time, only where other dyed parts exist (in 1 picture of a single
cell in 20), to test if they lie outside it: an image of two cells takes 10 ms.

The limits were set on 150 cells of each of PBC Barcelona (validation), Raabin, Chula and BCISC, and on the same cells
blurred, paired and cut away. Of 100 further cells of each, in this order: 100, 100, 86 and 100 % of the blurred cells
are reported out of focus; two cells are detected in 73, 67, 23 and 70 % of their pictures; no cell is reported in 80,
38, 85 and 86 % of enlarged corners (the rest hold red cells that resemble dyed nuclei). Of 1,821 sharp cells (among
them those above), 11 are reported as no cell, 10 of them Chula's, and 16 as several: 15 of these hold a part of another
cell.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import scipy  # its parts load on first use
from numpy.typing import NDArray
from PIL import Image

from leukopy.imaging.segmentation import Mask, Plane, dyed_middle, segment

NO_CELL, OUT_OF_FOCUS, SEVERAL = "no cell", "out of focus", "two cells or more"
UNLIKE = "unlike every class"
"""Reason for a good picture: a class unknown to the model, or an artefact."""

_SIDE = 96
"""Short side, in pixels, of the measured picture; lengths below are in these pixels."""
_BLURRED = 0.19
"""Least deviation of the finest detail against coarser detail: all of 1,821 sharp cells exceed it. Cells blurred by a
Gaussian of 2 pixels or more, at a short side of 112, are below it, except one in ten of Chula's."""
_SECOND = 0.33
"""Area of the largest nucleus outside the cell, in units of the cell's nucleus. The lobes of one nucleus reached .32 in
2 of 1,821 cells."""


def reasons(pictures: Sequence[Image.Image | None], threads: int) -> list[str | None]:
    """The reason for each RGB picture, on several threads; None for None."""
    found: list[str | None] = [None] * len(pictures)
    given = [(row, picture) for row, picture in enumerate(pictures) if picture is not None]
    with ThreadPoolExecutor(threads, thread_name_prefix="leukopy") as pool:
        for row, said in pool.map(lambda one: (one[0], reason(np.asarray(one[1]))), given):
            found[row] = said
    return found


def reason(picture: NDArray[np.uint8]) -> str:
    """Reason why a cell may be unidentified: the first true one of ``NO_CELL``, ``OUT_OF_FOCUS``, ``SEVERAL``,
    ``UNLIKE``.

    Args:
        picture: uint8 (H, W, 3), RGB, centred on the supposed cell.
    """
    height, width = picture.shape[:2]
    scale = _SIDE / min(height, width)
    size = (round(width * scale), round(height * scale))
    small = np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BILINEAR))
    levels = small.astype(np.float32)
    # The densities omit the glass: it adds the same to all pixels, and only differences are used.
    dye = scipy.ndimage.gaussian_filter(np.log10((levels[..., 2] + 1) / (levels[..., 1] + 1)), 0.75)
    nucleus = dyed_middle(dye)
    if not nucleus.any():
        return NO_CELL
    if _sharpness(levels.sum(axis=-1)) < _BLURRED:
        return OUT_OF_FOCUS
    return SEVERAL if _several(small, dye, nucleus) else UNLIKE


def _sharpness(grey: Plane) -> float:
    """Detail of 1 pixel against detail of 1 to 4 pixels: defocus removes the finest detail first.

    Measured in grey levels: optical density is coarse in a dark channel and resembles detail.
    """
    soft = scipy.ndimage.gaussian_filter(grey, 1)
    coarse = soft - scipy.ndimage.gaussian_filter(grey, 4)
    return float((grey - soft).std() / (coarse.std() + 1e-6))


def _several(picture: NDArray[np.uint8], dye: Plane, nucleus: Mask) -> bool:
    """True where a nucleus lies outside the cell; the cell is first taken as its nucleus alone."""
    if _second(dye, nucleus, nucleus) <= _SECOND:
        return False
    masks = segment(picture)
    return bool(masks.nucleus.any()) and _second(dye, masks.nucleus, masks.cell) > _SECOND


def _second(dye: Plane, nucleus: Mask, cell: Mask) -> float:
    """Area of the largest dyed part outside the cell, in units of its nucleus."""
    if cell.all():
        return 0.0
    ground = np.median(dye[~cell])
    dyed = dye > ground + 0.6 * (np.median(dye[nucleus]) - ground)
    outside = dyed & ~scipy.ndimage.binary_dilation(cell, iterations=2)
    labels, _ = scipy.ndimage.label(scipy.ndimage.binary_opening(outside, iterations=2))
    largest = np.bincount(labels.ravel())[1:].max(initial=0)
    return float(largest / nucleus.sum())
