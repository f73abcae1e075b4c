"""Digests of all rows that a report depends on; the audit log carries them, so that a write past the station is found.

An entry of the log that tells of a change names its subject (a case, a user or a class) and the subject's state after
it: one sha256 for each part (`_PARTS`). A cell and a gesture hold the digest of their own rows (``seal``), so that a
gesture on one cell does not read all others again. Before a subject changes, its state must be that of the log:
`hold` refuses otherwise, or the change would cover up what was done past the station.

A column that has its declared default is left out of a digest: a new column with a default alters no digest.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.orm import Session

from leukopy.review.store import tables as t
from leukopy.review.store.errors import Damaged

State = dict[str, str]
"""Digest of each part of a subject."""

_AT_ONCE = 500
"""Cells whose rows are read at a time."""
_DIGITS = 32
"""Of a digest in the log: 128 bits."""
_HELD, _CELLS, _TOUCHED = "held subjects", "cells to seal", "subjects without an entry"
"""Where `Session.info` holds what this transaction has checked, changed, and not told yet."""
_CELL, _GESTURE, _MOVE = (cast(sa.Table, row.__table__) for row in (t.Cell, t.Gesture, t.GestureCell))
_PARTS: dict[str, sa.Table] = {
    "facts": cast(sa.Table, t.Case.__table__),
    "shares": cast(sa.Table, t.Share.__table__),
    "corrections": _GESTURE,
    "signed content": cast(sa.Table, t.Signed.__table__),
    "signatures": cast(sa.Table, t.Signature.__table__),
}
"""Parts of a case whose rows are read whole; its cells are the sixth."""


class Transaction(Session):
    """A session that commits no change of a subject without an entry of the log."""


@contextmanager
def signed_contents_open(db: Session) -> Iterator[None]:
    """Context in which the trigger on signed contents lets an erasure pass; only this transaction sees it open."""
    if db.get_bind().dialect.name == "postgresql":
        db.execute(sa.text("ALTER TABLE signed_contents DISABLE TRIGGER signed_contents_no_change"))
        yield
        db.execute(sa.text("ALTER TABLE signed_contents ENABLE TRIGGER signed_contents_no_change"))
        return
    query = sa.text("SELECT sql FROM sqlite_master WHERE type = 'trigger' AND name = 'signed_contents_no_update'")
    trigger = str(db.execute(query).scalar_one())
    db.execute(sa.text("DROP TRIGGER signed_contents_no_update"))
    yield
    db.connection().exec_driver_sql(trigger)


def case_subject(case_id: str) -> str:
    """The subject of a case in the log."""
    return f"case/{case_id}"


def user_subject(user_id: str) -> str:
    """The subject of a user in the log."""
    return f"user/{user_id}"


def class_subject(code: str) -> str:
    """The subject of a laboratory's own class in the log."""
    return f"class/{code}"


def hold(db: Session, subject: str, *, new: bool = False) -> None:
    """Make sure that a subject, locked by the caller, is in the state of the log, before it is changed.

    Args:
        db: the transaction of the change.
        subject: what is going to change.
        new: it was made in this transaction: the log does not know it yet.

    Raises:
        Damaged: it was changed past the station.
    """
    held = db.info.setdefault(_HELD, set())
    if subject in held:
        return
    if not new and (told := last_state(db, subject)) != (found := state(db, subject)):
        raise Damaged(f"{difference(subject, told, found)} Nothing was stored. Verify the audit log.")
    held.add(subject)


def renew(db: Session, subject: str) -> State | None:
    """The state of a held subject after its change, its cells sealed; None: this transaction may not change it."""
    if subject not in db.info.get(_HELD, ()):
        return None
    db.flush()
    kind, _, key = subject.partition("/")
    if kind == "case":
        _seal_gestures(db, key)
        _seal_cells(db, key, db.info.get(_CELLS, {}).pop(key, ()))
    db.info.get(_TOUCHED, set()).discard(subject)
    return state(db, subject)


def last_state(db: Session, subject: str) -> State | None:
    """The last state of a subject that the log tells."""
    told = sa.select(t.Entry.state).where(t.Entry.subject == subject).order_by(t.Entry.number.desc()).limit(1)
    found = db.scalar(told)
    return None if found is None else json.loads(found)


