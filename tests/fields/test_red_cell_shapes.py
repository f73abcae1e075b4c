"""Names of shapes on a field: the cells that get one, the scale, and the decisions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from leukopy.bundle.red_cell_shapes import open_red_cell_shapes
from leukopy.fields.detections import Detections
from leukopy.fields.field import Field, FieldInput
from leukopy.fields.locate import Crops, locate
from leukopy.fields.red_cell_shapes import Readings, ShapedFinder, ShapeNamer
from leukopy.fields.tables import FIELD_SCHEMA
from leukopy.synthesis import Scene, draw_field
from leukopy.taxonomy.objects import LEUKOCYTE, OBJECTS, RED_CELL
from leukopy.taxonomy.red_cell_shapes import NORMAL, SHAPE_NAMES, SIZE_SHAPES
from support.found import detections

DRAWN = draw_field({"LY": 2}, seed=3, size=(300, 400), scene=Scene(platelets=0.1, apart=0.9, coverage=0.45))


@pytest.fixture(scope="module")
def namer() -> ShapeNamer:
    return ShapeNamer(open_red_cell_shapes())


class Finder:
    """Finds the same objects on every field."""

    def __init__(self, found: Detections) -> None:
        self.found = found

    def find(self, field: Field, usual_red_cell_px: float | None = None) -> Detections:
        return self.found


def _field(um_per_px: float | None = DRAWN.um_per_px) -> Field:
    return Field(FieldInput("a.png", "a.png"), DRAWN.image, "0" * 64, um_per_px, "file" if um_per_px else None)


def test_whole_red_cells_alone_have_a_shape(namer: ShapeNamer) -> None:
    found = ShapedFinder(Finder(detections(DRAWN.objects, DRAWN.um_per_px)), namer).find(_field())
    assert found.shapes is not None
    judged = found.shapes.shapes >= 0
    assert judged.any()
    assert (found.kinds[judged] == OBJECTS.index(RED_CELL)).all()
    assert not judged[[one.kind == LEUKOCYTE or one.cut for one in DRAWN.objects]].any()
    assert np.isnan(found.shapes.probabilities[~judged]).all()
    assert ((found.shapes.probabilities[judged] > 0) & (found.shapes.probabilities[judged] <= 1)).all()


def test_a_field_with_few_pixels_has_no_shapes(namer: ShapeNamer) -> None:
    found = ShapedFinder(Finder(detections(DRAWN.objects, 0.5)), namer).find(_field(0.5))
    assert found.shapes is None


def test_without_a_scale_no_cell_is_large_or_small(namer: ShapeNamer) -> None:
    centres = np.array([[100.0, 100.0], [200.0, 150.0]])
    sized = namer.read(DRAWN.image, centres, 40).probabilities
    plain = namer.read(DRAWN.image, centres, 40, sized=False).probabilities
    sizes = [SHAPE_NAMES.index(name) for name in SIZE_SHAPES]
    assert (plain[:, sizes] == 0).all()
    assert np.allclose(plain[:, SHAPE_NAMES.index(NORMAL)], sized[:, [SHAPE_NAMES.index(NORMAL), *sizes]].sum(axis=1))
    assert np.allclose(plain.sum(axis=1), 1)
    assert namer.read(DRAWN.image, np.empty((0, 2)), 40).probabilities.shape == (0, len(SHAPE_NAMES))


def test_a_shape_is_sure_from_its_own_threshold(namer: ShapeNamer) -> None:
    least = namer.card.rules["teardrop"].least_probability
    place = SHAPE_NAMES.index("teardrop")
    probabilities = np.full((3, len(SHAPE_NAMES)), 0.0)
    probabilities[:, place] = least, least - 0.01, least
    names = namer.name(Readings(probabilities, np.array([False, False, True])), 5, np.array([3, 1, 0]))
    assert names.shapes.tolist() == [place, place, -1, place, -1]
    assert names.sure.tolist() == [False, False, False, True, False]  # the last one is unlike the training cells


def test_the_tables_hold_the_shapes(namer: ShapeNamer, tmp_path: Path) -> None:
    finder = ShapedFinder(Finder(detections(DRAWN.objects, DRAWN.um_per_px)), namer)
    located, _ = locate(FieldInput("a.png", "a.png"), finder, lambda _: _field(), Crops(100))
    objects = located.objects()
    named = objects.filter(objects["shape"].is_not_null())
    row = located.field_row().row(0, named=True)
    single = named.filter(named["counted"])
    assert row["red_cells_judged"] == len(single)
    assert sum(row[f"shape_{name}"] for name in SHAPE_NAMES) == single["shape_sure"].sum()
    assert set(row) == set(FIELD_SCHEMA)
    assert objects.filter(objects["shape"].is_null())["shape_sure"].null_count() == len(objects) - len(named)


def test_cells_that_overlap_far_have_no_shape(namer: ShapeNamer) -> None:
    boxes = np.array([(100, 100, 40, 40), (136, 100, 40, 40), (200, 100, 40, 40), (220, 100, 40, 40)], np.float32)
    found = Detections(boxes, np.full(4, OBJECTS.index(RED_CELL)), np.full(4, 0.9, np.float32), 40.0)
    shapes = ShapedFinder(Finder(found), namer).find(_field(None)).shapes
    assert shapes is not None
    assert (shapes.shapes >= 0).tolist() == [True, True, False, False]  # the first two touch
