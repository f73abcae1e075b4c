"""Readers' corrections and confirmations of the cells of a case, with undo and redo.

A gesture corrects or confirms one or several cells. A cell stores the gesture that set its class (None: the model); a
gesture stores the class, the gesture and the reader before it. The gestures of a cell therefore form a stack: undo
removes the top one, and is refused if another reader's gesture lies on it. Undo and redo are per user and per case.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from leukopy.review.records import (
    CellComment,
    CellRow,
    Confirmation,
    Confirmations,
    Correction,
    Corrections,
    User,
)
from leukopy.review.store import audit, seals
from leukopy.review.store import tables as t
from leukopy.review.store.access import get_case, open_case, touch
from leukopy.review.store.cases import check_version, record
from leukopy.review.store.cells import find_cell, rows_of
from leukopy.review.store.classes import check_codes
from leukopy.review.store.database import Database
from leukopy.review.store.errors import Conflict, NotAllowed, NotFound
from leukopy.review.store.results import CorrectionOutcome, UndoState

_DONE, _UNDONE, _SEALED = "done", "undone", "sealed"
_MOVES_SHOWN = 200
"""Cells of one gesture that an entry of the log names; of more it gives the number."""


@dataclass(frozen=True)
class CorrectionStore:
    """Corrects, confirms, comments, undoes and redoes."""

    database: Database

    def correct(self, user: User, case_id: str, corrections: Corrections) -> CorrectionOutcome:
        """Give cells other classes: all of them or none.

        Raises:
            NotFound, NotAllowed: as `access.open_case`; or an unknown cell or class, or a cell named twice.
            Conflict: a cell is no longer at the version named; carries those cells as they are now.
        """
        with self.database.write() as db:
            case = open_case(db, user, case_id)
            changes = corrections.changes
            check_codes(db, {change.code for change in changes})
            cells = _current_cells(db, case, changes)
            moves = {cells[one.cell]: one.code for one in changes if cells[one.cell].code != one.code}
            return _do(db, user, case, moves, "cells.corrected")

    def confirm(self, user: User, case_id: str, confirmations: Confirmations) -> CorrectionOutcome:
        """Confirm the classes of cells: a reader has seen them. Cells that were seen before do not change.

        Raises:
            NotFound, NotAllowed: as `access.open_case`; or an unknown cell, or a cell named twice.
            Conflict: a cell is no longer at the version named; carries those cells as they are now.
        """
        with self.database.write() as db:
            case = open_case(db, user, case_id)
            cells = _current_cells(db, case, confirmations.changes)
            moves = {cell: cell.code for cell in cells.values() if cell.seen_by is None}
            return _do(db, user, case, moves, "cells.confirmed")

    def undo(self, user: User, case_id: str, version: int | None = None) -> CorrectionOutcome:
        """Undo the user's last gesture in a case.

        Raises:
            NotFound, NotAllowed: as `access.open_case`; or there is nothing to undo.
            Conflict: another reader changed one of its cells since; or the case is no longer at ``version``.
        """
        with self.database.write() as db:
            case = open_case(db, user, case_id)
            check_version(db, case, version)
            gesture, parts = _gesture(db, user, case, _DONE)
            cells = _cells(db, case.id, [part.cell for part in parts])
            _check_tops(db, case, cells, {part.cell: gesture.number for part in parts})
            gesture.state = _UNDONE
            moves = {cells[part.cell]: (part.before, part.gesture_before, part.seen_before) for part in parts}
            _move(db, user, case, moves, "cells.undone")
            return _outcome(db, case, moves, _undo_state(db, user, case.id))

    def redo(self, user: User, case_id: str, version: int | None = None) -> CorrectionOutcome:
        """Redo the gesture that the user undid last in a case.

        Raises:
            NotFound, NotAllowed: as `access.open_case`; or there is nothing to redo.
            Conflict: another reader changed one of its cells since; or the case is no longer at ``version``.
        """
        with self.database.write() as db:
            case = open_case(db, user, case_id)
            check_version(db, case, version)
            gesture, parts = _gesture(db, user, case, _UNDONE)
            cells = _cells(db, case.id, [part.cell for part in parts])
            _check_tops(db, case, cells, {part.cell: part.gesture_before for part in parts})
            gesture.state = _DONE
            moves = {cells[part.cell]: (part.after, gesture.number, user.full_name) for part in parts}
            _move(db, user, case, moves, "cells.redone")
            return _outcome(db, case, moves, _undo_state(db, user, case.id))

    def comment(self, user: User, case_id: str, number: int, comment: CellComment) -> CellRow:
        """Set the comment of a cell; an empty one removes it.

        Raises:
            NotFound, NotAllowed: as `access.open_case`; or there is no such cell.
            Conflict: the cell is no longer at the version named.
        """
        with self.database.write() as db:
            case = open_case(db, user, case_id)
            cell = find_cell(db, case.id, number)
            if cell.version != comment.version:
                message = "the cell was changed by another reader meanwhile: check it again."
                raise Conflict(message, rows_of(db, case, [cell]))
            if cell.comment != comment.comment:
                cell.comment, cell.changed_by = comment.comment, user.full_name
                cell.version += 1
                touch(case)
                audit.append(db, user, "cell.commented", case.id, cell=number, version=cell.version)
            return rows_of(db, case, [cell])[0]

    def undo_state(self, user: User, case_id: str) -> UndoState:
        """Whether the user can undo or redo a gesture of a case."""
        with self.database.read() as db:
            get_case(db, user, case_id)
            return _undo_state(db, user, case_id)


def seal_gestures(db: Session, case_id: str) -> None:
    """End undo and redo of the gestures before a signature."""
    _seal(db, case_id, None, _DONE, _UNDONE)


def _seal(db: Session, case_id: str, user: User | None, *states: str) -> None:
    whose = [t.Gesture.user_id == user.id] if user else []
    of = sa.update(t.Gesture).where(t.Gesture.case_id == case_id, t.Gesture.state.in_(states), *whose)
    db.execute(of.values(state=_SEALED).execution_options(synchronize_session=False))


def _do(db: Session, user: User, case: t.Case, moves: Mapping[t.Cell, str | None], action: str) -> CorrectionOutcome:
    """Give cells a class, or confirm the one they have, as the user's next gesture."""
    can = _undo_state(db, user, case.id)
    if moves:
        if can.can_redo:
            _seal(db, case.id, user, _UNDONE)
        number = _write_gesture(db, user, case, moves)
        _move(db, user, case, {cell: (code, number, user.full_name) for cell, code in moves.items()}, action)
        can = UndoState(can_undo=True, can_redo=False)
    return _outcome(db, case, moves, can)


