"""Event streams end with the session that opened them."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import sqlalchemy as sa

from leukopy.review.api import analysis, worklist
from leukopy.review.store import tables as t
from leukopy.review.store.jobs import JobStore
from leukopy.review.store.sessions import SessionStore
from support.waiting import until


def log_out(served, browser):
    assert browser.delete("/session").status_code == 204


def deactivate(served, browser):
    ron = browser.get("/me").json()["user"]["id"]
    assert served.browser("ada").patch(f"/users/{ron}", json={"active": False}).status_code == 200


def expire(served, browser):
    with served.store.database.write() as db:
        db.execute(sa.update(t.Session).values(expires=t.now() - timedelta(seconds=1)))


def stay_idle(served, browser):
    with served.store.database.write() as db:
        db.execute(sa.update(t.Session).values(seen=t.now() - served.app.state.settings.idle))


@pytest.fixture
def polls(monkeypatch):
    """Tokens of the sessions that streams asked for."""
    for module in (analysis, worklist):
        monkeypatch.setattr(module, "_POLL", 0.01)
    asked: list[str] = []
    get = SessionStore.get

    def noted(store, token, *, used=True):
        if not used:
            asked.append(token)
        return get(store, token, used=used)

    monkeypatch.setattr(SessionStore, "get", noted)
    return asked


@pytest.mark.parametrize("end", [log_out, deactivate, expire, stay_idle])
@pytest.mark.parametrize("path", ["/worklist/events", "/cases/{case}/analysis/events"])
def test_a_stream_ends_with_its_session(fresh, pictures, polls, monkeypatch, path: str, end: Callable[..., None]):
    monkeypatch.setattr(JobStore, "claim", lambda *_: None)  # the analysis waits
    browser, other = fresh.browser("ron"), fresh.browser("ron")
    case = browser.new_case()
    browser.upload(case, *pictures(1))
    assert browser.post(f"/cases/{case}/analysis").status_code == 202
    with ThreadPoolExecutor(1) as thread:
        stream = thread.submit(browser.get, path.format(case=case))
        until(lambda: len(polls) > 5)
        assert not stream.done()
        end(fresh, browser)
        answer = stream.result(timeout=60)
    assert answer.status_code == 200
    assert "event: again" not in answer.text
    assert browser.get(path.format(case=case)).status_code == 401
    assert (other.get("/me").status_code == 200) == (end is log_out)


def test_a_stream_that_a_browser_opens_by_itself_keeps_no_session_alive(fresh, monkeypatch):
    monkeypatch.setattr(worklist, "_LONGEST", 0.0)
    browser = fresh.browser("ron")
    with fresh.store.database.write() as db:
        db.execute(sa.update(t.Session).values(seen=t.now() - fresh.app.state.settings.idle / 2))
    with fresh.store.database.read() as db:
        before = db.scalar(sa.select(t.Session.seen))
    assert browser.get("/worklist/events").status_code == 200
    with fresh.store.database.read() as db:
        assert db.scalar(sa.select(t.Session.seen)) == before
    assert browser.get("/me").status_code == 200
    with fresh.store.database.read() as db:
        assert db.scalar(sa.select(t.Session.seen)) > before