def state(db: Session, subject: str) -> State:
    """The state of a subject as the database holds it; of a case, by the seals of its cells and gestures."""
    kind, _, key = subject.partition("/")
    if kind == "user":
        return {"user": _digest(_digests(db, cast(sa.Table, t.User.__table__), t.User.id == key))}
    if kind == "class":
        return {"class": _digest(_digests(db, cast(sa.Table, t.OwnClass.__table__), t.OwnClass.code == key))}
    parts = {name: _digest(_digests(db, table, _of_case(table, key))) for name, table in _PARTS.items()}
    seals = db.execute(sa.select(_CELL.c.number, _CELL.c.seal).where(_of_case(_CELL, key)).order_by(_CELL.c.number))
    return parts | {"cells": _digest(f"{number}:{seal}" for number, seal in seals)}


def difference(subject: str, told: State | None, found: State) -> str:
    """A sentence on what differs between the state that the log tells and the one found."""
    kind, _, key = subject.partition("/")
    if told is None:
        return f"{kind} {key} was inserted past the station."
    part = next((name for name in found if told.get(name) != found[name]), kind)
    what = f"{kind} {key}" if part == kind else f"{kind} {key}: the part '{part}'"
    return f"{what} was changed past the station."


def unsealed_cell(db: Session, case_id: str) -> int | None:
    """Number of the first cell of a case whose rows differ from its seal."""
    rows = db.execute(sa.select(_CELL).where(_of_case(_CELL, case_id)).order_by(_CELL.c.number)).mappings()
    return next((row["number"] for row in rows if row_digest(_CELL, row) != row["seal"]), None)


def unsealed_gesture(db: Session, case_id: str) -> int | None:
    """Number of the first gesture of a case whose cells differ from its seal."""
    found = _gesture_seals(db, case_id)
    seals = db.execute(sa.select(_GESTURE.c.number, _GESTURE.c.seal).where(_of_case(_GESTURE, case_id))).all()
    known = {number for number, _ in seals}
    return next((number for number, seal in sorted(seals) if found.get(number) != seal), None) or next(
        iter(found.keys() - known), None
    )


def row_digest(table: sa.Table, row: Mapping[Any, Any]) -> str:
    """sha256 of all columns of a row but its seal; those that have their default are left out."""
    values = {
        column.name: _plain(row[column.name])
        for column in table.c
        if column.name != "seal" and row[column.name] != _default(column)
    }
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def strays(db: Session) -> Iterator[str]:
    """Tables with rows of cases that do not exist."""
    cases = sa.select(t.Case.id)
    for table in (*_PARTS.values(), _CELL, _MOVE):
        if table is not _PARTS["facts"]:
            stray = sa.select(table.c.case_id).where(table.c.case_id.not_in(cases))
            if db.scalar(stray.limit(1)) is not None:
                yield table.name


def subjects(db: Session) -> Iterator[str]:
    """All subjects that the database holds."""
    for key in db.scalars(sa.select(t.User.id).order_by(t.User.created, t.User.id)).all():
        yield user_subject(key)
    for key in db.scalars(sa.select(t.OwnClass.code).order_by(t.OwnClass.created, t.OwnClass.code)).all():
        yield class_subject(key)
    for key in db.scalars(sa.select(t.Case.id).order_by(t.Case.created, t.Case.id)).all():
        yield case_subject(key)


def adopt(db: Session, subject: str) -> None:
    """Seal a subject as it is: of a station whose log knows no states yet."""
    hold(db, subject, new=True)
    kind, _, key = subject.partition("/")
    if kind == "case":
        numbers = db.scalars(sa.select(_CELL.c.number).where(_of_case(_CELL, key))).all()
        db.info.setdefault(_CELLS, {}).setdefault(key, set()).update(numbers)


def _default(column: sa.Column[Any]) -> object:
    """The value that a column has where none is given; None without a fixed one."""
    return column.default.arg if column.default is not None and column.default.is_scalar else None  # type: ignore[attr-defined]


