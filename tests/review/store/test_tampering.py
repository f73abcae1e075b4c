"""A single write past the station, to any column of any row that a report depends on, is found by `verify-audit`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from leukopy.review.records import (
    Amendment,
    Answers,
    CaseChange,
    CellComment,
    ClassChoice,
    NewOrder,
    NewReading,
    Refused,
    SlideOverview,
)
from leukopy.review.reflex import DELIVERED
from leukopy.review.store import Damaged, NewImage, Store
from leukopy.review.store import tables as t
from leukopy.review.store.audit_log import verify
from leukopy.review.store.phrases import delivered

UNSEALED = {"alembic_version", "jobs", "deliveries"}
"""No report depends on the progress of an analysis, or of sending it."""
LOGIN_TIMES = {("sessions", "seen"), ("sessions", "expires")}


@pytest.fixture
def worked(station):
    """A station with rows in every table that a report depends on, and a case signed twice."""
    own = ClassChoice(code="HAIRY", name="hairy", french="h", colour="#112233", key="z", place="differential", own=True)
    station.store.classes.add(station.administrator, own)
    case = station.classified(patient="Zoé", comment="lines", age=61.5, leukocytes=7.5, specimen_date="2026-01-02")
    station.store.cells.add_failures(station.reader, case.id, [Refused(name="x", reason="r", message="m")])
    station.store.cases.share(station.reader, case.id, "eve")
    station.correct(station.reader, case, (1, "HAIRY"), (2, "MO"))
    station.store.corrections.comment(station.reader, case.id, 3, CellComment(version=1, comment="Döhle"))
    case = station.store.cases.get(station.reader, case.id)
    case = station.store.signing.mark_reviewed(station.reader, case.id, case.version)
    case = station.store.signing.sign(station.reviewer, case.id, case.version, station.content(case))
    case = station.store.signing.second_sign(station.second_reviewer, case.id, case.version)
    case = station.store.signing.amend(station.reviewer, case.id, Amendment(version=case.version, reason="because"))
    station.store.signing.sign(station.reviewer, case.id, case.version, station.content(case))
    station.store.sessions.start(station.reader)
    station.store.phrases.save(station.administrator, delivered()[0])
    station.store.rules.save(station.administrator, DELIVERED[0])
    asked = station.store.readings.ask(station.reviewer, case.id, NewReading(reader=station.stranger.id))
    station.store.readings.answer(station.stranger, asked.id, Answers(answers={1: "LY"}))
    draft = station.draft()
    station.store.fields.add(station.reader, draft.id, [NewImage("field.png", b"a field", 640, 480, "image/png")])
    size = SlideOverview(width=9000, height=5000)
    station.store.fields.set_places(station.reader, draft.id, {1: (10, 20, 640, 480)}, size, b"a slide")
    station.store.orders.take([NewOrder(number="A17", patient="P1", requester="Dr X")], "table")
    station.drop_triggers()
    return station


def other(column: sa.Column, value: object) -> object:  # noqa: PLR0911
    """A value of the column's type that is not the one it has."""
    if isinstance(column.type, sa.Boolean):
        return not value
    if isinstance(column.type, sa.Enum):
        return next(word for word in column.type.enum_class if word != value)
    if isinstance(column.type, sa.JSON):
        return {"x": 1}
    if isinstance(column.type, sa.Integer | sa.Float):
        return (value or 0) + 1000
    if isinstance(column.type, sa.Date):
        return value.replace(day=value.day % 28 + 1) if value else t.now().date()
    if isinstance(column.type, t.Moment):
        return value.replace(microsecond=(value.microsecond + 1) % 10**6) if value else t.now()
    return "x" if value is None else ("0" if value[:1] != "0" else "1") + value[1:]


def statements() -> Iterator[tuple[str, sa.Executable]]:
    """One write for each column of each table, one row removed from each, one row put into each."""
    for table in t.Base.metadata.sorted_tables:
        if table.name in UNSEALED:
            continue
        for column in table.c:
            if (table.name, column.name) not in LOGIN_TIMES:
                yield f"{table.name}.{column.name}", table, column
        yield f"{table.name}: removed", table, None
        yield f"{table.name}: inserted", table, "new"
        if "case_id" in table.primary_key and len(table.primary_key) > 1:
            yield f"{table.name}: inserted into a case", table, "known case"


def key_of(table: sa.Table, row: sa.RowMapping) -> sa.ColumnElement[bool]:
    return sa.and_(*(column == row[column.name] for column in table.primary_key))


