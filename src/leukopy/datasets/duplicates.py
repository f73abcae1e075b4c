"""Duplicates: copies of a file, and second pictures of the same cell.

Copies have one digest. Second pictures are found in two steps on small grey thumbnails: a perceptual hash (64-bit
DCT hash; Zauner, "Implementation and benchmarking of perceptual image hash functions", 2010) proposes pairs, and the
correlation of their fine detail, at the best shift, decides. Detail is the thumbnail minus a blurred copy, so two cells
of one class with similar outlines do not count as one. Correlation is independent of the brightness and contrast of
repeated photographs.

The two limits were set on the training and validation images of PBC Barcelona: of 105 million pairs of different
cells, the greatest correlation is 0.71; the same cell taken twice correlates at 0.86 and above, and down to about 0.6
under other focus and light (Raabin-WBC, Chulalongkorn), so some of those are missed. Rotated or mirrored copies are
not found.
"""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

THUMBNAIL_SIDE = 32
"""Pixels of the square thumbnails; the limits below hold for this size."""
MAX_DISTANCE = 12
"""Largest number of differing bits, of 64, between the hashes of one cell."""
MIN_SIMILARITY = 0.75
"""Correlation from which two pictures count as one cell."""
MAX_SHIFT = 3
"""Largest shift of the cell between two pictures, in thumbnail pixels."""

_BLOCK = 4_000_000  # pairs compared at a time: 32 MB

# On 32 x 32 pixels a cosine transform and a blur are two small matrix products. This spares serving, which imports
# this folder to read manifests, the import of scipy.
_PIXEL = np.arange(THUMBNAIL_SIDE)
_COSINES = np.cos(np.pi * np.outer(np.arange(8), _PIXEL + 0.5) / THUMBNAIL_SIDE).astype(np.float32)
_BLUR = np.exp(-((_PIXEL[:, None] - _PIXEL) ** 2) / (2 * 2.0**2)).astype(np.float32)  # Gaussian of 2 pixels
_BLUR /= _BLUR.sum(axis=1, keepdims=True)


def grey(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Luma (ITU-R BT.601) of RGB pixels, shape (…, 3) to (…)."""
    luma: NDArray[np.uint8] = np.rint(pixels @ np.array([0.299, 0.587, 0.114])).astype(np.uint8)
    return luma


def find_duplicates(digests: list[str], thumbnails: NDArray[np.uint8]) -> pl.DataFrame:
    """Pairs of images that show one cell.

    Args:
        digests: SHA-256 of each file, N of them.
        thumbnails: grey, shape (N, 32, 32).

    Returns:
        ``a``, ``b``: row numbers, a < b; ``kind``: ``exact`` or ``near``; ``similarity``: up to 1. Copies of a file are
        paired with their first file only, and only this first file with near duplicates.
    """
    first: dict[str, int] = {}
    copies = [(first.setdefault(digest, row), row) for row, digest in enumerate(digests)]
    exact = np.array([pair for pair in copies if pair[0] != pair[1]], dtype=np.int64).reshape(-1, 2)
    firsts = np.array(list(first.values()), dtype=np.int64)
    pairs = _candidates(perceptual_hash(thumbnails[firsts]))
    similarity = _similarity(thumbnails[firsts], pairs)
    near, near_similarity = firsts[pairs[similarity >= MIN_SIMILARITY]], similarity[similarity >= MIN_SIMILARITY]
    table = pl.DataFrame(
        {
            "a": np.concatenate([exact[:, 0], near[:, 0]]),
            "b": np.concatenate([exact[:, 1], near[:, 1]]),
            "kind": ["exact"] * len(exact) + ["near"] * len(near),
            "similarity": np.concatenate([np.ones(len(exact)), near_similarity]),
        },
        schema={"a": pl.Int64(), "b": pl.Int64(), "kind": pl.String(), "similarity": pl.Float64()},
    )
    return table.sort("a", "b")


def clusters(count: int, *links: NDArray[np.int64]) -> NDArray[np.int64]:
    """Number the clusters of rows that are linked directly or through others.

    Args:
        count: number of rows.
        links: arrays of shape (pairs, 2) of row numbers.

    Returns:
        The cluster of each row, shape (count,).
    """
    from scipy.sparse import coo_array  # noqa: PLC0415 (serving reads manifests through this folder, without scipy)
    from scipy.sparse.csgraph import connected_components  # noqa: PLC0415

    pairs = np.concatenate([np.empty((0, 2), dtype=np.int64), *links])
    graph = coo_array((np.ones(len(pairs), dtype=bool), (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    return np.asarray(connected_components(graph, directed=False)[1], dtype=np.int64)


def perceptual_hash(thumbnails: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """DCT hash of each thumbnail, shape (N,): which of the 63 lowest frequencies lie above their median."""
    spectrum = _COSINES @ thumbnails.astype(np.float32) @ _COSINES.T
    low = spectrum.reshape(len(thumbnails), 64)[:, 1:]  # without the mean brightness
    bits = np.zeros((len(thumbnails), 64), dtype=bool)
    bits[:, 1:] = low > np.median(low, axis=1, keepdims=True)
    hashes: NDArray[np.uint64] = np.packbits(bits, axis=1).view(np.uint64).ravel()
    return hashes


def _candidates(hashes: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Pairs (a < b) whose hashes differ in at most ``MAX_DISTANCE`` bits, shape (pairs, 2)."""
    count = len(hashes)
    step = max(1, _BLOCK // max(1, count))
    found = [np.empty((0, 2), dtype=np.int64)]
    for start in range(0, count, step):
        distance = np.bitwise_count(hashes[start : start + step, None] ^ hashes[None, start:])
        a, b = np.nonzero(distance <= MAX_DISTANCE)
        found.append(np.stack([a, b], axis=1)[a < b] + start)
    return np.concatenate(found)


def _similarity(thumbnails: NDArray[np.uint8], pairs: NDArray[np.int64]) -> NDArray[np.float64]:
    """Correlation of the fine detail of each pair at its best shift (by the Fourier transform), shape (pairs,)."""
    shifts = np.arange(-MAX_SHIFT, MAX_SHIFT + 1)
    best = np.empty(len(pairs))
    step = _BLOCK // THUMBNAIL_SIDE**2
    for start in range(0, len(pairs), step):
        part = pairs[start : start + step]
        product = _spectra(thumbnails[part[:, 0]]) * _spectra(thumbnails[part[:, 1]]).conj()
        correlation = np.fft.irfft2(product, s=thumbnails.shape[1:])
        best[start : start + step] = correlation[:, shifts[:, None], shifts].max(axis=(1, 2))
    return best


def _spectra(thumbnails: NDArray[np.uint8]) -> NDArray[np.complexfloating]:
    """Fourier transform of each thumbnail less a blurred copy, with mean 0 and length 1."""
    images = thumbnails.astype(np.float32)
    detail = images - _BLUR @ images @ _BLUR.T
    detail -= detail.mean(axis=(1, 2), keepdims=True)
    length = np.sqrt(np.square(detail).sum(axis=(1, 2), keepdims=True))
    return np.fft.rfft2(detail / np.maximum(length, 1e-6))
