"""Examples of each shape: the surest cells, the same after a resume."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from leukopy.core.errors import ImageError
from leukopy.fields.detections import Detections, ShapeNames
from leukopy.fields.field import Field, FieldInput
from leukopy.fields.locate import Crops, locate
from leukopy.reports.shape_pictures import SHOWN, ShapePictures
from leukopy.taxonomy.objects import OBJECTS, RED_CELL
from leukopy.taxonomy.red_cell_shapes import SHAPE_NAMES

TEARDROP, NORMAL = SHAPE_NAMES.index("teardrop"), SHAPE_NAMES.index("normal")
PLACES = [(60 * column + 10, 60 * row + 10) for row in range(3) for column in range(4)]


class Finder:
    """Red cells on a grid, with given probabilities of a shape."""

    def __init__(self, shapes: list[int], probabilities: list[float], sure: list[bool]) -> None:
        count = len(shapes)
        boxes = np.array([(x, y, 40, 40) for x, y in PLACES[:count]], np.float32)
        names = ShapeNames(np.array(shapes), np.array(probabilities), np.array(sure, bool))
        kinds = np.full(count, OBJECTS.index(RED_CELL))
        self.found = Detections(boxes, kinds, np.full(count, 0.9, np.float32), 40.0, names)

    def find(self, field: Field, usual_red_cell_px: float | None = None) -> Detections:
        return self.found


def _field(number: int) -> Field:
    pixels = np.full((200, 260, 3), 40 * number + 20, np.uint8)
    return Field(FieldInput(f"f{number}.png", f"f{number}.png"), pixels, f"{number:064}", 0.19, "file")


@pytest.fixture(scope="module")
def slide():
    """Three fields with four teardrops each, one of them unsure, and normal cells."""
    found = []
    for number in range(3):
        probabilities = [0.6 + 0.1 * number, 0.7, 0.95 - 0.1 * number, 0.99, 0.9]
        finder = Finder([TEARDROP] * 4 + [NORMAL], probabilities, [True, True, True, False, True])
        field = _field(number)
        found.append((field, locate(field.source, finder, lambda _, field=field: field, Crops(100))[0]))
    return found


def test_the_surest_cells_are_shown_and_memory_is_bounded(slide):
    pictures = ShapePictures()
    for field, located in slide:
        pictures.add(field, located)
    objects = pl.concat([located.objects() for _, located in slide])
    shown = pictures.of(objects, [field.source for field, _ in slide], lambda _: pytest.fail("is read again"))
    assert len(shown["teardrop"]) == SHOWN
    assert len(shown["normal"]) == 3
    assert set(shown) == {"teardrop", "normal"}
    assert all(picture.startswith(b"RIFF") for picture in shown["teardrop"])


def test_a_resumed_run_shows_the_same_and_reads_what_it_has_not_seen(slide):
    whole, resumed = ShapePictures(), ShapePictures()
    for field, located in slide:
        whole.add(field, located)
    resumed.add(*slide[2])
    objects = pl.concat([located.objects() for _, located in slide])
    inputs = [field.source for field, _ in slide]
    by_name = {field.source.field_id: field for field, _ in slide}
    read = lambda source: by_name[source.field_id]  # noqa: E731
    assert resumed.of(objects, inputs, read) == whole.of(objects, inputs, read)


def test_a_field_that_is_gone_shows_no_cell(slide):
    def read(source: FieldInput) -> Field:
        raise ImageError("missing", f"{source.path}: is gone")

    objects = slide[0][1].objects()
    assert ShapePictures().of(objects, [slide[0][0].source], read) == {}
