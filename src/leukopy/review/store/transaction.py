"""The transaction of a change: it seals changed cells, and commits no change without an entry of the log."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

import sqlalchemy as sa
from sqlalchemy.orm import ORMExecuteState, Session

from leukopy.review.store import seals
from leukopy.review.store import tables as t
from leukopy.review.store.errors import Damaged


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


_OF_CASE = (t.Cell, t.Share, t.Gesture, t.Signed, t.Signature, t.Order, t.Field, t.Overview)


def _subject_of(row: object) -> str | None:
    if isinstance(row, t.Case):
        return seals.case_subject(row.id)
    if isinstance(row, _OF_CASE):
        return seals.case_subject(row.case_id)
    table = getattr(row, "__table__", None)
    kind = next((kind for kind, known in seals.ROWS.items() if known is table), None)
    return None if kind is None else f"{kind}/{getattr(row, seals.key_of(seals.ROWS[kind]).name)}"


def _reseal_cells(db: Session, _context: object, _instances: object) -> None:
    """Before a flush: seal the cells that it changes; raises Damaged if one was changed past the station."""
    inserted: dict[str, set[int]] = db.info.get(seals.NEW_CELLS, {})
    changed: dict[str, dict[int, t.Cell]] = {}
    for row in db.dirty:
        if isinstance(row, t.Cell) and db.is_modified(row) and row.number not in inserted.get(row.case_id, ()):
            changed.setdefault(row.case_id, {})[row.number] = row
    for case_id, cells in changed.items():
        for rows in seals.cell_rows(db, case_id, cells):
            for stored in rows:
                if seals.row_digest(seals.CELL, stored) != stored["seal"]:
                    raise Damaged(f"a cell of case {case_id} was changed past the station. Verify the audit log.")
                cell = cells[stored["number"]]
                new = {name: getattr(cell, name) for name in sa.inspect(cell).committed_state}
                cell.seal = seals.row_digest(seals.CELL, {**stored, **new})


def _note(db: Session, _context: object) -> None:
    """After a flush: note the tables and subjects of all rows that were written, and the cells that are new."""
    changed = [row for row in db.dirty if db.is_modified(row)]
    for row in (*db.new, *changed, *db.deleted):
        _note_table(db, row.__table__)
        if (subject := _subject_of(row)) is not None:
            db.info.setdefault(seals.UNTOLD, set()).add(subject)
    for row in db.new:
        if isinstance(row, t.Cell):
            db.info.setdefault(seals.NEW_CELLS, {}).setdefault(row.case_id, set()).add(row.number)


def _note_statement(execution: ORMExecuteState) -> None:
    """Before a statement of the session: note the table that it writes to."""
    if isinstance(execution.statement, sa.UpdateBase):
        _note_table(execution.session, execution.statement.table)


def _note_table(db: Session, table: sa.FromClause) -> None:
    db.info.setdefault(seals.WRITTEN, set()).add(cast(sa.Table, table).name)


def _check_told(db: Session) -> None:
    """Before a commit: raises RuntimeError if no entry of the log tells of a change."""
    db.flush()
    if untold := db.info.get(seals.UNTOLD):
        raise RuntimeError(f"the log must tell of every change: {min(untold)}")


sa.event.listen(Transaction, "before_flush", _reseal_cells)
sa.event.listen(Transaction, "after_flush", _note)
sa.event.listen(Transaction, "do_orm_execute", _note_statement)
sa.event.listen(Transaction, "before_commit", _check_told)
