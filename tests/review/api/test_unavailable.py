"""A database that is away or held by another program: a quick answer that says so, and pages for people."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from leukopy.review.store import Unavailable, database
from leukopy.review.store.database import Database

HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


def test_a_locked_database_answers_at_once_and_stores_nothing(fresh):
    ron = fresh.browser("ron")
    case = ron.new_case()
    file = Path(fresh.store.settings.folder / "review.sqlite")
    with fresh.store.database._engine.connect() as connection:
        patience = connection.exec_driver_sql("PRAGMA busy_timeout").scalar()
    assert patience <= 3000  # it was 20 s
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        answer = ron.patch(f"/cases/{case}", json={"version": 1, "comment": "now"})
        other.execute("ROLLBACK")
    assert answer.status_code == 503
    assert "another program holds the database" in answer.json()["detail"]
    assert ron.get(f"/cases/{case}").json()["comment"] == ""
    assert ron.patch(f"/cases/{case}", json={"version": 1, "comment": "now"}).status_code == 200


def test_health_tells_that_the_database_is_away(fresh, monkeypatch):
    nobody = fresh.browser()
    assert nobody.get("/health").json() == {"status": "ok"}

    def away(*_: object, **__: object) -> object:
        raise sa.exc.OperationalError("SELECT 1", {}, Exception("connection refused"))

    monkeypatch.setattr(database, "Session", away)
    answer = nobody.get("/health")
    assert answer.status_code == 503
    assert "does not answer" in answer.json()["detail"]


def test_a_server_that_is_not_there_is_said():
    missing = Database(sa.make_url("postgresql+psycopg://nobody@127.0.0.1:1/none"))
    with pytest.raises(Unavailable, match="does not answer"):
        missing.ping()


@pytest.mark.parametrize("path", ["/nothing", "/cases/x", f"/api/v1/cases/{'0' * 32}/report.pdf"])
@pytest.mark.parametrize(("language", "words"), [("en", "Back to the work list"), ("fr", "Retour à la liste")])
def test_a_browser_is_shown_a_page_and_a_program_a_problem(fresh, path, language, words):
    ron = fresh.browser("ron")
    page = ron.http.get(path, headers=HTML | {"Accept-Language": language})
    assert page.status_code in (404, 422)
    assert page.headers["content-type"].startswith("text/html")
    assert words in page.text
    told = ron.http.get(path)
    assert told.status_code == page.status_code
    assert told.headers["content-type"] == "application/problem+json"


def test_a_browser_without_a_session_is_led_to_the_log_in(fresh):
    answer = fresh.browser().http.get("/quality", headers=HTML)
    assert (answer.status_code, answer.headers["location"]) == (303, "/login?next=/quality")


def test_an_unforeseen_error_is_a_page_too(fresh, monkeypatch):
    ron = fresh.browser("ron")

    def broken(*_: object) -> None:
        raise RuntimeError("patient Zoé")

    monkeypatch.setattr(type(fresh.store.cases), "get", broken)
    page = ron.http.get(f"/api/v1/cases/{'0' * 32}", headers=HTML)
    assert page.status_code == 500
    assert page.headers["content-type"].startswith("text/html")
    assert "Zoé" not in page.text
    assert "Content-Security-Policy" in page.headers
