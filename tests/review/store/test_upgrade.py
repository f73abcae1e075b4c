"""A station that leukopy 0.1.0 wrote is upgraded when it is opened, with nothing lost (data/station-0.1.0)."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from fastapi.testclient import TestClient

from leukopy.review.app import create_app
from leukopy.review.records import CaseSearch, Status
from leukopy.review.settings import ReviewSettings
from leukopy.review.store import Store, backup, restore
from leukopy.review.store.database import open_database
from leukopy.review.store.migrate import migrations
from support.passwords import quick_passwords

DATA = Path(__file__).parents[1] / "data" / "station-0.1.0"
PASSWORD = "correct horse battery"
"""Of every user of that station."""
REVISION = "0002"
"""Of the tables of 0.1.0."""
ROWS = {
    "users": 5, "own_classes": 1, "cases": 3, "shares": 1, "cells": 32, "gestures": 6, "gesture_cells": 8,
    "signed_contents": 2, "signatures": 3, "jobs": 2,
}  # fmt: skip


@pytest.fixture(params=["sqlite", "postgresql"])
def written(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ReviewSettings]:
    """Settings of the station of 0.1.0, as 0.1.0 left it."""
    folder = tmp_path / "station"
    shutil.copytree(DATA, folder, ignore=shutil.ignore_patterns("write.py", "station.sql"))
    with closing(sqlite3.connect(folder / "review.sqlite")) as database:
        database.executescript((DATA / "station.sql").read_text(encoding="utf-8"))
    if request.param == "sqlite":
        yield ReviewSettings(folder=folder)
        return
    server = request.getfixturevalue("postgres_server")
    name = server.new_database()
    settings = ReviewSettings(folder=folder, database=server.url + name)
    copy_rows(folder / "review.sqlite", settings)
    (folder / "review.sqlite").unlink()
    yield settings
    server.drop(name)


def copy_rows(source: Path, settings: ReviewSettings) -> None:
    """Fill the tables of 0.1.0 in another database from those of a SQLite file."""
    database = open_database(settings)
    with database.write() as db:
        command.upgrade(migrations(db.connection()), REVISION)
        engine = sa.create_engine(f"sqlite:///{source}", poolclass=sa.NullPool)
        tables = sa.MetaData()
        tables.reflect(engine)
        for column in (column for table in tables.tables.values() for column in table.c):
            if isinstance(column.type, sa.JSON):
                column.type = sa.JSON(none_as_null=True)
        with engine.connect() as old:
            for table in tables.sorted_tables:
                if table.name == "alembic_version":
                    continue
                rows = [
                    {name: value.replace(tzinfo=UTC) if isinstance(value, datetime) else value
                     for name, value in row.items()}
                    for row in old.execute(sa.select(table)).mappings()
                ]  # fmt: skip
                if table.name == "audit_head":
                    db.execute(sa.update(table).values(rows[0]))
                elif rows:
                    db.execute(sa.insert(table), rows)
    database.close()


@pytest.fixture
def upgraded(written: ReviewSettings) -> Iterator[Store]:
    store = Store.open(written, quick_passwords())
    yield store
    store.close()


def test_all_rows_are_kept(upgraded):
    with upgraded.database.read() as db:
        found = {name: db.scalar(sa.text(f"SELECT count(*) FROM {name}")) for name in ROWS}
    assert found == ROWS


def test_cases_cells_and_corrections_are_what_they_were(upgraded):
    ron = upgraded.users.check_password("ron", PASSWORD)
    cases = {case.slide: case for case in upgraded.cases.search(ron, CaseSearch()).cases}
    signed = cases["S1"]
    assert (signed.status, signed.revision, signed.cells, signed.corrected) == (Status.AMENDED, 2, 24, 4)
    assert (signed.slide_check.unlike_training, signed.slide_check.cells_used) == (True, 24)
    assert [(one.revision, one.part, one.user) for one in signed.signatures] == [
        (1, "first", "Dr rita"), (1, "second", "Dr saul"), (2, "first", "Dr rita"),
    ]  # fmt: skip
    cells = {cell.id: cell for cell in upgraded.cells.all(ron, signed.id)}
    assert len(cells) == 24
    assert [cells[number].code for number in (1, 2, 3, 4)] == ["LYA", "HAIRY", "UNIDENTIFIED", "BLAST"]
    assert cells[1].comment == "large"
    assert upgraded.cells.detail(ron, signed.id, 1).probabilities
    assert [one.name for one in upgraded.cells.failures(ron, signed.id)] == ["notes.txt"]
    draft = cases["S2"]
    assert upgraded.corrections.undo(ron, draft.id).cells[0].id == 4
    undone = upgraded.corrections.undo(ron, draft.id)
    assert [cell.code == cell.model_code for cell in undone.cells] == [True, True]


def test_images_that_waited_still_wait(upgraded):
    eve = upgraded.users.check_password("eve", PASSWORD)
    waiting = next(case for case in upgraded.cases.search(eve, CaseSearch()).cases if case.slide == "S3")
    assert (waiting.cells, len(upgraded.predictions.pending(waiting.id))) == (0, 2)
    assert upgraded.jobs.start(eve, waiting.id).total == 2


def test_the_log_and_the_signed_contents_verify(upgraded):
    check = upgraded.audit.verify()
    assert check.intact, check.problem
    rita = upgraded.users.check_password("rita", PASSWORD)
    case = next(case for case in upgraded.cases.search(rita, CaseSearch()).cases if case.slide == "S1")
    for signature in case.signatures:
        content = upgraded.signing.content(rita, case.id, signature.revision)
        assert content.leukopy == "0.1.0"
        assert (content.case.slide_check.unlike_training, content.case.slide_check.cells_used) == (True, 24)
    with upgraded.database.read() as db:
        rows = db.execute(sa.text("SELECT content, digest FROM signed_contents ORDER BY revision")).all()
    assert [sha256(content.encode()).hexdigest() for content, _ in rows] == [digest for _, digest in rows]


def test_an_upgraded_station_is_backed_up_and_restored(upgraded, tmp_path):
    saved = backup(upgraded.settings, tmp_path / "station.zip")
    assert (saved.cases, saved.damaged) == (3, ())
    assert (
        restore(
            ReviewSettings(folder=tmp_path / "new"),
            tmp_path / "station.zip",
            key=upgraded.settings.folder / "audit.key",
        )
        == saved
    )


def test_a_signed_case_opens_and_is_amended_through_the_api(written):
    app = create_app(written.model_copy(update={"serve": True}))
    with TestClient(app, raise_server_exceptions=False) as browser:
        signed_in = browser.post("/api/v1/session", json={"name": "rita", "password": PASSWORD})
        headers = {"X-CSRF-Token": signed_in.json()["csrf"]}
        (case,) = browser.post("/api/v1/cases/search", json={"text": "S1"}, headers=headers).json()["cases"]
        path = f"/api/v1/cases/{case['id']}"
        gallery = browser.get(f"{path}/cells").json()
        assert len(gallery["cells"]) == 24
        assert browser.get(f"{path}/cells/1/image").headers["content-type"] == "image/jpeg"
        assert any("24 cells" in note for note in gallery["differential"]["notes"])
        for kind in ("report.html", "report.csv", "report.fhir.json"):
            assert [browser.get(f"{path}/{kind}?revision={number}").status_code for number in (1, 2)] == [200, 200]
        amended = browser.post(f"{path}/amend", json={"version": case["version"], "reason": "again"}, headers=headers)
        version = amended.json()["version"]
        unseen = [
            {"cell": cell["id"], "version": cell["version"]}
            for cell in gallery["cells"]
            if cell["look"] and cell["seen_by"] is None
        ]
        assert unseen
        step = {"version": version, "password": PASSWORD}
        assert browser.post(f"{path}/sign", json=step, headers=headers).status_code == 409
        seen = browser.post(f"{path}/confirmations", json={"changes": unseen}, headers=headers)
        step["version"] = seen.json()["case"]["version"]
        assert browser.post(f"{path}/sign", json=step, headers=headers).json()["revision"] == 3
        assert browser.get(f"{path}/signed?revision=1").json()["case"]["revision"] == 1
        assert app.state.store.audit.verify().intact
