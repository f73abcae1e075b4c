"""Fields to rows: located leukocytes pass through the slide of single cells."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image, ImageDraw
from polars.testing import assert_frame_equal

import leukopy
from leukopy.fields.field import FieldInput
from leukopy.fields.read import read_field
from leukopy.fields.stream import Earlier
from leukopy.fields.tables import FIELD_SCHEMA, LOCATION_SCHEMA, OBJECT_SCHEMA
from leukopy.inference.rows import FAILURE_SCHEMA, CellInput, has_flag
from leukopy.slides import field_slide
from leukopy.slides.field_slide import FieldSlide
from leukopy.synthesis import Scene, draw_field
from support.found import KnownFinder, save_field

MIX = {"SNE": 4, "LY": 3, "EO": 1}


@pytest.fixture(scope="module")
def slide(tmp_path_factory):
    """Twelve drawn fields, of which one cannot be read, and the detector that knows them."""
    folder = tmp_path_factory.mktemp("fields")
    finder = KnownFinder()
    for seed in range(11):
        drawn = draw_field(MIX, seed=seed, size=(480, 640), scene=Scene(cut=seed % 2 == 0, platelets=0.05))
        save_field(folder / f"f{seed:02}.png", drawn, finder)
    (folder / "f11.png").write_text("no picture")
    return [FieldInput(f"f{n:02}.png", str(folder / f"f{n:02}.png"), "s3") for n in range(12)], finder


@pytest.fixture(scope="module")
def default():
    return leukopy.load("default")


def joined(parts):
    parts = list(parts)
    return (
        pl.concat([one.fields for one in parts]),
        pl.concat([one.objects for one in parts]),
        pl.concat([one.cells.cells for one in parts]),
        pl.concat([one.cells.failures for one in parts]),
    )


@pytest.fixture(scope="module")
def whole(slide, default):
    fields, finder = slide
    return joined(FieldSlide(default, finder, fields).rows())


def test_every_counted_leukocyte_is_a_row_with_its_place(whole, default):
    fields, objects, cells, _ = whole
    assert fields.schema == FIELD_SCHEMA
    assert objects.schema == OBJECT_SCHEMA
    assert cells.schema == default.schema | LOCATION_SCHEMA
    assert fields["field"].to_list() == [f"f{n:02}.png" for n in range(12)]
    own = objects.filter(pl.col("cell_id").is_not_null())
    assert sorted(own["cell_id"]) == sorted(cells["cell_id"])
    assert own.height == objects.filter(kind="leukocyte", counted=True).height > 60
    places = own.join(cells, on="cell_id", suffix="_cell")
    for name in ("box_x", "box_y", "box_width", "box_height", "diameter_um", "field"):
        assert (places[name] == places[f"{name}_cell"]).all()
    assert set(cells["slide"]) == {"s3"}


def test_drawn_cells_have_their_classes(whole):
    _, _, cells, _ = whole
    counted = cells.filter(~has_flag("cut"))
    shares = dict(counted["coarse"].value_counts(normalize=True).iter_rows())
    assert shares["NEU"] == pytest.approx(0.5, abs=0.1)
    assert shares["LY"] == pytest.approx(0.375, abs=0.1)


def test_flags_of_the_boxes_join_those_of_the_class(whole):
    _, objects, cells, _ = whole
    cut = set(objects.filter(pl.col("cut"))["cell_id"].drop_nulls())
    assert cut
    assert set(cells.filter(has_flag("cut"))["cell_id"]) == cut
    assert not cells.filter(pl.col("flags").str.starts_with(";") | pl.col("flags").str.ends_with(";")).height


def test_an_unreadable_field_is_a_failure_with_its_reason(whole):
    fields, _, _, failures = whole
    assert failures.schema == FAILURE_SCHEMA
    assert failures.select("cell_id", "reason").row(0) == ("f11.png", "not_an_image")
    assert fields.row(11, named=True)["left_out"] == "unreadable: not an image"


def test_each_field_is_read_and_searched_once(slide, default):
    fields, finder = slide
    before, read = finder.searches, []

    def reading(source):
        read.append(source.field_id)
        return read_field(source)

    for _ in FieldSlide(default, finder, fields, read=reading).rows():
        pass
    assert sorted(read) == [one.field_id for one in fields]
    assert finder.searches - before == 11


@pytest.mark.parametrize("done", [1, 5, 12])
def test_a_resumed_slide_has_the_same_rows(slide, default, whole, monkeypatch, done):
    monkeypatch.setattr(field_slide, "FIELDS_AT_ONCE", 3)
    fields, finder = slide
    names = [one.field_id for one in fields[:done]]
    earlier = Earlier(*(table.filter(pl.col("field").is_in(names)) for table in whole[:2]))
    rest = list(FieldSlide(default, finder, fields).rows(earlier))
    if done == 12:
        assert not rest
        return
    found = joined(rest)
    assert found[0].equals(whole[0].slice(done))
    assert found[1].equals(whole[1].filter(~pl.col("field").is_in(names)))
    assert_frame_equal(found[2], whole[2].filter(~pl.col("field").is_in(names)), abs_tol=1e-5)


def test_pictures_are_forgotten_with_their_rows(slide, default):
    fields, finder = slide
    found = FieldSlide(default, finder, fields)
    for part in found.rows():
        assert len(part.cells.views) == len(part.cells.cells)
    assert not found._pictures._kept


def test_fields_without_any_cell_have_rows_and_a_survey(tmp_path, default):
    Image.fromarray(np.full((480, 640, 3), 230, np.uint8)).save(tmp_path / "a.png")
    found = FieldSlide(default, KnownFinder(), [FieldInput("a.png", str(tmp_path / "a.png"))])
    (part,) = found.rows()
    assert part.fields["leukocytes"].to_list() == [0]
    assert part.cells.cells.is_empty()
    assert part.cells.cells.schema == default.schema | LOCATION_SCHEMA
    assert found.survey.crop is None


def test_neighbours_make_no_field_of_a_located_cell(tmp_path, default):
    """The same picture of several cells has no class by itself, and a class where a detector located its cell."""
    drawn = draw_field({"LY": 12, "SNE": 8}, seed=2, size=(1200, 1600))
    path = tmp_path / "crowded.png"
    Image.fromarray(drawn.image).resize((400, 300)).save(path)
    for field, known in (("", False), ("f.png", True)):
        (rows,) = default.slide([CellInput("a", str(path), "", field)]).rows()
        assert (rows.cells["fine"].null_count() == 0) == known


def test_photographs_in_python(slide, default, whole):
    fields, finder = slide
    told = []
    found = default.fields([one.path for one in fields], finder, lambda _, done, total: told.append((done, total)))
    assert told[-1] == (12, 12)
    assert found.fields["field"].to_list() == [one.path for one in fields]
    assert found.cells.schema == default.schema | LOCATION_SCHEMA
    assert len(found.cells) == len(whole[2])
    assert found.objects.height == whole[1].height
    assert found.failures["reason"].to_list() == ["not_an_image"]
    assert default.fields([], finder).cells.schema == found.cells.schema


def test_strange_photographs_are_rows_or_failures_each(tmp_path, default):
    """The detector that ships meets pictures that hold no blood."""
    rng = np.random.default_rng(0)
    noise = Image.fromarray(rng.integers(0, 255, (480, 640, 3)).astype(np.uint8))
    text = Image.new("RGB", (800, 600), "white")
    ImageDraw.Draw(text).multiline_text((20, 20), "\n".join(["No blood on this page."] * 30), fill="black")
    face = Image.new("RGB", (640, 640), (200, 170, 150))
    for box in ((180, 200, 260, 260), (380, 200, 460, 260), (240, 420, 400, 470)):
        ImageDraw.Draw(face).ellipse(box, fill=(60, 40, 40))
    deep = Image.fromarray(rng.integers(0, 65535, (480, 640)).astype(np.uint16))
    pictures = {
        "deep.png": deep, "face.png": face, "low.png": noise.crop((0, 0, 640, 3)), "noise.png": noise, "text.png": text,
        "two.png": text.convert("1"),
    }  # fmt: skip
    for name, picture in pictures.items():
        picture.save(tmp_path / name)
    found = default.fields([tmp_path / name for name in pictures])
    assert len(found.fields) == len(pictures)
    assert [(Path(one).name, reason) for one, reason in found.failures.select("cell_id", "reason").rows()] == [
        ("low.png", "field_too_small")
    ]
    trusted = found.cells.filter(pl.col("fine").is_not_null() & ~has_flag("unidentified"))
    assert len(trusted) <= 2


def test_photographs_in_python_have_shapes_unless_none_are_asked_for(tmp_path, default):
    drawn = draw_field({"LY": 2}, seed=4, size=(480, 640))
    Image.fromarray(drawn.image).save(tmp_path / "f.png")
    named = default.fields([tmp_path / "f.png"]).objects
    assert named["shape"].is_not_null().any()
    assert default.fields([tmp_path / "f.png"], shapes="none").objects["shape"].null_count() == len(named)
