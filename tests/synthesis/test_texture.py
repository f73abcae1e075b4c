"""Cached textures."""

from __future__ import annotations

import numpy as np
import pytest

from leukopy.synthesis.texture import granules, noise, white


@pytest.mark.parametrize("scale", [0.5, 1.0, 3.0, 9.0])
def test_noise_is_even_and_as_coarse_as_asked(scale):
    plane = noise((256, 256), scale, np.random.default_rng(1))
    assert plane.mean() == pytest.approx(0, abs=0.02)
    assert plane.std() == pytest.approx(1, abs=0.02)
    neighbours = np.corrcoef(plane[:, :-1].ravel(), plane[:, 1:].ravel())[0, 1]
    assert neighbours == pytest.approx({0.5: -0.0, 1.0: 0.67, 3.0: 0.96, 9.0: 1.0}[scale], abs=0.15)


def test_a_texture_larger_than_its_tile_goes_on():
    plane = noise((300, 700), 2.0, np.random.default_rng(1))
    assert plane.shape == (300, 700)
    assert np.array_equal(plane[:, :188], plane[:, 256:444])
    assert white((1100, 20), np.random.default_rng(1)).shape == (1100, 20)


def test_granules_thin_out_with_density():
    covered = [granules((256, 256), 3.0, density, np.random.default_rng(2)).mean() for density in (0, 0.3, 0.6, 1)]
    assert covered[0] == 0
    assert covered[1] < covered[2] < covered[3]
    assert covered[1] == pytest.approx(0.3 * covered[3], rel=0.2)
    assert 0.5 < covered[3] < 1
