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
