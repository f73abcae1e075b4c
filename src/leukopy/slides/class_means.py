"""Class means of a foreign slide, re-estimated from its own cells without a label.

In a laboratory outside the training data, the features of a class are shifted, and most of the shift is common to
all classes. Some cells of the slide are therefore assigned softly to classes by the network. The mean of each class is
estimated from them, regularised towards the known mean plus the common shift (empirical Bayes: Efron and Morris, JASA
1973). The cells are assigned again by these means, for some rounds (test-time adjustment of a classifier: Iwasawa and
Matsuo, NeurIPS 2021; expectation-maximisation: Dempster, Laird and Rubin, JRSS B 1977). The evidence of the means for
a cell, by linear discriminants, is added to its logits. Its weight falls with the scatter of the slide's cells, and is
proportional to each cell's foreign probability: the chance that it comes from another laboratory than the validation.

Only the coarse classes are shifted: the difference between the kinds of a neutrophil stays as learnt.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from leukopy.bundle import SlideClasses
from leukopy.taxonomy import coarse_matrix

TRAITS, CLASS_TRAITS = "traits", "class_traits"
"""Outputs of a network for this: traits of each cell, and the class means of the training data."""
INERTIA = 30.0
"""Number of cells of a class that shift its mean half-way."""
_ROUNDS = 3
_TO_COARSE = coarse_matrix()


@dataclass(frozen=True, eq=False)
class SlideClassMeans:
    """Class means of one slide."""

    means: NDArray[np.float32]
    """(C, D): means of the coarse classes, in traits."""
    weight: float
    """Weight of their evidence against the logits."""
    foreign_temperature_factor: float
    """Factor as in `SlideClasses.foreign_temperature_factor`."""
    cells: NDArray[np.float32]
    """(C,): number of the sampled cells in each class."""

    def evidence(self, traits: NDArray[np.float32]) -> NDArray[np.float32]:
        """Evidence of the means for foreign cells (N, D), to be added to their logits (N, F)."""
        return (self.coarse_evidence(traits) @ _TO_COARSE.T).astype(np.float32)

    def coarse_evidence(self, traits: NDArray[np.float32]) -> NDArray[np.float64]:
        """Evidence for the coarse classes (N, C), at most 0: greater nearer to the mean of the class."""
        found = self.weight * (traits @ self.means.T - 0.5 * (self.means.astype(np.float64) ** 2).sum(axis=1))
        return np.asarray(found - found.max(axis=1, keepdims=True))


def estimate_class_means(
    traits: NDArray[np.float32], coarse: NDArray[np.float32], known: NDArray[np.float32], how: SlideClasses
) -> SlideClassMeans:
    """Estimate the class means of a slide from some of its cells.

    Args:
        traits: (N, D), of N cells, spread evenly over the slide.
        coarse: (N, C), the network's probability of each coarse class.
        known: (C, D), the class means of the training data.
        how: the settings in the model's card.
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
