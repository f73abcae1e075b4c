"""Cells counted by eye: rows without a picture and without the model's class.

They are counted, limited, reported and signed as other cells are. A case holds either pictures or cells counted by eye,
so that no cell is counted twice.
"""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from leukopy.review.records import BY_EYE, Case, Tally, User
from leukopy.review.settings import ReviewSettings
from leukopy.review.store import audit
from leukopy.review.store import tables as t
from leukopy.review.store.access import get_case, open_case, touch
from leukopy.review.store.cases import record
from leukopy.review.store.classes import check_codes
from leukopy.review.store.database import Database
from leukopy.review.store.errors import NotAllowed

_COUNTED = "cells.counted"


@dataclass(frozen=True)
class EyeCountStore:
    """Counts cells by eye."""

    database: Database
    settings: ReviewSettings

    def add(self, user: User, case_id: str, tally: Tally) -> Case:
        """Store a part of a count; one that is stored already changes nothing.

        Raises:
            NotFound, NotAllowed: as `access.open_case`; or an unknown class, a case with images or too many cells, or
                nothing to take back.
        """
        with self.database.write() as db:
            case = open_case(db, user, case_id)
            if _is_stored(db, case.id, tally.key):
                return record(db, case)
            codes = [code for code in tally.steps if code is not None]
            check_codes(db, set(codes))
            if case.pending or case.failures or _has_pictures(db, case.id):
                raise NotAllowed("the case holds images: open another case to count by eye.")
            new: list[str] = []
            undone = 0
            for code in tally.steps:
                if code is not None:
                    new.append(code)
                elif new:
                    new.pop()
                else:
                    _take_back(db, user, case)
                    undone += 1
            _insert(db, user, case, new, self.settings.limits.cells_per_case)
            touch(case)
            audit.append(db, user, _COUNTED, case.id, cells=len(new), codes=" ".join(new), undone=undone, key=tally.key,
                         version=case.version)  # fmt: skip
            db.flush()
            return record(db, case)

    def counts(self, user: User, case_id: str) -> tuple[dict[str, int], int]:
        """Cells of a case that were counted by eye, by class; and how many of them the user counted.

        Raises:
            NotFound: no such case for this user.
        """
        with self.database.read() as db:
            get_case(db, user, case_id)
            number = sa.func.count()
            by_class = sa.select(t.Cell.code, number).where(*_by_eye(case_id)).group_by(t.Cell.code)
            own = sa.select(number).select_from(t.Cell).where(*_by_eye(case_id), *_untouched(user))
            return {str(code): count for code, count in db.execute(by_class)}, db.scalar(own) or 0


def has_eye_counts(db: Session, case_id: str) -> bool:
    """Whether a case holds cells counted by eye."""
    return db.scalar(sa.select(t.Cell.number).where(*_by_eye(case_id)).limit(1)) is not None


def _by_eye(case_id: str) -> tuple[sa.ColumnElement[bool], ...]:
    return (t.Cell.case_id == case_id, t.Cell.flags.contains(BY_EYE))


def _untouched(user: User) -> tuple[sa.ColumnElement[bool], ...]:
    """Cells that the user counted and nobody changed since."""
    return (t.Cell.seen_by == user.full_name, t.Cell.version == 1)


def _has_pictures(db: Session, case_id: str) -> bool:
    query = sa.select(t.Cell.number).where(t.Cell.case_id == case_id, t.Cell.digest.is_not(None))
    return db.scalar(query.limit(1)) is not None


def _is_stored(db: Session, case_id: str, key: str) -> bool:
    """Whether the log tells of this part of the count."""
    query = sa.select(t.Entry.number).where(t.Entry.case_id == case_id, t.Entry.action == _COUNTED)
    return db.scalar(query.where(t.Entry.detail.contains(f'"key":"{key}"')).limit(1)) is not None


def _insert(db: Session, user: User, case: t.Case, codes: list[str], most: int) -> None:
    if case.cells + len(codes) > most:
        raise NotAllowed(f"a case holds at most {most} images; open another case.")
    db.add_all(
        t.Cell(case_id=case.id, number=number, name=f"#{number}", analysed=True, code=code, flags=BY_EYE,
               seen_by=user.full_name, changed_by=user.full_name)
        for number, code in enumerate(codes, start=case.last_cell + 1)
    )  # fmt: skip
    case.last_cell += len(codes)
    case.cells += len(codes)


def _take_back(db: Session, user: User, case: t.Case) -> None:
    """Remove the last cell that the user counted; the log keeps that it was."""
    query = sa.select(t.Cell).where(*_by_eye(case.id), *_untouched(user)).order_by(t.Cell.number.desc()).limit(1)
    cell = db.scalar(query)
    if cell is None:
        raise NotAllowed("there is nothing to undo.")
    db.delete(cell)
    db.flush()
    case.cells -= 1
