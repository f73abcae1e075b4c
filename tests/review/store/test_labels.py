"""What readers called the cells of signed cases."""

from __future__ import annotations

import pytest

from leukopy.review.records import Role
from leukopy.review.store import Forbidden


def test_pairs_of_one_case_are_those_of_now(station):
    case = station.classified(3)
    station.correct(station.reader, case, (2, "LYA"))
    assert station.store.code_pairs(station.reader, case.id).pairs == (
        ("LYA", "LY", 1),
        ("MO", "MO", 1),
        ("SNE", "SNE", 1),
    )


def test_pairs_of_all_cases_are_those_of_the_signed_ones_that_the_user_may_see(station):
    station.signed(cells=3)
    station.signed(cells=1)
    station.classified(6)
    for user in (station.reader, station.reviewer):
        pairs = station.store.code_pairs(user)
        assert (pairs.cases, pairs.pairs) == (2, (("LY", "LY", 1), ("MO", "MO", 1), ("SNE", "SNE", 2)))
    assert station.store.code_pairs(station.stranger) == type(pairs)(0, ())


def test_training_gets_the_cells_of_signed_cases_grouped_by_patient_without_a_name(station):
    for patient in ("Ann", "Ann", "Bob", "", ""):
        station.signed(cells=2, patient=patient)
    station.classified(2, patient="Ann")
    cells = station.store.signed_cells(station.reviewer)
    assert [(cell.cell, cell.code, cell.model_code) for cell in cells] == [(1, "SNE", "SNE"), (2, "LY", "LY")] * 5
    ann, ann_again, bob, nobody, nobody_else = (cell.group for cell in cells[::2])
    assert ann == ann_again
    assert len({ann, bob, nobody, nobody_else}) == 4
    assert "Ann" not in str(cells)
    assert station.store.images.read(cells[1].digest) == b"picture of c2.png"
    assert station.reader.role is Role.READER
    with pytest.raises(Forbidden):
        station.store.signed_cells(station.reader)
