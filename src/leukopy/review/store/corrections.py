"""What readers change in the cells of a case: gestures that are done, undone and redone.

A cell knows the gesture that gave it its class (None: the model). A gesture that gives it another class remembers the
one before, so that the gestures of a cell are a stack: undoing takes off the top one, and is refused where another
reader has laid theirs on it. Undo and redo are per user and per case.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Session

from leukopy.review.records import CellComment, CellRow, Corrections, User
from leukopy.review.store import audit
from leukopy.review.store import tables as t
from leukopy.review.store.access import get_case, open_case, touch
from leukopy.review.store.cases import check_version, record
from leukopy.review.store.cells import find_cell, row_of
from leukopy.review.store.classes import check_codes
from leukopy.review.store.errors import Conflict, NotAllowed, NotFound
from leukopy.review.store.results import CorrectionOutcome, UndoState

_DONE, _UNDONE, _SEALED = "done", "undone", "sealed"
_MOVES_SHOWN = 200
"""Cells of one gesture that an entry of the log names; of more it gives the number."""


def correct(db: Session, user: User, case_id: str, corrections: Corrections) -> CorrectionOutcome:
    """Give cells other classes: all of them or none.

    Raises:
        NotFound, NotAllowed: as `open_case`; or a cell or class that there is none of, or a cell named twice.
        Conflict: a cell is no longer at the version named; carries those cells as they are now.
    """
    case = open_case(db, user, case_id)
    check_codes(db, {change.code for change in corrections.changes})
    there = _cells(db, case.id, [change.cell for change in corrections.changes])
    stale = tuple(
        row_of(there[change.cell]) for change in corrections.changes if there[change.cell].version != change.version
    )
    if stale:
        raise Conflict(
            f"{len(stale)} of the cells were changed by another reader meanwhile: look at them again.", stale
        )
    moves = {
        there[change.cell]: change.code for change in corrections.changes if there[change.cell].code != change.code
    }
    can = _undo_state(db, user, case.id)
    if moves:
        if can.can_redo:
            _seal(db, case.id, user, _UNDONE)
        _write_gesture(db, user, case, moves)
        _move(db, user, case, {cell: (code, case.last_gesture) for cell, code in moves.items()}, "cells.corrected")
        can = UndoState(can_undo=True, can_redo=False)
    return _changed(db, case, moves, can)


def undo(db: Session, user: User, case_id: str, version: int | None = None) -> CorrectionOutcome:
    """Take back the user's last gesture in a case.

    Raises:
        NotFound, NotAllowed: as `open_case`; or there is nothing to undo.
        Conflict: another reader changed one of its cells since; or the case is no longer at ``version``.
    """
    case = open_case(db, user, case_id)
    check_version(db, case, version)
    gesture, parts = _gesture(db, user, case, _DONE)
    there = _cells(db, case.id, [part.cell for part in parts])
    _check_tops(there, {part.cell: gesture.number for part in parts})
    gesture.state = _UNDONE
    moves = {there[part.cell]: (part.before, part.gesture_before) for part in parts}
    _move(db, user, case, moves, "cells.undone")
    return _changed(db, case, moves, _undo_state(db, user, case.id))


def redo(db: Session, user: User, case_id: str, version: int | None = None) -> CorrectionOutcome:
    """Do again what the user undid last in a case.

    Raises:
        NotFound, NotAllowed: as `open_case`; or there is nothing to redo.
        Conflict: another reader changed one of its cells since; or the case is no longer at ``version``.
    """
    case = open_case(db, user, case_id)
    check_version(db, case, version)
    gesture, parts = _gesture(db, user, case, _UNDONE)
    there = _cells(db, case.id, [part.cell for part in parts])
    _check_tops(there, {part.cell: part.gesture_before for part in parts})
    gesture.state = _DONE
    moves: dict[t.Cell, tuple[str, int | None]] = {there[part.cell]: (part.after, gesture.number) for part in parts}
    _move(db, user, case, moves, "cells.redone")
    return _changed(db, case, moves, _undo_state(db, user, case.id))


def comment(db: Session, user: User, case_id: str, number: int, said: CellComment) -> CellRow:
    """Put a remark on a cell, or take it off (empty).

    Raises:
        NotFound, NotAllowed: as `open_case`; or there is no such cell.
        Conflict: the cell is no longer at the version named.
    """
    case = open_case(db, user, case_id)
    cell = find_cell(db, case.id, number)
    if cell.version != said.version:
        raise Conflict("the cell was changed by another reader meanwhile: look at it again.", (row_of(cell),))
    if cell.comment != said.comment:
        cell.comment, cell.changed_by = said.comment, user.full_name
        cell.version += 1
        touch(case)
        audit.append(db, user, "cell.commented", case.id, cell=number, version=cell.version)
    return row_of(cell)


def undo_state(db: Session, user: User, case_id: str) -> UndoState:
    """What the user can take back, or do again, in a case that they may see."""
    get_case(db, user, case_id)
    return _undo_state(db, user, case_id)


def seal_gestures(db: Session, case_id: str) -> None:
    """What was signed is no longer taken back."""
    _seal(db, case_id, None, _DONE, _UNDONE)


def _seal(db: Session, case_id: str, user: User | None, *states: str) -> None:
    whose = [t.Gesture.user_id == user.id] if user else []
    of = sa.update(t.Gesture).where(t.Gesture.case_id == case_id, t.Gesture.state.in_(states), *whose)
    db.execute(of.values(state=_SEALED).execution_options(synchronize_session=False))


def _cells(db: Session, case_id: str, numbers: Sequence[int]) -> dict[int, t.Cell]:
    """The cells of these numbers; they are safe from others, for the case is locked."""
    if len(set(numbers)) < len(numbers):
        raise NotAllowed("a cell is named twice in one gesture.")
    query = sa.select(t.Cell).where(t.Cell.case_id == case_id, t.Cell.number.in_(numbers), t.Cell.code.is_not(None))
    there = {cell.number: cell for cell in db.scalars(query)}
    missing = set(numbers) - there.keys()
    if missing:
        raise NotFound(f"the case has no cell {min(missing)}.")
    return there


def _gesture(db: Session, user: User, case: t.Case, state: str) -> tuple[t.Gesture, Sequence[t.GestureCell]]:
    """The gesture to be undone (the last one done) or redone (the first one undone), and its cells."""
    own = sa.select(t.Gesture).where(
        t.Gesture.case_id == case.id, t.Gesture.user_id == user.id, t.Gesture.state == state
    )
    number = t.Gesture.number
    gesture = db.scalar(own.order_by(number.desc() if state == _DONE else number).limit(1))
    if gesture is None:
        raise NotAllowed("there is nothing to undo." if state == _DONE else "there is nothing to redo.")
    of_it = sa.select(t.GestureCell).where(t.GestureCell.case_id == case.id, t.GestureCell.gesture == gesture.number)
    return gesture, db.scalars(of_it).all()


def _check_tops(there: Mapping[int, t.Cell], tops: Mapping[int, int | None]) -> None:
    """Raises Conflict: a cell has its class from another gesture than it should."""
    others = tuple(row_of(there[number]) for number, top in tops.items() if there[number].gesture != top)
    if others:
        raise Conflict(f"another reader changed {len(others)} of these cells since: look at them again.", others)


def _write_gesture(db: Session, user: User, case: t.Case, moves: Mapping[t.Cell, str]) -> None:
    """The case's next one, before its cells are changed."""
    case.last_gesture += 1
    gesture = {"case_id": case.id, "number": case.last_gesture, "user_id": user.id, "state": _DONE, "at": t.now()}
    db.execute(sa.insert(t.Gesture), [gesture])
    cells = [
        {"case_id": case.id, "gesture": case.last_gesture, "cell": cell.number, "before": cell.code, "after": code,
         "gesture_before": cell.gesture}
        for cell, code in moves.items()
    ]  # fmt: skip
    db.execute(sa.insert(t.GestureCell), cells)


