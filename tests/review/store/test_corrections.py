"""Gestures on cells: whole or not at all, never over another reader's, and taken back in order."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from leukopy.review.records import CellComment, Correction, Corrections, Status
from leukopy.review.store import Conflict, NotAllowed, NotFound


def changes(*moves: tuple[int, int, str]) -> Corrections:
    """From (cell, version, code)."""
    return Corrections(
        changes=tuple(Correction(cell=cell, version=version, code=code) for cell, version, code in moves)
    )


def codes(station, case) -> dict[int, str]:
    return {cell.id: cell.code for cell in station.store.cells.all(station.administrator, case.id)}


@pytest.fixture
def case(station):
    """Six cells, SNE LY MO EO BNE BA, of the reader's, shared with the stranger."""
    case = station.classified()
    return station.store.cases.share(station.reader, case.id, "eve")


def test_a_gesture_changes_its_cells_and_nothing_else(station, case):
    changed = station.store.corrections.correct(station.reader, case.id, changes((1, 1, "LY"), (3, 1, "UNIDENTIFIED")))
    assert [(cell.id, cell.code, cell.version, cell.changed_by) for cell in changed.cells] == [
        (1, "LY", 2, "Dr ron"),
        (3, "UNIDENTIFIED", 2, "Dr ron"),
    ]
    assert codes(station, case) == {1: "LY", 2: "LY", 3: "UNIDENTIFIED", 4: "EO", 5: "BNE", 6: "BA"}
    assert changed.cells == tuple(station.cell(case, number) for number in (1, 3))
    assert changed.case == station.store.cases.get(station.reader, case.id)
    assert (changed.case.corrected, changed.case.version) == (2, case.version + 1)
    assert (changed.can_undo, changed.can_redo) == (True, False)


def test_the_count_of_corrected_cells_follows_back_to_the_models_class(station, case):
    assert station.correct(station.reader, case, (1, "LY"), (2, "MO")).case.corrected == 2
    assert station.correct(station.reader, case, (1, "EO")).case.corrected == 2
    assert station.correct(station.stranger, case, (1, "SNE")).case.corrected == 1
    assert station.correct(station.reader, case, (1, "SNE"), (2, "LY")).case.corrected == 0


def test_a_stale_cell_refuses_the_whole_gesture_and_shows_the_cell_as_it_is(station, case):
    station.store.corrections.correct(station.stranger, case.id, changes((2, 1, "LYA")))
    with pytest.raises(Conflict) as refused:
        station.store.corrections.correct(station.reader, case.id, changes((1, 1, "LY"), (2, 1, "MO")))
    assert refused.value.current == (station.cell(case, 2),)
    assert codes(station, case)[1] == "SNE"
    assert station.store.corrections.undo_state(station.reader, case.id) == (False, False)


@pytest.mark.parametrize(
    ("moves", "error"),
    [
        ([(1, 1, "LY"), (99, 1, "LY")], NotFound),
        ([(1, 1, "LY"), (2**31 - 1, 1, "LY")], NotFound),
        ([(1, 1, "LY"), (2, 1, "NO_SUCH")], NotFound),
        ([(1, 1, "LY"), (1, 1, "MO")], NotAllowed),
    ],
)
def test_a_gesture_that_is_partly_wrong_changes_nothing(station, case, moves, error):
    with pytest.raises(error):
        station.store.corrections.correct(station.reader, case.id, changes(*moves))
    assert station.store.cases.get(station.reader, case.id) == case
    assert codes(station, case)[1] == "SNE"


def test_a_class_that_a_cell_has_already_is_no_gesture(station, case):
    changed = station.store.corrections.correct(station.reader, case.id, changes((1, 1, "SNE")))
    assert (changed.case, changed.cells, changed.can_undo) == (case, (), False)


def test_a_correction_brings_a_reviewed_case_back_to_draft(station, case):
    case = station.store.signing.mark_reviewed(station.reader, case.id, case.version)
    assert station.correct(station.reader, case, (1, "LY")).case.status is Status.DRAFT


def test_undo_and_redo_go_back_and_forth_in_order(station, case):
    station.correct(station.reader, case, (1, "LY"), (2, "MO"))
    station.correct(station.reader, case, (1, "EO"))
    store, states = station.store, []
    for step in (
        store.corrections.undo,
        store.corrections.undo,
        store.corrections.redo,
        store.corrections.redo,
        store.corrections.undo,
    ):
        changed = step(station.reader, case.id)
        states.append((codes(station, case)[1], codes(station, case)[2], changed.can_undo, changed.can_redo))
    assert states == [
        ("LY", "MO", True, True),
        ("SNE", "LY", False, True),
        ("LY", "MO", True, True),
        ("EO", "MO", True, False),
        ("LY", "MO", True, True),
    ]
    with pytest.raises(NotAllowed, match="nothing to redo"):
        [store.corrections.redo(station.reader, case.id) for _ in range(2)]
    assert store.cases.get(station.reader, case.id).corrected == 2


def test_a_new_gesture_ends_redo(station, case):
    station.correct(station.reader, case, (1, "LY"))
    station.store.corrections.undo(station.reader, case.id)
    assert not station.correct(station.reader, case, (2, "MO")).can_redo
    with pytest.raises(NotAllowed, match="nothing to redo"):
        station.store.corrections.redo(station.reader, case.id)
    assert station.store.corrections.undo(station.reader, case.id).cells[0].id == 2
    with pytest.raises(NotAllowed, match="nothing to undo"):
        station.store.corrections.undo(station.reader, case.id)


