"""How a picture looks: its light, its stain and its sharpness, each told apart from the others."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from leukopy.imaging.appearance import APPEARANCE_FEATURES, measure_appearance

SIDE = 96


def picture(light: tuple[int, int, int] = (230, 220, 210), dye: float = 0.5) -> NDArray[np.uint8]:
    """A dyed, striped disc on lit glass."""
    y, x = np.mgrid[:SIDE, :SIDE] - SIDE / 2
    stripes = np.sign(x % 12 - 6)
    amount = dye * (1 + 0.5 * stripes) * (x**2 + y**2 < 20**2)
    return np.rint((np.array(light) + 1) * 10 ** -amount[..., None] - 1).clip(0, 255).astype(np.uint8)


def looks(*pictures: NDArray[np.uint8]) -> list[dict[str, float]]:
    return [
        dict(zip(APPEARANCE_FEATURES, row, strict=True)) for row in measure_appearance(np.stack(pictures)).astype(float)
    ]


def test_the_background_is_the_density_of_the_light() -> None:
    (look,) = looks(picture((230, 128, 64)))
    for colour, level in (("red", 230), ("green", 128), ("blue", 64)):
        assert look[f"background_{colour}"] == pytest.approx(-np.log10((level + 1) / 256), abs=1e-6)


def test_light_changes_the_background_and_not_the_stain() -> None:
    bright, dim = looks(picture(), picture((160, 150, 140)))
    assert dim["background_green"] > bright["background_green"] + 0.1
    assert dim["stain_green"] == pytest.approx(bright["stain_green"], rel=0.03)


def test_more_dye_is_more_stain_on_the_same_background() -> None:
    pale, dark = looks(picture(dye=0.3), picture(dye=0.6))
    assert dark["stain_red"] == pytest.approx(2 * pale["stain_red"], rel=0.05)
    assert dark["background_red"] == pale["background_red"]


def test_soft_edges_lose_the_finest_detail_first() -> None:
    sharp, soft = looks(picture(), ndimage.gaussian_filter(picture(), (1, 1, 0)))
    assert soft["fine_detail"] < sharp["fine_detail"] - 0.02
    assert soft["fine_detail"] - sharp["fine_detail"] < soft["coarse_detail"] - sharp["coarse_detail"]


def test_each_picture_is_measured_by_itself_and_a_plain_one_has_numbers_too() -> None:
    plain = np.full((SIDE, SIDE, 3), 200, np.uint8)
    together = measure_appearance(np.stack([picture(), plain]))
    assert together.shape == (2, len(APPEARANCE_FEATURES))
    assert together.dtype == np.float32
    assert np.array_equal(together[0], measure_appearance(picture()[None])[0])
    assert np.isfinite(together).all()
    small = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3)).astype(np.uint8)
    before = small.copy()
    measure_appearance(small)
    assert np.array_equal(small, before)
    assert measure_appearance(np.empty((0, 32, 32, 3), np.uint8)).shape == (0, len(APPEARANCE_FEATURES))
