"""The look that a spec gives to a picture: white balance, and the stain of another laboratory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from leukopy.imaging.decode import WHITE, read_cell
from leukopy.imaging.preprocess import Preprocess
from leukopy.imaging.stains import Reinhard
from leukopy.synthesis import draw_cell

AS_IS = Preprocess(size=64)
BALANCED = Preprocess(size=64, white_balance=True)


def written(folder: Path, pixels: NDArray[np.uint8]) -> Path:
    path = folder / "cell.png"
    Image.fromarray(pixels).save(path)
    return path


def test_one_cell_under_two_lights_looks_the_same(tmp_path: Path) -> None:
    cell = draw_cell("MO", seed=3, size=128).image
    dim_and_green = (cell * [0.55, 0.8, 0.65]).astype(np.uint8)
    spread = {}
    for name, spec in (("as is", AS_IS), ("balanced", BALANCED)):
        first, second = (
            read_cell(written(tmp_path, light), spec).pixels.astype(float) for light in (cell, dim_and_green)
        )
        spread[name] = np.abs(first - second).mean()
    assert spread["as is"] > 40
    assert spread["balanced"] < 3


def test_the_background_comes_out_white(tmp_path: Path) -> None:
    grey = np.full((64, 64, 3), (90, 140, 200), np.uint8)
    pixels = read_cell(written(tmp_path, grey), BALANCED).pixels
    assert np.abs(pixels.astype(int) - WHITE).max() <= 3


def test_a_black_picture_stays_black_and_nothing_overflows(tmp_path: Path) -> None:
    assert read_cell(written(tmp_path, np.zeros((32, 32, 3), np.uint8)), BALANCED).pixels.max() == 0
    bright = np.full((32, 32, 3), 255, np.uint8)
    bright[:31] = 40  # the light half is rarer than one in twenty: it saturates rather than wraps round
    assert read_cell(written(tmp_path, bright), BALANCED).pixels[-1].min() == 255


def test_the_stain_of_the_spec_is_given_to_the_picture(tmp_path: Path) -> None:
    look = Reinhard(mean=(70.0, 20.0, -10.0), deviation=(12.0, 8.0, 6.0))
    path = written(tmp_path, draw_cell("EO", seed=1, size=96).image)
    plain = read_cell(path, AS_IS).pixels
    assert np.array_equal(read_cell(path, Preprocess(size=64, stain=look)).pixels, look(plain))
    assert not np.array_equal(look(plain), plain)
