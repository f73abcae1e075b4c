"""Opening, migrating, and what is left when the power or the process goes."""

from __future__ import annotations

import signal
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from leukopy.core.errors import OutputError, SettingsError
from leukopy.review.settings import ReviewSettings
from leukopy.review.store import Store
from leukopy.review.store.database import open_database
from leukopy.review.store.migrate import migrations
from leukopy.review.store.tables import Base
from support.passwords import quick_passwords


def test_the_migrations_make_the_tables_that_the_code_uses(settings):
    database = open_database(settings)
    database.migrate()
    with database.read() as db:
        connection = db.connection()
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []
        heads = ScriptDirectory.from_config(migrations(connection)).get_heads()
        assert heads == [context.get_current_revision()]
    database.close()


def test_a_station_is_opened_again_as_it_was_left(settings):
    first = Store.open(settings, quick_passwords())
    user = first.users.single_user()
    entries = first.audit.verify().entries
    first.close()
    again = Store.open(settings, quick_passwords())
    assert again.users.single_user() == user
    assert again.audit.verify().entries == entries
    again.close()


def test_several_processes_may_open_a_new_station_at_once(new_settings):
    settings = new_settings("new")
    with ThreadPoolExecutor(4) as pool:
        stores = list(pool.map(lambda _: Store.open(settings, quick_passwords()), range(4)))
    assert len({store.users.single_user().id for store in stores}) == 1
    check = stores[0].audit.verify()
    assert (check.intact, check.entries) == (True, 2)
    for store in stores:
        store.close()


def test_tables_are_made_from_nothing_too(tmp_path):
    """All other tests begin with a database whose tables are there."""
    store = Store.open(ReviewSettings(folder=tmp_path / "a folder with a % in its name"), quick_passwords())
    store.users.single_user()
    assert store.audit.verify().intact
    store.close()


def test_cases_of_before_the_check_of_slides_are_kept(tmp_path):
    settings = ReviewSettings(folder=tmp_path)
    database = open_database(settings)
    with database.write() as db:
        command.upgrade(migrations(db.connection()), "0001")
        db.execute(
            sa.text("INSERT INTO users VALUES (:id, 'ron', 'Ron', 'reader', 1, NULL, '2026-01-01 00:00:00')"),
            {"id": "cd" * 16},
        )
        there = {
            "id": "ab" * 16, "slide": "S1", "patient": "", "comment": "", "target": 100, "search": "s1",
            "status": "draft", "version": 3, "revision": 1, "owner_id": "cd" * 16, "created": "2026-01-01 00:00:00",
            "changed": "2026-01-01 00:00:00", "cells": 2, "failures": 0, "corrected": 0, "pending": 0, "last_cell": 2,
            "last_gesture": 0,
        }  # fmt: skip
        columns, values = ", ".join(there), ", ".join(f":{name}" for name in there)
        db.execute(sa.text(f"INSERT INTO cases ({columns}) VALUES ({values})"), there)
    database.close()
    store = Store.open(settings, quick_passwords())
    case = store.cases.get(store.users.single_user(), there["id"])
    assert (case.slide, case.version, case.slide_check) == ("S1", 3, None)
    store.close()


def test_a_database_of_a_newer_leukopy_is_left_alone(settings):
    store = Store.open(settings, quick_passwords())
    with store.database.write() as db:
        ours = db.scalar(sa.text("SELECT version_num FROM alembic_version"))
        db.execute(sa.text("UPDATE alembic_version SET version_num = 'later'"))
    with pytest.raises(SettingsError, match="newer leukopy"):
        Store.open(settings, quick_passwords())
    with store.database.write() as db:
        db.execute(sa.text("UPDATE alembic_version SET version_num = :ours"), {"ours": ours})
    store.close()
    Store.open(settings, quick_passwords()).close()


