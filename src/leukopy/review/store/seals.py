"""Digests of all rows that a report depends on; the audit log carries them, so that a write past the station is found.

An entry of the log that tells of a change names its subject (a case, or a row of `ROWS`) and the subject's state after
it: one sha256 for each part (`_PARTS`). A cell and a gesture hold the digest of their own rows (``seal``), so that a
gesture on one cell does not read all others again. Before a subject changes, its state must be that of the log:
`hold` refuses otherwise, or the change would cover up what was done past the station.

A column that has its declared default is left out of a digest: a new column with a default alters no digest.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from enum import StrEnum
from functools import cache, lru_cache
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
HELD, NEW_CELLS, UNTOLD = "held subjects", "cells to seal", "subjects without an entry"
"""Where `Session.info` holds what this transaction has checked, inserted, and not told yet (`store.transaction`)."""
WRITTEN = "written tables"
"""Where `Session.info` holds the names of the tables that this transaction has written to."""
CELL, _GESTURE, _MOVE = (cast(sa.Table, row.__table__) for row in (t.Cell, t.Gesture, t.GestureCell))
_PARTS: dict[str, sa.Table] = {
    "facts": cast(sa.Table, t.Case.__table__),
    "shares": cast(sa.Table, t.Share.__table__),
    "corrections": _GESTURE,
    "signed content": cast(sa.Table, t.Signed.__table__),
    "signatures": cast(sa.Table, t.Signature.__table__),
    "order": cast(sa.Table, t.Order.__table__),
    "fields": cast(sa.Table, t.Field.__table__),
    "overview": cast(sa.Table, t.Overview.__table__),
}
"""Parts of a case whose rows are read whole; its cells are one more."""
_LATER = frozenset({"order", "fields", "overview"})
"""Parts that older logs do not tell of: left out of a state where they hold no row."""
ROWS: dict[str, sa.Table] = {
    "user": cast(sa.Table, t.User.__table__),
    "class": cast(sa.Table, t.OwnClass.__table__),
    "phrase": cast(sa.Table, t.Phrase.__table__),
    "rule": cast(sa.Table, t.Rule.__table__),
    "reading": cast(sa.Table, t.Reading.__table__),
}
"""Subjects that are one row each."""


def case_subject(case_id: str) -> str:
    """The subject of a case in the log."""
    return f"case/{case_id}"


def user_subject(user_id: str) -> str:
    """The subject of a user in the log."""
    return f"user/{user_id}"


def class_subject(code: str) -> str:
    """The subject of a laboratory's own class in the log."""
    return f"class/{code}"


def phrase_subject(code: str) -> str:
    """The subject of a comment template or finding in the log."""
    return f"phrase/{code}"


def reading_subject(reading_id: str) -> str:
    """The subject of a blind reading in the log."""
    return f"reading/{reading_id}"


def rule_subject(code: str) -> str:
    """The subject of a rule of signing in the log."""
    return f"rule/{code}"


def hold(db: Session, subject: str, *, new: bool = False) -> None:
    """Make sure that a subject, locked by the caller, is in the state of the log, before it is changed.

    Args:
        db: the transaction of the change.
        subject: what is going to change.
        new: it was made in this transaction: the log does not know it yet.

    Raises:
        Damaged: it was changed past the station.
    """
    held: dict[str, State | None] = db.info.setdefault(HELD, {})
    if subject in held:
        return
    found = None if new else state(db, subject)
    if found is not None and (told := last_state(db, subject)) != found:
        raise Damaged(f"{difference(subject, told, found)} Nothing was stored. Verify the audit log.")
    held[subject] = found


def renew(db: Session, subject: str) -> State | None:
    """The state of a held subject after its change, its cells sealed; None: this transaction may not change it."""
    held: dict[str, State | None] = db.info.get(HELD, {})
    if subject not in held:
        return None
    db.flush()
    kind, _, key = subject.partition("/")
    if kind == "case":
        _seal_cells(db, key, db.info.get(NEW_CELLS, {}).pop(key, ()))
    db.info.get(UNTOLD, set()).discard(subject)
    before = held[subject]
    held[subject] = state(db, subject) if kind != "case" or before is None else _changed_state(db, key, before)
    return held[subject]


