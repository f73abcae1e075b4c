"""A station under load: 30 readers beside an analysis, 60 log-ins at once, 1,000 half-open connections.

    python benchmarks/station_load.py [--seconds 120] [--postgres] [--beside "what else runs"]

A real `leukopy review --serve` process on loopback, on SQLite or on a PostgreSQL server of its own. The readers are
those of `benchmarks/review.py`; meanwhile the station's worker analyses other cases. Then one reader goes on
correcting while 60 users log in at once, and while 1,000 connections stay half-open (to the station and to its port for
orders).
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import socket
import threading
import time
from collections import Counter
from contextlib import ExitStack, closing, suppress
from multiprocessing import get_context
from multiprocessing.context import SpawnProcess
from multiprocessing.queues import SimpleQueue
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp

import httpx
import numpy as np

import local_postgres
import results_file
import review
from leukopy.core.errors import LeukopyError
from leukopy.review.records import CaseDraft, Job
from leukopy.review.settings import ReviewSettings
from leukopy.review.store import Store
from leukopy.review.uploads import Upload, keep, unpack
from leukopy.workflows.draw import DrawSettings, draw

SPAWN = get_context("spawn")
"""Trouble is made by processes of their own: the reader's time is the station's, and not this program's."""
LOGINS = 60
HALF_OPEN = 1000
PENDING = 2000
"""Images of a case that is analysed meanwhile."""
ANALYSED = 20
"""Such cases, one after the other: more than are done while the readers work."""


