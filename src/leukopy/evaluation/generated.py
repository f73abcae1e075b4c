"""Scores of generated pictures: how near they are to real ones, and whether they are copies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.neighbors import NearestNeighbors

from leukopy.evaluation.intervals import Estimate

_SUBSET = 500
_CLOSE = 1.0
"""Percentile of the distances of held-out real pictures, below which a made one is close to a training picture."""

Features = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class CellPictures:
    """Pictures of cells, real or made."""

    pixels: NDArray[np.uint8]
    """(N, S, S, 3)."""
    codes: NDArray[np.str_]
    """(N,): class, fine or coarse."""
    laboratories: NDArray[np.str_]
    """(N,): laboratory in which they were taken, or whose look they have."""

    def __len__(self) -> int:
        return len(self.pixels)

    def of(self, laboratory: str, code: str) -> NDArray[np.bool_]:
        """bool (N,): those of one class in one laboratory."""
        return np.asarray((self.laboratories == laboratory) & (self.codes == code))


def kernel_distance(pairs: Sequence[tuple[Features, Features]], *, replicates: int = 100, seed: int = 0) -> Estimate:
    """Kernel inception distance, the mean over classes: 0 where pictures are alike (Bińkowski et al., ICLR 2018).

    The unbiased squared maximum mean discrepancy with a cubic kernel; mean and 95 % range over random subsets.

    Args:
        pairs: for each class two sets of pictures, (n, D) and (m, D), of a network that learnt from neither; n, m >= 4.
        replicates: subsets of half of each set, of 500 at most.
        seed: of the subsets.
    """
    rng = np.random.default_rng(seed)
    found = [np.mean([_distance(*pair, rng) for pair in pairs]) for _ in range(replicates)]
    low, high = np.percentile(found, (2.5, 97.5))
    return Estimate.of(float(np.mean(found)), float(low), float(high))


def _distance(first: Features, second: Features, rng: np.random.Generator) -> float:
    """Squared discrepancy of a random subset of each."""
    size = min(_SUBSET, len(first) // 2, len(second) // 2)
    one, other = (rows[rng.choice(len(rows), size, replace=False)].astype(np.float64) for rows in (first, second))
    within = [_kernel(rows, rows) for rows in (one, other)]
    inner = sum((kernel.sum() - np.trace(kernel)) / (size * (size - 1)) for kernel in within)
    return float(inner - 2 * _kernel(one, other).mean())


def _kernel(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray((one @ other.T / one.shape[1] + 1) ** 3)


def nearest(train: Features, pictures: Features) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """The nearest training picture of each picture, and its distance.

    Args:
        train: (n, D).
        pictures: (V, m, D): each picture in V turns, of which the nearest counts.

    Returns:
        Index (m,) and Euclidean distance (m,).
    """
    search = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(train)
    found = [search.kneighbors(view) for view in pictures]
    distances, indices = (np.stack([pair[part][:, 0] for pair in found]) for part in (0, 1))
    best, columns = distances.argmin(axis=0), np.arange(distances.shape[1])
    return indices[best, columns], distances[best, columns]


class Copies(NamedTuple):
    """How far made pictures are from the training pictures, beside real pictures that were held out."""

    ratio: float
    """Median distance of made pictures over that of held-out ones: 1 or more where nothing is copied."""
    close: float
    """Share of the made pictures that are nearer than 1 % of the held-out ones."""


def copies(made: NDArray[np.float64], held_out: NDArray[np.float64]) -> Copies:
    """Compare distances (m,) and (n,) to the nearest training picture."""
    close = float((made < np.percentile(held_out, _CLOSE)).mean())
    return Copies(float(np.median(made) / np.median(held_out)), close)
