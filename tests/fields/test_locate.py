"""Objects of a field: counting rule, flags, scale, and pictures of leukocytes at the classifier's scale."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from leukopy.core.errors import ImageError
from leukopy.fields.crops import RED_CELLS_ACROSS, cut_out, red_cell_px_from, whole_centres
from leukopy.fields.detections import Detections
from leukopy.fields.field import Field, FieldInput, Region
from leukopy.fields.locate import Crops, locate
from leukopy.fields.tables import FIELD_SCHEMA, OBJECT_SCHEMA
from leukopy.taxonomy.objects import LEUKOCYTE, OBJECTS, PLATELET, RED_CELL

SIZE = (640, 480)
PIXELS = np.random.default_rng(0).integers(120, 250, (SIZE[1], SIZE[0], 3)).astype(np.uint8)


class Finder:
    """Finds the same objects on every field."""

    def __init__(self, *objects: tuple[str, float, float, float, float], red_cell_px: float | None = 40) -> None:
        boxes = np.array([box for _, *box in objects], np.float32).reshape(-1, 4)
        kinds = np.array([OBJECTS.index(kind) for kind, *_ in objects], np.int64)
        self.found = Detections(boxes, kinds, np.full(len(objects), 0.9, np.float32), red_cell_px)

    def find(self, field: Field, usual_red_cell_px: float | None = None) -> Detections:
        return self.found


def located(finder, source=None, *, pixels=PIXELS, um_per_px=None, scale_source=None, crops=Crops(100)):  # noqa: B008
    source = source or FieldInput("a.png", "a.png")
    field = Field(source, pixels, "f" * 64, um_per_px, scale_source)
    return locate(source, finder, lambda _: field, crops)[0]


def test_an_object_counts_where_its_centre_lies_inside():
    found = located(Finder(
        (LEUKOCYTE, 100, 100, 60, 60),
        (LEUKOCYTE, 0, 200, 40, 60),  # two thirds visible
        (LEUKOCYTE, 0, 300, 25, 60),  # less than half
        (LEUKOCYTE, 620, 20, 20, 80),  # a quarter
        (RED_CELL, 300, 0, 40, 15),
        (RED_CELL, 300, 450, 40, 30),
    ))  # fmt: skip
    assert found.counted.tolist() == [True, True, False, False, False, True]
    assert found.cut.tolist() == [False, True, True, True, True, True]
    assert found.rows == [0, 1]
    row = found.field_row().row(0, named=True)
    assert (row["leukocytes"], row["red_cells"], row["platelets"], row["cells"]) == (2, 1, 0, 2)


def test_whole_centres_complete_the_part_beyond_the_border():
    boxes = np.array([(0, 100, 40, 60), (600, 100, 40, 60), (100, 0, 60, 20), (100, 100, 60, 60)], np.float32)
    sides = np.array([[1, 0, 0, 0], [0, 0, 1, 0], [0, 1, 0, 0], [0, 0, 0, 0]], bool)
    assert whole_centres(boxes, sides).tolist() == [[10, 130], [630, 130], [130, -10], [130, 130]]


def test_touching_is_told_among_objects_of_one_kind():
    found = located(Finder(
        (LEUKOCYTE, 100, 100, 60, 60), (LEUKOCYTE, 150, 100, 60, 60), (RED_CELL, 100, 150, 40, 40),
        (RED_CELL, 300, 300, 40, 40), (RED_CELL, 339, 339, 40, 40),
    ))  # fmt: skip
    assert found.touching.tolist() == [True, True, False, False, False]


def test_tables_have_their_schemas_and_agree():
    found = located(Finder((LEUKOCYTE, 300, 200, 60, 60), (LEUKOCYTE, 100, 100, 60, 60), (PLATELET, 10, 10, 12, 12)))
    objects, row = found.objects(), found.field_row()
    assert objects.schema == OBJECT_SCHEMA
    assert row.schema == FIELD_SCHEMA
    assert objects["cell_id"].to_list() == ["a.png#cell=1", "a.png#cell=2", None]
    assert [cell.cell_id for cell, _ in found.cells()] == ["a.png#cell=2", "a.png#cell=1"]  # from the upper left on
    assert [cell.box for cell, _ in found.cells()] == [(100, 100, 60, 60), (300, 200, 60, 60)]
    assert objects["diameter_um"].to_list() == pytest.approx([60 * 7.5 / 40] * 2 + [12 * 7.5 / 40])


def test_pictures_have_the_scale_of_the_red_cells():
    found = located(Finder((LEUKOCYTE, 300, 200, 60, 60), red_cell_px=40))
    ((_, picture),) = found.cells()
    side = round(RED_CELLS_ACROSS * 40)
    assert (picture.width, picture.height) == (side, side)
    left, top = 330 - side // 2, 230 - side // 2
    assert np.abs(np.asarray(picture.image).astype(int) - PIXELS[top : top + side, left : left + side]).max() == 0


@pytest.mark.parametrize(
    ("own", "usual", "stated", "expected"),
    [
        (40, None, None, 40),
        (40, 42, None, 42),  # sampling error
        (40, 80, None, 40),  # another magnification
        (None, 42, None, 42),
        (40, 42, 0.2, 37.5),  # a stated scale that the red cells confirm
        (40, 42, 5.0, 42),  # an absurd one
        (None, None, None, 60 / 1.6),
    ],
)
def test_the_scale_of_the_pictures(own, usual, stated, expected):
    finder = Finder((LEUKOCYTE, 300, 200, 60, 60), red_cell_px=own)
    found = located(finder, um_per_px=stated, scale_source=stated and "file", crops=Crops(1000, usual))
    ((_, picture),) = found.cells()
    assert picture.width == round(RED_CELLS_ACROSS * expected)


def test_an_absurd_scale_is_said_and_measured_instead():
    found = located(Finder((RED_CELL, 300, 200, 40, 40)), um_per_px=5.0, scale_source="file")
    assert found.um_per_px == pytest.approx(7.5 / 40)
    assert found.scale_source == "red cells"
    assert found.scale_note.startswith("the file states 5 µm per pixel, which makes the red cells 200 µm wide")


def test_large_pictures_are_reduced_by_a_whole_number():
    picture = cut_out(PIXELS, np.array([320.0, 240.0]), 200, 60, (255, 255, 255))
    assert picture.size == (67, 67)


def test_beyond_the_border_lies_the_colour_of_the_glass():
    picture = np.asarray(cut_out(PIXELS, np.array([0.0, 240.0]), 100, 100, (1, 2, 3)))
    assert (picture[:, :50] == (1, 2, 3)).all()
    assert (picture[:, 50:] == PIXELS[190:290, :50]).all()
    assert (np.asarray(cut_out(PIXELS, np.array([-400.0, 240.0]), 100, 100, (1, 2, 3))) == (1, 2, 3)).all()


def test_leukocytes_suffice_for_a_rough_scale():
    assert red_cell_px_from(np.array([(0, 0, 60, 68), (0, 0, 64, 64)], np.float32)) == pytest.approx(40)


def test_objects_of_a_region_count_in_its_core():
    source = FieldInput("s#x=1000,y=0", "s", region=Region(1000, 0, 1280, 960), core=Region(1100, 0, 640, 480))
    found = located(Finder((RED_CELL, 40, 10, 10, 10), (RED_CELL, 52, 10, 10, 10), (RED_CELL, 400, 10, 10, 10)), source)
    assert found.counted.tolist() == [False, True, False]
    row = found.field_row().row(0, named=True)
    assert (row["slide_x"], row["slide_y"], row["slide_width"], row["slide_height"]) == (1000, 0, 1280, 960)
    assert row["counted_share"] == pytest.approx(0.25)
    assert found.landmarks is None


def test_an_unreadable_field_is_one_input_that_fails():
    source = FieldInput("a.png", "a.png", "slide 3")

    def read(_):
        raise ImageError("truncated", "a.png: ends early.")

    found, field = locate(source, Finder(), read, Crops(100))
    assert field is None
    ((cell, error),) = found.cells()
    assert (cell.cell_id, cell.slide, error.reason) == ("a.png", "slide 3", "truncated")
    assert found.field_row()["left_out"].item() == "unreadable: truncated"
    assert found.objects().is_empty()


def test_a_field_in_the_dark_is_left_out_with_its_cause():
    dark = located(Finder(red_cell_px=None), pixels=np.full((480, 640, 3), 8, np.uint8))
    assert dark.left_out == "dark: the lamp was off, or the exposure far too short"
    empty = located(Finder(red_cell_px=None), pixels=np.full((480, 640, 3), 225, np.uint8))
    assert empty.left_out is None
    assert empty.field_row()["leukocytes"].item() == 0


def test_a_field_of_three_pixels_has_rows():
    found = located(Finder(red_cell_px=None), pixels=np.full((3, 640, 3), 225, np.uint8))
    assert found.field_row()["height"].item() == 3


def test_a_left_out_field_has_no_cells():
    found = located(Finder((LEUKOCYTE, 300, 200, 60, 60)))
    found.leave_out("copy of b.png")
    assert not found.cells()
    assert found.objects().is_empty()
    assert found.field_row().select("left_out", "leukocytes", "cells").row(0) == ("copy of b.png", 0, 0)


def test_the_same_field_of_another_slide_has_its_name():
    found = located(Finder((LEUKOCYTE, 300, 200, 60, 60)), replace(FieldInput("a.png", "a.png"), slide="s3"))
    assert found.objects()["slide"].to_list() == ["s3"]
    assert found.cells()[0][0].slide == "s3"
