"""The log that only grows: what is in it, what is not, and that every way of changing it is found."""

from __future__ import annotations

import json

import pytest
import sqlalchemy as sa

from leukopy.core.errors import SettingsError
from leukopy.review.records import Amendment, CaseChange, CellComment, JobState, Refused
from leukopy.review.store import Store


@pytest.fixture
def logged(station):
    """A station with some entries; the case of the last one is signed."""
    station.signed()
    return station


def numbers(station) -> list[int]:
    with station.store.database.read() as db:
        return list(db.scalars(sa.text("SELECT number FROM audit ORDER BY number")))


def test_every_change_is_told_with_who_and_what(station):
    case = station.classified()
    store = station.store
    store.cases.share(station.reader, case.id, "eve")
    station.correct(station.stranger, case, (1, "LY"), (2, "MO"))
    store.corrections.undo(station.stranger, case.id)
    store.corrections.redo(station.stranger, case.id)
    store.corrections.comment(station.reader, case.id, 3, CellComment(version=1, comment="secret"))
    case = store.cases.change(
        station.reader, case.id, CaseChange(version=store.cases.get(station.reader, case.id).version, age=3)
    )
    case = store.signing.mark_reviewed(station.reader, case.id, case.version)
    case = store.signing.sign(station.reviewer, case.id, case.version, station.content(case))
    case = store.signing.second_sign(station.second_reviewer, case.id, case.version)
    store.signing.amend(station.reviewer, case.id, Amendment(version=case.version, reason="because"))
    told = store.audit.history(station.reader, case.id)
    assert [(entry.user, entry.action) for entry in told] == [
        ("ron", "case.opened"),
        ("ron", "images.added"),
        ("station", "cells.classified"),
        ("ron", "case.shared"),
        ("eve", "cells.corrected"),
        ("eve", "cells.undone"),
        ("eve", "cells.redone"),
        ("ron", "cell.commented"),
        ("ron", "case.changed"),
        ("ron", "case.reviewed"),
        ("rita", "case.signed"),
        ("saul", "case.second_signed"),
        ("rita", "case.amending"),
    ]
    assert told[4].detail["moves"] == [[1, "SNE", "LY"], [2, "LY", "MO"]]
    assert told[8].detail["fields"] == ["age"]
    assert told[10].detail["digest"] == told[11].detail["digest"] == case.signatures[0].digest
    assert station.store.audit.verify().intact


def test_the_pages_of_the_log_go_back_from_the_last_entry(station):
    for _ in range(110):
        station.store.users.single_user()
        station.store.sessions.start(station.reader)
    pages = [station.store.audit.entries(station.administrator, page) for page in (1, 2, 3, 10**30)]
    count = station.store.audit.verify().entries
    assert [entry.number for page in pages for entry in page] == list(range(count, 0, -1))
    assert (len(pages[0]), len(pages[3])) == (100, 0)


def test_no_patient_data_is_in_the_log(station):
    """Every text that a user can give holds a word; the word stands nowhere in the log."""
    word = "Xanthippe"
    case = station.draft(slide=word, patient=word, comment=word)
    station.add(case, [f"{word}.png", f"{word}2.png"])
    station.store.cells.add_failures(station.reader, case.id, [Refused(name=word, reason="r", message=word)])
    job = station.store.jobs.start(station.reader, case.id)
    station.store.jobs.claim("w")
    station.classify(case)
    station.store.jobs.finish(job.id, JobState.FAILED, word)
    station.store.corrections.comment(station.reader, case.id, 1, CellComment(version=1, comment=word))
    case = station.store.cases.get(station.reader, case.id)
    case = station.store.cases.change(
        station.reader, case.id, CaseChange(version=case.version, patient=word * 2, age=77.5)
    )
    case = station.store.signing.mark_reviewed(station.reader, case.id, case.version)
    case = station.store.signing.sign(station.reviewer, case.id, case.version, station.content(case))
    station.store.signing.amend(station.reviewer, case.id, Amendment(version=case.version, reason=f"of {word}"))
    with station.store.database.read() as db:
        rows = [tuple(row) for row in db.execute(sa.text("SELECT user_name, action, detail FROM audit"))]
    assert len(rows) > 12
    assert word.lower() not in str(rows).lower()
    assert "77.5" not in str(rows)


def test_triggers_refuse_to_change_or_delete(logged):
    for statement in (
        "UPDATE audit SET user_name = 'x' WHERE number = 1",
        "DELETE FROM audit WHERE number = 1",
        "DELETE FROM audit_head",
        "UPDATE audit_head SET number = number - 1",
        "UPDATE signed_contents SET content = ''",
        "DELETE FROM signatures",
    ):
        with pytest.raises(sa.exc.DatabaseError, match="only"):
            logged.sql(statement)
    if not logged.store.database.sqlite:
        with pytest.raises(sa.exc.DatabaseError, match="only"):
            logged.sql("TRUNCATE audit")
    assert logged.store.audit.verify().intact


