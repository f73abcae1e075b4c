"""The worker in a process of its own: it analyses, is started again when killed, and ends with its station."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
from collections.abc import Iterator
from multiprocessing.context import SpawnProcess
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest

from leukopy.review.records import CaseDraft, Job, JobState
from leukopy.review.settings import ReviewSettings
from leukopy.review.store import NewImage, Store
from leukopy.review.worker_process import DEADLY, WorkerProcess
from support.waiting import until

pytestmark = pytest.mark.slow
IMAGES = 600
"""More than a second's work: time to kill the process in the middle."""


class Bench:
    """A store with a queued job, and a process that works on it."""

    def __init__(self, folder: Path, colour_model: Any) -> None:
        self.settings = ReviewSettings(folder=folder / "station", model=str(colour_model.path))
        self.store = Store.open(self.settings)
        self.user = self.store.users.single_user()
        self.case = self.store.cases.open(self.user, CaseDraft(slide="S1")).id
        picture = colour_model.draw(folder / "c.png", "SNE").read_bytes()
        images = [NewImage(f"{n}.png", picture + str(n).encode(), 64, 64, "image/png") for n in range(IMAGES)]
        self.store.cells.add_images(self.user, self.case, images)
        self.store.jobs.start(self.user, self.case)
        self.worker = WorkerProcess(self.store, self.settings)

    @property
    def job(self) -> Job:
        found = self.store.jobs.latest(self.user, self.case)
        assert found is not None
        return found

    def reaches(self, *states: JobState) -> Job:
        return until(lambda: job if (job := self.job).state in states else None)

    def kill(self) -> None:
        (process,) = workers()
        process.kill()
        until(lambda: not process.is_alive())


def workers() -> list[BaseProcess]:
    """Processes of workers; other tests may have left idle ones of another kind."""
    return [one for one in multiprocessing.active_children() if isinstance(one, SpawnProcess)]


@pytest.fixture
def bench(tmp_path: Path, colour_model: Any) -> Iterator[Bench]:
    made = Bench(tmp_path, colour_model)
    yield made
    made.worker.stop()
    made.store.close()


def test_it_analyses_and_ends_when_told(bench: Bench) -> None:
    bench.worker.start()
    bench.worker.wake()
    assert bench.reaches(JobState.FINISHED).done == IMAGES
    assert len(bench.store.cells.all(bench.user, bench.case)) == IMAGES
    bench.worker.stop()
    assert workers() == []


def test_it_is_started_again_when_killed_and_goes_on(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bench.worker.start()
    bench.reaches(JobState.RUNNING)
    bench.kill()
    assert bench.reaches(JobState.FINISHED).done == IMAGES
    assert [row.version for row in bench.store.cells.all(bench.user, bench.case)] == [1] * IMAGES
    assert "another one goes on" in caplog.text


def test_where_it_cannot_start_it_is_tried_again(
    bench: Bench, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    starts = []

    def start(process: SpawnProcess) -> None:
        starts.append(process)
        if len(starts) == 1:
            raise OSError("no memory for another process")
        BaseProcess.start(process)

    monkeypatch.setattr(SpawnProcess, "start", start)
    bench.worker.start()
    assert bench.reaches(JobState.FINISHED).done == IMAGES
    assert len(starts) == 2
    assert "OSError" in caplog.text


def test_a_job_that_ends_it_twice_has_failed(bench: Bench) -> None:
    bench.worker.start()
    for _ in range(2):
        bench.reaches(JobState.RUNNING)
        bench.kill()
        bench.reaches(JobState.QUEUED, JobState.FAILED)
    job = bench.reaches(JobState.FAILED)
    assert (job.state, job.message) == (JobState.FAILED, DEADLY)


STATION = """
import sys, time
from pathlib import Path
from leukopy.review.settings import ReviewSettings
from leukopy.review.store import Store
from leukopy.review.worker_process import WorkerProcess
if __name__ == "__main__":
    settings = ReviewSettings(folder=Path(sys.argv[1]), model=sys.argv[2])
    WorkerProcess(Store.open(settings), settings).start()
    time.sleep(600)
"""


def test_it_ends_with_a_station_that_is_killed(tmp_path: Path, colour_model: Any) -> None:
    script = tmp_path / "station.py"
    script.write_text(STATION)
    folder = str(tmp_path / "station")
    station = subprocess.Popen([sys.executable, str(script), folder, str(colour_model.path)])
    started = until(lambda: [pid for pid in children(station.pid) if b"spawn_main" in command_of(pid)])
    station.kill()
    station.wait()
    until(lambda: not any(map(command_of, started)))


def children(pid: int) -> list[int]:
    """Processes that the threads of a process started."""
    found = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for one in found for child in one.read_text().split()]


def command_of(pid: int) -> bytes:
    """Command line of a process; empty when it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
