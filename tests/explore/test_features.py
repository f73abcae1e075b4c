"""The measures of one cell are those that their definitions give."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage.color import rgb2lab, rgb2xyz

from leukopy.core.errors import ImageError
from leukopy.explore.features import PICTURE_SIDE, measure
from leukopy.explore.means import unpack
from leukopy.imaging.measures import FEATURES, SHAPES, lightness, luminance
from leukopy.synthesis import draw_cell


def values_of(path: Path) -> dict[str, float]:
    return dict(zip((feature.name for feature in FEATURES), measure(path).values.tolist(), strict=True))


def save(path: Path, pixels: np.ndarray) -> Path:
    Image.fromarray(pixels).save(path)
    return path


def test_luminance_and_lightness_are_those_of_cie() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    assert luminance(pixels) == pytest.approx(rgb2xyz(pixels)[..., 1], abs=1e-4)
    assert lightness(luminance(pixels)) == pytest.approx(rgb2lab(pixels)[..., 0], abs=0.02)


def test_a_picture_of_one_colour_has_light_and_colour_but_no_cell(tmp_path: Path) -> None:
    found = values_of(save(tmp_path / "grey.png", np.full((40, 50, 3), (188, 100, 20), np.uint8)))
    assert (found["red"], found["green"], found["blue"]) == (188, 100, 20)
    assert found["luminance"] == pytest.approx(100 * luminance(np.array([188, 100, 20], np.uint8)), rel=1e-4)
    assert all(np.isnan(found[name]) for name in SHAPES)


def test_the_areas_are_shares_of_the_picture(tmp_path: Path) -> None:
    drawn = draw_cell("LY", seed=3, size=200)
    found = values_of(save(tmp_path / "cell.png", drawn.image))
    assert found["cell_area"] == pytest.approx(100 * drawn.cell_mask.mean(), rel=0.25)
    assert found["nucleus_area"] == pytest.approx(100 * drawn.nucleus_mask.mean(), rel=0.25)


def test_the_small_picture_is_the_centred_square(tmp_path: Path) -> None:
    pixels = np.zeros((100, 300, 3), np.uint8)
    pixels[:, 100:200] = 200
    found = measure(save(tmp_path / "wide.png", pixels))
    assert (found.width, found.height) == (300, 100)
    small = unpack(found.picture)
    assert small.shape == (PICTURE_SIDE, PICTURE_SIDE, 3)
    assert small[:, 3:-3].min() > 190


def test_what_is_no_image_is_an_image_error(tmp_path: Path) -> None:
    (tmp_path / "letter.png").write_text("not a picture")
    with pytest.raises(ImageError, match="not an image"):
        measure(tmp_path / "letter.png")
