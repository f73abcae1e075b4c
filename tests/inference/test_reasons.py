"""What keeps a cell from being named is told from its picture, and only where it is so."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from leukopy.datasets import open_dataset
from leukopy.imaging.decode import read_image
from leukopy.imaging.stains import glass
from leukopy.inference.reasons import NO_CELL, OUT_OF_FOCUS, SEVERAL, UNLIKE, reason, reasons
from leukopy.synthesis import draw_cell

SHARP = [draw_cell(code, seed=seed, size=160).image for seed, code in enumerate(("SNE", "LY", "MO", "EO", "MY"))]


def blurred(picture: NDArray[np.uint8], radius: float) -> NDArray[np.uint8]:
    return np.asarray(Image.fromarray(picture).filter(ImageFilter.GaussianBlur(radius)))


@pytest.mark.parametrize("picture", SHARP)
def test_drawn_cells(picture: NDArray[np.uint8]) -> None:
    """Single, sharp cells have no fault but their class; out of focus, or empty, they do."""
    assert reason(picture) == UNLIKE
    assert reason(blurred(picture, 4)) == OUT_OF_FOCUS
    grain = np.random.default_rng(0).normal(0, 2, picture.shape)
    assert reason((glass(picture) + grain).clip(0, 255).astype(np.uint8)) == NO_CELL


def test_two_cells_side_by_side() -> None:
    lymphocyte, monocyte = SHARP[1], SHARP[2]
    assert reason(np.concatenate([lymphocyte, monocyte], axis=1)[:, 30:-30]) == SEVERAL


def test_real_cells_have_no_fault(real_data: Path) -> None:
    cells = open_dataset("pbc", real_data / "cells" / "pbc").filter(pl.col("split") == "val")
    found = [reason(read_image(Path(path))) for path in cells.gather_every(60)["path"]]
    assert found.count(UNLIKE) >= 0.93 * len(found)


def test_files_keep_their_places_and_what_is_gone_is_no_gap(tmp_path: Path) -> None:
    Image.new("RGB", (64, 64), "white").save(tmp_path / "empty.png")
    assert reasons([None, tmp_path / "empty.png", tmp_path / "gone.png"], 2) == [None, NO_CELL, UNLIKE]
    assert reasons([None, None], 2) == [None, None]
