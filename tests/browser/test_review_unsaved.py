"""A station that stops answering: no gesture looks stored that is not, none is lost, and nothing else is undone."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

pytest.importorskip("fastapi", reason="the review station needs the extra 'app'")

from leukopy.review.records import CaseDraft, NewUser, Role
from leukopy.review.settings import ReviewSettings
from leukopy.review.store import ModelFacts, NewImage, Store
from leukopy.review.store import tables as t
from support.passwords import PASSWORD, quick_passwords
from support.predicted import predictions
from support.waiting import until

CODES = ("LY", "LY", "SNE", "SNE", "MO")
TILE = "#cell-{}"


class Process:
    """A real ``leukopy review --serve`` that can be stopped, killed and started again at the same address."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.address = f"http://127.0.0.1:{self.port}"
        self.start()

    def start(self) -> None:
        command = ["review", "--folder", str(self.folder), "--port", str(self.port), "--serve", "--no-browser"]
        self._process = subprocess.Popen(
            [sys.executable, "-c", "from leukopy.cli.main import main; main()", *command],
            stderr=subprocess.DEVNULL,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        until(self.answers)

    def answers(self) -> bool:
        try:
            return httpx.get(f"{self.address}/api/v1/health").status_code == 200
        except httpx.TransportError:
            return False

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)
        if number == signal.SIGKILL:
            self._process.wait()

    def end(self) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGCONT)
            self.send(signal.SIGKILL)

    def change(self, statement: Any) -> None:
        """Work on the database past the station."""
        store = Store.open(ReviewSettings(folder=self.folder))
        with store.database.write() as db:
            db.execute(statement)
        store.close()

    def codes(self) -> dict[int, str]:
        """The class of each cell, as it is stored."""
        store = Store.open(ReviewSettings(folder=self.folder))
        with store.database.read() as db:
            found = {number: str(code) for number, code in db.execute(sa.select(t.Cell.number, t.Cell.code))}
        store.close()
        return found


@pytest.fixture
def station(tmp_path: Path, colour_model: Any) -> Iterator[Process]:
    """With a case of ``CODES``."""
    store = Store.open(ReviewSettings(folder=tmp_path / "station"), quick_passwords())
    ada = store.users.add(None, NewUser(name="ada", full_name="Ada Weiss", role=Role.ADMINISTRATOR, password=PASSWORD))
    rita = store.users.add(ada, NewUser(name="rita", full_name="Rita Moreau", role=Role.REVIEWER, password=PASSWORD))
    case = store.cases.open(rita, CaseDraft(slide="S1"))
    drawn = [colour_model.draw(tmp_path / f"c{number}.png", code) for number, code in enumerate(CODES)]
    store.cells.add_images(
        rita, case.id, [NewImage(path.name, path.read_bytes(), 64, 64, "image/png") for path in drawn]
    )
    store.predictions.write(case.id, predictions(CODES), ModelFacts("colours", "c" * 64))
    store.close()
    process = Process(tmp_path / "station")
    yield process
    process.end()


def gallery(station: Process, sign_in: Callable[..., Any], **options: Any) -> Any:
    page = sign_in(station, "rita", **options)
    page.click("#cases a:text-is('S1')")
    page.wait_for_selector(".tile")
    page.wait_for_load_state("networkidle")  # all of the case is there before the station is killed
    return page


def correct(page: Any, cell: int, key: str) -> None:
    page.click(TILE.format(cell))
    page.keyboard.press(key)


def stored(page: Any, cell: int, code: str) -> None:
    """The page shows a cell in a class, as stored."""
    page.wait_for_selector(f".group[data-code={code}] #cell-{cell}:not(.pending)")


def test_a_killed_station_loses_no_gesture_and_undoes_no_other(station: Process, sign_in: Callable[..., Any]) -> None:
    page = gallery(station, sign_in)
    correct(page, 1, "m")
    stored(page, 1, "MO")
    station.send(signal.SIGKILL)
    correct(page, 3, "b")
    page.wait_for_selector(".group[data-code=BNE] #cell-3.pending")
    page.wait_for_selector("#unsaved:has-text('Not saved: 1 change')")
    assert "not saved yet" in page.get_attribute("#cell-3", "aria-label")
    assert page.is_disabled("#undo")
    page.keyboard.press("Control+z")
    page.wait_for_selector("#wrong:has-text('undo and redo wait')")
    correct(page, 4, "b")
    page.wait_for_selector("#unsaved:has-text('Not saved: 2 changes')")
    assert station.codes() == {1: "MO", 2: "LY", 3: "SNE", 4: "SNE", 5: "MO"}
    station.start()
    page.click("#try-now")
    stored(page, 3, "BNE")
    stored(page, 4, "BNE")
    page.wait_for_selector("#unsaved", state="hidden")
    assert station.codes() == {1: "MO", 2: "LY", 3: "BNE", 4: "BNE", 5: "MO"}
    page.keyboard.press("Control+z")
    stored(page, 4, "SNE")
    assert station.codes() == {1: "MO", 2: "LY", 3: "BNE", 4: "SNE", 5: "MO"}
    accept(page)


