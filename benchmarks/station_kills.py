"""Kill -9 at random moments of the station, of its worker, and of PostgreSQL: is anything acknowledged lost?

    python benchmarks/station_kills.py [--kills 50] [--postgres]

A reader corrects cells as fast as the station answers, a laboratory system orders over MLLP, and the worker analyses
pictures, all at once. A new worker takes up a killed analysis 15 seconds after its last sign of life. A random time
after that, in turn, the process of the station is killed; that of its worker (then the station answers on, and another
one takes up the analysis); or PostgreSQL with all its processes (then the station goes on, and answers 503 until the
database is back). After each kill, every correction and every order that was acknowledged must be
there. In the end the analysis goes on to its end, each picture has been classified once, and the audit log verifies.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import socket
import threading
import time
from collections import Counter
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx

import local_postgres
import results_file
import review
from leukopy.review.records import CaseSearch, JobState
from leukopy.review.settings import Limits, ReviewSettings
from leukopy.review.store import Store
from station_load import begin_analysis, job_of, progress

CODES = ("MO", "LY", "EO", "BA")
STATION, WORKER, POSTGRESQL = "the station", "the worker", "PostgreSQL"
IMAGES = 240
"""Of the case that is analysed meanwhile, for each kill: it must not end before the last one."""


@dataclass
class Told:
    """What the station acknowledged."""

    cells: dict[int, tuple[int, str]] = field(default_factory=dict)
    """Version and class, by cell."""
    orders: list[str] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)


def correct(address: str, case: str, told: Told, stop: threading.Event) -> None:
    """One cell after the other; what is not acknowledged is not counted."""
    with httpx.Client(base_url=address, timeout=60) as client, suppress(httpx.HTTPError):
        client.headers["X-CSRF-Token"] = client.post(
            f"{review.API}/session", json={"name": "reader0", "password": review.PASSWORD}
        ).json()["csrf"]
        known: dict[int, tuple[int, str]] = {}
        while not stop.is_set():
            if not known:
                answer = client.get(f"{review.API}/cases/{case}/cells")
                known = (
                    {}
                    if answer.is_error
                    else {one["id"]: (one["version"], one["code"]) for one in answer.json()["cells"]}
                )
            for cell, (version, code) in list(known.items()):
                other = random.choice([one for one in CODES if one != code])
                body = {"changes": [{"cell": cell, "version": version, "code": other}]}
                answer = client.post(f"{review.API}/cases/{case}/corrections", json=body)
                told.statuses[answer.status_code] += 1
                if answer.status_code != 200:
                    known = {}
                    time.sleep(0.1)
                    break
                (now,) = answer.json()["cells"]
                known[cell] = told.cells[cell] = (now["version"], other)
                if stop.is_set():
                    break


def order(port: int, told: Told, stop: threading.Event) -> None:
    """One order after the other on one connection."""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        while not stop.is_set():
            number = f"A{random.getrandbits(64):x}"
            message = (
                f"MSH|^~\\&|LIS|H|||1||ORM^O01^ORM_O01|{number}|P|2.5.1\rPID|||P1\rORC|NW|{number}\rOBR|1|{number}\r"
            )
            connection.sendall(b"\x0b" + message.encode() + b"\x1c\r")
            answer = b""
            while b"\x1c\r" not in answer:
                part = connection.recv(4096)
                if not part:
                    return
                answer += part
            if f"MSA|AA|{number}".encode() in answer:
                told.orders.append(number)
            else:
                time.sleep(0.1)
            time.sleep(0.05)


def missing(settings: ReviewSettings, case: str, told: Told) -> dict[str, int]:
    """Acknowledged corrections and orders that the database does not hold."""
    with closing(Store.open(settings)) as store:
        user = store.users.for_maintenance()
        now = {cell.id: (cell.version, cell.code) for cell in store.cells.all(user, case)}
        # One correction more may have been stored, whose acknowledgement was cut off.
        lost = sum(now[cell][0] < version or (now[cell][0] == version and now[cell][1] != code)
                   for cell, (version, code) in told.cells.items())  # fmt: skip
        orders = sum(store.cases.search(user, CaseSearch(text=number)).total != 1 for number in told.orders)
        return {"corrections": lost, "orders": orders}


def kill_worker(station: int) -> None:
    """Kill the process in which a station analyses."""
    commands = {one: Path(f"/proc/{one}/cmdline").read_bytes() for one in local_postgres.children_of(station)}
    (worker,) = (one for one, command in commands.items() if b"spawn_main" in command)
    os.kill(worker, signal.SIGKILL)


def round_(
    settings: ReviewSettings, cases: tuple[str, str], port: int, kill: str, server: local_postgres.Postgres | None
) -> tuple[Told, bool]:
    """Work until a random moment, then a kill; what was acknowledged, and whether it fell into the analysis.

    Args:
        settings: of the station.
        cases: the one that the reader corrects, and the one that is analysed.
        port: for orders.
        kill: what is killed.
        server: PostgreSQL.
    """
    case, analysed = cases
    before = job_of(settings, analysed).done
    process, address = review.start(settings, "--orders-port", str(port))
    told, stop, after = Told(), threading.Event(), random.uniform(0.3, 3)
    threads = [threading.Thread(target=correct, args=(address, case, told, stop)),
               threading.Thread(target=order, args=(port, told, stop))]  # fmt: skip
    for thread in threads:
        thread.start()
    try:
        while not told.cells:
            time.sleep(0.01)
        while (job := job_of(settings, analysed)).done == before and job.state is not JobState.FINISHED:
            time.sleep(0.2)
        time.sleep(after)
        if kill == WORKER:
            kill_worker(process.pid)
            done, until = job_of(settings, analysed).done, time.monotonic() + 60
            while (now := job_of(settings, analysed)).done == done and now.state is not JobState.FINISHED:
                assert time.monotonic() < until, "no other worker took up the analysis"
                time.sleep(0.2)
        elif server is not None and kill == POSTGRESQL:
            server.kill()
            time.sleep(0.5)
            server.start()
            stored, until = told.statuses[200], time.monotonic() + 60
            while told.statuses[200] == stored and time.monotonic() < until:
                time.sleep(0.1)  # the station finds its database again, and goes on
            assert told.statuses[200] > stored, "the station did not go on after the database came back"
        if kill != STATION:
            stop.set()
    finally:  # whatever happened: neither the station nor a thread goes on
        process.send_signal(signal.SIGKILL)
        stop.set()
        process.wait()
    for thread in threads:
        thread.join()
    return told, job.state is JobState.RUNNING


def finish(settings: ReviewSettings, analysed: str) -> None:
    """Let a last station bring the analysis to its end."""
    process, _ = review.start(settings)
    while job_of(settings, analysed).state is not JobState.FINISHED:
        time.sleep(1)
    process.terminate()
    process.wait()


def measure(given: argparse.Namespace, scratch: Path, server: local_postgres.Postgres | None) -> dict[str, object]:
    images = IMAGES * given.kills
    limits = Limits(cells_per_case=images)
    settings = ReviewSettings(folder=scratch / "station", database=server.url if server else None, limits=limits)
    whose = review.prepare(settings, scratch, argparse.Namespace(cells=40, readers=1, cases=1))
    case, analysed = whose["reader0"], begin_analysis(settings, scratch, images)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    lost: Counter[str] = Counter()
    totals: Counter[str] = Counter()
    statuses: Counter[int] = Counter()
    for number in range(given.kills):
        kinds = (STATION, WORKER, POSTGRESQL) if server else (STATION, WORKER)
        kill = kinds[number % len(kinds)]
        told, inside = round_(settings, (case, analysed), port, kill, server)
        lost.update(missing(settings, case, told))
        totals.update(
            {"corrections acknowledged": sum(1 for _ in told.cells), "orders acknowledged": len(told.orders),
             "kills within the analysis": inside, f"kills of {kill}": 1}
        )  # fmt: skip
        statuses.update(told.statuses)
        print(number + 1, dict(totals), dict(lost), dict(statuses), progress(settings, analysed), flush=True)
    finish(settings, analysed)
    with closing(Store.open(settings)) as store:
        intact = store.audit.verify()
        cells = store.cells.all(store.users.for_maintenance(), analysed)
    return {
        **totals, **{f"acknowledged {what} lost": lost[what] for what in ("corrections", "orders")},
        "answers to corrections": {str(code): count for code, count in sorted(statuses.items())},
        "images to analyse": images, "cells in the case": len(cells),
        "pictures classified": len({cell.name for cell in cells if cell.model_code}),
        "audit log intact": intact.intact, "audit entries": intact.entries, "analysis": progress(settings, analysed),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--postgres", action="store_true", help="on PostgreSQL, which is killed every third time")
    given = parser.parse_args()
    random.seed(0)
    with TemporaryDirectory() as scratch, ExitStack() as stack:
        server = stack.enter_context(local_postgres.running()) if given.postgres else None
        figures = measure(given, Path(scratch), server)
    print(figures)
    results_file.write("station_kills-postgresql" if given.postgres else "station_kills", figures)


if __name__ == "__main__":
    main()