def last_state(db: Session, subject: str) -> State | None:
    """The last state of a subject that the log tells."""
    told = sa.select(t.Entry.state).where(t.Entry.subject == subject).order_by(t.Entry.number.desc()).limit(1)
    found = db.scalar(told)
    return None if found is None else json.loads(found)


def state(db: Session, subject: str) -> State:
    """The state of a subject as the database holds it; of a case, by the seals of its cells and gestures."""
    kind, _, key = subject.partition("/")
    if kind in ROWS:
        return {kind: _digest(_digests(db, ROWS[kind], key))}
    filled = {name for name, some in _read(db, _filled(), key).mappings().one().items() if some}
    rows = {name: _digests(db, table, key) if name in filled else [] for name, table in _PARTS.items()}
    parts = {name: _digest(found) for name, found in rows.items() if found or name not in _LATER}
    return parts | {"cells": _cells_digest(db, key)}


def _changed_state(db: Session, case_id: str, before: State) -> State:
    """The state of a case: parts that this transaction has not written to are as they were held."""
    written = db.info.get(WRITTEN, ())
    read = {name: _digests(db, table, case_id) for name, table in _PARTS.items() if table.name in written}
    kept = {name: digest for name, digest in before.items() if name not in read}
    parts = kept | {name: _digest(found) for name, found in read.items() if found or name not in _LATER}
    return parts | ({"cells": _cells_digest(db, case_id)} if CELL.name in written else {})


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
    rows = db.execute(sa.select(CELL).where(_of_case(CELL, case_id)).order_by(CELL.c.number)).mappings()
    return next((row["number"] for row in rows if row_digest(CELL, row) != row["seal"]), None)


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
    for table in (*_PARTS.values(), CELL, _MOVE):
        if table is not _PARTS["facts"]:
            stray = sa.select(table.c.case_id).where(table.c.case_id.not_in(cases))
            if db.scalar(stray.limit(1)) is not None:
                yield table.name


def subjects(db: Session) -> Iterator[str]:
    """All subjects that the database holds."""
    for kind, table in ROWS.items():
        order = [table.c.created] if "created" in table.c else []
        for key in db.scalars(sa.select(key_of(table)).order_by(*order, key_of(table))).all():
            yield f"{kind}/{key}"
    for key in db.scalars(sa.select(t.Case.id).order_by(t.Case.created, t.Case.id)).all():
        yield case_subject(key)


def gesture_seal(cells: Iterable[Mapping[Any, Any]]) -> str:
    """The seal of a gesture: digest of its cells.

    Args:
        cells: the values of all columns of `tables.GestureCell`.
    """
    return _digest(row_digest(_MOVE, cell) for cell in sorted(cells, key=lambda cell: int(cell["cell"])))


def adopt(db: Session, subject: str) -> None:
    """Seal a subject as it is: of a station whose log knows no states yet."""
    hold(db, subject, new=True)
    kind, _, key = subject.partition("/")
    if kind == "case":
        for number, seal in _gesture_seals(db, key).items():
            this = sa.update(_GESTURE).where(_of_case(_GESTURE, key), _GESTURE.c.number == number)
            db.execute(this.values(seal=seal))
        numbers = db.scalars(sa.select(CELL.c.number).where(_of_case(CELL, key))).all()
        db.info.setdefault(NEW_CELLS, {}).setdefault(key, set()).update(numbers)


def key_of(table: sa.Table) -> sa.Column[Any]:
    """The primary key of a table of `ROWS`."""
    (column,) = table.primary_key
    return column


def _default(column: sa.Column[Any]) -> object:
    """The value that a column has where none is given; None without a fixed one."""
    return column.default.arg if column.default is not None and column.default.is_scalar else None  # type: ignore[attr-defined]


