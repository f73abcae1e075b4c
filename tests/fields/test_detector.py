"""The detector on fields: tiles, doubles, scale."""

from __future__ import annotations

import numpy as np
import pytest

from leukopy.bundle.detector import open_detector
from leukopy.core.errors import BundleError
from leukopy.fields.detector import Detector, _once, _steps, _with_clumps
from leukopy.fields.field import Field, FieldInput
from leukopy.synthesis import Scene, draw_field
from leukopy.synthesis.field import draw_random_field
from leukopy.taxonomy.objects import OBJECTS, RED_CELL_UM


@pytest.mark.parametrize("length", [10, 700, 768, 769, 3000, 14_000])
@pytest.mark.parametrize("edge", [10.0, 84.0])
def test_cores_of_tiles_share_no_pixel_and_leave_none_out(length, edge):
    steps = list(_steps(length, 768.0, edge))
    assert steps[0][2] == -np.inf
    assert steps[-1][3] == np.inf
    for (first, last, low, high), following in zip(steps, [*steps[1:], None], strict=True):
        assert last - first <= 770
        assert first <= max(low - edge, 0) + 1
        assert last >= min(high + edge, length) - 1
        assert following is None or following[2] == high


def test_repeated_boxes_are_one_object():
    boxes = np.array([(0, 0, 10, 10), (1, 1, 10, 10), (30, 0, 10, 10), (2, 2, 4, 4)], np.float32)
    scores = np.array([0.5, 0.9, 0.3, 0.2], np.float32)
    assert _once(boxes, scores, np.arange(4)).tolist() == [1, 2]


def test_four_touching_platelets_are_a_clump():
    rows = [(0, 0, 10, 10), (11, 0, 10, 10), (0, 11, 10, 10), (11, 11, 10, 10), (60, 0, 10, 10), (71, 0, 10, 10)]
    boxes = np.array([*rows, (5, 5, 10, 10)], np.float32)
    kinds = np.array([OBJECTS.index("platelet")] * 6 + [OBJECTS.index("red_cell")])
    boxes, kinds, scores = _with_clumps(boxes, kinds, np.linspace(0.9, 0.3, 7, dtype=np.float32), 0.35)
    assert [OBJECTS[kind] for kind in kinds] == ["platelet", "platelet", "red_cell", "platelet_clump"]
    assert boxes[-1].tolist() == [0, 0, 21, 21]
    assert scores[-1] == pytest.approx(0.75)


def test_an_unknown_detector_is_refused(tmp_path):
    with pytest.raises(BundleError, match="no detector of this name"):
        open_detector("nobody")
    (tmp_path / "card.json").write_text('{"kind": "patients"}', encoding="utf-8")
    with pytest.raises(BundleError, match="is no detector"):
        open_detector(tmp_path)


@pytest.fixture(scope="module")
def drawn():
    field = draw_field({"SNE": 2, "LY": 2}, seed=1, size=(480, 640), scene=Scene(coverage=0.5, cut=False))
    return field, RED_CELL_UM / field.um_per_px


def _field(pixels, um_per_px=None):
    return Field(FieldInput("a", "a"), pixels, "0" * 64, um_per_px, um_per_px and "file")


def test_a_known_scale_is_tried_first_and_a_wrong_one_is_measured(drawn, monkeypatch):
    field, true = drawn
    detector = Detector.open()
    measured = []
    measure = Detector.measure_scale
    monkeypatch.setattr(Detector, "measure_scale", lambda self, pixels: (measured.append(1), measure(self, pixels))[1])
    plain = detector.find(_field(field.image))
    assert len(plain)
    assert len(measured) == 1
    usual = detector.find(_field(field.image), true)
    assert len(measured) == 1
    assert len(usual) == pytest.approx(len(plain), rel=0.2)
    other = detector.find(_field(field.image), 3 * true)
    assert len(other) == len(plain)
    absurd = detector.find(_field(field.image, 40 * field.um_per_px))
    assert absurd.red_cell_px == pytest.approx(true, rel=0.2)
    assert len(absurd) == len(plain)


def test_a_stated_scale_holds_where_no_red_cell_measures_it(drawn):
    field, _ = drawn
    empty = np.full_like(field.image, 230)
    assert len(Detector.open().find(_field(empty, field.um_per_px))) == 0


@pytest.mark.parametrize(
    ("side", "score", "kinds"),
    [(30, 0.7, ["red_cell", "platelet"]), (60, 0.7, ["leukocyte", "platelet"]), (30, 0.5, ["leukocyte", "platelet"])],
)
def test_a_small_leukocyte_with_a_platelet_inside_is_a_red_cell(side, score, kinds):
    detector = Detector.open()
    boxes = np.array([(100, 100, side, side), (108, 108, 10, 10)], np.float32)
    given = np.array([OBJECTS.index("leukocyte"), OBJECTS.index("platelet")])
    named = detector._named(boxes, given, np.array([0.6, score], np.float32), 1.4 * 30)
    assert [OBJECTS[kind] for kind in named] == kinds


def test_a_red_cell_found_twice_stays_once():
    detector = Detector.open()
    boxes = np.array([(100, 100, 30, 30), (101, 100, 30, 30), (300, 100, 30, 30)], np.float32)
    kept, kinds, scores = detector._without_doubles(
        boxes, np.full(3, OBJECTS.index("red_cell")), np.array([0.6, 0.8, 0.7], np.float32)
    )
    assert sorted(scores.tolist()) == pytest.approx([0.7, 0.8])
    assert len(kept) == len(kinds) == 2


def test_a_large_leukocyte_says_more_of_the_scale_than_a_few_grains_that_look_like_red_cells(monkeypatch):
    grains = [(40 + 20 * n, 60, 14, 14) for n in range(4)]
    leukocyte = (40, 40, 120, 120)
    seen = {14: [(box, "red_cell") for box in grains], 56: [(leukocyte, "leukocyte")]}
    detector = Detector.open()

    def see(pixels, scale):
        found = seen.get(round(detector.card.red_cell_px / scale), [])
        kinds = np.array([OBJECTS.index(kind) for _, kind in found], np.int64)
        return (
            np.array([box for box, _ in found], np.float32).reshape(-1, 4),
            kinds,
            np.full(len(found), 0.9, np.float32),
        )

    monkeypatch.setattr(detector, "_see", see)
    assert detector.measure_scale(np.zeros((200, 200, 3), np.uint8)) == 56


def test_the_grain_of_many_leukocytes_does_not_set_the_scale():
    field = draw_random_field(11_000_041)  # eight leukocytes, and as many red cells
    true = RED_CELL_UM / field.um_per_px
    assert Detector.open().measure_scale(field.image) == pytest.approx(true, rel=0.35)
