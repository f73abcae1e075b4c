"""Drawn fields: every cell is listed, apart from the others, and is what lies there."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leukopy.core.errors import SettingsError
from leukopy.synthesis import DrawnField, Truth, draw_field, random_appearance

COUNTS = {"SNE": 3, "LY": 2, "MO": 1, "PMY": 1, "BA": 1, "PLT": 6}


@pytest.fixture(scope="module")
def field() -> DrawnField:
    return draw_field(COUNTS, seed=11, size=(700, 900))


def on_field(field: DrawnField, cell: Truth, mask: np.ndarray) -> np.ndarray:
    left, top, right, bottom = cell.box
    whole = np.zeros(field.image.shape[:2], dtype=bool)
    whole[top:bottom, left:right] = mask
    return whole


def test_every_cell_asked_for_is_listed(field):
    found = [cell.code for cell in field.cells]
    assert {code: found.count(code) for code in set(found)} == COUNTS
    assert field.image.shape == (700, 900, 3)


def test_boxes_hold_their_masks_and_cells_lie_apart(field):
    taken = np.zeros(field.image.shape[:2], dtype=int)
    for cell in field.cells:
        left, top, right, bottom = cell.box
        assert 0 < left < right < 900
        assert 0 < top < bottom < 700
        assert cell.cell_mask.shape == cell.nucleus_mask.shape == (bottom - top, right - left)
        edges = (cell.cell_mask[0], cell.cell_mask[-1], cell.cell_mask[:, 0], cell.cell_mask[:, -1])
        assert all(edge.any() for edge in edges), "the box is tight"
        assert not (cell.nucleus_mask & ~cell.cell_mask).any()
        taken += on_field(field, cell, cell.cell_mask)
    assert taken.max() == 1


def test_nuclei_are_where_the_truth_says(field):
    green = field.image[..., 1].astype(float)
    for cell in field.cells:
        if cell.code != "PLT":
            nucleus = on_field(field, cell, cell.nucleus_mask)
            assert np.median(green[nucleus]) < 60, cell.code


def test_red_cells_fill_the_rest_without_lying_on_the_cells():
    with_cells, without = (draw_field(counts, seed=3, size=(500, 500)) for counts in ({"LY": 2}, {}))
    assert without.cells == []
    covered = [(field.image[..., 1] < 190).mean() for field in (with_cells, without)]
    assert all(0.1 < share < 0.7 for share in covered)
    for cell in with_cells.cells:  # the rim of a lymphocyte stays as blue as on an empty slide
        rim = on_field(with_cells, cell, cell.cell_mask & ~cell.nucleus_mask)
        red, _, blue = np.median(with_cells.image[rim], axis=0)
        assert blue > red


@settings(max_examples=12)
@given(st.integers(0, 2**32), st.integers(0, 3), st.integers(0, 4))
def test_truth_is_whole_for_any_field(seed, lymphocytes, platelets):
    field = draw_field(
        {"LY": lymphocytes, "PLT": platelets}, seed=seed, size=(560, 640), appearance=random_appearance(seed)
    )
    assert sorted(cell.code for cell in field.cells) == ["LY"] * lymphocytes + ["PLT"] * platelets
    taken = np.zeros((560, 640), dtype=int)
    for cell in field.cells:
        taken += on_field(field, cell, cell.cell_mask)
    assert taken.max() <= 1


def test_same_seed_same_field(field):
    again = draw_field(COUNTS, seed=11, size=(700, 900))
    assert np.array_equal(again.image, field.image)
    assert [cell.box for cell in again.cells] == [cell.box for cell in field.cells]
    assert not np.array_equal(draw_field(COUNTS, seed=12, size=(700, 900)).image, field.image)


@pytest.mark.parametrize(("counts", "size"), [({"MO": 60}, (400, 400)), ({"PMY": 1}, (60, 60))])
def test_a_full_field_says_so(counts, size):
    with pytest.raises(SettingsError, match="no room"):
        draw_field(counts, seed=1, size=size)


def test_what_is_no_fine_class_is_refused():
    with pytest.raises(SettingsError, match="'NEU' cannot be drawn"):
        draw_field({"NEU": 1}, seed=1)
