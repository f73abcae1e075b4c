"""Augmentation changes the picture and not the cell."""

from __future__ import annotations

import numpy as np
import pytest

from leukopy.imaging.augmentation import Augmentation

OFF = Augmentation(
    rotate=False, scale=(1, 1), shift=0, squeeze=0, stain=0, mix=0, light=0, cast=0, gamma=0, blur=0, noise=0, jpeg=0
)


@pytest.fixture
def picture() -> np.ndarray:
    """A pale field with an off-centre dark disc and a red granule beside it."""
    y, x = np.mgrid[:90, :90]
    image = np.full((90, 90, 3), (240, 220, 200), dtype=np.uint8)
    image[(x - 40) ** 2 + (y - 45) ** 2 < 15**2] = (90, 60, 140)
    image[(x - 62) ** 2 + (y - 45) ** 2 < 5**2] = (200, 60, 40)
    return image


def test_all_switched_off_is_the_centre_crop(picture: np.ndarray) -> None:
    varied = OFF(picture, 72, 0.8, np.random.default_rng(0))
    # One grey level may be lost where densities are rounded.
    assert np.abs(varied.astype(int) - picture[9:81, 9:81]).max() <= 1


def test_same_chance_same_picture(picture: np.ndarray) -> None:
    first, second = (Augmentation()(picture, 72, 0.8, np.random.default_rng(3)) for _ in range(2))
    other = Augmentation()(picture, 72, 0.8, np.random.default_rng(4))
    assert np.array_equal(first, second)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("size", [32, 64, 144])
def test_shape_and_type(picture: np.ndarray, size: int) -> None:
    varied = Augmentation()(picture, size, 1.0, np.random.default_rng(0))
    assert varied.shape == (size, size, 3)
    assert varied.dtype == np.uint8
    assert varied.flags.writeable


def test_the_cell_stays_in_the_picture_and_darker_than_its_ground(picture: np.ndarray) -> None:
    for seed in range(50):
        varied = Augmentation()(picture, 72, 0.8, np.random.default_rng(seed)).astype(float)
        centre, rim = varied[30:42, 30:42].mean(), np.median(varied[[0, -1]])
        assert centre < rim


def test_hue_stays_mild(picture: np.ndarray) -> None:
    """A red granule stays redder than it is blue in nearly every variant: it is the eosinophil's cue."""
    colour_only = Augmentation(rotate=False, scale=(1, 1), shift=0, squeeze=0, blur=0, noise=0, jpeg=0)
    red = 0
    for seed in range(100):
        varied = colour_only(picture, 90, 1.0, np.random.default_rng(seed)).astype(int)
        granule = varied[43:48, 60:65].reshape(-1, 3).mean(axis=0)
        red += granule[0] > granule[2]
    assert red >= 98


def test_stray_light_takes_contrast_and_keeps_the_mean(picture: np.ndarray) -> None:
    veiled = OFF.model_copy(update={"veil": 0.8})
    plain = OFF(picture, 72, 0.8, np.random.default_rng(0)).astype(float)
    found = [veiled(picture, 72, 0.8, np.random.default_rng(seed)).astype(float) for seed in range(40)]
    deviations = np.array([one.std() for one in found]) / plain.std()
    assert (deviations > 0.99).sum() in range(10, 31)  # about half are left alone
    assert deviations.min() < 0.5
    assert np.abs([one.mean(axis=(0, 1)) - plain.mean(axis=(0, 1)) for one in found]).max() < 2


def test_a_share_of_the_pictures_moves_no_further_than_by_default(picture: np.ndarray) -> None:
    far = Augmentation(light=1, cast=0.5, mild=0.5)
    mild = [np.array_equal(far(picture, 48, 0.8, np.random.default_rng(seed)), expected(picture, seed))
            for seed in range(40)]  # fmt: skip
    assert sum(mild) in range(10, 31)


def expected(picture: np.ndarray, seed: int) -> np.ndarray:
    """By the defaults, after the chance that decided for them."""
    rng = np.random.default_rng(seed)
    rng.random()
    return Augmentation()(picture, 48, 0.8, rng)
