"""Quality of a field: boxes that overlap, focus, crowding and light."""

import numpy as np
import pytest
from scipy import ndimage

from leukopy.fields.detections import Detections
from leukopy.fields.quality import measure_quality, overlapping
from leukopy.synthesis import draw_field
from leukopy.taxonomy.objects import OBJECTS, RED_CELL


def test_boxes_overlap_as_each_pair_says():
    rng = np.random.default_rng(0)
    boxes = np.c_[rng.uniform(0, 100, (60, 2)), rng.uniform(3, 12, (60, 2))].astype(np.float32)
    upper, lower = boxes[:, :2], boxes[:, :2] + boxes[:, 2:]
    over = (np.minimum(lower[:, None], lower) - np.maximum(upper[:, None], upper) > 0).all(axis=2)
    np.fill_diagonal(over, False)
    assert (overlapping(boxes) == over.any(axis=1)).all()
    assert over.any(axis=1).mean() == pytest.approx(0.7, abs=0.1)  # both answers occur


_EMPTY = (np.empty((0, 4), np.float32), np.empty(0, np.int64), np.empty(0, np.float32))


def _red(boxes: list[tuple[float, float, float, float]], red_cell_px: float) -> Detections:
    kinds = np.full(len(boxes), OBJECTS.index(RED_CELL), np.int64)
    return Detections(np.array(boxes, np.float32), kinds, np.ones(len(boxes), np.float32), red_cell_px)


def test_a_blurred_and_unevenly_lit_field_is_told():
    field = draw_field({"SNE": 2}, seed=1, size=(480, 640))
    red = _red([(0, 0, 10, 10), (5, 5, 10, 10), (50, 50, 10, 10)], 7.5 / field.um_per_px)
    sharp = measure_quality(field.image, red)
    blurred = measure_quality(ndimage.gaussian_filter(field.image, (5, 5, 0)), red)
    shade = np.linspace(0.5, 1, 640)[None, :, None]
    shaded = measure_quality((field.image * shade).astype(np.uint8), red)
    assert blurred.focus < 0.6 * sharp.focus
    assert shaded.light_range > sharp.light_range + 0.3
    assert sharp.crowding == pytest.approx(2 / 3)
    assert shaded.light <= sharp.light


def test_a_field_without_red_cells_has_no_focus_and_no_crowding():
    found = measure_quality(np.full((3, 40, 3), 200, np.uint8), Detections(*_EMPTY))
    assert np.isnan(found.crowding)
    assert np.isnan(found.focus)
    assert found.light == 200
