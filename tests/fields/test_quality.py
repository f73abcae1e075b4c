"""Quality of a field: focus, crowding and light."""

import numpy as np
import pytest
from scipy import ndimage

from leukopy.fields.detections import Detections
from leukopy.fields.detector import Detector
from leukopy.fields.quality import measure_quality, no_blood_film
from leukopy.synthesis import draw_field, random_appearance
from leukopy.taxonomy.objects import LEUKOCYTE, OBJECTS, PLATELET, RED_CELL
from support.odd_pictures import organ

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


@pytest.mark.parametrize("seed", range(6))
def test_red_cells_of_any_laboratory_have_the_colour_of_haemoglobin(seed):
    drawn = draw_field({"SNE": 2}, seed=seed, size=(480, 640), appearance=random_appearance(seed))
    boxes = [(one.left, one.top, one.width, one.height) for one in drawn.objects if one.kind == RED_CELL]
    found = _red(boxes, 7.5 / drawn.um_per_px)
    assert not no_blood_film(found, measure_quality(drawn.image, found))


def test_nuclei_taken_for_red_cells_are_no_blood_film():
    drawn = draw_field({"LY": 6}, seed=1, size=(480, 640))
    nuclei = [(one.left, one.top, one.width, one.height) for one in drawn.objects if one.kind == LEUKOCYTE]
    found = _red(nuclei, 7.5 / drawn.um_per_px)
    assert "colour of nuclei" in no_blood_film(found, measure_quality(drawn.image, found))


def test_a_section_of_tissue_is_no_blood_film_though_most_of_its_ground_is_pink():
    pixels = organ()
    found = Detector.open().find_on(pixels)
    quality = measure_quality(pixels, found)
    assert len(found.of(RED_CELL)) > 100
    assert 0.38 < quality.dyed_as_nuclei < 0.6
    assert "colour of nuclei" in no_blood_film(found, quality)


def test_platelets_alone_are_no_blood_film():
    pixels = draw_field({"PLT": 3}, seed=1, size=(480, 640)).image
    box = np.array([(10, 10, 20, 20)], np.float32)
    for kind, film in ((PLATELET, False), (RED_CELL, False), (LEUKOCYTE, True)):
        found = Detections(box, np.array([OBJECTS.index(kind)]), np.ones(1, np.float32), None)
        assert bool(no_blood_film(found, measure_quality(pixels, found))) is not film
    assert not no_blood_film(Detections(*_EMPTY), measure_quality(pixels, Detections(*_EMPTY)))
