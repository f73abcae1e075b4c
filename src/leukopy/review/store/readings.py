"""Blind readings: who reads which cells of a case without seeing a class, and what came of it.

The reader of a blind reading sees its pictures, and nothing else of the case. A user who has worked on a case cannot
read it blind. A test is compared with the signed content, a second reading with the case when the reading is finished.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from leukopy.review.records import OPEN, Answers, CellRow, NewReading, ReadingView, Role, Settlement, Status, User
from leukopy.review.store import audit, seals
from leukopy.review.store import tables as t
from leukopy.review.store.access import get_case, may, require, visible
from leukopy.review.store.cells import all_rows
from leukopy.review.store.classes import check_codes
from leukopy.review.store.database import Database
from leukopy.review.store.errors import Forbidden, NotAllowed, NotFound
from leukopy.review.store.migrations.signed import read_signed
from leukopy.review.store.results import CellImage

_SIGNED = (Status.SIGNED, Status.AMENDED)
_WORKED = ("cells.corrected", "cells.confirmed", "cells.redone", "cell.commented", "case.reviewed", "case.signed",
           "case.second_signed", "reading.settled")  # fmt: skip
"""Steps after which a user knows the classes of a case."""


@dataclass(frozen=True)
class ReadingStore:
    """Asks for blind readings, takes their answers, and compares them."""

    database: Database

    def ask(self, user: User, case_id: str, new: NewReading) -> ReadingView:
        """Ask a user to read a case blind; reviewers may.

        Raises:
            NotFound: no such case, or no such active user.
            Forbidden: the user is no reviewer.
            NotAllowed: the case holds no picture of a cell or is void, or the reader has worked on it or reads it.
        """
        with self.database.write() as db:
            require(user, Role.REVIEWER)
            case = get_case(db, user, case_id, lock=True)
            if case.status not in (*OPEN, *_SIGNED):
                raise NotAllowed("the case is void: nothing of it can be changed.")
            reader = db.scalar(sa.select(t.User).where(t.User.id == new.reader, t.User.active))
            if reader is None:
                raise NotFound("there is no active user of this name.")
            _check_blind(db, case, reader)
            row = t.Reading(
                id=t.new_id(), case_id=case.id, revision=case.revision, reader=reader, asked_by=user.full_name,
                kind="test" if case.status in _SIGNED else "second", answers={}, settled={}, state="open",
            )  # fmt: skip
            row.cells = {"order": _drawn(_compared(all_rows(db, case.id)), row.id, new.cells)}
            if not row.cells["order"]:
                raise NotAllowed("the case holds no picture of a cell that could be read blind.")
            db.add(row)
            db.flush()
            seals.hold(db, seals.reading_subject(row.id), new=True)
            _tell(db, user, "reading.asked", row, reader=reader.name, kind=row.kind, cells=len(row.cells["order"]))
            return _view(db, user, row)

    def all(self, user: User, case_id: str | None = None) -> tuple[ReadingView, ...]:
        """The user's own readings, latest first; for reviewers those of all users.

        Raises:
            NotFound: ``case_id`` is no case of this user.
        """
        with self.database.read() as db:
            if case_id is not None:
                get_case(db, user, case_id)
            mine = sa.true() if may(user, Role.REVIEWER) else t.Reading.reader_id == user.id
            of_case = sa.true() if case_id is None else t.Reading.case_id == case_id
            kept = t.Reading.case_id.not_in(sa.select(t.Case.id).where(t.Case.status == Status.ERASED))
            rows = db.scalars(sa.select(t.Reading).where(mine, of_case, kept).order_by(t.Reading.created.desc()))
            return tuple(_view(db, user, row) for row in rows)

    def get(self, user: User, reading_id: str) -> tuple[ReadingView, tuple[int, ...], dict[int, str]]:
        """A reading, its cells, and the answers of its reader; for that reader alone until it is finished.

        Raises:
            NotFound: no such reading for this user.
        """
        with self.database.read() as db:
            row = _get(db, user, reading_id)
            return _view(db, user, row), tuple(row.cells["order"]), _numbered(row.answers)

    def image(self, user: User, reading_id: str, cell: int) -> CellImage:
        """Digest and media type of the picture of a cell of a reading.

        Raises:
            NotFound: no such reading for this user, or no such cell in it.
        """
        with self.database.read() as db:
            row = _get(db, user, reading_id)
            found = db.get(t.Cell, (row.case_id, cell)) if cell in row.cells["order"] else None
            if found is None:
                raise NotFound("the reading has no such cell.")
            return CellImage(str(found.digest), str(found.media_type))

    def answer(self, user: User, reading_id: str, given: Answers) -> ReadingView:
        """Give cells a class; an earlier answer is replaced.

        Raises:
            NotFound: no such reading of this user, no such cell in it, or an unknown class.
            NotAllowed: it is finished or withdrawn.
        """
        with self.database.write() as db:
            row = _own_open(db, user, reading_id)
            check_codes(db, set(given.answers.values()))
            if not set(given.answers) <= set(row.cells["order"]):
                raise NotFound("the reading has no such cell.")
            row.answers = row.answers | {str(cell): code for cell, code in given.answers.items()}
            _tell(db, user, "reading.answered", row, cells=len(given.answers))
            return _view(db, user, row)

    def finish(self, user: User, reading_id: str) -> ReadingView:
        """Finish a reading: its answers are compared, and change no more.

        Raises:
            NotFound: no such reading of this user.
            NotAllowed: it is finished or withdrawn, or a cell has no answer.
        """
        with self.database.write() as db:
            row = _own_open(db, user, reading_id)
            left = len(row.cells["order"]) - len(row.answers)
            if left:
                raise NotAllowed(f"{left} cells have no answer yet: give them a class first.")
            if row.kind == "test":
                signed = db.get_one(t.Signed, (row.case_id, row.revision))
                cells: Sequence[CellRow] = read_signed(signed.content).cells
            else:
                cells = all_rows(db, row.case_id)
            row.others = {str(cell.id): cell.code for cell in cells if cell.id in set(row.cells["order"])}
            row.state, row.finished = "finished", t.now()
            _tell(db, user, "reading.finished", row, cells=len(row.answers), agreed=_agreed(row))
            return _view(db, user, row)

    def withdraw(self, user: User, reading_id: str) -> ReadingView:
        """Withdraw a reading that is not finished; reviewers may.

        Raises:
            NotFound: no such reading.
            Forbidden: the user is no reviewer.
            NotAllowed: it is finished or withdrawn.
        """
        with self.database.write() as db:
            require(user, Role.REVIEWER)
            row = _hold(db, user, reading_id)
            row.state = "withdrawn"
            _tell(db, user, "reading.withdrawn", row)
            return _view(db, user, row)

    def result(self, user: User, reading_id: str) -> tuple[ReadingView, dict[int, tuple[str | None, str, str | None]]]:
        """A finished reading, and for each cell the first reader's class, the blind reader's, and the settled one.

        Raises:
            NotFound: no such reading for this user.
            NotAllowed: it is not finished.
        """
        with self.database.read() as db:
            row = _get(db, user, reading_id)
            if row.state != "finished":
                raise NotAllowed("the reading is not finished.")
            others = row.others or {}
            return _view(db, user, row), {
                cell: (others.get(str(cell)), row.answers[str(cell)], row.settled.get(str(cell)))
                for cell in row.cells["order"]
            }

    def settle(self, user: User, reading_id: str, step: Settlement) -> ReadingView:
        """Note the class that an adjudicator gave a cell; the case holds it already.

        Raises:
            NotFound: no such reading, or no such cell in it.
            Forbidden: the user is no reviewer, or is the reader.
            NotAllowed: it is no finished second reading, or the case has another class.
        """
        with self.database.write() as db:
            require(user, Role.REVIEWER)
            row = _hold(db, user, reading_id, state="finished")
            if row.reader_id == user.id:
                raise Forbidden("a third user settles what two readers disagree on.")
            cell = db.get(t.Cell, (row.case_id, step.cell)) if step.cell in row.cells["order"] else None
            if cell is None or row.kind != "second":
                raise NotFound("the reading has no such cell.")
            if cell.code != step.code:
                raise NotAllowed("the case holds another class of this cell: load the page again.")
            row.settled = row.settled | {str(step.cell): step.code}
            _tell(db, user, "reading.settled", row, cell=step.cell, code=step.code)
            return _view(db, user, row)


def read_blind(db: Session, case: str, revision: int, but: str) -> bool:
    """Whether another user than ``but`` has finished a second reading of a revision, and nothing of it is to settle."""
    query = sa.select(t.Reading).where(
        t.Reading.case_id == case, t.Reading.revision == revision, t.Reading.kind == "second",
        t.Reading.state == "finished", t.Reading.reader_id != but,
    )  # fmt: skip
    return any(not _unsettled(row) for row in db.scalars(query))


def _compared(cells: Sequence[CellRow]) -> list[int]:
    """Cells that can be read blind: pictures of one cell, each once."""
    return [cell.id for cell in cells if cell.model_code is not None and cell.not_counted in (None, "unidentified")]


def _drawn(cells: Sequence[int], reading: str, number: int | None) -> list[int]:
    """So many cells in an order that depends on nothing but the random id of the reading."""
    shuffled = sorted(cells, key=lambda cell: hashlib.sha256(f"{reading} {cell}".encode()).digest())
    return shuffled[:number]


def _check_blind(db: Session, case: t.Case, reader: t.User) -> None:
    worked = sa.select(t.Entry.number).where(t.Entry.case_id == case.id, t.Entry.user == reader.name)
    if db.scalar(worked.where(t.Entry.action.in_(_WORKED)).limit(1)) is not None:
        raise NotAllowed(f"{reader.full_name} has worked on this case: the reading would not be blind.")
    same = sa.select(t.Reading.id).where(
        t.Reading.case_id == case.id, t.Reading.reader_id == reader.id, t.Reading.state != "withdrawn"
    )
    if db.scalar(same.limit(1)) is not None:
        raise NotAllowed(f"{reader.full_name} reads this case already, or has read it.")


def _get(db: Session, user: User, reading_id: str) -> t.Reading:
    """A reading that the user may see: their own; a finished one for reviewers."""
    row = db.get(t.Reading, reading_id)
    seen = row is not None and (row.reader_id == user.id or (row.state != "open" and may(user, Role.REVIEWER)))
    if row is None or not seen or db.get_one(t.Case, row.case_id).status is Status.ERASED:
        raise NotFound("there is no such reading, or it is another user's.")
    return row


def _hold(db: Session, user: User, reading_id: str, state: str = "open") -> t.Reading:
    """A reading, locked, in this state."""
    row = db.scalar(sa.select(t.Reading).where(t.Reading.id == reading_id).with_for_update(of=t.Reading))
    if row is None or not (row.reader_id == user.id or may(user, Role.REVIEWER)):
        raise NotFound("there is no such reading, or it is another user's.")
    if row.state != state:
        raise NotAllowed(f"the reading is {row.state}.")
    seals.hold(db, seals.reading_subject(row.id))
    return row


def _own_open(db: Session, user: User, reading_id: str) -> t.Reading:
    row = _hold(db, user, reading_id)
    if row.reader_id != user.id:
        raise NotFound("there is no such reading, or it is another user's.")
    return row


def _tell(db: Session, user: User, action: str, row: t.Reading, **detail: object) -> None:
    audit.append(
        db, user, action, row.case_id, subject=seals.reading_subject(row.id), reading=row.id, **detail
    )  # fmt: skip
    db.flush()


def _numbered(codes: Mapping[str, str]) -> dict[int, str]:
    return {int(cell): code for cell, code in codes.items()}


def _agreed(row: t.Reading) -> int | None:
    others = row.others
    return None if others is None else sum(others.get(cell) == code for cell, code in row.answers.items())


def _unsettled(row: t.Reading) -> int:
    if row.kind != "second" or row.others is None:
        return 0
    return sum(row.others.get(cell) != code and cell not in row.settled for cell, code in row.answers.items())


def _view(db: Session, user: User, row: t.Reading) -> ReadingView:
    case = db.scalar(sa.select(t.Case).where(t.Case.id == row.case_id, visible(user)))
    shown = case if row.reader_id != user.id or row.state == "finished" else None  # the slide may tell who it is of
    return ReadingView.model_validate(
        {
            "id": row.id, "case_id": shown.id if shown else None, "slide": shown.slide if shown else None,
            "kind": row.kind, "state": row.state, "reader": row.reader.full_name, "own": row.reader_id == user.id,
            "asked_by": row.asked_by, "created": row.created, "finished": row.finished,
            "cells": len(row.cells["order"]), "answered": len(row.answers), "agreed": _agreed(row),
            "to_settle": _unsettled(row),
        }
    )  # fmt: skip
