"""Error of a differential count by wrong classes: confusion between classes, and how much it varies between slides.

The counts of a slide are a mixture of the rows of a confusion matrix. The true shares follow from them and from the
matrix (Rogan and Gladen, American Journal of Epidemiology 107, 1978, for two classes; Grassia and Sundberg,
Technometrics 24, 1982, for a sorting machine with several). A slide has its own matrix: each row is Dirichlet
distributed about the mean of all slides, with an overdispersion by the method of moments (Kleinman, Journal of the
American Statistical Association 68, 1973; Mosimann, Biometrika 49, 1962).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

DRAWS = 400
ROUNDS = 20
"""Rounds of expectation-maximisation. It starts from the counts and stops early, which regularises the inverse of the
matrix (D'Agostini, Nuclear Instruments and Methods A 362, 1995)."""

LEAST_OVERDISPERSION, LARGEST_OVERDISPERSION = 0.01, 0.5
ENOUGH_CELLS = 20
"""Cells of a class from which its row rests on them alone."""

_PRIOR = 0.1
"""Cells added to the count of each answer."""
_TINY = 1e-12

Floats = NDArray[np.float64]


def fit_confusion(tables: NDArray[np.integer]) -> tuple[Floats, Floats]:
    """Mean shares of the answers to each class, and their overdispersion between slides.

    Args:
        tables: cells by slide, class and answer, (S, R, C), with C >= R; the right answer to class r is r.

    Returns:
        Shares (R, C), each row sums to 1, with one further cell of each class, half of it answered rightly; and the
        overdispersion (R,), the intra-slide correlation: 0 for slides that differ by sampling alone. A class that few
        slides hold is shrunk towards the overdispersion of all.
    """
    rows, columns = tables.shape[1:]
    counts = tables.sum(axis=0) + 0.5 * np.eye(rows, columns) + 0.5 / columns
    shares = counts / counts.sum(axis=1, keepdims=True)
    excess, scale = np.array([_moments(tables[:, row], shares[row]) for row in range(rows)]).T
    if not scale.any():
        return shares, np.full(rows, LEAST_OVERDISPERSION)
    weight = np.median(scale) / 4 + _TINY
    found = (excess + weight * excess.sum() / scale.sum()) / (scale + weight)
    return shares, found.clip(LEAST_OVERDISPERSION, LARGEST_OVERDISPERSION)


def _moments(table: NDArray[np.integer], mean: Floats) -> tuple[float, float]:
    """Scatter of the slides' shares (S, C) about the mean beyond sampling, and its size where slides share nothing."""
    cells = table.sum(axis=1)
    table, cells = table[cells > 0], cells[cells > 0]
    total = cells.sum()
    if len(cells) < 2:
        return 0.0, 0.0
    scatter = float((cells[:, None] * (table / cells[:, None] - mean) ** 2).sum())
    variance = float(1 - (mean**2).sum())
    by_sampling = float((1 - cells / total).sum())
    return scatter - variance * by_sampling, variance * (float(total - (cells**2).sum() / total) - by_sampling)


def fill_rows(
    own: tuple[Floats, Floats], cells: NDArray[np.integer], other: tuple[Floats, Floats]
) -> tuple[Floats, Floats]:
    """A confusion whose rows with fewer than `ENOUGH_CELLS` are filled up to that number with cells of another one.

    Args:
        own: of `fit_confusion`.
        cells: cells of each class behind it, (R,).
        other: of `fit_confusion`, on other slides.
    """
    missing = (ENOUGH_CELLS - cells).clip(0)[:, None]
    shares = ((cells[:, None] + 1) * own[0] + missing * other[0]) / (cells[:, None] + 1 + missing)
    return shares, np.where(missing[:, 0] > 0, np.maximum(own[1], other[1]), own[1])


def draw_compositions(
    counts: NDArray[np.integer], shares: Floats, overdispersion: Floats, *, draws: int = DRAWS, seed: int = 0
) -> Floats:
    """True compositions of a slide that agree with its counts: (D, R), each sums to 1.

    Each draw takes the shares of the answers from a Dirichlet distribution about the counts (sampling), a confusion
    matrix of the slide (classification), and the composition that explains the one by the other.

    Args:
        counts: cells by answer, (C,).
        shares: of `fit_confusion`, (R, C).
        overdispersion: of `fit_confusion`, (R,).
        draws: number of compositions.
        seed: of the draws; the same counts give the same compositions.
    """
    rows = len(shares)
    answered = np.ascontiguousarray(draw_shares(counts, draws=draws, seed=seed + 1).T)
    matrices = _draw_matrices(np.float64(shares).tobytes(), np.float64(overdispersion).tobytes(), rows, draws, seed)
    found = answered[:rows] / answered[:rows].sum(axis=0)
    for _ in range(ROUNDS):  # the draws lie side by side in memory: a third less time
        explained = np.einsum("rd,rcd->cd", found, matrices) + _TINY
        found = found * np.einsum("cd,rcd->rd", answered / explained, matrices)
        found /= found.sum(axis=0)
    return np.asarray(found.T)


@lru_cache(maxsize=4)
def _draw_matrices(shares: bytes, overdispersion: bytes, rows: int, draws: int, seed: int) -> Floats:
    """Confusion matrices of slides, (R, C, D): the same for each count that a reader's gestures lead to."""
    rng = np.random.default_rng(seed)
    concentration = (1 / np.frombuffer(overdispersion) - 1)[:, None] * np.frombuffer(shares).reshape(rows, -1)
    matrices = np.stack([rng.dirichlet(row, size=draws).T for row in concentration.clip(1e-4)])
    matrices.setflags(write=False)
    return matrices


def draw_shares(counts: NDArray[np.integer], *, draws: int = DRAWS, seed: int = 0) -> Floats:
    """Shares (D, C) that agree with the counts (C,) of a sample: Dirichlet distributed; each row sums to 1."""
    return np.random.default_rng(seed).dirichlet(counts + _PRIOR, size=draws)
