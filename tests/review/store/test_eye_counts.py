"""Cells counted by eye are counted, taken back, signed and sealed as others are, and never stored twice."""

from __future__ import annotations

import pytest

from leukopy.review.case_differential import count_case
from leukopy.review.records import BY_EYE, Tally
from leukopy.review.store import Damaged, NotAllowed, NotFound
from leukopy.review.store import tables as t


def tally(station, case, *steps, key=None, user=None):
    part = Tally(key=key or t.new_id(), steps=steps)
    return station.store.eye_counts.add(user or station.reader, case.id, part)


def test_keys_become_cells_in_their_order(station):
    case = station.draft()
    found = tally(station, case, "SNE", "LY", None, "SNE", "ERB", "BLAST")
    assert (found.cells, found.blasts, found.model, found.status) == (4, 1, None, case.status)
    cells = station.store.cells.all(station.reader, case.id)
    assert sorted(cell.code for cell in cells) == ["BLAST", "ERB", "SNE", "SNE"]
    assert {(cell.flags, cell.seen_by, cell.model_code) for cell in cells} == {((BY_EYE,), "Dr ron", None)}
    assert station.store.eye_counts.counts(station.reader, case.id) == ({"SNE": 2, "ERB": 1, "BLAST": 1}, 4)
    view = count_case(cells, (), found, station.store.settings)
    assert (view.leukocytes, view.cells) == (3, 4)
    assert any("Counted by eye" in note and "4 cells" in note for note in view.notes)
    assert station.store.audit.verify().intact


def test_a_part_that_is_sent_again_is_stored_once(station):
    case, key = station.draft(), t.new_id()
    for _ in range(3):
        assert tally(station, case, "LY", "LY", key=key).cells == 2
    assert tally(station, case, "LY", "LY").cells == 4  # the same keys in another part are other cells
    told = [entry for entry in station.store.audit.history(station.reader, case.id) if entry.action == "cells.counted"]
    assert [(entry.detail["cells"], entry.detail["codes"]) for entry in told] == [(2, "LY LY"), (2, "LY LY")]


def test_a_user_takes_back_own_cells_only_and_the_log_keeps_them(station):
    case = station.draft()
    station.store.cases.share(station.reader, case.id, "eve")
    tally(station, case, "LY", "MO")
    tally(station, case, "EO", user=station.stranger)
    assert tally(station, case, None).cells == 2
    assert station.store.eye_counts.counts(station.reader, case.id) == ({"LY": 1, "EO": 1}, 1)
    tally(station, case, None)
    with pytest.raises(NotAllowed, match="nothing to undo"):
        tally(station, case, "BA", None, None)
    assert station.store.eye_counts.counts(station.stranger, case.id) == ({"EO": 1}, 1)  # all of a part or none
    assert [one.detail["undone"] for one in station.store.audit.history(station.reader, case.id)[-2:]] == [1, 1]
    assert station.store.audit.verify().intact


def test_a_cell_that_was_corrected_since_is_not_taken_back(station):
    case = station.draft()
    tally(station, case, "LY", "MO")
    station.correct(station.reader, case, (2, "EO"))
    tally(station, case, None)
    assert station.store.eye_counts.counts(station.reader, case.id)[0] == {"EO": 1}
    with pytest.raises(NotAllowed):
        tally(station, case, None)


def test_a_case_holds_pictures_or_cells_counted_by_eye(station):
    pictured, counted = station.draft(), station.draft()
    station.add(pictured, ["a.png"])
    with pytest.raises(NotAllowed, match="holds images"):
        tally(station, pictured, "LY")
    tally(station, counted, "LY")
    with pytest.raises(NotAllowed, match="counted by eye"):
        station.add(counted, ["a.png"])
    with pytest.raises(NotFound, match="no picture"):
        station.store.cells.image(station.reader, counted.id, 1)


def test_unknown_classes_and_endless_counts_are_refused(station):
    case = station.draft()
    with pytest.raises(NotFound, match="NOBODY"):
        tally(station, case, "LY", "NOBODY")
    few = station.with_settings(limits=station.store.settings.limits.model_copy(update={"cells_per_case": 3}))
    with pytest.raises(NotAllowed, match="at most 3"):
        tally(few, case, *["LY"] * 4)
    assert station.store.cases.get(station.reader, case.id).cells == 0


def test_a_count_by_eye_is_signed_and_then_closed(station):
    case = station.draft()
    case = tally(station, case, *["SNE"] * 60, *["LY"] * 40)
    queue = station.with_settings(before_signing="cells")
    case = queue.store.signing.mark_reviewed(station.reader, case.id, case.version)
    signed = queue.store.signing.sign(station.reviewer, case.id, case.version, station.content(case))
    content = station.store.signing.content(station.reviewer, case.id)
    assert (signed.cells, content.pictures, len(content.cells)) == (100, {}, 100)
    with pytest.raises(NotAllowed, match="signed"):
        tally(station, signed, "LY")
    assert station.store.labels.signed_cells(station.reviewer) == ()  # no picture to train on
    assert station.store.audit.verify().intact


def test_a_forged_count_is_found_and_not_covered_up(station):
    case = station.draft()
    tally(station, case, "LY", "MO")
    station.sql("UPDATE cells SET code = 'BLAST' WHERE number = 2")
    assert "cell 2 was changed" in station.store.audit.verify().problem
    station.sql("DELETE FROM cells WHERE number = 2")
    with pytest.raises(Damaged):
        tally(station, case, "EO")
