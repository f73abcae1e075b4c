"""Canvases of the detector's training and their targets."""

from __future__ import annotations

import numpy as np
import pytest

from leukopy.taxonomy.objects import OBJECTS
from leukopy.training.detector.canvas import Canvases, cut, place
from leukopy.training.detector.pictures import Scaled, draw
from leukopy.training.detector.settings import DetectorSettings
from leukopy.training.detector.targets import STRIDE, Targets

RED = OBJECTS.index("red_cell")


def _settings(**more):
    return DetectorSettings.build(
        {
            "kind": "detector", "name": "t", "title": "t", "description": "t",
            "sources": [{"source": "txl_bccd", "share": 1}], "drawn": {"share": 1, "fields": 10},
        } | more,
        where="test",
    )  # fmt: skip


def _spot(kinds, boxes, complete=OBJECTS, partial=()):
    """A grey picture with dark squares where the boxes are."""
    pixels = np.full((120, 160, 3), 200, np.uint8)
    for left, top, width, height in boxes:
        pixels[top : top + height, left : left + width] = 20
    return Scaled(pixels, np.array(boxes, np.float32), np.array(kinds), complete, partial)


@pytest.mark.parametrize("seed", range(12))
def test_boxes_follow_the_pixels_through_turns_and_scales(seed):
    picture = _spot([RED], [(70, 30, 20, 30)])
    piece = cut(picture, (160, 160), 0.8, 28.0, np.random.default_rng(seed))
    dark = np.argwhere(piece.pixels[..., 0] < 110)
    left, top, width, height = piece.boxes[0]
    assert dark.min(0) == pytest.approx((top, left), abs=1.5)
    assert dark.max(0) + 1 == pytest.approx((top + height, left + width), abs=1.5)


def test_objects_become_centres_and_absence_is_known_only_where_all_are_marked():
    for complete, partial in ((OBJECTS, ()), ((), OBJECTS)):
        picture = _spot([RED], [(70, 40, 28, 28)], complete, partial)
        piece = cut(picture, (160, 160), 1.0, 28.0, np.random.default_rng(0))
        targets = Targets(160)
        place(targets, piece, picture, (0, 0))
        assert (targets.heat[RED] == 1).sum() == 1
        left, top, width, height = piece.boxes[0]
        middle = int((top + height / 2) / STRIDE), int((left + width / 2) / STRIDE)
        assert targets.heat[RED][middle] == 1
        known = targets.known[RED].sum() / targets.known[RED].size
        assert (known > 0.3) == bool(complete)


def test_doubtful_and_cut_objects_are_neither_present_nor_absent():
    picture = _spot([-1 - RED], [(70, 40, 28, 28)])
    piece = cut(picture, (160, 160), 1.0, 28.0, np.random.default_rng(0))
    targets = Targets(160)
    place(targets, piece, picture, (0, 0))
    left, top, width, height = piece.boxes[0]
    middle = int((top + height / 2) / STRIDE), int((left + width / 2) / STRIDE)
    assert targets.heat[RED].max() == 0
    assert targets.known[RED][middle] == 0
    assert targets.known[RED].max() == 1


def test_a_canvas_depends_on_the_seed_and_its_number_alone():
    settings = _settings()
    drawn = draw(range(2), settings.red_cell_px)
    canvases = Canvases(settings, {"drawn": drawn}, 8, seed=3)
    again = Canvases(settings, {"drawn": drawn}, 8, seed=3)
    picture, planes = canvases[5]
    assert np.array_equal(picture, again[5][0])
    assert np.array_equal(planes, again[5][1])
    assert not np.array_equal(picture, canvases[6][0])
    assert sum((canvases[place][1][:, 0] == 1).sum() for place in range(8)) > 20


def test_many_platelets_are_drawn_on_a_share_of_the_fields():
    platelet = OBJECTS.index("platelet")

    def per_field(share):
        return np.array([(field.kinds == platelet).sum() for field in draw(range(6, 12), 28.0, many_platelets=share)])

    none, some, every = per_field(0), per_field(0.5), per_field(1)
    assert every.sum() > 2 * none.sum()
    assert ((some == none) | (some == every)).all()
    assert 0 < (some != none).sum() < 6


def test_drawn_fields_have_red_cells_of_the_same_size():
    for field in draw(range(3), 28.0):
        red = field.boxes[field.kinds == RED]
        assert np.median(red[:, 2:]) == pytest.approx(32, rel=0.35)


def test_parts_of_a_marked_cell_are_absent_where_not_all_cells_are_marked():
    picture = _spot([RED], [(70, 40, 28, 28)], (), OBJECTS)
    piece = cut(picture, (160, 160), 1.0, 28.0, np.random.default_rng(0))
    targets = Targets(160)
    place(targets, piece, picture, (0, 0))
    left, top, width, height = (piece.boxes[0] / STRIDE).round().astype(int)
    assert targets.known[RED, top + 1 : top + height - 1, left + 1 : left + width - 1].min() == 1
    assert targets.known[RED].sum() <= (width + 1) * (height + 1)
