"""A real Chromium, headless and offline; the tests are skipped with a reason where there is none.

And a review station for it to work with, on loopback.
"""

from __future__ import annotations

import os
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from support.passwords import PASSWORD, quick_passwords

HANGS = 300_000
"""Milliseconds after which a page is given up, on the busiest machine."""
CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "chrome")


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """The system's Chromium, driven by Playwright."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (extra 'dev')")
    found = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if found is None:
        pytest.skip("no Chromium on this machine: apt-get install chromium")
    arguments = ["--use-fake-device-for-media-stream"]  # a camera that shows a drawing; pages must still ask for it
    arguments += ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=found, args=arguments)
        yield chromium
        chromium.close()


class Watched:
    """Pages of which everything that goes wrong, and every address that they ask for, is noted."""

    def __init__(self, browser: Any) -> None:
        self._browser = browser
        self._contexts: list[Any] = []
        self.wrong: list[str] = []
        self.asked: list[str] = []

    def page(self, **options: Any) -> Any:
        self._contexts.append(self._browser.new_context(**options))
        page = self._contexts[-1].new_page()
        page.set_default_timeout(HANGS)
        page.on("console", self._noted)
        page.on("pageerror", lambda error: self.wrong.append(str(error)))
        page.on("request", lambda request: self.asked.append(request.url))
        return page

    def close(self, allowed: tuple[str, ...]) -> None:
        """Nothing must have gone wrong, or been asked for elsewhere."""
        for context in self._contexts:
            context.close()
        assert self.wrong == []
        assert [url for url in self.asked if not url.startswith(allowed)] == []
        assert len(self.asked) >= len(self._contexts)

    def _noted(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.wrong.append(message.text)


@pytest.fixture
def open_page(browser: Any) -> Iterator[Callable[..., Any]]:
    """Open a file as a page of 1280 px; at the end, nothing must have gone wrong or been asked of the network."""
    watched = Watched(browser)

    def open_file(path: Path, scheme: str = "light") -> Any:
        page = watched.page(viewport={"width": 1280, "height": 900}, color_scheme=scheme, offline=True)
        page.goto(path.as_uri())
        return page

    yield open_file
    watched.close(("file:", "data:", "blob:"))


LOOPBACK = ("http://127.0.0.1:", "data:", "blob:")


@dataclass(frozen=True)
class Station:
    """A review station that runs on loopback, for several users."""

    address: str
    folder: Path
    store: Any
    token: str
    """Lets the one user in; of no use where users log in."""


@contextmanager
def running_station(settings: Any) -> Iterator[Station]:
    """Serve from a thread, with an administrator and two reviewers whose passwords are `PASSWORD`."""
    import uvicorn

    from leukopy.review.app import create_app
    from leukopy.review.records import NewUser, Role

    app = create_app(settings)
    store = app.state.store
    store.users.passwords = quick_passwords()
    first = None
    for name, full_name, role in (
        ("ada", "Ada Weiss", Role.ADMINISTRATOR), ("rita", "Rita Moreau", Role.REVIEWER),
        ("ron", "Ron Okafor", Role.READER),
    ):  # fmt: skip
        added = store.users.add(first, NewUser(name=name, full_name=full_name, role=role, password=PASSWORD))
        first = first or added
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(128)  # a page that is asked for before the server has begun waits for it
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False, timeout_graceful_shutdown=1))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            address = f"http://127.0.0.1:{listening.getsockname()[1]}"
            yield Station(address, settings.folder, store, app.state.station.token.value)
        finally:
            server.should_exit = True
            thread.join(30)


@pytest.fixture
def sign_in(browser: Any) -> Iterator[Callable[..., Any]]:
    """Open a station's page as a user; at the end, nothing must have gone wrong or been asked of the network."""
    watched = Watched(browser)

    def open_station(station: Station, name: str, **options: Any) -> Any:
        options = {"viewport": {"width": 1280, "height": 860}, "locale": "en-GB", "color_scheme": "light"} | options
        page = watched.page(**options)
        page.goto(f"{station.address}/login")
        page.fill("[name=name]", name)
        page.fill("[name=password]", PASSWORD)
        page.click("#login button")
        page.wait_for_url(f"{station.address}/")
        page.wait_for_selector("#work[aria-busy=false]")
        page.wrong = watched.wrong  # a test that provokes an error takes it out
        return page

    yield open_station
    watched.close(LOOPBACK)


@pytest.fixture(scope="module")
def colour_station(tmp_path_factory: pytest.TempPathFactory, colour_model: Any) -> Iterator[Station]:
    """With a model that names plain pictures by their colour."""
    from leukopy.review.settings import ReviewSettings

    folder = tmp_path_factory.mktemp("station")
    with running_station(ReviewSettings(folder=folder, serve=True, model=str(colour_model.path))) as running:
        yield running


@pytest.fixture(scope="session")
def station_of() -> Callable[..., Any]:
    """`running_station`."""
    return running_station