def _current_cells(db: Session, case: t.Case, changes: Sequence[Correction | Confirmation]) -> dict[int, t.Cell]:
    """The cells of a gesture, at the versions named; raises Conflict: a cell is at another."""
    cells = _cells(db, case.id, [change.cell for change in changes])
    stale = rows_of(db, case, (cells[one.cell] for one in changes if cells[one.cell].version != one.version))
    if stale:
        message = f"{len(stale)} of the cells were changed by another reader meanwhile: check them again."
        raise Conflict(message, stale)
    return cells


def _cells(db: Session, case_id: str, numbers: Sequence[int]) -> dict[int, t.Cell]:
    """The cells of these numbers. The locked case protects them from other writers."""
    if len(set(numbers)) < len(numbers):
        raise NotAllowed("a cell is named twice in one gesture.")
    query = sa.select(t.Cell).where(t.Cell.case_id == case_id, t.Cell.number.in_(numbers), t.Cell.analysed)
    cells = {cell.number: cell for cell in db.scalars(query)}
    missing = set(numbers) - cells.keys()
    if missing:
        raise NotFound(f"the case has no cell {min(missing)}.")
    return cells


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


def _check_tops(db: Session, case: t.Case, cells: Mapping[int, t.Cell], tops: Mapping[int, int | None]) -> None:
    """Raises Conflict: a cell has its class from another gesture than it should."""
    others = rows_of(db, case, (cells[number] for number, top in tops.items() if cells[number].gesture != top))
    if others:
        raise Conflict(f"another reader changed {len(others)} of these cells since: check them again.", others)


def _write_gesture(db: Session, user: User, case: t.Case, moves: Mapping[t.Cell, str | None]) -> int:
    """Write the case's next gesture before its cells change; returns its number."""
    case.last_gesture += 1
    cells = [
        {"case_id": case.id, "gesture": case.last_gesture, "cell": cell.number, "before": cell.code, "after": code,
         "gesture_before": cell.gesture, "seen_before": cell.seen_by}
        for cell, code in moves.items()
    ]  # fmt: skip
    gesture = {"case_id": case.id, "number": case.last_gesture, "user_id": user.id, "state": _DONE, "at": t.now(),
               "seal": seals.gesture_seal(cells)}  # fmt: skip
    db.execute(sa.insert(t.Gesture), [gesture])
    db.execute(sa.insert(t.GestureCell), cells)
    return case.last_gesture


Moves = Mapping[t.Cell, tuple[str | None, int | None, str | None]]
"""Code, gesture and reader that each cell gets."""


def _move(db: Session, user: User, case: t.Case, moves: Moves, action: str) -> None:
    """Give each cell its code, gesture and reader; update the count of corrected cells, and write to the log."""
    listed = [[cell.number, cell.code, code] for cell, (code, _, _) in moves.items()]
    for cell, (code, gesture, seen_by) in moves.items():
        case.corrected += (code != cell.model_code) - (cell.code != cell.model_code)
        cell.code, cell.gesture, cell.seen_by, cell.changed_by = code, gesture, seen_by, user.full_name
        cell.version += 1
    touch(case)
    shown = listed[:_MOVES_SHOWN]
    audit.append(db, user, action, case.id, cells=len(listed), moves=shown, version=case.version)
    db.flush()


def _outcome(db: Session, case: t.Case, cells: Iterable[t.Cell], can: UndoState) -> CorrectionOutcome:
    return CorrectionOutcome(record(db, case), rows_of(db, case, cells), can.can_undo, can.can_redo)


def _undo_state(db: Session, user: User, case_id: str) -> UndoState:
    own = sa.select(t.Gesture.state).where(t.Gesture.case_id == case_id, t.Gesture.user_id == user.id)
    states = set(db.scalars(own.where(t.Gesture.state != _SEALED).distinct()))
    return UndoState(_DONE in states, _UNDONE in states)
