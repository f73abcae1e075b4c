"""Heat maps: evidence on a coarse grid, enlarged to the size of the picture."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pictures = NDArray[np.uint8]
"""Shape (N, S, S, 3), RGB, prepared as the network takes them."""
Heat = NDArray[np.float32]
"""In [0, 1]; of one picture (S, S), of several (N, S, S). All zero without evidence for the class."""

Explainer = Callable[[Pictures, NDArray[np.intp]], Heat]
"""Pictures (N, S, S, 3) and the index into ``taxonomy.FINE`` to explain in each, (N,) -> heat maps (N, S, S)."""


def noise(side: int) -> Pictures:
    """Two constant pictures (2, side, side, 3); a network is identified by its outputs for them."""
    return np.random.default_rng(0).integers(0, 256, (2, side, side, 3), dtype=np.uint8)


def to_heat(evidence: NDArray[np.floating], side: int) -> Heat:
    """Keep the evidence for the class, enlarge it bilinearly, and scale each map to [0, 1].

    The same steps as in pytorch-grad-cam, so that maps of all methods can be compared.

    Args:
        evidence: (N, h, w); negative values are evidence against the class and are clipped.
        side: of the picture, pixels.

    Returns:
        float32 (N, side, side).
    """
    maps = np.empty((len(evidence), side, side), np.float32)
    for row, coarse in enumerate(np.maximum(evidence, 0).astype(np.float32)):
        large = np.asarray(Image.fromarray(coarse).resize((side, side), Image.Resampling.BILINEAR))
        span = float(np.ptp(large))
        # A flat map speaks for no place; resizing may have left a last digit in it.
        maps[row] = (large - large.min()) / span if span > 1e-6 * float(coarse.max()) else 0
    return maps
