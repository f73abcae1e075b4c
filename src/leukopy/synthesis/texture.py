"""Random textures, cut from cached tiles so that a cell costs milliseconds."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import scipy  # its parts load on first use
from numpy.typing import NDArray

Plane = NDArray[np.float32]

_SIDE = 256


def _step(scale: float, per_octave: int) -> int:
    """Round a scale, so that few tiles cover all scales."""
    return round(per_octave * float(np.log2(np.clip(scale, 0.35, 40.0))))


@lru_cache(maxsize=128)
def _noise_tile(step: int) -> Plane:
    """Unit-variance band-passed Gaussian noise that wraps round; ``step`` counts eighths of an octave of scale."""
    sigma = 2.0 ** (step / 8)
    white = np.random.default_rng(step + 1000).standard_normal((_SIDE, _SIDE), dtype=np.float32)
    fine = scipy.ndimage.gaussian_filter(white, sigma, mode="wrap")
    band: Plane = fine - scipy.ndimage.gaussian_filter(white, 2 * sigma, mode="wrap")
    band /= band.std()
    return band


@lru_cache(maxsize=64)
def _granule_tile(step: int) -> tuple[Plane, Plane]:
    """Round granules packed on a jittered lattice that wraps round.

    Returns the share of each pixel inside a granule, and the granule's rank between 0 and 1, which selects it.
    ``step`` counts quarters of an octave of radius.
    """
    radius = 2.0 ** (step / 4)
    rng = np.random.default_rng(step + 2000)
    rows = max(round(_SIDE / (1.75 * radius)), 4)
    lattice = np.stack(np.meshgrid(np.arange(rows), np.arange(rows)), axis=-1).reshape(-1, 2)
    centres = (lattice + rng.uniform(-0.4, 0.4, lattice.shape) + 0.5) * (_SIDE / rows) % _SIDE
    pixels = np.stack(np.meshgrid(np.arange(_SIDE), np.arange(_SIDE)), axis=-1).reshape(-1, 2) + 0.5
    distance, nearest = scipy.spatial.cKDTree(centres, boxsize=_SIDE).query(pixels)
    radii = radius * rng.uniform(0.75, 1.25, len(centres))
    inside = np.clip(0.5 + (radii[nearest] - distance) / max(0.5 * radius, 1.0), 0, 1)
    rank = rng.permutation(len(centres))[nearest] / len(centres)
    return inside.reshape(_SIDE, _SIDE).astype(np.float32), rank.reshape(_SIDE, _SIDE).astype(np.float32)


@lru_cache(maxsize=1)
def _white_tile() -> Plane:
    return np.random.default_rng(3000).standard_normal((1024, 1024), dtype=np.float32)


def _cut(
    shape: tuple[int, int], rng: np.random.Generator, side: int = _SIDE
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Indices of a window of a tile, anywhere and either way round; a tile repeats after ``side`` pixels."""
    top, left = (int(value) for value in rng.integers(0, side, 2))
    rows = np.arange(top, top + shape[0])[:, None] % side
    columns = np.arange(left, left + shape[1])[None, :] % side
    return (rows, columns) if rng.random() < 0.5 else (columns, rows)


def white(shape: tuple[int, int], rng: np.random.Generator) -> Plane:
    """Independent Gaussian noise of mean 0 and variance 1: a sensor's. It repeats after 1024 pixels."""
    return _white_tile()[_cut(shape, rng, 1024)]


def noise(shape: tuple[int, int], scale: float, rng: np.random.Generator) -> Plane:
    """Noise of mean 0 and variance 1 whose blobs have a standard radius of ``scale`` pixels."""
    return _noise_tile(_step(scale, 8))[_cut(shape, rng)]


def granules(shape: tuple[int, int], radius: float, density: float, rng: np.random.Generator) -> Plane:
    """Round granules of about ``radius`` pixels, 0 outside and 1 inside; ``density`` 1 packs them side by side."""
    inside, rank = _granule_tile(_step(radius, 4))
    window = _cut(shape, rng)
    kept: Plane = inside[window] * (rank[window] < density)
    return kept