def _plain(value: object) -> object:
    """As JSON can say it, the same for both databases."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds")
    if isinstance(value, date):
        return value.isoformat()
    return value.value if isinstance(value, StrEnum) else value


def _digest(parts: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:_DIGITS]


def _digests(db: Session, table: sa.Table, condition: sa.ColumnElement[bool]) -> list[str]:
    """Digest of each row, in the order of the primary key; a seal is part of it."""
    rows = db.execute(sa.select(table).where(condition).order_by(*table.primary_key)).mappings()
    return [f"{row_digest(table, row)} {row.get('seal')}" for row in rows]


def _of_case(table: sa.Table, case_id: str) -> sa.ColumnElement[bool]:
    return (table.c.id if table is _PARTS["facts"] else table.c.case_id) == case_id


def _seal_cells(db: Session, case_id: str, numbers: Iterable[int]) -> None:
    for rows in _cell_rows(db, case_id, numbers):
        new = [{"key": row["number"], "new": row_digest(_CELL, row)} for row in rows]
        this = sa.update(_CELL).where(_of_case(_CELL, case_id), _CELL.c.number == sa.bindparam("key"))
        db.connection().execute(this.values(seal=sa.bindparam("new")), new)


def _cell_rows(db: Session, case_id: str, numbers: Iterable[int]) -> Iterator[Sequence[sa.RowMapping]]:
    wanted = sorted(numbers)
    for first in range(0, len(wanted), _AT_ONCE):
        some = _CELL.c.number.in_(wanted[first : first + _AT_ONCE])
        yield db.execute(sa.select(_CELL).where(_of_case(_CELL, case_id), some)).mappings().all()


def _seal_gestures(db: Session, case_id: str) -> None:
    """Seal the gestures of a held case that have no seal: those of this transaction."""
    new = db.scalars(sa.select(_GESTURE.c.number).where(_of_case(_GESTURE, case_id), _GESTURE.c.seal.is_(None))).all()
    for number, seal in _gesture_seals(db, case_id, new).items() if new else ():
        this = sa.update(_GESTURE).where(_of_case(_GESTURE, case_id), _GESTURE.c.number == number)
        db.connection().execute(this.values(seal=seal))


def _gesture_seals(db: Session, case_id: str, numbers: Sequence[int] | None = None) -> dict[int, str]:
    """Digest of the cells of each gesture."""
    some = sa.true() if numbers is None else _MOVE.c.gesture.in_(numbers)
    rows = db.execute(sa.select(_MOVE).where(_of_case(_MOVE, case_id), some).order_by(*_MOVE.primary_key)).mappings()
    digests: dict[int, list[str]] = {}
    for row in rows:
        digests.setdefault(row["gesture"], []).append(row_digest(_MOVE, row))
    return {number: _digest(found) for number, found in digests.items()}


def _subject_of(row: object) -> str | None:
    if isinstance(row, t.User):
        return user_subject(row.id)
    if isinstance(row, t.OwnClass):
        return class_subject(row.code)
    if isinstance(row, t.Case):
        return case_subject(row.id)
    return case_subject(row.case_id) if isinstance(row, t.Cell | t.Share | t.Gesture | t.Signed | t.Signature) else None


def _check_cells(db: Session, _context: object, _instances: object) -> None:
    """Before a flush: raises Damaged if a cell about to be changed was changed past the station."""
    cells: dict[str, set[int]] = db.info.setdefault(_CELLS, {})
    old: dict[str, set[int]] = {}
    for row in db.dirty:
        if isinstance(row, t.Cell) and db.is_modified(row) and row.number not in cells.get(row.case_id, ()):
            old.setdefault(row.case_id, set()).add(row.number)
    for case_id, numbers in old.items():
        for rows in _cell_rows(db, case_id, numbers):
            if any(row_digest(_CELL, row) != row["seal"] for row in rows):
                raise Damaged(f"a cell of case {case_id} was changed past the station. Verify the audit log.")


def _note(db: Session, _context: object) -> None:
    """After a flush: note the subjects of all rows that were written, and the cells among them."""
    changed = [row for row in db.dirty if db.is_modified(row)]
    for row in (*db.new, *changed, *db.deleted):
        if (subject := _subject_of(row)) is not None:
            db.info.setdefault(_TOUCHED, set()).add(subject)
    for row in (*db.new, *changed):
        if isinstance(row, t.Cell):
            db.info.setdefault(_CELLS, {}).setdefault(row.case_id, set()).add(row.number)


def _check_told(db: Session) -> None:
    """Before a commit: raises RuntimeError if no entry of the log tells of a change."""
    db.flush()
    if untold := db.info.get(_TOUCHED):
        raise RuntimeError(f"the log must tell of every change: {min(untold)}")


sa.event.listen(Transaction, "before_flush", _check_cells)
sa.event.listen(Transaction, "after_flush", _note)
sa.event.listen(Transaction, "before_commit", _check_told)
