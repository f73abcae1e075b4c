"""30 readers at once correct cells in 10 cases of one station: how long a correction takes, and whether one is lost.

    python benchmarks/review.py [--seconds 120] [--readers 30] [--cases 10] [--cells 200] [--database URL] [--beside X]

The station is a real `leukopy review --serve` process on loopback, its cells are drawn. A reader gives a cell another
class, looks at the answer, and goes on to the next after a second on average (exponential); the readers of a case see
only what they are answered, so that they do run into each other. Afterwards every acknowledged correction is looked
for in the cells and in the audit log.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import subprocess
import time
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import numpy as np

import results_file
import station
from leukopy.review.importing import import_as_case
from leukopy.review.records import CaseDraft, CaseSearch, NewUser, Role
from leukopy.review.settings import ReviewSettings
from leukopy.review.store import Store
from leukopy.workflows.analyze import AnalyzeSettings, analyze
from leukopy.workflows.draw import DrawSettings, draw

API = "/api/v1"
PASSWORD = "correct horse battery"
PAUSE = 1.0
"""Seconds from an answer to the next correction, on average: nobody corrects faster for two minutes."""
CODES = ("SNE", "BNE", "EO", "BA", "LY", "MO", "MMY", "MY", "PMY", "ERB", "PLT", "UNIDENTIFIED")


@dataclass(frozen=True)
class Acknowledged:
    """A correction that the station said it had stored."""

    case: str
    case_version: int
    cell: int
    version: int
    before: str
    after: str
    reader: str


@dataclass
class Reader:
    """One reader's browser, and what it was answered."""

    name: str
    case: str
    http: httpx.AsyncClient
    random: random.Random
    seconds: list[float] = field(default_factory=list)
    acknowledged: list[Acknowledged] = field(default_factory=list)
    conflicts: int = 0
    others: list[int] = field(default_factory=list)
    """Statuses that are neither success nor conflict."""

    async def sign_in(self) -> None:
        answer = await self.http.post(f"{API}/session", json={"name": self.name, "password": PASSWORD})
        answer.raise_for_status()
        self.http.headers["X-CSRF-Token"] = answer.json()["csrf"]

    async def work(self, until: float) -> None:
        gallery = (await self.http.get(f"{API}/cases/{self.case}/cells")).json()["cells"]
        cells = {cell["id"]: cell for cell in gallery}
        await asyncio.sleep(self.random.uniform(0, PAUSE))
        while time.perf_counter() < until:
            await self.correct(cells)
            await asyncio.sleep(self.random.expovariate(1 / PAUSE))

    async def correct(self, cells: dict[int, dict[str, Any]]) -> None:
        cell = cells[self.random.choice(list(cells))]
        code = self.random.choice([code for code in CODES if code != cell["code"]])
        body = {"changes": [{"cell": cell["id"], "version": cell["version"], "code": code}]}
        begun = time.perf_counter()
        answer = await self.http.post(f"{API}/cases/{self.case}/corrections", json=body)
        taken, said = time.perf_counter() - begun, answer.json()
        if answer.status_code == 200:
            self.seconds.append(taken)
            (now,) = said["cells"]
            self.acknowledged.append(
                Acknowledged(
                    self.case, said["case"]["version"], now["id"], now["version"], cell["code"], code, self.name
                )
            )
            cells[now["id"]] = now
        elif answer.status_code == 409:
            self.conflicts += 1
            cells |= {now["id"]: now for now in said["current"]}
        else:
            self.others.append(answer.status_code)


def prepare(settings: ReviewSettings, scratch: Path, given: argparse.Namespace) -> dict[str, str]:
    """Users and analysed cases; returns the case of each reader."""
    slide = draw(DrawSettings(cells=given.cells, size=128), scratch / "slide")
    result = analyze(AnalyzeSettings(input=slide.cells), scratch / "result").folder
    with closing(Store.open(settings)) as store:
        users = [
            store.users.add(None, NewUser(name="ada", full_name="Ada", role=Role.ADMINISTRATOR, password=PASSWORD))
        ]
        for number in range(given.readers):
            new = NewUser(name=f"reader{number}", full_name=f"R {number}", role=Role.READER, password=PASSWORD)
            users.append(store.users.add(users[0], new))
        readers = users[1:]
        for number in range(given.cases):
            import_as_case(store, readers[number % given.readers], CaseDraft(slide=f"S{number}"), result)
        cases = store.cases.search(users[0], CaseSearch()).cases
        whose = {reader.name: cases[number % given.cases].id for number, reader in enumerate(readers)}
        for name, case in whose.items():
            store.cases.share(users[0], case, name)
    return whose