def _move(db: Session, user: User, case: t.Case, moves: Mapping[t.Cell, tuple[str, int | None]], action: str) -> None:
    """Give each cell its code, from the gesture named; count, and write to the log."""
    said = [[cell.number, cell.code, code] for cell, (code, _) in moves.items()]
    for cell, (code, gesture) in moves.items():
        case.corrected += (code != cell.model_code) - (cell.code != cell.model_code)
        cell.code, cell.gesture, cell.changed_by = code, gesture, user.full_name
        cell.version += 1
    touch(case)
    shown = said[:_MOVES_SHOWN]
    audit.append(db, user, action, case.id, cells=len(said), moves=shown, version=case.version)
    db.flush()


def _changed(db: Session, case: t.Case, cells: Iterable[t.Cell], can: UndoState) -> CorrectionOutcome:
    return CorrectionOutcome(record(db, case), tuple(map(row_of, cells)), can.can_undo, can.can_redo)


def _undo_state(db: Session, user: User, case_id: str) -> UndoState:
    own = sa.select(t.Gesture.state).where(t.Gesture.case_id == case_id, t.Gesture.user_id == user.id)
    states = set(db.scalars(own.where(t.Gesture.state != _SEALED).distinct()))
    return UndoState(_DONE in states, _UNDONE in states)
