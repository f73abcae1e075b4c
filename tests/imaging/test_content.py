"""What a picture holds is told from its content: on drawn pictures of known content, and on real ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from leukopy.core.errors import ImageError
from leukopy.imaging import content
from leukopy.imaging.content import Content, contents, slide_content
from leukopy.imaging.decode import read_picture
from leukopy.imaging.overview import SIDE, overview
from leukopy.synthesis import draw_cell, random_appearance
from leukopy.synthesis.field import draw_field
from leukopy.taxonomy import FINE


def told(*pictures: NDArray[np.generic] | Image.Image) -> list[Content]:
    images = [one if isinstance(one, Image.Image) else as_image(one) for one in pictures]
    return contents(np.stack([overview(one) for one in images]), np.array([one.size for one in images]))


def as_image(levels: NDArray[np.generic]) -> Image.Image:
    return Image.fromarray(np.clip(levels, 0, 255).astype(np.uint8))


def cell(code: str = "LY", seed: int = 0, size: int = 200) -> NDArray[np.uint8]:
    return draw_cell(code, seed=seed, size=size).image


def noise(mean: float, deviation: float, side: int = 200, seed: int = 0) -> NDArray[np.float64]:
    return np.random.default_rng(seed).normal(mean, deviation, (side, side, 3))


def vignetting(side: int = 200, fall: float = 0.6) -> NDArray[np.float64]:
    y, x = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    return (1 / (1 + fall * (x**2 + (y - 0.3) ** 2)) ** 2)[..., None]


@pytest.mark.parametrize("code", [one.code for one in FINE])
def test_drawn_cells_of_every_class_are_cells(code: str) -> None:
    found = told(*(cell(code, seed, (112, 200, 360)[seed % 3]) for seed in range(9)))
    assert [one.cause for one in found if one.kind == "no_cell"] == []
    assert sum(one.kind == "cell" for one in found) >= 8


def test_nuclei_that_absorb_much_blue_are_no_red_cells() -> None:
    brownish = random_appearance(1059)
    cells = [draw_cell(code, seed=seed, appearance=brownish).image for code in ("SNE", "LY") for seed in range(4)]
    assert [one.kind for one in told(*cells)] == ["cell"] * 8
    red = [draw_field({}, seed=seed, size=(100, 100), appearance=brownish).image for seed in range(4)]
    assert {one.cause for one in told(*red)} == {content.UNSTAINED}


@pytest.mark.parametrize(
    ("frame", "cause"),
    [
        (lambda: np.zeros((64, 64, 3)), content.DARK),
        (lambda: noise(6, 5), content.DARK),
        (lambda: noise(25, 10), content.DARK),
        (lambda: np.full((100, 100, 3), 255), content.OVEREXPOSED),
        (lambda: np.full((100, 100, 3), (235, 225, 215)), content.BLANK),
        (lambda: noise(225, 6), content.BLANK),
        (lambda: np.random.default_rng(0).integers(0, 256, (200, 200, 3)), content.NOISE),
        (lambda: noise(128, 60), content.NOISE),
        (lambda: np.repeat(cell().mean(axis=2, keepdims=True), 3, axis=2), content.COLOURLESS),
        (lambda: np.concatenate([cell()[:60], np.zeros((140, 200, 3))]), content.BLACK),
    ],
    ids=["black", "lens cap", "lamp off", "white", "plain", "empty field", "noise", "grey noise", "grey", "cut off"],
)  # fmt: skip
def test_frames_without_a_cell_have_their_cause(frame: Callable[[], NDArray[np.generic]], cause: str) -> None:
    (found,) = told(frame())
    assert (found.kind, found.cause) == ("no_cell", cause)


@pytest.mark.parametrize("tint", [(235, 225, 215), (180, 200, 170), (200, 170, 190)])
@pytest.mark.parametrize("fall", [0.1, 0.4, 0.8])
def test_vignetting_is_no_cell(tint: tuple[int, int, int], fall: float) -> None:
    (found,) = told(np.array(tint) * vignetting(fall=fall) + noise(0, 3))
    assert found.kind == "no_cell"


@pytest.mark.parametrize("height", [20, 60])
def test_a_cell_with_black_padding_is_a_cell(height: int) -> None:
    padded = cell(size=240)
    padded[:height] = 0
    (found,) = told(padded)
    assert found.kind == "cell"


def test_a_blurred_cell_is_a_cell() -> None:
    (found,) = told(as_image(cell("MO")).filter(ImageFilter.GaussianBlur(6)))
    assert found.kind == "cell"


def test_a_cell_off_the_middle_is_not_centred() -> None:
    large = cell("LY", size=400)
    (found,) = told(large[150:, 150:])
    assert not found.centred


def test_drawn_fields_are_fields() -> None:
    """As a camera takes them, and as a square out of them with cells anywhere."""
    fields = [draw_field({"SNE": 4, "LY": 3, "PLT": 5}, seed=seed, size=(600, 800)).image for seed in range(4)]
    found = told(*fields)
    assert [one.kind for one in found] == ["several_cells"] * 4
    assert slide_content(found * 3).fields


def test_the_first_cause_does_not_depend_on_the_others_in_the_batch() -> None:
    pictures = [cell("SNE", 1), np.zeros((64, 64, 3)), noise(225, 4), cell("PLT", 2), noise(128, 60)]
    together = told(*pictures)
    assert together == [told(one)[0] for one in pictures]
    assert told(*pictures * 30) == together * 30


def test_nothing_gives_nothing() -> None:
    assert contents(np.zeros((0, SIDE, SIDE, 3), np.uint8), np.zeros((0, 2), np.int32)) == []
    assert slide_content([]).note == ""
    assert not slide_content([]).fields


def test_a_slide_counts_its_causes_and_says_what_to_do() -> None:
    good, dark = Content("cell", "", True), Content("no_cell", content.DARK, False)
    found = slide_content([good] * 5 + [dark] * 3)
    assert (found.pictures, found.cells, found.several_cells, found.causes) == (8, 5, 0, {content.DARK: 3})
    assert found.note == f"No single cell in 3 of 8 pictures: 3 {content.DARK}."
    assert slide_content([good] * 5).note == ""


@pytest.mark.parametrize(
    ("cells", "uncentred", "several", "fields"),
    [
        (100, 0, 0, False), (86, 14, 0, False), (64, 36, 0, True), (40, 0, 60, True), (65, 0, 35, True),
        (6, 0, 4, False), (3, 0, 6, True), (0, 0, 4, False), (80, 0, 20, False),
    ],
)  # fmt: skip
def test_a_slide_of_fields_is_told(cells: int, uncentred: int, several: int, fields: bool) -> None:
    found = slide_content(
        [Content("cell", "", True)] * cells
        + [Content("cell", "", False)] * uncentred
        + [Content("several_cells", content.FIELD, False)] * several
    )
    assert found.fields is fields
    if fields:
        assert "fields of view, not cells" in found.note
        assert "Cut each cell out" in found.note


def test_dark_frames_do_not_make_a_slide_of_fields() -> None:
    assert not slide_content([Content("no_cell", content.DARK, False)] * 50).fields


def test_the_overview_holds_the_whole_picture() -> None:
    picture = Image.new("RGB", (300, 150), (240, 230, 220))
    picture.paste((90, 40, 140), (0, 0, 75, 150))
    found = overview(picture)
    assert found.shape == (SIDE, SIDE, 3)
    assert (found[:, : SIDE // 4 - 1] == (90, 40, 140)).all()
    assert (found[:, SIDE // 4 + 1 :] == (240, 230, 220)).all()


@pytest.mark.real_data
@pytest.mark.parametrize("source", ["raabin", "chula", "bcisc", "cellavision", "hopkins"])
def test_real_cells_are_cells(real_data: Path, source: str) -> None:
    files = sorted((real_data / "cells" / source).rglob("*.webp"))[::10]
    found = [one for one in map(_of_file, files) if one is not None]
    assert sum(one.kind == "no_cell" for one in found) <= 1
    assert sum(one.kind == "several_cells" for one in found) <= max(2, 0.06 * len(found))  # BCISC has such
    assert not slide_content(found).fields


@pytest.mark.real_data
@pytest.mark.parametrize("source", ["bccd", "chula", "chula_rbc12", "txl"])
def test_real_fields_are_fields(real_data: Path, source: str) -> None:
    files = sorted(file for file in (real_data / "fields" / source).rglob("*") if file.suffix in (".jpg", ".webp"))[:60]
    assert slide_content([one for one in map(_of_file, files) if one is not None]).fields


def _of_file(path: Path) -> Content | None:
    try:
        read = read_picture(path, 180)
    except ImageError:  # one of Chula is 8 pixels wide
        return None
    (found,) = contents(overview(read.image)[None], np.array([[read.width, read.height]]))
    return found
