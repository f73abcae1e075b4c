"""The worker in a process of its own.

Its arithmetic holds the interpreter. In one process with the station, each statement of a reader's gesture would wait
for it.
"""

from __future__ import annotations

import logging
import os
import signal
from collections import Counter
from contextlib import closing, suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection
from threading import Event, Thread
from uuid import uuid4

from leukopy.review.on_cluster import Cluster
from leukopy.review.records import JobState
from leukopy.review.security.problems import log_error
from leukopy.review.settings import ReviewSettings
from leukopy.review.store import Store
from leukopy.review.worker import POLL, Worker

_LOG = logging.getLogger("leukopy.review")

DEATHS = 2
"""Times that the process may die of one job; then the job has failed."""
DEADLY = "The process of the analysis was ended twice, most often because memory ran out. Give it more, then try again."
_WAKE, _STOP = "wake", "stop"
_FIRST = 1.0
"""Seconds until the process starts where no job waits: the first page comes first."""
_NICE = 10
"""Readers' gestures come first where cores are few."""


class WorkerProcess:
    """Has a worker in another process, and starts it again if it dies."""

    def __init__(self, store: Store, settings: ReviewSettings, cluster: Cluster | None = None) -> None:
        """Prepare a worker; arguments as those of `Worker`."""
        self._store, self._settings, self._cluster = store, settings, cluster
        self._thread = Thread(target=self._keep, name="leukopy-analysis", daemon=True)
        self._wanted, self._stopping = Event(), Event()
        self._orders: Connection | None = None
        self._deaths: Counter[str] = Counter()
        """Of the process, by job."""

    def start(self) -> None:
        """Start the process, in the background."""
        self._thread.start()

    def wake(self) -> None:
        """Say that there is a job."""
        self._wanted.set()
        self._tell(_WAKE)

    def stop(self) -> None:
        """Stop after the present images; the next worker resumes the job."""
        self._stopping.set()
        self._wanted.set()
        self._tell(_STOP)
        if self._thread.is_alive():
            self._thread.join()

    def _tell(self, order: str) -> None:
        orders = self._orders
        if orders is not None:
            with suppress(OSError):  # the process is gone; the next one looks for jobs by itself
                orders.send(order)

    def _keep(self) -> None:
        self._wanted.wait(_FIRST)
        while not self._stopping.is_set():
            try:
                self._run_once()
            # Without this thread no case would be analysed any more: where a process cannot start, it tries again.
            except Exception as error:  # noqa: BLE001
                log_error(error)
            self._stopping.wait(POLL)

    def _run_once(self) -> None:
        """Start the process, and wait for its end."""
        spawn = get_context("spawn")  # a fork would inherit the station's connections and locks
        name = uuid4().hex
        self._orders, theirs = spawn.Pipe()
        with self._orders, theirs:
            process = spawn.Process(target=work_apart, args=(self._settings, name, theirs, self._cluster))
            process.start()
            theirs.close()
            if self._stopping.is_set():  # it was told when there was no process yet
                self._tell(_STOP)
            process.join()
        if not self._stopping.is_set():
            self._died(name, process.exitcode)

    def _died(self, name: str, code: int | None) -> None:
        """Hand the job at hand to the next process, unless it is the job that ends them."""
        _LOG.error("The process of the analyses ended (code %s); another one goes on.", code)
        try:
            job = self._store.jobs.release(name)
            if job is None:
                return
            self._deaths[job.id] += 1
            if self._deaths[job.id] >= DEATHS:
                self._store.jobs.finish(job.id, JobState.FAILED, DEADLY)
        except Exception as error:  # noqa: BLE001  the database may be away; the next process finds what waits
            log_error(error)


def work_apart(settings: ReviewSettings, name: str, orders: Connection, cluster: Cluster | None) -> None:
    """Analyse cases until told to stop, or until the station is gone."""
    for asked in (signal.SIGINT, signal.SIGTERM):  # both may reach all processes of a station; the station decides
        signal.signal(asked, signal.SIG_IGN)
    if hasattr(os, "nice"):
        os.nice(_NICE)
    with closing(Store.open(settings)) as store:
        worker = Worker(store, settings, cluster, name)
        worker.start()
        try:
            while orders.recv() == _WAKE:
                worker.wake()
        except EOFError:
            os._exit(1)
        worker.stop()
