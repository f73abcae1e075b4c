"""A station that is killed loses nothing that it had acknowledged, and goes on where it was."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from leukopy.review.settings import ReviewSettings
from leukopy.review.store import Store
from leukopy.workflows.draw import DrawSettings, draw
from support.waiting import until

API = "/api/v1"
CODES = ("MO", "LY", "EO", "BA")


class Process:
    """A real ``leukopy review``, and the browser of its one user."""

    def __init__(self, folder: Path) -> None:
        command = ["review", "--folder", str(folder), "--port", "0", "--no-browser"]
        self.process = subprocess.Popen(
            [sys.executable, "-c", "from leukopy.cli.main import main; main()", *command],
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        assert self.process.stderr is not None
        said = ""
        while not (found := re.search(r"(http://\S+/)\?token=(\S+)", said)):
            line = self.process.stderr.readline()
            assert line, f"it ended: {said}"
            said += line
        self.http = httpx.Client(base_url=found[1], timeout=None)
        assert self.http.get("/", params={"token": found[2]}).status_code == 303
        self.http.headers["X-CSRF-Token"] = self.http.get(f"{API}/me").json()["csrf"]

    def kill(self) -> None:
        """As a power cut would: without a word."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.close()

    def close(self) -> None:
        self.http.close()
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait()
        assert self.process.stderr is not None
        self.process.stderr.close()

    def job(self, case: str) -> dict[str, Any]:
        return dict(self.http.get(f"{API}/cases/{case}/analysis").json())

    def cells(self, case: str) -> dict[int, dict[str, Any]]:
        return {cell["id"]: cell for cell in self.http.get(f"{API}/cases/{case}/cells").json()["cells"]}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    slide = draw(DrawSettings(cells=40, size=128), tmp_path_factory.mktemp("slide") / "drawn")
    return sorted(slide.cells.iterdir())


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Any]:
    """Starts a station on the folder of the test; whatever still runs at its end is ended."""
    started: list[Process] = []

    def begin() -> Process:
        started.append(Process(tmp_path / "station"))
        return started[-1]

    yield begin
    for process in started:
        process.close()


def fill(process: Process, drawn: list[Path], copies: int) -> str:
    """A case with each drawn cell under ``copies`` names."""
    case = str(process.http.post(f"{API}/cases", json={"slide": "S1"}).json()["id"])
    files = [("files", (f"{copy}-{path.name}", path.read_bytes())) for copy in range(copies) for path in drawn]
    answer = process.http.post(f"{API}/cases/{case}/images", files=files)
    assert answer.json()["added"] == copies * len(drawn)
    return case


def an_hour_later(folder: Path) -> None:
    """The signs of life of the dead process are old, so that the test need not wait for that."""
    store = Store.open(ReviewSettings(folder=folder))
    with store.database.write() as db:
        db.execute(sa.text("UPDATE jobs SET heartbeat = '2020-01-01 00:00:00.000000'"))
    store.close()


def test_killed_while_it_analyses(start, drawn, tmp_path):
    first = start()
    case = fill(first, drawn, copies=8)
    assert first.http.post(f"{API}/cases/{case}/analysis").status_code == 202
    told = until(lambda: (job := first.job(case))["done"] >= 64 and job)
    before = first.cells(case)
    first.kill()
    assert told["done"] <= len(before) < told["total"], "it was to be killed in the middle"

    an_hour_later(tmp_path / "station")
    second = start()
    job = until(lambda: (job := second.job(case))["state"] == "finished" and job)
    assert (job["done"], job["total"]) == (320, 320)
    after = second.cells(case)
    assert len(after) == 320
    assert {cell: after[cell] for cell in before} == before, "what was classified is not classified again"
    assert second.http.get(f"{API}/audit/verify").json()["intact"]


def test_killed_while_cells_are_corrected(start, drawn, tmp_path):
    first = start()
    case = fill(first, drawn, copies=1)
    first.http.post(f"{API}/cases/{case}/analysis")
    until(lambda: first.job(case)["state"] == "finished")
    cells = first.cells(case)
    acknowledged: dict[int, tuple[int, str]] = {}

    def correct() -> None:
        """One cell after the other, until nobody answers."""
        for round_ in range(1000):
            for cell in cells:
                version = acknowledged.get(cell, (cells[cell]["version"], ""))[0]
                code = CODES[(round_ + cell) % len(CODES)]
                body = {"changes": [{"cell": cell, "version": version, "code": code}]}
                try:
                    answer = first.http.post(f"{API}/cases/{case}/corrections", json=body)
                except httpx.HTTPError:
                    return
                changed = answer.json()["cells"]
                acknowledged[cell] = (changed[0]["version"] if changed else version, code)

    reader = Thread(target=correct)
    reader.start()
    until(lambda: len(acknowledged) >= 25)
    first.process.send_signal(signal.SIGKILL)
    first.process.wait()
    reader.join()

    second = start()
    now = second.cells(case)
    for cell, (version, code) in acknowledged.items():
        # One correction may have been stored whose acknowledgement did not arrive.
        assert now[cell]["version"] >= version
        assert now[cell]["version"] > version or now[cell]["code"] == code
    beyond = [cell for cell, (version, _) in acknowledged.items() if now[cell]["version"] > version]
    assert len(beyond) <= 1
    entries = second.http.get(f"{API}/cases/{case}/history").json()
    corrections = [entry for entry in entries if entry["action"] == "cells.corrected"]
    versions = sum(cell["version"] - cells[number]["version"] for number, cell in now.items())
    assert len(corrections) == versions, "each stored correction is in the log, and nothing else is"
    assert second.http.get(f"{API}/audit/verify").json()["intact"]
