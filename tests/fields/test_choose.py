"""Choosing fields on drawn whole slides whose zones are known."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import tifffile
from PIL import Image, ImageFilter

import leukopy.fields.choose
from leukopy.core.errors import InputError
from leukopy.fields.choose import SQUARE_SCHEMA, VERDICTS, SlideChoice, choose_fields
from leukopy.fields.read import read_field
from leukopy.fields.slide_overview import draw_overview
from leukopy.fields.slide_sample import sample_slide, spread_places
from leukopy.fields.whole_slide import WholeSlide
from leukopy.workflows.draw_slide import DrawSlideSettings, draw_slide
from support.slides import levels_of, write_slide

pytestmark = pytest.mark.slow

UM_PER_PX = 0.4


@pytest.fixture(scope="module")
def drawn(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("drawn") / "slide"
    draw_slide(DrawSlideSettings(width=9 * 1024, height=5 * 1024, um_per_px=UM_PER_PX, variants=1, seed=3), out)
    return out


@pytest.fixture(scope="module")
def choice(drawn) -> SlideChoice:
    return choose_fields(drawn / "slide.tif")


@pytest.fixture(scope="module")
def levels(drawn) -> list[np.ndarray]:
    with tifffile.TiffFile(drawn / "slide.tif") as tif:
        return [page.asarray() for page in tif.pages]


def zone_of(drawn: Path, square) -> str | None:
    """The zone in which a square lies wholly."""
    left, top, width, height = square.region
    for zone, x, y, wide, high in pl.read_csv(drawn / "zones.csv").rows():
        if x <= left and left + width <= x + wide and y <= top and top + height <= y + high:
            return str(zone)
    return None


def test_the_monolayer_is_chosen_and_the_rest_has_its_reason(drawn, choice):
    expected = {"empty": "no_cells", "thick": "thick", "monolayer": "chosen", "thin": "thin"}
    seen = [(zone_of(drawn, square), square.verdict) for square in choice.squares]
    for zone, verdict in expected.items():
        found = [got for where, got in seen if where == zone]
        assert found
        assert set(found) == {verdict}, zone
    assert len(choice.fields) == choice.count("chosen")
    for square in choice.squares:  # half glass, half anything else
        left, top, _, height = square.region
        if top < 1024 - 0.35 * height and top + height > 1024 + 0.35 * height and 1024 < left < 8000:
            assert square.verdict in ("edge", "thin", "no_cells"), square
    assert (choice.um_per_px, choice.scale_source) == (pytest.approx(UM_PER_PX), "file")


def test_squares_cover_the_slide_once(choice):
    covered = np.zeros((5 * 1024, 9 * 1024), np.uint8)
    for square in choice.squares:
        left, top, width, height = square.region
        assert abs(width * UM_PER_PX / 250 - 1) < 0.5
        covered[top : top + height, left : left + width] += 1
    assert (covered == 1).all()


def test_fields_reach_beyond_their_cores_by_a_cell(choice):
    cores = {field.core for field in choice.fields}
    assert len(cores) == len(choice.fields) == len({field.field_id for field in choice.fields})
    for field in choice.fields:
        assert field.region is not None
        assert field.core is not None
        margin = round(20 / UM_PER_PX)
        assert field.core.left - field.region.left in (margin, field.core.left)
        assert field.region.left + field.region.width - field.core.left - field.core.width in range(margin + 1)
    found = read_field(choice.fields[0])
    region = choice.fields[0].region
    assert found.pixels.shape == (region.height, region.width, 3)
    assert found.scale_source == "file"


def test_every_beginning_is_spread_over_the_monolayer(choice):
    places = np.array([field.core[:2] for field in choice.fields])
    for share in (4, 2):
        few = places[: len(places) // share]
        for axis in range(2):
            low, high = places[:, axis].min(), places[:, axis].max()
            assert abs(few[:, axis].mean() - places[:, axis].mean()) < 0.15 * (high - low)
            assert np.ptp(few[:, axis]) > 0.6 * (high - low)


def test_without_a_scale_the_red_cells_give_it(levels, tmp_path):
    path = write_slide(tmp_path / "bare.tif", levels, None)
    choice = choose_fields(path)
    assert choice.scale_source == "red cells"
    assert choice.um_per_px == pytest.approx(UM_PER_PX, rel=0.06)
    assert choice.fields[0].um_per_px is None
    table = choose_fields(path, um_per_px=0.41)
    assert (table.um_per_px, table.scale_source) == (0.41, "table")
    assert table.fields[0].um_per_px == 0.41


def test_blurred_squares_are_left_out(drawn, levels, tmp_path):
    picture = Image.fromarray(levels[0])
    box = (4608, 1024, 6144, 2560)
    picture.paste(picture.crop(box).filter(ImageFilter.GaussianBlur(4)), box[:2])
    choice = choose_fields(write_slide(tmp_path / "blurred.tif", [np.asarray(picture), *levels[1:]], UM_PER_PX))
    inside = [
        square.verdict
        for square in choice.squares
        if square.region.left >= box[0] and square.region.left + square.region.width <= box[2]
        and square.region.top >= box[1] and square.region.top + square.region.height <= box[3]
        and zone_of(drawn, square) == "monolayer"
    ]  # fmt: skip
    assert inside
    assert set(inside) == {"out_of_focus"}
    assert choice.count("chosen") > 5


def test_damaged_squares_are_said_and_the_others_chosen(drawn, tmp_path):
    data = bytearray((drawn / "slide.tif").read_bytes())
    with tifffile.TiffFile(drawn / "slide.tif") as tif:
        page = tif.pages[0]
        number = (2560 // 512) * (page.imagewidth // 512) + 5120 // 512
        start = page.dataoffsets[number]
    data[start : start + 400] = bytes(400)
    path = tmp_path / "damaged.tif"
    path.write_bytes(data)
    choice = choose_fields(path)
    damaged = [square.region for square in choice.squares if square.verdict == "damaged"]
    assert damaged
    for left, top, width, height in damaged:
        assert left < 5632
        assert left + width > 5120
        assert top < 3072
        assert top + height > 2560
    assert choice.count("chosen") > 5


def test_glass_alone_gives_no_field_and_no_scale_says_what_to_do(tmp_path):
    rng = np.random.default_rng(1)
    glass = (235 + rng.integers(0, 6, (1500, 2000, 3))).astype(np.uint8)
    choice = choose_fields(write_slide(tmp_path / "glass.tif", levels_of(glass)))
    assert choice.fields == []
    assert {square.verdict for square in choice.squares} == {"no_cells"}
    with pytest.raises(InputError, match="--um-per-px"):
        choose_fields(write_slide(tmp_path / "bare.tif", levels_of(glass), None))


def test_a_very_large_slide_is_looked_at_in_part_and_says_so(drawn, monkeypatch):
    monkeypatch.setattr(leukopy.fields.choose, "_MOST", 20)
    choice = choose_fields(drawn / "slide.tif")
    looked = [square for square in choice.squares if square.cover is not None]
    assert len(looked) == 20
    assert choice.count("not_looked_at") > 10
    assert choice.fields


def test_overview_and_table_show_each_square(choice):
    overview = draw_overview(choice, 3)
    counts = {key.verdict: key.squares for key in overview.legend}
    assert counts["analysed"] == 3
    assert counts["chosen"] == choice.count("chosen") - 3
    assert sum(counts.values()) == len(choice.squares)
    scale = overview.pixels.shape[1] / choice.size[0]
    core = choice.fields[0].core
    row, column = math.floor((core.top + core.height / 2) * scale), math.floor((core.left + core.width / 2) * scale)
    before, after = (pixels[row, column].astype(int) for pixels in (choice.thumbnail.pixels, overview.pixels))
    assert after[1] - after[0] > before[1] - before[0], "greener"
    table = choice.table(3)
    assert dict(table.schema) == SQUARE_SCHEMA
    assert table["analysed"].sum() == 3
    assert set(table["verdict"]) <= set(VERDICTS)
    assert table.height == len(choice.squares)


def test_a_sample_counts_what_it_cannot_read(drawn):
    with WholeSlide.open(drawn / "slide.tif") as slide:
        sample = sample_slide(slide)
    assert sample.squares == 45
    assert sample.damaged == ()
    assert sample.red_cell_px == pytest.approx(7.5 / UM_PER_PX, rel=0.06)


def test_orders_hold_each_number_once():
    assert spread_places([]) == []
    places = [(row, column) for row in range(9) for column in range(7)]
    assert sorted(spread_places(places)) == list(range(63))
    board = [(row, column) for row in range(8) for column in range(8)]
    half = [sum(board[number]) % 2 for number in spread_places(board)[:32]]
    assert len(set(half)) == 1, "a chessboard"