def begin_analysis(settings: ReviewSettings, scratch: Path, images: int = PENDING) -> str:
    """A case with many images, whose analysis is queued."""
    cells = DrawSettings(cells=40, size=128, seed=1)
    drawn = sorted(draw(cells, Path(mkdtemp(dir=scratch)) / "pending").cells.iterdir())
    with closing(Store.open(settings)) as store, ExitStack() as files:
        ada = store.users.check_password("ada", review.PASSWORD)
        assert ada is not None
        case = store.cases.open(ada, CaseDraft(slide="analysed meanwhile"))
        for copy in range(images // len(drawn)):
            uploads = [Upload(f"{copy}-{path.name}", files.enter_context(path.open("rb"))) for path in drawn]
            keep(store, ada, case.id, unpack(uploads, settings.limits))
            files.pop_all().close()
        store.jobs.start(ada, case.id)
        return case.id


def job_of(settings: ReviewSettings, case: str) -> Job:
    """The analysis of a case as it stands; asked again where the station holds its database for some seconds."""
    for left in reversed(range(10)):
        try:
            with closing(Store.open(settings)) as store:
                job = store.jobs.latest(store.users.for_maintenance(), case)
                assert job is not None
                return job
        except LeukopyError:
            if not left:
                raise
    raise AssertionError


def progress(settings: ReviewSettings, case: str) -> str:
    job = job_of(settings, case)
    return f"{job.done} of {job.total} images, {job.state.value}"


async def beside(address: str, name: str, case: str, trouble: SpawnProcess) -> dict[str, float]:
    """The seconds of a reader's corrections until a process has ended, and a while before it begins."""
    reader = review.Reader(name, case, httpx.AsyncClient(base_url=address, timeout=60), random.Random(name))
    await reader.sign_in()
    cells = {cell["id"]: cell for cell in (await reader.http.get(f"{review.API}/cases/{case}/cells")).json()["cells"]}
    for _ in range(30):
        await reader.correct(cells)
        await asyncio.sleep(0.1)
    quiet = list(reader.seconds)
    reader.seconds.clear()
    trouble.start()
    while trouble.is_alive():
        await reader.correct(cells)
        await asyncio.sleep(0.05)
    await reader.http.aclose()
    assert not reader.others, reader.others
    return {
        "corrections meanwhile": len(reader.seconds),
        "p95 before, ms": in_ms(quiet, 95),
        "p95 meanwhile, ms": in_ms(reader.seconds, 95),
        "longest meanwhile, ms": in_ms(reader.seconds, 100),
    }


def in_ms(seconds: list[float], share: float) -> float:
    return round(float(np.percentile(np.array(seconds) * 1000, share)), 1)


def log_in_at_once(address: str, names: list[str], answers: SimpleQueue[int]) -> None:
    """All at the same moment, each from a browser of its own."""
    ready = threading.Barrier(len(names))

    def one(name: str) -> None:
        with httpx.Client(base_url=address, timeout=120, verify=False) as client:  # no TLS here: nothing to load
            ready.wait()
            sent = client.post(f"{review.API}/session", json={"name": name, "password": review.PASSWORD})
            answers.put(sent.status_code)

    threads = [threading.Thread(target=one, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def stay_half_open(ports: list[int], held: SimpleQueue[int], seconds: float = 20) -> None:
    """Connections that send the beginning of a request, or of a message, and no more."""
    beginnings = {ports[0]: b"POST /api/v1/session HTTP/1.1\r\nHost: x\r\n", ports[-1]: b"\x0bMSH|^~\\&|half"}
    with ExitStack() as stack:
        for number in range(HALF_OPEN):
            port = ports[number % len(ports)]
            with suppress(OSError):
                connection = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10))
                connection.sendall(beginnings[port])
                held.put(port)
        time.sleep(seconds)


def all_of(queue: SimpleQueue[int]) -> list[int]:
    """What an ended process has put in."""
    found = []
    while not queue.empty():
        found.append(queue.get())
    return found


def order_is_taken(port: int) -> bool:
    message = "MSH|^~\\&|LIS|H|||20260101||ORM^O01^ORM_O01|1|P|2.5.1\rPID|||P1\rORC|NW|A1\rOBR|1|A1\r"
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(b"\x0b" + message.encode() + b"\x1c\r")
        return b"MSA|AA|1" in connection.recv(4096)


def measure(settings: ReviewSettings, scratch: Path, given: argparse.Namespace) -> dict[str, object]:
    whose = review.prepare(settings, scratch, given)
    analysed = [begin_analysis(settings, scratch) for _ in range(ANALYSED)]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        orders = int(free.getsockname()[1])
    before = os.getloadavg()[0]
    process, address = review.start(settings, "--orders-port", str(orders))
    try:
        readers = asyncio.run(review.load(address, whose, given.seconds))
        jobs = [job_of(settings, case) for case in analysed]
        acknowledged = [one for reader in readers for one in reader.acknowledged]
        missed = review.lost(settings, acknowledged)
        name, case = next(iter(whose.items()))
        answers: SimpleQueue[int] = SPAWN.SimpleQueue()
        names = [f"reader{number % given.readers}" for number in range(LOGINS)]
        log_ins = asyncio.run(
            beside(address, name, case, SPAWN.Process(target=log_in_at_once, args=(address, names, answers)))
        )
        held: SimpleQueue[int] = SPAWN.SimpleQueue()
        ports = [int(httpx.URL(address).port or 0), orders]
        half_open = asyncio.run(beside(address, name, case, SPAWN.Process(target=stay_half_open, args=(ports, held))))
        taken = order_is_taken(orders)
    finally:
        process.terminate()
        process.wait()
    seconds = [taken for reader in readers for taken in reader.seconds]
    others = [status for reader in readers for status in reader.others]
    return {
        "load of the machine (1 minute), before and after": [round(before, 2), round(os.getloadavg()[0], 2)],
        "images analysed while the readers worked": sum(job.done for job in jobs),
        "images that still waited then": sum(job.total - job.done for job in jobs),
        "readers": {
            "readers": given.readers, "cases": given.cases, "seconds": given.seconds,
            "corrections acknowledged": len(acknowledged),
            "conflicts told (409)": sum(reader.conflicts for reader in readers),
            "other statuses": sorted(set(others)),
            "server errors (5xx)": sum(status >= 500 for status in others),
            **{f"corrections missed {where}": count for where, count in missed.items()},
            **{f"correction, p{share}, ms": in_ms(seconds, share) for share in (50, 95, 99, 100)},
        },
        f"{LOGINS} log-ins at once": log_ins | {"answers": dict(Counter(all_of(answers)))},
        f"{HALF_OPEN} half-open connections": half_open | {"held": len(all_of(held)), "order taken after them": taken},
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("--seconds", 120), ("--readers", 30), ("--cases", 10), ("--cells", 200)):
        parser.add_argument(name, type=int, default=default)
    parser.add_argument("--postgres", action="store_true", help="on a PostgreSQL server of its own; else SQLite")
    parser.add_argument("--beside", default="nothing", help="what else runs on the machine; kept with the figures")
    given = parser.parse_args()
    with TemporaryDirectory() as scratch, ExitStack() as stack:
        url = stack.enter_context(local_postgres.running()).url if given.postgres else None
        settings = ReviewSettings(folder=Path(scratch) / "station", database=url)
        figures = {"database": "PostgreSQL" if url else "SQLite", "beside it": given.beside}
        figures |= measure(settings, Path(scratch), given)
    print(figures)
    results_file.write("station_load-postgresql" if given.postgres else "station_load", figures)


if __name__ == "__main__":
    main()
