"""A station in this process, and browsers of its users."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from httpx import Response

from leukopy.review.app import create_app
from leukopy.review.records import JobState, NewUser, Role
from leukopy.review.security.sessions import cookie_name
from leukopy.review.settings import Limits, ReviewSettings
from leukopy.review.store import Store
from support.passwords import PASSWORD, quick_passwords
from support.waiting import until

API = "/api/v1"
CODES = ("SNE", "LY", "MO", "EO", "BNE", "BA")


class Browser:
    """What a user's browser does: keeps the cookie, and sends the token with each request."""

    def __init__(self, app: FastAPI, client: str = "testclient") -> None:
        address = (client, 50000)
        self.http = TestClient(app, follow_redirects=False, raise_server_exceptions=False, client=address)
        self.csrf: str | None = None

    def sign_in(self, name: str, password: str = PASSWORD) -> Response:
        answer = self.post("/session", json={"name": name, "password": password})
        if answer.status_code == 200:
            self.csrf = answer.json()["csrf"]
        return answer

    def request(self, method: str, path: str, **given: Any) -> Response:
        headers = {"X-CSRF-Token": self.csrf} if self.csrf else {}
        return self.http.request(method, API + path, headers=headers | given.pop("headers", {}), **given)

    def get(self, path: str, **given: Any) -> Response:
        return self.request("GET", path, **given)

    def post(self, path: str, **given: Any) -> Response:
        return self.request("POST", path, **given)

    def patch(self, path: str, **given: Any) -> Response:
        return self.request("PATCH", path, **given)

    def delete(self, path: str, **given: Any) -> Response:
        return self.request("DELETE", path, **given)

    def new_case(self, **fields: Any) -> str:
        answer = self.post("/cases", json={"slide": "S1", **fields})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def upload(self, case: str, *files: tuple[str, bytes]) -> Response:
        return self.post(f"/cases/{case}/images", files=[("files", file) for file in files])

    def analyse(self, case: str) -> dict[str, Any]:
        """Run the analysis to its end; the station must be running."""
        assert self.post(f"/cases/{case}/analysis").status_code == 202
        until(lambda: self.job(case)["state"] not in (JobState.QUEUED, JobState.RUNNING))
        return self.job(case)

    def job(self, case: str) -> dict[str, Any]:
        return dict(self.get(f"/cases/{case}/analysis").json())

    def correct(self, case: str, *moves: tuple[int, str]) -> Response:
        """Give cells other classes, knowing them as they are now."""
        now = {cell["id"]: cell["version"] for cell in self.get(f"/cases/{case}/cells").json()["cells"]}
        changes = [{"cell": cell, "version": now[cell], "code": code} for cell, code in moves]
        return self.post(f"/cases/{case}/corrections", json={"changes": changes})


@dataclass(frozen=True)
class Served:
    """An app that runs, with one user of each role; ``reader`` and ``stranger`` share no case."""

    app: FastAPI
    store: Store

    @property
    def cookie(self) -> str:
        """The name of its session's cookie."""
        return cookie_name(self.app.state.settings)

    def browser(self, name: str | None = None, client: str = "testclient") -> Browser:
        """Of a user who has signed in, at an address; None: of nobody."""
        browser = Browser(self.app, client)
        if name is not None:
            assert browser.sign_in(name).status_code == 200
        return browser


@contextmanager
def run(settings: ReviewSettings) -> Iterator[Served]:
    app = create_app(settings)
    store: Store = app.state.store
    store.users.passwords = quick_passwords()
    with TestClient(app):
        yield Served(app, store)


def populate(store: Store) -> None:
    def new(name: str, role: Role) -> NewUser:
        return NewUser(name=name, full_name=f"Dr {name}", role=role, password=PASSWORD)

    administrator = store.users.add(None, new("ada", Role.ADMINISTRATOR))
    for name, role in (("rita", Role.REVIEWER), ("saul", Role.REVIEWER), ("ron", Role.READER), ("eve", Role.READER)):
        store.users.add(administrator, new(name, role))


@pytest.fixture
def running() -> Callable[[ReviewSettings], AbstractContextManager[Served]]:
    """Runs a station without users, by its settings."""
    return run


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, colour_model: Any) -> Iterator[Served]:
    """A station at work for the tests of a module: ada (administrator), rita, saul (reviewers), ron, eve (readers)."""
    folder = tmp_path_factory.mktemp("station")
    settings = ReviewSettings(
        folder=folder / "station", model=str(colour_model.path), serve=True, before_signing="nothing"
    )
    with run(settings) as found:
        populate(found.store)
        yield found


@pytest.fixture
def limits() -> Limits:
    """What the station of `fresh` takes; a test may set others."""
    return Limits()


@pytest.fixture
def fresh(tmp_path: Path, colour_model: Any, limits: Limits) -> Iterator[Served]:
    """The same, for one test that leaves it changed."""
    folder = tmp_path / "station"
    settings = ReviewSettings(
        folder=folder, model=str(colour_model.path), serve=True, limits=limits, before_signing="nothing"
    )
    with run(settings) as found:
        populate(found.store)
        yield found


@pytest.fixture
def reader(served: Served) -> Browser:
    """The browser of the reader whose cases these are."""
    return served.browser("ron")


@pytest.fixture
def pictures(colour_model: Any, tmp_path: Path) -> Callable[[int], list[tuple[str, bytes]]]:
    """Names and bytes of pictures of known class: ``CODES`` in turn."""

    def make(count: int) -> list[tuple[str, bytes]]:
        names = [f"c{number}.png" for number in range(1, count + 1)]
        drawn = [colour_model.draw(tmp_path / "drawn" / n, CODES[i % len(CODES)]) for i, n in enumerate(names)]
        return [(path.name, path.read_bytes()) for path in drawn]

    return make


@pytest.fixture
def zipped() -> Callable[..., bytes]:
    def pack(*files: tuple[str, bytes]) -> bytes:
        stream = BytesIO()
        with ZipFile(stream, "w") as archive:
            for name, data in files:
                archive.writestr(name, data)
        return stream.getvalue()

    return pack


@pytest.fixture
def analysed(reader: Browser, pictures: Callable[[int], list[tuple[str, bytes]]]) -> str:
    """A case of the reader's with 12 cells, two of each of ``CODES``."""
    case = reader.new_case(patient="Maria Muster", comment="seen before")
    assert reader.upload(case, *pictures(12)).json()["added"] == 12
    assert reader.analyse(case)["state"] == JobState.FINISHED
    return case