def test_undo_is_per_user_and_per_case(station, case):
    other = station.classified()
    station.correct(station.reader, case, (1, "LY"))
    station.correct(station.stranger, case, (2, "MO"))
    with pytest.raises(NotAllowed):
        station.store.corrections.undo(station.reader, other.id)
    station.store.corrections.undo(station.reader, case.id)
    assert codes(station, case) == {1: "SNE", 2: "MO", 3: "MO", 4: "EO", 5: "BNE", 6: "BA"}


def test_undo_is_refused_after_another_readers_change_until_that_is_undone(station, case):
    station.correct(station.reader, case, (1, "LY"), (3, "LY"))
    station.correct(station.stranger, case, (1, "EO"))
    with pytest.raises(Conflict) as refused:
        station.store.corrections.undo(station.reader, case.id)
    assert refused.value.current == (station.cell(case, 1),)
    assert codes(station, case)[3] == "LY"
    station.store.corrections.undo(station.stranger, case.id)
    station.store.corrections.undo(station.reader, case.id)
    assert codes(station, case)[1] == "SNE"
    with pytest.raises(Conflict):  # the stranger's gesture was laid on one that is no longer there
        station.store.corrections.redo(station.stranger, case.id)


def test_undo_is_refused_even_where_another_reader_came_back_to_the_same_class(station, case):
    station.correct(station.reader, case, (1, "LY"))
    station.correct(station.stranger, case, (1, "EO"))
    station.correct(station.stranger, case, (1, "LY"))
    with pytest.raises(Conflict):
        station.store.corrections.undo(station.reader, case.id)


def test_anothers_comment_does_not_stand_in_the_way_of_undo(station, case):
    station.correct(station.reader, case, (1, "LY"))
    cell = station.cell(case, 1)
    station.store.corrections.comment(station.stranger, case.id, 1, CellComment(version=cell.version, comment="sure?"))
    undone = station.store.corrections.undo(station.reader, case.id).cells[0]
    assert (undone.code, undone.comment) == ("SNE", "sure?")


def test_undo_on_an_old_version_of_the_case_is_refused(station, case):
    version = station.correct(station.reader, case, (1, "LY")).case.version
    station.correct(station.stranger, case, (2, "EO"))
    with pytest.raises(Conflict):
        station.store.corrections.undo(station.reader, case.id, version)
    station.store.corrections.undo(station.reader, case.id, version + 1)


def test_a_comment_names_the_version_that_it_was_made_on(station, case):
    cell = station.store.corrections.comment(
        station.reader, case.id, 1, CellComment(version=1, comment="<b>Döhle</b> body")
    )
    assert (cell.comment, cell.version) == ("<b>Döhle</b> body", 2)
    with pytest.raises(Conflict) as refused:
        station.store.corrections.comment(station.stranger, case.id, 1, CellComment(version=1, comment=""))
    assert refused.value.current == (cell,)


def test_of_two_readers_who_correct_the_same_cell_at_once_one_is_refused(station, case):
    """Six rounds of two threads that start together on the same version."""
    for number in range(1, 7):
        version, both = station.cell(case, number).version, Barrier(2)

        def correct(user, code, number=number, version=version, both=both):
            both.wait()
            try:
                return station.store.corrections.correct(user, case.id, changes((number, version, code))).cells[0]
            except Conflict as refused:
                return refused

        with ThreadPoolExecutor(2) as pool:
            done = list(pool.map(correct, (station.reader, station.stranger), ("BLAST", "PLASMA")))
        won = [each for each in done if not isinstance(each, Conflict)]
        lost = [each for each in done if isinstance(each, Conflict)]
        assert (len(won), len(lost)) == (1, 1)
        assert won == [station.cell(case, number)] == list(lost[0].current)


def test_nothing_is_lost_where_many_readers_correct_many_cases_at_once(station):
    """8 threads, 2 cases: every correction that was acknowledged is there, counted once, and in the log."""
    cases = [station.classified(12, station.reviewer) for _ in range(2)]
    users = [station.reviewer, station.second_reviewer, station.administrator]

    def work(thread: int) -> int:
        done = 0
        for step in range(6):
            case, number = cases[(thread + step) % 2], 1 + (7 * thread + 5 * step) % 12
            version = station.store.cells.detail(users[0], case.id, number).version
            try:
                gesture = changes((number, version, ("PLT", "ERB", "SMUDGE")[step % 3]))
                done += len(station.store.corrections.correct(users[thread % 3], case.id, gesture).cells)
            except Conflict:
                continue
        return done

    with ThreadPoolExecutor(8) as pool:
        acknowledged = sum(pool.map(work, range(8)))
    moved = sum(cell.version - 1 for case in cases for cell in station.store.cells.all(users[0], case.id))
    told = [entry for case in cases for entry in station.store.audit.history(users[0], case.id)]
    assert acknowledged == moved == sum(entry.action == "cells.corrected" for entry in told) > 0
    for case in cases:
        now = station.store.cases.get(users[0], case.id)
        cells = station.store.cells.all(users[0], case.id)
        assert now.corrected == sum(cell.code != cell.model_code for cell in cells)
    assert station.store.audit.verify().intact