def write(db, table, column) -> bool:
    """Make one write; False: this table of the station holds nothing to remove (a log-in may end at any time)."""
    row = db.execute(sa.select(table).order_by(*table.primary_key).limit(1)).mappings().one()
    if column is None:
        if table.name == "sessions":
            return False
        db.execute(sa.delete(table).where(key_of(table, row)))
    elif isinstance(column, str):
        keys = {one.name: other(one, row[one.name]) for one in table.primary_key}
        if column == "known case":
            keys["case_id"] = row["case_id"]
        unique = {one.name: other(one, row[one.name]) for one in table.c if one.unique}
        db.execute(sa.insert(table).values(dict(row) | keys | unique))
    else:
        db.execute(sa.update(table).where(key_of(table, row)).values({column: other(column, row[column.name])}))
    return True


def test_every_single_write_is_found(worked):
    database = worked.store.database
    with database.read() as db:
        assert verify(db).problem is None
    missed, written = [], 0
    for name, table, column in statements():
        with database._engine.connect() as connection:
            if database.sqlite:
                connection.exec_driver_sql("COMMIT")
                connection.exec_driver_sql("PRAGMA foreign_keys=OFF")  # whoever writes past the station can do that
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            else:
                connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
            with sa.orm.Session(connection, info=database.info) as db:
                if write(db, table, column):
                    written += 1
                    if verify(db).intact:
                        missed.append(name)
                db.rollback()
    assert missed == []
    assert written >= 40
    with database.read() as db:
        assert verify(db).problem is None


def test_a_swapped_a_changed_and_a_missing_picture_are_found(worked):
    images = worked.store.images
    with worked.store.database.read() as db:
        first, second = (images.path(str(each)) for each in db.scalars(
            sa.select(t.Cell.digest).where(t.Cell.digest.is_not(None)).limit(2)
        ))  # fmt: skip
    kept = first.read_bytes()
    for data in (second.read_bytes(), kept + b"x"):
        first.write_bytes(data)
        assert "is damaged" in worked.store.audit.verify().problem
    first.unlink()
    assert "is missing" in worked.store.audit.verify().problem
    first.write_bytes(kept)
    assert worked.store.audit.verify().intact


@pytest.mark.parametrize(
    "write",
    [
        "UPDATE cases SET patient = 'Eve'",
        "UPDATE cells SET code = 'EO' WHERE number = 1",
        "UPDATE cells SET code = 'EO', seal = NULL WHERE number = 1",
        "UPDATE gesture_cells SET before = 'EO'",
        "UPDATE shares SET user_id = (SELECT id FROM users WHERE name = 'saul')",
    ],
)
def test_a_later_gesture_does_not_cover_up_a_write_past_the_station(station, write):
    case = station.classified()
    station.store.cases.share(station.reader, case.id, "eve")
    station.correct(station.reader, case, (1, "LY"))
    station.sql(write)
    attempts = (
        lambda: station.correct(station.reader, case, (1, "BA"), (2, "BA")),
        lambda: station.store.corrections.undo(station.reader, case.id),
        lambda: station.store.cases.change(
            station.reader, case.id,
            CaseChange(version=station.store.cases.get(station.reader, case.id).version, comment="later"),
        ),
    )  # fmt: skip
    refused = 0
    for attempt in attempts:
        try:
            attempt()
        except Damaged:
            refused += 1
    assert refused or "gesture" in write  # taken back once more, it is still found
    assert "past the station" in station.store.audit.verify().problem


def test_a_change_without_an_entry_is_refused(station):
    case = station.draft()
    with pytest.raises(RuntimeError, match="must tell of every change"), station.store.database.write() as db:
        db.get_one(t.Case, case.id).comment = "in silence"
    assert station.store.audit.verify().intact


def test_an_entry_noted_outside_finds_a_database_that_was_put_back(station, settings, tmp_path):
    station.signed()
    head = station.store.audit.head()
    assert station.store.audit.verify([head]).intact
    assert "put back" in station.store.audit.verify([head.model_copy(update={"number": 10**6})]).problem
    assert "put back" in station.store.audit.verify([head.model_copy(update={"hash": "0" * 64})]).problem


def test_a_station_opened_again_still_verifies(worked, settings):
    again = Store.open(settings, worked.store.users.passwords)
    assert again.audit.verify().intact
    again.close()
