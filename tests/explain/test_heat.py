"""Evidence on a grid to heat of the picture's size."""

from __future__ import annotations

import numpy as np
import pytest

from leukopy.explain import to_heat


def literal_bilinear(grid: np.ndarray, side: int) -> np.ndarray:
    """Each pixel's centre, looked up between the centres of the four cells around it."""
    h, w = grid.shape
    large = np.empty((side, side))
    for row in range(side):
        for column in range(side):
            y = min(max((row + 0.5) * h / side - 0.5, 0), h - 1)
            x = min(max((column + 0.5) * w / side - 0.5, 0), w - 1)
            y0, x0 = int(y), int(x)
            y1, x1 = min(y0 + 1, h - 1), min(x0 + 1, w - 1)
            upper = grid[y0, x0] * (x0 + 1 - x) + grid[y0, x1] * (x - x0)
            lower = grid[y1, x0] * (x0 + 1 - x) + grid[y1, x1] * (x - x0)
            large[row, column] = upper * (y0 + 1 - y) + lower * (y - y0)
    return large


def test_equals_its_literal_version() -> None:
    evidence = np.random.default_rng(0).normal(size=(3, 5, 4))
    found = to_heat(evidence, 16)
    for heat, grid in zip(found, evidence, strict=True):
        large = literal_bilinear(np.maximum(grid, 0), 16)
        assert heat == pytest.approx((large - large.min()) / (large.max() - large.min()), abs=1e-5)


@pytest.mark.parametrize("evidence", [-1.0, 0.0, 3.3, 1e-9])
def test_evidence_of_no_place_is_no_heat(evidence: float) -> None:
    assert not to_heat(np.full((1, 5, 5), evidence), 17).any()


def test_no_picture_gives_no_heat() -> None:
    assert to_heat(np.empty((0, 5, 5)), 16).shape == (0, 16, 16)
