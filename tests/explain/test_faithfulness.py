"""Deletion, insertion, shares and rank correlation against literal versions."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy import ndimage
from scipy.stats import spearmanr

from leukopy.explain import (
    area_under,
    average,
    centre_heat,
    deletion,
    heat_share,
    insertion,
    random_heat,
    rank_correlation,
)
from leukopy.explain.faithfulness import BLUR

GREY = (127.0, 127.0, 127.0)


def redness(pictures: np.ndarray) -> np.ndarray:
    """A network that looks at the mean of the red channel."""
    return pictures[..., 0].mean(axis=(1, 2)) / 255


def literal_curve(first: np.ndarray, last: np.ndarray, heat: np.ndarray, steps: int) -> list[float]:
    """One pixel after the other, the hottest first."""
    order = sorted(np.ndindex(heat.shape), key=lambda place: -heat[place])
    curve, shown = [], first.copy()
    done = 0
    for step in range(steps + 1):
        while done < round(step * len(order) / steps):
            shown[order[done]] = last[order[done]]
            done += 1
        curve.append(redness(shown[None])[0])
    return curve


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (12, 12, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def heat() -> np.ndarray:
    return np.random.default_rng(4).permutation(144).reshape(12, 12).astype(np.float32)  # no two alike


@pytest.mark.parametrize("steps", [1, 7, 16])
def test_curves_equal_their_literal_version(picture, heat, steps) -> None:
    grey = np.full_like(picture, 127)
    blurred = ndimage.gaussian_filter(picture, (BLUR * 12, BLUR * 12, 0))
    found = deletion(picture, heat, redness, GREY, steps)
    assert found == pytest.approx(literal_curve(picture, grey, heat, steps))
    assert insertion(picture, heat, redness, steps) == pytest.approx(literal_curve(blurred, picture, heat, steps))


def test_area_equals_its_literal_version() -> None:
    curve = np.array([0.9, 0.5, 0.4, 0.1])
    assert area_under(curve) == pytest.approx(sum((a + b) / 2 / 3 for a, b in pairwise(curve)))
    assert area_under(np.ones(5)) == pytest.approx(1)


def test_the_right_map_beats_the_wrong_one() -> None:
    """A red spot on grey: heat on the spot takes the class away at once, and shows it at once."""
    picture = np.full((20, 20, 3), 127, np.uint8)
    picture[2:8, 12:18] = (255, 127, 127)
    right = (picture[..., 0] == 255).astype(np.float32)
    wrong = 1 - right

    def spot(pictures: np.ndarray) -> np.ndarray:
        return (pictures[..., 0] > 200).mean(axis=(1, 2))

    assert area_under(deletion(picture, right, spot, GREY, 10)) < area_under(deletion(picture, wrong, spot, GREY, 10))
    assert area_under(insertion(picture, right, spot, 10)) > area_under(insertion(picture, wrong, spot, 10))


def test_pixels_of_equal_heat_go_in_no_order_of_their_own() -> None:
    """A flat map must not sweep from the upper left corner: half of each half goes in half the steps."""
    picture = np.zeros((40, 40, 3), np.uint8)
    picture[:20] = (255, 0, 0)
    curve = deletion(picture, np.zeros((40, 40), np.float32), redness, (0, 0, 0), 2)
    assert curve == pytest.approx([0.5, 0.25, 0], abs=0.02)


def test_heat_share() -> None:
    heat = np.array([[1, 0.5], [0.25, 0.25]], np.float32)
    assert heat_share(heat, np.array([[True, False], [False, True]])) == pytest.approx(1.25 / 2)
    assert heat_share(heat, np.array([[0.5, 0.5], [0.5, 0.5]])) == pytest.approx(0.5)
    assert np.isnan(heat_share(np.zeros((2, 2), np.float32), np.ones((2, 2), bool)))


def test_rank_correlation_is_spearman_s() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.integers(0, 6, (2, 4, 9, 9)).astype(np.float32)  # with ties
    expected = [spearmanr(a.ravel(), b.ravel()).statistic for a, b in zip(first, second, strict=True)]
    assert rank_correlation(first, second) == pytest.approx(expected)
    assert np.isnan(rank_correlation(np.zeros((1, 3, 3)), first[:1, :3, :3])).all()


def test_baselines() -> None:
    centre = centre_heat(32)
    assert centre[15:17, 15:17].min() == pytest.approx(1)
    assert centre == pytest.approx(centre.T)
    assert centre == pytest.approx(centre[::-1])
    assert centre[0, 0] == 0
    chance = random_heat(32, 4, seed=1)
    assert (chance.min(), chance.max()) == pytest.approx((0, 1))
    assert np.array_equal(chance, random_heat(32, 4, seed=1))
    assert not np.array_equal(chance, random_heat(32, 4, seed=2))


def test_average_leaves_out_what_is_unknown() -> None:
    found = average(np.array([0.2, np.nan, 0.4, 0.6]))
    assert found.value == pytest.approx(0.4)
    assert found.low is not None
    assert found.high is not None
    assert 0.2 <= found.low < 0.4 < found.high <= 0.6
    assert average(np.array([np.nan])).value is None
    assert average(np.array([])).value is None
