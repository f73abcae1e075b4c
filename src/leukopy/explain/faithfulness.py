"""Faithfulness of heat maps: arrays in, numbers out.

- Deletion and insertion (Petsiuk et al., "RISE: randomized input sampling for explanation of black-box models", BMVC
  2018): the hottest pixels are taken away first, or shown first. If the network uses them, the probability of the
  class falls (rises) at once. A map is informative where it beats chance and the middle of the picture.
- Share of the heat inside a mask, against the mask's share of the picture.
- Rank correlation with the maps of a network with random weights (Adebayo et al., "Sanity checks for saliency maps",
  NeurIPS 2018): a method whose maps stay the same does not show the learned evidence.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import scipy  # its parts load on first use
from numpy.typing import NDArray

from leukopy.evaluation.intervals import Estimate, bootstrap
from leukopy.explain.heat import Heat, Pictures, to_heat

Probability = Callable[[Pictures], NDArray[np.floating]]
"""Pictures (M, S, S, 3) to the probability of the class that is explained, (M,)."""

BLUR = 0.1
"""Deviation of the blur that insertion starts from, as a share of the side. With RISE's own (2 %) a network still names
most cells, and there is nothing to insert."""
CENTRE = 0.25
"""Deviation of the centre baseline, as a share of the side."""


def deletion(
    picture: NDArray[np.uint8], heat: Heat, probability: Probability, grey: tuple[float, float, float], steps: int
) -> NDArray[np.float64]:
    """The probability while the hottest pixels are painted over.

    Args:
        picture: uint8 (S, S, 3).
        heat: (S, S).
        probability: of the class.
        grey: what is painted: the network's zero, `Preprocess.mean`.
        steps: in how many equal parts the pixels are taken away.

    Returns:
        (steps + 1,): of the whole picture first, of the plain grey last.
    """
    blank = np.broadcast_to(np.rint(grey).astype(np.uint8), picture.shape)
    return _curve(picture, blank, heat, probability, steps)


def insertion(picture: NDArray[np.uint8], heat: Heat, probability: Probability, steps: int) -> NDArray[np.float64]:
    """The probability while the hottest pixels are shown on a blurred picture.

    Returns:
        (steps + 1,): of the blurred picture first, of the whole picture last.
    """
    deviation = BLUR * len(picture)
    blurred = scipy.ndimage.gaussian_filter(picture, (deviation, deviation, 0))
    return _curve(blurred, picture, heat, probability, steps)


def _curve(
    first: NDArray[np.uint8], last: NDArray[np.uint8], heat: Heat, probability: Probability, steps: int
) -> NDArray[np.float64]:
    """The probability while the pixels of ``first`` are replaced by those of ``last``, the hottest first."""
    # Where the heat is the same, chance decides: the order of the pixels would begin with the upper left corner.
    chance = np.random.default_rng(0).random(heat.size)
    order = np.lexsort((chance, -heat.ravel()))
    rank = np.empty(heat.size, np.intp)
    rank[order] = np.arange(heat.size)
    counts = np.linspace(0, heat.size, steps + 1).round()
    replaced = rank.reshape(heat.shape) < counts[:, None, None]
    return np.asarray(probability(np.where(replaced[..., None], last, first)), np.float64)


def area_under(curve: NDArray[np.float64]) -> float:
    """Area under a curve over equal steps from 0 to 1, by trapezoids."""
    return float(np.trapezoid(curve, dx=1 / (len(curve) - 1)))


def centre_heat(side: int) -> Heat:
    """A Gaussian in the middle of the picture: where the cell of a crop is, whatever the network does; (side, side)."""
    distance = (np.arange(side) - (side - 1) / 2) / (CENTRE * side)
    bell = np.exp(-(distance**2) / 2)
    return _single(to_heat(np.outer(bell, bell)[None], side))


def random_heat(side: int, grid: int, seed: int) -> Heat:
    """Chance at the fineness of the network's feature map, enlarged as a real map is; (side, side).

    Args:
        side: pixels.
        grid: positions along a side of the feature map. Chance pixel by pixel would be another picture altogether:
            it destroys every texture at once.
        seed: of the draw.
    """
    return _single(to_heat(np.random.default_rng(seed).random((1, grid, grid)), side))


def _single(maps: Heat) -> Heat:
    heat: Heat = maps[0]
    return heat


def heat_share(heat: Heat, mask: NDArray[np.floating] | NDArray[np.bool_]) -> float:
    """Share of the heat that lies inside a mask (S, S) of 0 to 1; not-a-number where there is no heat."""
    total = float(heat.sum(dtype=np.float64))
    return float((heat * mask).sum(dtype=np.float64)) / total if total else float("nan")


def rank_correlation(first: Heat, second: Heat) -> NDArray[np.float64]:
    """Spearman's correlation of each two heat maps (N, S, S), pixel by pixel; not-a-number where one is flat."""
    found = np.full(len(first), np.nan)
    for row, (a, b) in enumerate(zip(first, second, strict=True)):
        if np.ptp(a) and np.ptp(b):
            found[row] = np.corrcoef(_ranks(a), _ranks(b))[0, 1]
    return found


def _ranks(heat: Heat) -> NDArray[np.float64]:
    """The rank of each pixel; those that are equal share their mean rank."""
    _, value, counts = np.unique(heat, return_inverse=True, return_counts=True)
    last = counts.cumsum()
    ranks: NDArray[np.float64] = (last - (counts - 1) / 2)[value.ravel()]
    return ranks


def average(values: NDArray[np.floating]) -> Estimate:
    """Mean of one figure over images, with its bootstrap interval; not-a-number is left out."""
    known = np.asarray(values, np.float64)
    known = known[~np.isnan(known)]
    if not len(known):
        return Estimate(None, None, None)
    ones = np.ones_like(known)
    low, high = bootstrap(np.stack([known, ones], axis=1), lambda sums: sums[:, :1] / sums[:, 1:])
    return Estimate.of(float(known.mean()), float(low[0]), float(high[0]))
