"""Smooth random textures, cut from cached tiles so that a cell costs milliseconds."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Plane = NDArray[np.float32]

_SIDE = 256


@lru_cache(maxsize=96)
def _tile(step: int) -> Plane:
    """Unit-variance band-passed Gaussian noise that wraps round; ``step`` counts eighths of an octave of scale."""
    sigma = 2.0 ** (step / 8)
    white = np.random.default_rng(step + 1000).standard_normal((_SIDE, _SIDE), dtype=np.float32)
    fine = ndimage.gaussian_filter(white, sigma, mode="wrap")
    coarse = ndimage.gaussian_filter(white, 2 * sigma, mode="wrap")
    band = fine - coarse
    return (band / band.std()).astype(np.float32)


def texture(shape: tuple[int, int], scale: float, rng: np.random.Generator) -> Plane:
    """Noise of mean 0 and variance 1 whose blobs have a standard radius of ``scale`` pixels, shape ``shape``.

    It repeats after 256 pixels, which is more than any cell spans.
    """
    step = round(8 * np.log2(np.clip(scale, 0.4, 40.0)))
    tile = _tile(int(step))
    if rng.random() < 0.5:
        tile = tile.T
    top, left = (int(value) for value in rng.integers(0, _SIDE, 2))
    rows = np.arange(top, top + shape[0]) % _SIDE
    columns = np.arange(left, left + shape[1]) % _SIDE
    return tile[rows[:, None], columns]
