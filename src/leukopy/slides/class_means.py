"""The classes as they look on a slide from elsewhere, found from its own cells without a label.

In a laboratory that a model has not learnt, the cells of a class lie elsewhere among its features than those it learnt
from, and all classes have moved together for the most part. So some cells of the slide are assigned to classes, softly,
as the model sees them; the mean of each class is estimated from them, held to the known mean plus what all classes have
moved by (empirical Bayes: Efron and Morris, JASA 1973); the cells are assigned again by these means, and so on, some
rounds (test-time adjustment of a classifier: Iwasawa and Matsuo, NeurIPS 2021; expectation-maximisation: Dempster,
Laird and Rubin, JRSS B 1977). What the means then say of a cell, by linear discriminants, is added to its logits, the
less the more the slide's cells scatter, and only as far as the network says that the cell is from elsewhere than the
laboratory that validated it: there a cell is judged by itself.

Only the coarse classes are moved: what tells the kinds of a neutrophil apart stays as it was learnt.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from leukopy.bundle import SlideClasses
from leukopy.taxonomy import coarse_matrix

TRAITS, CLASS_TRAITS = "traits", "class_traits"
"""The outputs of a network that tell: of each cell, and the means of the classes where it learnt them."""
INERTIA = 30.0
"""Cells of a class that move its mean half-way."""
_ROUNDS = 3
_TO_COARSE = coarse_matrix()


@dataclass(frozen=True, eq=False)
class SlideClassMeans:
    """The classes of one slide."""

    means: NDArray[np.float32]
    """(C, D): of the coarse classes, in traits."""
    weight: float
    """Of what they say, against the logits."""
    foreign_temperature_factor: float
    """As `SlideClasses.foreign_temperature_factor`."""
    cells: NDArray[np.float32]
    """(C,): how many of the cells that were looked at are of each class."""

    def evidence(self, traits: NDArray[np.float32]) -> NDArray[np.float32]:
        """What the means say of cells (N, D) from elsewhere: to be added to their logits (N, F)."""
        return (self.coarse_evidence(traits) @ _TO_COARSE.T).astype(np.float32)

    def coarse_evidence(self, traits: NDArray[np.float32]) -> NDArray[np.float64]:
        """The same of the coarse classes (N, C), at most 0: the more, the nearer the mean of the class."""
        found = self.weight * (traits @ self.means.T - 0.5 * (self.means.astype(np.float64) ** 2).sum(axis=1))
        return np.asarray(found - found.max(axis=1, keepdims=True))


def estimate_class_means(
    traits: NDArray[np.float32], coarse: NDArray[np.float32], known: NDArray[np.float32], how: SlideClasses
) -> SlideClassMeans:
    """The classes of a slide, from some of its cells.

    Args:
        traits: (N, D), of N cells, spread evenly over the slide.
        coarse: (N, C), the chance of each coarse class, as the network alone sees them.
        known: (C, D), the means of the classes where the network learnt them.
        how: the model's.
    """
    prior, chances = np.log(coarse.astype(np.float64) + 1e-12), coarse.astype(np.float64)
    for _ in range(_ROUNDS):
        cells = chances.sum(axis=0)
        moved = (chances.T @ traits) / np.maximum(cells, 1e-6)[:, None] - known
        trust = (cells / (cells + INERTIA))[:, None]
        together = (trust * moved).sum(axis=0) / (trust.sum() + 1)
        means = known + together + trust * (moved - together)
        scatter = ((traits - chances @ means) ** 2).sum(axis=1).mean() / how.spread
        weight = how.weight / max(1.0, float(scatter))
        own = SlideClassMeans(
            means.astype(np.float32), weight, how.foreign_temperature_factor, cells.astype(np.float32)
        )
        chances = np.exp(prior + own.coarse_evidence(traits))
        chances /= chances.sum(axis=1, keepdims=True)
    return own