def start(settings: ReviewSettings, *options: str) -> tuple[subprocess.Popen[str], str]:
    """A station, and where it is."""
    where = ["--database", settings.database] if settings.database else []
    return station.start(settings.folder, "--serve", *where, *options)


async def load(address: str, whose: dict[str, str], seconds: float) -> list[Reader]:
    limits = httpx.Limits(max_connections=None)
    readers = [
        Reader(name, case, httpx.AsyncClient(base_url=address, timeout=60, limits=limits), random.Random(name))
        for name, case in whose.items()
    ]
    for reader in readers:
        await reader.sign_in()
    until = time.perf_counter() + seconds
    await asyncio.gather(*(reader.work(until) for reader in readers))
    for reader in readers:
        await reader.http.aclose()
    return readers


def lost(settings: ReviewSettings, acknowledged: list[Acknowledged]) -> dict[str, int]:
    """Number of acknowledged corrections missing from the station, by place."""
    with closing(Store.open(settings)) as store:
        ada = store.users.check_password("ada", PASSWORD)
        assert ada is not None
        by_cell: dict[tuple[str, int], list[Acknowledged]] = {}
        for one in acknowledged:
            by_cell.setdefault((one.case, one.cell), []).append(one)
        missed = {"in the cells": 0, "in the audit": 0, "in the audit beyond those acknowledged": 0}
        for case in store.cases.search(ada, CaseSearch()).cases:
            entries = {
                entry.detail["version"]: (entry.user, entry.detail["moves"])
                for entry in store.audit.history(ada, case.id)
                if entry.action == "cells.corrected"
            }
            of_case = [one for one in acknowledged if one.case == case.id]
            expected = {one.case_version: (one.reader, [[one.cell, one.before, one.after]]) for one in of_case}
            missed["in the audit"] += sum(entries.get(version) != said for version, said in expected.items())
            missed["in the audit beyond those acknowledged"] += len(entries.keys() - expected.keys())
            for cell in store.cells.all(ada, case.id):
                said = sorted(by_cell.get((case.id, cell.id), []), key=lambda one: one.version)
                # Each made exactly one version, on the class that the one before it had left.
                chain = [(cell.model_code, 1), *((one.after, one.version) for one in said)]
                follows = all(one.before == code for one, (code, _) in zip(said, chain, strict=False))
                whole = [version for _, version in chain[1:]] == list(range(2, len(chain) + 1))
                if not (follows and whole and (cell.code, cell.version) == chain[-1]):
                    missed["in the cells"] += 1
        assert store.audit.verify().intact
    return missed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("--seconds", 120), ("--readers", 30), ("--cases", 10), ("--cells", 200)):
        parser.add_argument(name, type=int, default=default)
    parser.add_argument("--beside", default="nothing", help="what else runs on the machine; kept with the figures")
    parser.add_argument("--database", help="of PostgreSQL; else SQLite")
    given = parser.parse_args()
    with TemporaryDirectory() as scratch:
        settings = ReviewSettings(folder=Path(scratch) / "station", database=given.database)
        whose = prepare(settings, Path(scratch), given)
        before = os.getloadavg()[0]
        process, address = start(settings)
        try:
            readers = asyncio.run(load(address, whose, given.seconds))
        finally:
            process.terminate()
            process.wait()
        acknowledged = [one for reader in readers for one in reader.acknowledged]
        missed = lost(settings, acknowledged)
    seconds = np.array([taken for reader in readers for taken in reader.seconds]) * 1000
    others = [status for reader in readers for status in reader.others]
    figures: dict[str, object] = {
        "database": "PostgreSQL" if given.database else "SQLite",
        "readers": given.readers,
        "cases": given.cases,
        "cells of each case": given.cells,
        "seconds": given.seconds,
        "pause between corrections, s": PAUSE,
        "beside it": given.beside,
        "load before (1 minute)": round(before, 2),
        "load at the end (1 minute)": round(os.getloadavg()[0], 2),
        "corrections acknowledged": len(acknowledged),
        "conflicts told (409)": sum(reader.conflicts for reader in readers),
        "server errors (5xx)": sum(status >= 500 for status in others),
        "other statuses": sorted(set(others)),
        **{f"corrections missed {where}": count for where, count in missed.items()},
        **{f"correction, p{share}, ms": round(float(np.percentile(seconds, share)), 1) for share in (50, 95, 99)},
        "correction, longest, ms": round(float(seconds.max()), 1),
    }
    for name, value in figures.items():
        print(f"{name}: {value}")
    results_file.write("review-postgresql" if given.database else "review", figures)


if __name__ == "__main__":
    main()
