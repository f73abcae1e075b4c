"""The labels of signed cases."""

from __future__ import annotations

import pytest

from leukopy.review.records import Role
from leukopy.review.store import Forbidden


def test_training_gets_the_cells_of_signed_cases_grouped_by_patient_without_a_name(station):
    for patient in ("Ann", "Ann", "Bob", "", ""):
        station.signed(cells=2, patient=patient)
    station.classified(2, patient="Ann")
    cells = station.store.labels.signed_cells(station.reviewer)
    assert [(cell.cell, cell.code, cell.model_code) for cell in cells] == [(1, "SNE", "SNE"), (2, "LY", "LY")] * 5
    ann, ann_again, bob, nobody, nobody_else = (cell.group for cell in cells[::2])
    assert ann == ann_again
    assert len({ann, bob, nobody, nobody_else}) == 4
    assert "Ann" not in str(cells)
    assert station.store.images.read(cells[1].digest) == b"picture of c2.png"
    assert station.reader.role is Role.READER
    with pytest.raises(Forbidden):
        station.store.labels.signed_cells(station.reader)


def test_a_cell_is_compared_with_signed_cells_that_the_user_may_see(station):
    own, foreign = station.signed(cells=3), station.draft(station.stranger)
    station.classified(cells=2)  # not signed
    found = station.store.labels.pictures(station.reader, foreign.id)
    assert [(one.case_id, one.cell, one.code) for one in found] == [
        (own.id, 1, "SNE"),
        (own.id, 2, "LY"),
        (own.id, 3, "MO"),
    ]
    assert station.store.labels.pictures(station.stranger, foreign.id) == ()
    assert station.store.labels.pictures(station.reader, own.id) == ()  # the case at hand
    assert len(station.store.labels.pictures(station.reviewer, foreign.id)) == 3