@pytest.mark.parametrize(
    "change",
    [
        "user_name = 'eve'",
        "action = 'case.opened'",
        "case_id = '00000000000000000000000000000000'",
        "detail = '{}'",
        "hash = (SELECT hash FROM audit WHERE number = 5)",
        "at = (SELECT at FROM audit WHERE number = 5)",
    ],
)
def test_a_changed_entry_is_named(logged, change):
    logged.drop_triggers()
    logged.sql(f"UPDATE audit SET {change} WHERE number = 8")
    check = logged.store.audit.verify()
    assert (check.intact, check.problem) == (False, "entry 8 was changed or inserted.")


def test_a_removed_entry_is_named(logged):
    logged.drop_triggers()
    logged.sql("DELETE FROM audit WHERE number = 7")
    assert logged.store.audit.verify().problem == "entry 7 is missing."
    logged.sql("DELETE FROM audit WHERE number IN (8, 9)")
    assert logged.store.audit.verify().problem == "entries 7 to 9 are missing."


def test_a_removed_entry_is_named_though_the_others_moved_up(logged):
    logged.drop_triggers()
    logged.sql("DELETE FROM audit WHERE number = 7")
    for number in range(8, numbers(logged)[-1] + 1):
        logged.sql(f"UPDATE audit SET number = {number - 1} WHERE number = {number}")
    assert logged.store.audit.verify().problem == "entry 7 was changed or inserted."


def test_an_entry_that_was_put_in_is_named(logged):
    last = numbers(logged)[-1]
    columns = "at, user_name, action, case_id, detail, hash, subject, state"
    copy = f"INSERT INTO audit SELECT {{}}, {columns} FROM audit WHERE number = 5"
    logged.drop_triggers()
    logged.sql(copy.format(last + 1))
    assert logged.store.audit.verify().problem == f"entry {last + 1} was inserted."
    logged.sql(f"DELETE FROM audit WHERE number = {last + 1}", copy.format(0))
    assert logged.store.audit.verify().problem == "entry 0 was inserted."
    logged.sql("DELETE FROM audit WHERE number = 0")
    assert logged.store.audit.verify().intact
    for number in range(last, 6, -1):
        logged.sql(f"UPDATE audit SET number = {number + 1} WHERE number = {number}")
    logged.sql(copy.format(7))
    assert logged.store.audit.verify().problem == "entry 7 was changed or inserted."


def test_an_end_that_was_cut_off_is_named(logged):
    last = numbers(logged)[-1]
    logged.drop_triggers()
    logged.sql(f"DELETE FROM audit WHERE number >= {last - 1}")
    problem = f"entries {last - 1} to {last} are missing: the end of the log was cut off."
    assert logged.store.audit.verify().problem == problem


def test_an_end_that_was_cut_off_together_with_the_row_that_knows_it_is_found(logged):
    last = numbers(logged)[-1]
    logged.drop_triggers()
    hash_before = logged.store.audit.entries(logged.administrator)[1].hash
    logged.sql(
        f"DELETE FROM audit WHERE number = {last}",
        f"UPDATE audit_head SET number = {last - 1}, hash = '{hash_before}'",
    )
    assert logged.store.audit.verify().problem == "the head of the log was changed or removed."


def test_an_emptied_log_is_found(logged, settings):
    logged.drop_triggers()
    logged.sql("DELETE FROM audit", "UPDATE audit_head SET number = 0, hash = '', seal = ''")
    again = Store.open(settings, logged.store.users.passwords)  # does not begin a new log over it
    assert not again.audit.verify().intact
    again.close()


def test_a_log_is_not_continued_with_another_key(logged, settings):
    key = settings.folder / "audit.key"
    assert key.stat().st_mode & 0o777 == 0o600
    content = key.read_text()
    key.unlink()
    with pytest.raises(SettingsError, match="take it from a backup"):
        Store.open(settings, logged.store.users.passwords)
    assert not key.exists()
    key.write_text(content[::-1])
    again = Store.open(settings, logged.store.users.passwords)
    assert not again.audit.verify().intact
    again.close()


def test_an_entry_is_written_with_its_change_or_not_at_all(logged, monkeypatch):
    """The log cannot be written: then nothing else is."""
    from leukopy.review.store import audit

    def broken(*_: object) -> str:
        raise RuntimeError("no hash today")

    case = logged.classified()
    before = numbers(logged)
    monkeypatch.setattr(audit, "entry_hash", broken)
    with pytest.raises(RuntimeError):
        logged.correct(logged.reader, case, (1, "LY"))
    assert logged.store.cases.get(logged.reader, case.id) == case
    assert numbers(logged) == before


def test_the_detail_is_given_back_as_it_was_told(station):
    station.classified()
    entry = station.store.audit.entries(station.administrator)[0]
    assert entry.detail == {"cells": 6, "first": 1, "last": 6, "model": "c" * 64}
    assert json.loads(entry.model_dump_json())["detail"] == entry.detail