def _plain(value: object) -> object:
    """As JSON can say it, the same for both databases."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, StrEnum):
        return value.value
    return t.storable(value) if isinstance(value, str) else value


def _digest(parts: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:_DIGITS]


# Each gesture asks for the state of its case twice: its statements are made once, and read past the ORM.


def _read(db: Session, statement: sa.Select[*tuple[Any, ...]], key: str) -> sa.CursorResult[Any]:
    return db.connection().execute(statement, {"key": key})


@cache
def _filled() -> sa.Select[*tuple[Any, ...]]:
    """Which parts of a case hold rows; most hold few, and one question is sooner answered than eight."""
    return sa.select(*(sa.exists().where(_of_case(table)).label(name) for name, table in _PARTS.items()))


@cache
def _cell_seals() -> sa.Select[*tuple[Any, ...]]:
    return sa.select(CELL.c.number, CELL.c.seal).where(_of_case(CELL)).order_by(CELL.c.number)


def _cells_digest(db: Session, case_id: str) -> str:
    """Digest of the seals of a case's cells."""
    return _digest(":".join(map(str, row)) for row in _read(db, _cell_seals(), case_id))


@cache
def _rows(table: sa.Table) -> sa.Select[*tuple[Any, ...]]:
    """Rows of a subject, in the order of the primary key."""
    own = key_of(table) == sa.bindparam("key") if table in ROWS.values() else _of_case(table)
    return sa.select(table).where(own).order_by(*table.primary_key)


def _digests(db: Session, table: sa.Table, key: str) -> list[str]:
    """Digest of each row of a subject; a seal is part of it."""
    if table is _GESTURE:
        return [_gesture_digest(tuple(row)) for row in _read(db, _gesture_rows(), key)]
    return [f"{row_digest(table, row)} {row.get('seal')}" for row in _read(db, _rows(table), key).mappings()]


@cache
def _gesture_rows() -> sa.Select[*tuple[Any, ...]]:
    """Gestures of a case as the database holds them: each gesture reads all before it, which stay as they are."""
    raw = (sa.type_coerce(column, sa.types.NullType()).label(column.name) for column in _GESTURE.c)
    return sa.select(*raw).where(_of_case(_GESTURE)).order_by(*_GESTURE.primary_key)


@lru_cache(maxsize=10_000)
def _gesture_digest(values: tuple[Any, ...]) -> str:
    """Digest of a gesture with its seal, from the values of `_gesture_rows`."""
    row = dict(zip(_GESTURE.c.keys(), values, strict=True))
    at = row["at"] if isinstance(row["at"], datetime) else datetime.fromisoformat(row["at"])  # SQLite holds a text
    row["at"] = at if at.tzinfo else at.replace(tzinfo=UTC)
    return f"{row_digest(_GESTURE, row)} {row['seal']}"


def _of_case(table: sa.Table, case_id: str | None = None) -> sa.ColumnElement[bool]:
    """Rows of a case; without its id, of the parameter ``key``."""
    column = table.c.id if table is _PARTS["facts"] else table.c.case_id
    return column == (sa.bindparam("key") if case_id is None else case_id)


def _seal_cells(db: Session, case_id: str, numbers: Iterable[int]) -> None:
    for rows in cell_rows(db, case_id, numbers):
        new = [{"key": row["number"], "new": row_digest(CELL, row)} for row in rows]
        this = sa.update(CELL).where(_of_case(CELL, case_id), CELL.c.number == sa.bindparam("key"))
        db.connection().execute(this.values(seal=sa.bindparam("new")), new)


def cell_rows(db: Session, case_id: str, numbers: Iterable[int]) -> Iterator[Sequence[sa.RowMapping]]:
    """Whole rows of cells, some hundreds at a time."""
    wanted = sorted(numbers)
    for first in range(0, len(wanted), _AT_ONCE):
        some = CELL.c.number.in_(wanted[first : first + _AT_ONCE])
        yield db.execute(sa.select(CELL).where(_of_case(CELL, case_id), some)).mappings().all()


def _gesture_seals(db: Session, case_id: str) -> dict[int, str]:
    """Digest of the cells of each gesture."""
    cells: dict[int, list[sa.RowMapping]] = {}
    for row in db.execute(sa.select(_MOVE).where(_of_case(_MOVE, case_id))).mappings():
        cells.setdefault(row["gesture"], []).append(row)
    return {number: gesture_seal(found) for number, found in cells.items()}
