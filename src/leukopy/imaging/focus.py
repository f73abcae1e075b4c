"""One picture from several focus planes: the sharpest, or a fusion of all."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import numpy as np
import scipy  # its parts load on first use
from numpy.typing import NDArray

from leukopy.core.errors import InputError

Focus = Literal["sharpest", "fused"]
"""How focus planes become one picture."""

_SOFT = 1.0
"""Pixels over which a plane is smoothed before its Laplacian, against the noise of the camera."""
_AROUND = 6.0
"""Pixels over which the sharpness of a plane is averaged before planes are compared."""


def sharpness_map(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Local energy of the Laplacian of green, shape (height, width): the sum-modified-Laplacian of Nayar and Nakagawa
    (1994) in its Gaussian form.

    Args:
        pixels: (height, width, 3), RGB.
    """
    edges = scipy.ndimage.gaussian_laplace(pixels[..., 1].astype(np.float32), _SOFT)
    return np.asarray(scipy.ndimage.gaussian_filter(edges * edges, _AROUND), np.float32)


def merge_planes(planes: Iterable[NDArray[np.uint8]], focus: Focus, where: str) -> NDArray[np.uint8]:
    """One picture of focus planes; two planes are held at a time.

    Args:
        planes: (height, width, 3) each, RGB.
        focus: ``sharpest``: the plane with the largest mean sharpness; ``fused``: each pixel from the plane that is
            sharpest around it.
        where: the file's name in messages.

    Raises:
        InputError: planes of different sizes.
    """
    found: NDArray[np.uint8] | None = None
    best: NDArray[np.float32] | None = None
    for plane in planes:
        sharp = sharpness_map(plane)
        if found is None or best is None:
            found, best = plane, sharp
            continue
        if plane.shape != found.shape:
            raise InputError(f"{where}: its focus planes differ in size. Read its pages as fields.")
        if focus == "sharpest":
            if sharp.mean() > best.mean():
                found, best = plane, sharp
            continue
        here = sharp > best
        found = np.where(here[..., None], plane, found)
        best = np.maximum(sharp, best)
    if found is None:
        raise InputError(f"{where}: holds no focus plane. Check the file.")
    return found
