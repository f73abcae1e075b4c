"""The fields of a slide: each searched once, copies and overlaps counted once, the same after an interruption."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from leukopy.fields import stream as stream_module
from leukopy.fields.detections import Detections
from leukopy.fields.doubles import Landmarks, common_correlation, correlations
from leukopy.fields.field import FieldInput
from leukopy.fields.stream import Earlier, FieldStream, spread
from leukopy.synthesis import draw_field
from support.found import KnownFinder, save_field, save_pixels, save_window

WINDOWS = ((0, 0), (300, 0), (700, 200), (1300, 300), (1000, 700), (400, 900), (0, 500))


@pytest.fixture(scope="module")
def overlapping(tmp_path_factory):
    """Fields of one slide of which some overlap, a copy among them; and the number of cells on them."""
    folder = tmp_path_factory.mktemp("overlapping")
    drawn = draw_field({"SNE": 20, "LY": 15, "MO": 5, "EO": 3}, seed=3, size=(1400, 2000))
    finder = KnownFinder()
    paths = [save_window(folder / f"w{n}.png", drawn, finder, *at) for n, at in enumerate(WINDOWS)]
    (folder / "w7.png").write_bytes(paths[2].read_bytes())
    cells = [one for one in drawn.objects if one.kind == "leukocyte"]
    centres = np.array([(one.left + one.width / 2, one.top + one.height / 2) for one in cells])
    seen = np.zeros(len(cells), bool)
    for left, top in WINDOWS:
        seen |= ((centres >= (left, top)) & (centres < (left + 640, top + 480))).all(axis=1)
    return [FieldInput(f"w{n}.png", str(folder / f"w{n}.png")) for n in range(8)], finder, int(seen.sum())


def tables(located) -> Earlier:
    return Earlier(pl.concat([one.field_row() for one in located]), pl.concat([one.objects() for one in located]))


def test_each_beginning_is_spread_evenly():
    assert spread(1) == [0]
    assert sorted(spread(11)) == list(range(11))
    assert spread(8)[:4] == [0, 4, 2, 6]


def test_a_cell_on_two_fields_is_counted_once(overlapping):
    fields, finder, cells = overlapping
    found = tables(list(FieldStream(fields, finder, 300, 2).run()))
    overlaps = dict(found.fields.filter(pl.col("overlaps").is_not_null()).select("field", "overlaps").rows())
    assert overlaps == {"w1.png": "w0.png", "w2.png": "w1.png"}
    same = found.objects.filter(pl.col("same_as").is_not_null())
    assert len(same) >= 5
    assert not same["counted"].any()
    assert same["cell_id"].null_count() == len(same)
    assert set(same["same_as"]) <= set(found.objects["cell_id"].drop_nulls())
    # A cell cut by the border may lie on either side of it.
    assert found.fields["cells"].sum() == pytest.approx(cells, abs=1)


def test_red_cells_of_the_common_area_are_counted_once(overlapping):
    fields, finder, _ = overlapping
    found = tables(list(FieldStream(fields[:2], finder, 300, 1).run())).objects.filter(field="w1.png", kind="red_cell")
    centre = found["box_x"] + found["box_width"] / 2
    assert (centre < 335).sum() > 5  # on the earlier field, which lies 300 pixels to the left
    assert not found.filter(centre < 335)["counted"].any()
    assert found.filter((centre > 345) & ~found["cut"])["counted"].all()


def test_a_copy_of_a_file_is_left_out(overlapping):
    fields, finder, _ = overlapping
    *_, last = FieldStream(fields, finder, 300, 2).run()
    assert last.left_out == "copy of w2.png"
    assert not last.cells()


def test_sampled_fields_are_searched_once(overlapping, monkeypatch):
    fields, finder, _ = overlapping
    monkeypatch.setattr(stream_module, "_ROUND", 2)
    before = finder.searches
    seen = []
    stream = FieldStream(fields, finder, 300, 2, seen=lambda field, located: seen.append(field.source.field_id))
    sample = stream.sample(12)
    assert sum(len(one.rows) for one in sample) >= 12
    assert 0 < len(sample) < len(fields)
    assert [one.source.field_id for one in stream.run()] == [one.field_id for one in fields]
    assert finder.searches - before == len(fields)
    assert sorted(seen) == [one.field_id for one in fields]


@pytest.mark.parametrize("done", [1, 2, 3, 7, 8])
def test_a_resumed_slide_has_the_same_rows(overlapping, done):
    fields, finder, _ = overlapping
    whole = list(FieldStream(fields, finder, 300, 2).run())
    rest = list(FieldStream(fields, finder, 300, 1).run(tables(whole[:done])))
    assert len(rest) == len(fields) - done
    for one, other in zip(whole[done:], rest, strict=True):
        assert one.field_row().equals(other.field_row())
        assert one.objects().equals(other.objects())


def test_a_reader_that_stops_ends_the_search(overlapping):
    fields, finder, _ = overlapping
    before = finder.searches
    stream = FieldStream(fields, finder, 300, 1).run()
    next(stream)
    stream.close()
    assert finder.searches - before <= 3


def test_unreadable_and_empty_fields_stay_in_their_places(tmp_path):
    finder = KnownFinder()
    save_field(tmp_path / "a.png", draw_field({"LY": 3}, seed=1, size=(480, 640)), finder)
    (tmp_path / "b.png").write_text("no picture")
    save_pixels(tmp_path / "c.png", np.full((480, 640, 3), 230, np.uint8))
    fields = [FieldInput(name, str(tmp_path / name)) for name in ("a.png", "b.png", "c.png")]
    found = tables(list(FieldStream(fields, finder, 300, 2).run())).fields
    assert found["left_out"].to_list() == [None, "unreadable: not an image", None]
    assert found["leukocytes"].to_list() == [3, 0, 0]


def test_different_fields_do_not_overlap(tmp_path):
    finder = KnownFinder()
    for seed in range(6):
        drawn = draw_field({"SNE": 5, "LY": 4}, seed=seed, size=(480, 640))
        save_field(tmp_path / f"f{seed}.png", drawn, finder)
    fields = [FieldInput(f"f{n}.png", str(tmp_path / f"f{n}.png")) for n in range(6)]
    found = tables(list(FieldStream(fields, finder, 300, 2).run()))
    assert found.fields["overlaps"].null_count() == 6
    assert found.fields["leukocytes"].sum() == 54


def test_a_field_without_any_object_has_no_landmarks(tmp_path):
    save_pixels(tmp_path / "a.png", np.full((480, 640, 3), 230, np.uint8))
    (one,) = FieldStream([FieldInput("a.png", str(tmp_path / "a.png"))], KnownFinder(), 300, 1).run()
    assert len(one.found) == len(Detections.none())
    assert one.field_row()["cells"].item() == 0


def _landmarks(pixels, centres):
    return Landmarks.of(pixels, np.array(centres, float), np.ones(len(centres), np.float32), 12.0)


def test_surroundings_correlate_as_a_literal_version_says():
    pixels = np.random.default_rng(1).integers(0, 255, (90, 120, 3)).astype(np.uint8)
    one, other = _landmarks(pixels, [(60, 45), (3, 50)]), _landmarks(pixels[:, 10:], [(50, 45), (80, 20)])
    found = correlations(one, other)
    for row in range(2):
        for column in range(2):
            both = (one.inside[row] * other.inside[column]) > 0
            literal = -1.0
            if both.sum() >= 0.4 * both.size:
                literal = np.corrcoef(one.patches[row][both], other.patches[column][both])[0, 1]
            assert found[row, column] == pytest.approx(literal, abs=1e-3)
    assert found[0, 0] > 0.9


def test_common_area_of_shifted_planes():
    plane = np.random.default_rng(2).normal(size=(80, 100)).astype(np.float32)
    assert common_correlation(plane, plane[10:, 20:], (10, 20)) == pytest.approx(1, abs=1e-4)
    assert common_correlation(plane[10:, 20:], plane, (-10, -20)) == pytest.approx(1, abs=1e-4)
    assert abs(common_correlation(plane, plane[10:, 20:], (9, 20))) < 0.1
    assert common_correlation(plane, plane, (79, 0)) == -1
