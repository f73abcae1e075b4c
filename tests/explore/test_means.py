"""Mean cells and radial profiles."""

from __future__ import annotations

import numpy as np
import pytest

from leukopy.explore.features import PICTURE_SIDE
from leukopy.explore.means import RADII, RINGS, MeanCell, radial_profile
from leukopy.imaging.measures import luminance

SIDE = PICTURE_SIDE


def disc(radius: float, inside: int = 40, outside: int = 220) -> np.ndarray:
    """A dark disc on bright ground; ``radius`` in % of the way to the edge."""
    offsets = (np.arange(SIDE) + 0.5) / SIDE * 2 - 1
    distance = 100 * np.hypot(*np.meshgrid(offsets, offsets))
    return np.repeat(np.where(distance < radius, inside, outside).astype(np.uint8)[..., None], 3, axis=2)


def test_a_disc_is_a_step_in_the_profile() -> None:
    profile = radial_profile(disc(50))
    dark, bright = (100 * float(luminance(np.full(3, level, np.uint8))) for level in (40, 220))
    assert profile.shape == (RINGS,)
    assert profile[RADII < 47] == pytest.approx(dark)
    assert profile[RADII > 53] == pytest.approx(bright)


def test_the_mean_cell_is_the_mean_of_the_cells() -> None:
    pictures = [disc(radius) for radius in (30, 50, 70)]
    mean = MeanCell()
    for picture in pictures:
        mean.add(picture)
    profiles = np.array([radial_profile(picture) for picture in pictures])
    assert mean.cells == 3
    assert np.abs(mean.picture - np.mean(pictures, axis=0)).max() <= 0.5
    assert mean.profile == pytest.approx(profiles.mean(axis=0))
    assert mean.deviation == pytest.approx(profiles.std(axis=0), abs=1e-6)