def test_a_station_that_hangs_stores_each_gesture_once(station: Process, sign_in: Callable[..., Any]) -> None:
    page = gallery(station, sign_in)
    station.send(signal.SIGSTOP)
    correct(page, 1, "m")
    page.wait_for_selector("#cell-1.pending")
    page.wait_for_selector("#unsaved:has-text('Not saved: 1 change')")
    station.send(signal.SIGCONT)
    stored(page, 1, "MO")
    page.wait_for_selector("#unsaved", state="hidden")
    page.wait_for_selector("#corrected:has-text('1 cell corrected')")
    page.keyboard.press("Control+z")
    stored(page, 1, "LY")
    page.wait_for_selector("#undo:disabled")  # there was one gesture
    accept(page)


def test_an_answer_that_is_lost_is_no_conflict(station: Process, sign_in: Callable[..., Any]) -> None:
    page = gallery(station, sign_in)
    lost: list[str] = []

    def lose(route: Any) -> None:
        if not lost:
            lost.append(route.fetch().text())  # the station has stored it
            route.abort()
        else:
            route.continue_()

    page.route("**/corrections", lose)
    correct(page, 1, "m")
    page.wait_for_selector("#said:has-text('1 cell is now: Monocyte')")
    stored(page, 1, "MO")
    assert len(lost) == 1
    assert "shown" not in page.get_attribute("#wrong", "class")
    page.keyboard.press("Control+z")
    stored(page, 1, "LY")
    accept(page)


def test_what_is_given_up_is_shown_as_it_was(station: Process, sign_in: Callable[..., Any]) -> None:
    page = gallery(station, sign_in, locale="fr-FR")
    station.send(signal.SIGKILL)
    correct(page, 3, "b")
    page.wait_for_selector("#unsaved:has-text('La station ne répond pas')")
    page.click("#discard")
    stored(page, 3, "SNE")
    page.wait_for_selector("#unsaved", state="hidden")
    station.start()
    page.reload()
    stored(page, 3, "SNE")
    assert station.codes()[3] == "SNE"
    accept(page)


def test_a_session_that_ends_at_work_keeps_the_gesture(station: Process, sign_in: Callable[..., Any]) -> None:
    page = gallery(station, sign_in)
    station.change(sa.update(t.Session).values(expires=t.now() - timedelta(hours=1)))
    page.on("dialog", lambda dialog: pytest.fail(dialog.message))
    correct(page, 2, "e")
    page.wait_for_selector("#login")
    page.fill("[name=name]", "rita")
    page.fill("[name=password]", PASSWORD)
    page.click("#login button")
    stored(page, 2, "EO")
    assert station.codes()[2] == "EO"
    assert page.evaluate("sessionStorage.length") == 0
    accept(page)


def test_no_gesture_is_stored_in_the_name_of_another_user(station: Process, sign_in: Callable[..., Any]) -> None:
    page = gallery(station, sign_in)
    station.change(sa.update(t.Session).values(expires=t.now() - timedelta(hours=1)))
    correct(page, 2, "e")
    page.wait_for_selector("#login")
    page.fill("[name=name]", "ada")
    page.fill("[name=password]", PASSWORD)
    page.click("#login button")
    stored(page, 2, "LY")
    page.wait_for_load_state("networkidle")
    assert station.codes()[2] == "LY"
    accept(page)


def accept(page: Any) -> None:
    """The browser writes each request that fails to its console: these were provoked."""
    told = ("Failed to load resource", "net::ERR_")
    assert [text for text in page.wrong if not text.startswith(told)] == []
    page.wrong.clear()


def test_a_station_that_dies_while_a_case_is_loaded_leaves_what_came_and_the_rest_comes_later(
    station: Process, sign_in: Callable[..., Any]
) -> None:
    page = sign_in(station, "rita")
    page.route("**/fields", lambda route: (station.send(signal.SIGKILL), route.continue_()), times=1)
    page.click("#cases a:text-is('S1')")
    page.wait_for_selector("#partial:has-text('Part of this case is missing')")
    assert page.locator(".tile").count() == len(CODES)
    assert page.is_visible("#board")
    assert page.is_hidden("#missing")
    page.click("#load-rest")  # too early
    page.wait_for_selector("#wrong.shown:has-text('does not answer')")
    assert page.is_visible("#partial")
    page.locator(".tile").first.click()
    page.keyboard.press("e")
    page.wait_for_selector("#unsaved:has-text('Not saved: 1 change')")
    station.start()
    page.click("#load-rest")
    page.wait_for_selector("#partial", state="hidden")
    page.wait_for_selector("#unsaved", state="hidden")
    pictures = "[...document.querySelectorAll('.tile img')].every((one) => one.complete && one.naturalWidth > 0)"
    until(lambda: page.evaluate(pictures))
    assert page.is_visible("#board")
    assert page.is_hidden("#missing")
    assert "EO" in station.codes().values()
    page.wrong.clear()


def test_a_station_that_is_away_is_no_case_that_is_missing(station: Process, sign_in: Callable[..., Any]) -> None:
    page = sign_in(station, "rita", locale="fr-FR")
    page.route("**/cells", lambda route: route.abort(), times=1)
    page.click("#cases a:text-is('S1')")
    page.wait_for_selector("#partial:has-text('Une partie de ce cas manque')")
    assert page.is_hidden("#missing")
    page.click("#load-rest")
    page.wait_for_selector(".tile")
    page.wait_for_selector("#partial", state="hidden")
    page.wrong.clear()
    page.goto(f"{station.address}/cases/{'0' * 32}")
    page.wait_for_selector("#missing:has-text('partagé')")
    assert page.is_hidden("#desk")
    page.wrong.clear()