def test_a_database_that_another_program_holds_is_no_database_that_is_away(tmp_path):
    settings = ReviewSettings(folder=tmp_path)
    store = Store.open(settings, quick_passwords())
    with store.database.write() as db:
        db.execute(sa.text("UPDATE alembic_version SET version_num = '0012'"))  # it must be upgraded first
    with store.database.write() as db:
        db.execute(sa.select(1))
        with pytest.raises(SettingsError, match="held by another program"):
            Store.open(settings, quick_passwords())
    store.close()


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("no url", "not one"),
        ("mysql://localhost/x", "unknown"),
        ("postgresql://user:secret@127.0.0.1:1/x", "cannot be opened"),
        ("sqlite:////no/such/folder/x.sqlite", "cannot be opened"),
    ],
)
def test_a_database_that_cannot_be_opened_is_an_error_of_one_line_without_the_password(tmp_path, url, said):
    with pytest.raises(SettingsError, match=said) as refused:
        Store.open(ReviewSettings(folder=tmp_path, database=url))
    assert "secret" not in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_folder_that_cannot_be_made_is_an_error_of_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="could not be written"):
        Store.open(ReviewSettings(folder=tmp_path / "file" / "station"))


def test_others_on_the_machine_cannot_read_the_station(tmp_path):
    settings = ReviewSettings(folder=tmp_path / "station")
    store = Store.open(settings, quick_passwords())
    store.users.single_user()
    files = [path for path in settings.folder.rglob("*") if path.is_file()]
    assert {"review.sqlite", "review.sqlite-wal", "audit.key"} <= {path.name for path in files}
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    assert stat.S_IMODE(settings.folder.stat().st_mode) == 0o700
    store.close()


def test_sqlite_waits_for_the_disk_and_for_other_writers(tmp_path, monkeypatch):
    monkeypatch.undo()
    database = open_database(ReviewSettings(folder=tmp_path))
    with database.read() as db:
        found = [db.scalar(sa.text(f"PRAGMA {name}")) for name in ("journal_mode", "synchronous", "foreign_keys")]
        assert db.scalar(sa.text("PRAGMA busy_timeout")) == 3_000  # longer, and the reader is told
    assert found == ["wal", 2, 1]
    database.close()


def test_a_reader_sees_one_state_while_others_write(station):
    case = station.classified()
    with station.store.database.read() as db:
        before = db.scalars(sa.text("SELECT code FROM cells ORDER BY number")).all()
        station.correct(station.reader, case, (1, "BLAST"))
        assert db.scalars(sa.text("SELECT code FROM cells ORDER BY number")).all() == before


WORKER = """
import sys
from pathlib import Path
from leukopy.review.records import Correction, Corrections
from leukopy.review.settings import ReviewSettings
from leukopy.review.store import Store

settings = ReviewSettings.model_validate_json(sys.argv[1])
store, case = Store.open(settings), sys.argv[2]
user = next(user for user in store.users.all(store.users.single_user()) if user.name == "ron")
cells = store.cells.all(user, case)
for turn in range(10_000):
    cell = cells[turn % len(cells)]
    code = "PLT" if (turn // len(cells)) % 2 == 0 else "ERB"
    change = Correction(cell=cell.id, version=1 + turn // len(cells), code=code)
    done = store.corrections.correct(user, case, Corrections(changes=(change,)))
    print(cell.id, done.cells[0].version, code, flush=True)
"""


def test_what_was_acknowledged_is_there_after_a_kill_in_the_middle(station):
    """A process corrects as fast as it can, and is killed: at most the one correction it was at may be lost."""
    case = station.classified(20)
    command = [sys.executable, "-c", WORKER, station.store.settings.model_dump_json(), case.id]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        said = [process.stdout.readline() for _ in range(25)]
        process.send_signal(signal.SIGKILL)
        said += process.stdout.readlines()
    assert process.returncode == -signal.SIGKILL
    acknowledged = {}
    for line in said:
        if line.endswith("\n"):
            cell, version, code = line.split()
            acknowledged[int(cell)] = int(version), code
    cells = {cell.id: cell for cell in station.store.cells.all(station.reader, case.id)}
    ahead = [number for number, (version, code) in acknowledged.items()
             if (cells[number].version, cells[number].code) != (version, code)]  # fmt: skip
    assert len(acknowledged) == 20
    assert len(ahead) <= 1
    assert all(cells[number].version == acknowledged[number][0] + 1 for number in ahead)
    again = Store.open(station.store.settings, quick_passwords())
    check = again.audit.verify()
    assert check.intact, check.problem
    corrections = [entry for entry in again.audit.history(station.reader, case.id) if entry.action == "cells.corrected"]
    assert len(corrections) == sum(cell.version - 1 for cell in cells.values())
    again.close()
