"""Boxes of red cells that are marked by points."""

import numpy as np
import pytest
from PIL import Image, ImageDraw

from leukopy.training.detector.points import boxes_of_points


def _field(*discs):
    """Pale cells with a paler middle on glass; each disc is (x, y, radius)."""
    picture = Image.new("RGB", (300, 200), (225, 225, 230))
    pen = ImageDraw.Draw(picture)
    for x, y, radius in discs:
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=(200, 150, 160))
    for x, y, radius in discs:
        pen.ellipse((x - radius / 3, y - radius / 3, x + radius / 3, y + radius / 3), fill=(222, 220, 226))
    return np.asarray(picture)


def _boxes(pixels, *points):
    return boxes_of_points(pixels, np.array(points, np.float32), 32.0).tolist()


def test_a_point_beside_the_middle_gets_the_box_of_its_cell():
    pixels = _field((60, 60, 16), (150, 60, 12), (240, 120, 16))
    boxes = _boxes(pixels, (68, 66), (146, 55))
    assert len(boxes) == 2
    for box, (x, y, radius) in zip(boxes, ((60, 60, 16), (150, 60, 12)), strict=True):
        assert box == pytest.approx([x - radius, y - radius, 2 * radius, 2 * radius], abs=3)


def test_cells_that_touch_or_are_cut_have_no_box():
    pixels = _field((60, 60, 16), (84, 60, 16), (150, 4, 16), (240, 120, 16))
    assert len(_boxes(pixels, (60, 60), (150, 6), (240, 120))) == 1
    assert len(_boxes(pixels, (240, 120), (60, 60), (84, 60))) == 1


def test_two_points_on_one_cell_are_doubted():
    assert _boxes(_field((60, 60, 16), (150, 120, 16)), (56, 60), (66, 60)) == []


def test_a_point_on_the_glass_or_beyond_the_picture_has_no_box():
    assert _boxes(_field((60, 60, 16)), (200, 120), (900, -5)) == []
