"""What keeps a cell from being named is told from its picture, and only where it is so."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from leukopy.datasets import open_dataset
from leukopy.imaging.decode import read_image
from leukopy.imaging.segmentation import Masks, segment
from leukopy.imaging.stains import glass
from leukopy.inference.reasons import NO_CELL, OUT_OF_FOCUS, SEVERAL, UNLIKE, reason, reasons
from leukopy.synthesis import draw_cell, random_appearance

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


@pytest.mark.parametrize("code", ["SNE", "EO", "MO", "PLT"])
def test_lobes_and_pale_cells_are_one_cell(code: str) -> None:
    """The lobes of a nucleus are parts of it, and a platelet is not measured against the red cells round it."""
    cells = [draw_cell(code, seed=seed, size=160, appearance=random_appearance(seed)) for seed in range(12)]
    found = [reason(cell.image) for cell in cells]
    assert SEVERAL not in found
    assert found.count(UNLIKE) >= 10  # some of the laboratories drawn are not quite sharp, or hardly stain


def side_by_side() -> NDArray[np.uint8]:
    lymphocyte, monocyte = SHARP[1], SHARP[2]
    return np.concatenate([lymphocyte, monocyte], axis=1)[:, 30:-30]


def test_two_cells_side_by_side() -> None:
    assert reason(side_by_side()) == SEVERAL


def test_only_a_second_nucleus_makes_the_cell_be_sought(monkeypatch: pytest.MonkeyPatch) -> None:
    """To segment a cell takes longer than all the rest."""
    sought = []

    def counting(picture: NDArray[np.uint8]) -> Masks:
        sought.append(picture.shape)
        return segment(picture)

    monkeypatch.setattr("leukopy.inference.reasons.segment", counting)
    for picture in SHARP:
        reason(picture)
    assert not sought
    reason(side_by_side())
    assert len(sought) == 1


@pytest.mark.parametrize("size", [(112, 112), (400, 400), (150, 210), (300, 200)])
def test_reasons_hold_at_any_size_and_shape(size: tuple[int, int]) -> None:
    """(width, height): the long side is cut, not squeezed."""
    drawn = draw_cell("LY", seed=1, size=max(size)).image
    top, left = (max(size) - size[1]) // 2, (max(size) - size[0]) // 2
    picture = drawn[top : top + size[1], left : left + size[0]]
    assert picture.shape[:2] == size[::-1]
    assert reason(picture) == UNLIKE
    assert reason(blurred(picture, 3 * min(size) / 112)) == OUT_OF_FOCUS


def test_real_cells_have_no_fault_but_for_what_was_done_to_them(real_data: Path) -> None:
    cells = open_dataset("pbc", real_data / "cells" / "pbc").filter(pl.col("split") == "val")
    pictures = [read_image(Path(path)) for path in cells.gather_every(60)["path"]]
    assert [reason(picture) for picture in pictures].count(UNLIKE) >= 0.93 * len(pictures)
    unsharp = [blurred(picture, 4) for picture in pictures]
    assert [reason(picture) for picture in unsharp].count(OUT_OF_FOCUS) >= 0.93 * len(pictures)
    halves = [picture[:224, 56:168] for picture in pictures]
    pairs = [np.concatenate(pair, axis=1) for pair in pairwise(halves)]
    assert [reason(picture) for picture in pairs].count(SEVERAL) >= 0.6 * len(pairs)


def test_pictures_keep_their_places() -> None:
    empty = Image.new("RGB", (64, 64), "white")
    assert reasons([None, empty, None], 2) == [None, NO_CELL, None]
    assert reasons([None, None], 2) == [None, None]
