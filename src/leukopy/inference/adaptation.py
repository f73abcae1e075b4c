"""Fit a model's last layer to the labelled cells of one laboratory, without torch.

The network stays as it is. The new head minimises the partial-label loss of the labelled cells plus what it costs to
leave the head that was learnt from thousands of cells elsewhere: maximum a posteriori, with the old head as the mean of
a Gaussian prior (Chelba and Acero, "Adaptation of maximum entropy capitalizer", EMNLP 2004). With few labels it stays
near the old head; a class without a label keeps what it had.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from leukopy.bundle.head import Head
from leukopy.inference.classifier import softmax

_TINY = 1e-12


@dataclass(frozen=True)
class Labelled:
    """The cells that a head is fitted to."""

    embeddings: NDArray[np.float32]
    """(N, D)."""
    members: NDArray[np.bool_]
    """(N, 11): the fine classes that each label may stand for."""
    folds: NDArray[np.intp]
    """(N,): the part of each cell where the cells are split; a slide or field is in one part only."""

    def __getitem__(self, rows: NDArray[np.bool_]) -> Labelled:
        return Labelled(self.embeddings[rows], self.members[rows], self.folds[rows])


def fit_head(head: Head, cells: Labelled, penalty: float) -> Head:
    """The head that fits ``cells``, held to ``head``.

    Args:
        head: weights (11, D) and bias (11,).
        cells: N of them.
        penalty: of the squared change of the weights, for embeddings scaled to a deviation of about 1.
    """
    weights, bias = (np.asarray(part, np.float64) for part in head)
    embeddings = cells.embeddings.astype(np.float64)
    centre = embeddings.mean(axis=0)
    scale = (embeddings - centre).std() or 1.0
    # The best change lies in the span of the cells (representer theorem): N numbers a class in place of D.
    _, sizes, axes = np.linalg.svd((embeddings - centre) / scale, full_matrices=False)
    axes = axes[sizes > 1e-6 * max(sizes.max(initial=0), _TINY)]
    reduced = (embeddings - centre) / scale @ axes.T
    before = embeddings @ weights.T + bias
    count = len(axes)

    def loss(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        change, shift = flat[: 11 * count].reshape(11, count), flat[11 * count :]
        chance = softmax(before + reduced @ change.T + shift)
        within = chance * cells.members
        total = within.sum(axis=1, keepdims=True) + _TINY
        slope = (chance - within / total) / len(embeddings)
        # The constants are cheap to move, but not free: else a class without a label would be lost.
        value = -np.log(total).mean() + penalty * ((change**2).sum() + 0.01 * (shift**2).sum())
        by_change = slope.T @ reduced + 2 * penalty * change
        by_shift = slope.sum(axis=0) + 0.02 * penalty * shift
        return float(value), np.concatenate([by_change.ravel(), by_shift])

    found = minimize(loss, np.zeros(11 * (count + 1)), jac=True, method="L-BFGS-B", options={"maxiter": 200}).x
    change, shift = found[: 11 * count].reshape(11, count) @ axes / scale, found[11 * count :]
    return (weights + change).astype(np.float32), (bias + shift - change @ centre).astype(np.float32)


def logits_of(head: Head, embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
    """Logits (N, 11) of embeddings (N, D)."""
    return np.asarray(embeddings @ head[0].T + head[1], np.float32)


def held_out(head: Head, cells: Labelled, penalty: float) -> NDArray[np.float32]:
    """Logits (N, 11) of each cell by the head that is fitted without its part."""
    found = logits_of(head, cells.embeddings)
    for part in np.unique(cells.folds):
        outside = cells.folds != part
        if outside.any():
            found[~outside] = logits_of(fit_head(head, cells[outside], penalty), cells.embeddings[~outside])
    return found
