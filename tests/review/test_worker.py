"""The analysis in the background: in batches, cancelled, failed, lost and resumed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from threading import Semaphore, Thread
from typing import Any

import pytest
import sqlalchemy as sa

from leukopy.review import worker as module
from leukopy.review.records import CaseDraft, Job, JobState, User
from leukopy.review.settings import ReviewSettings
from leukopy.review.store import NewImage, Store
from leukopy.review.store.jobs import JobStore
from leukopy.review.store.predictions import PredictionStore
from leukopy.review.worker import IMAGES, Worker
from leukopy.slides.slide import Slide
from support.waiting import until

CODES = ("SNE", "LY", "MO")


class Bench:
    """A store with one user, and workers on it."""

    def __init__(self, folder: Path, model: str, picture: Callable[[str, str], bytes]) -> None:
        self.settings = ReviewSettings(folder=folder, model=model)
        self.store = Store.open(self.settings)
        self.user: User = self.store.users.single_user()
        self._picture = picture
        self.workers: list[Worker] = []

    def queue(self, images: int) -> Job:
        """A case with so many images, whose analysis waits."""
        case = self.store.cases.open(self.user, CaseDraft(slide="S1"))
        pictures = [
            NewImage(f"c{number}.png", self._picture(f"c{number}.png", CODES[number % 3]), 64, 64, "image/png")
            for number in range(images)
        ]
        self.store.cells.add_images(self.user, case.id, pictures)
        return self.store.jobs.start(self.user, case.id)

    def add_copies(self, job: Job, names: Sequence[str]) -> Job:
        """Add images with the bytes of image ``c0.png`` to the case of a job, and queue it again."""
        data = self._picture("c0.png", CODES[0])
        copies = [NewImage(name, data, 64, 64, "image/png") for name in names]
        self.store.cells.add_images(self.user, job.case_id, copies)
        return self.store.jobs.start(self.user, job.case_id)

    def work(self) -> Worker:
        worker = Worker(self.store, self.settings)
        self.workers.append(worker)
        worker.start()
        return worker

    def job(self, job: Job) -> Job:
        found = self.store.jobs.latest(self.user, job.case_id)
        assert found is not None
        return found

    def wait(self, job: Job, reached: Callable[[Job], bool]) -> Job:
        return until(lambda: found if reached(found := self.job(job)) else None)

    def over(self, job: Job) -> Job:
        return self.wait(job, lambda found: found.state not in (JobState.QUEUED, JobState.RUNNING))

    def abandon(self) -> None:
        """Let the signs of life of all jobs be an hour old."""
        with self.store.database.write() as db:
            db.execute(sa.text("UPDATE jobs SET heartbeat = '2020-01-01 00:00:00.000000'"))


@pytest.fixture
def bench(tmp_path: Path, colour_model: Any) -> Iterator[Bench]:
    def picture(name: str, code: str) -> bytes:
        path: Path = colour_model.draw(tmp_path / "drawn" / name, code)
        return path.read_bytes()

    found = Bench(tmp_path / "station", str(colour_model.path), picture)
    yield found
    for worker in found.workers:
        worker.stop()
    found.store.close()


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> Iterator[Semaphore]:
    """A model that classifies a batch for each release."""
    rows, allowed = Slide.rows, Semaphore(0)

    def waiting(self: Slide, *given: Any) -> Any:
        allowed.acquire()
        return rows(self, *given)

    monkeypatch.setattr(Slide, "rows", waiting)
    yield allowed
    allowed.release(1000)


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[Job | None]:
    """The jobs that workers found, or did not find."""
    found: list[Job | None] = []
    claim = JobStore.claim

    def noted(self: JobStore, worker: str) -> Job | None:
        found.append(claim(self, worker))
        return found[-1]

    monkeypatch.setattr(JobStore, "claim", noted)
    return found


def test_a_case_is_classified_to_its_end(bench):
    job = bench.queue(2 * IMAGES + 5)
    bench.work()
    found = bench.over(job)
    assert (found.state, found.done, found.total) == (JobState.FINISHED, 2 * IMAGES + 5, 2 * IMAGES + 5)
    cells = bench.store.cells.all(bench.user, job.case_id)
    assert {cell.name: cell.code for cell in cells} == {f"c{n}.png": CODES[n % 3] for n in range(2 * IMAGES + 5)}


def test_a_job_of_this_process_is_begun_at_once(bench, looks, monkeypatch):
    monkeypatch.setattr(module, "POLL", 3600.0)
    worker = bench.work()
    until(lambda: looks)
    job = bench.queue(1)
    worker.wake()
    assert bench.over(job).state == JobState.FINISHED


def test_a_job_of_another_process_is_found(bench, monkeypatch):
    monkeypatch.setattr(module, "POLL", 0.05)
    bench.work()
    assert bench.over(bench.queue(1)).state == JobState.FINISHED


def test_a_cancelled_job_stops_and_what_was_classified_stays(bench, batches):
    job, next_job = bench.queue(10 * IMAGES), bench.queue(1)
    bench.work()
    batches.release()
    bench.wait(job, lambda found: found.done == IMAGES)
    bench.store.jobs.cancel(bench.user, job.case_id)
    batches.release(10)
    bench.over(next_job)  # begun once the first is left
    assert len(bench.store.cells.all(bench.user, job.case_id)) == 2 * IMAGES  # the batch at hand is finished
    assert bench.job(job).state == JobState.CANCELLED


def test_a_job_is_resumed_where_it_was_left(bench, batches):
    job = bench.queue(6 * IMAGES)
    first = bench.work()
    batches.release()
    bench.wait(job, lambda found: found.done == IMAGES)
    Thread(target=first.stop).start()
    until(first._stopping.is_set)
    batches.release(10)
    first.stop()
    left = bench.job(job)
    assert left.state == JobState.RUNNING
    assert left.done == 2 * IMAGES
    versions = {cell.id: cell.version for cell in bench.store.cells.all(bench.user, job.case_id)}
    bench.abandon()
    bench.work()
    assert bench.over(job).state == JobState.FINISHED
    cells = bench.store.cells.all(bench.user, job.case_id)
    assert len(cells) == 6 * IMAGES
    assert {cell.id: cell.version for cell in cells if cell.id in versions} == versions


def test_a_job_that_lives_is_not_taken_by_another(bench, batches, looks, monkeypatch):
    monkeypatch.setattr(module, "POLL", 0.02)
    job = bench.queue(4 * IMAGES)
    written: list[int] = []
    write = PredictionStore.write

    def noted(self: PredictionStore, *given: Any) -> int:
        written.append(write(self, *given))
        return written[-1]

    monkeypatch.setattr(PredictionStore, "write", noted)
    bench.work()
    bench.work()
    until(lambda: looks.count(None) > 2)
    batches.release(4)
    bench.over(job)
    assert written == [IMAGES] * 4


def test_a_long_batch_shows_that_it_lives(bench, batches, monkeypatch):
    monkeypatch.setattr(module, "HEARTBEAT", 0.02)
    job = bench.queue(2 * IMAGES)
    bench.work()
    first = bench.wait(job, lambda found: found.state == JobState.RUNNING)
    later = bench.wait(job, lambda found: found.changed > first.changed)
    assert later.done == first.done


def test_an_image_that_is_gone_is_a_row_of_its_own(bench):
    job = bench.queue(3)
    (bench.store.images.path(bench.store.predictions.pending(job.case_id)[0].digest)).unlink()
    bench.work()
    assert bench.over(job).state == JobState.FINISHED
    assert [one.reason for one in bench.store.cells.failures(bench.user, job.case_id)] == ["not_found"]
    assert len(bench.store.cells.all(bench.user, job.case_id)) == 2


def test_a_model_that_is_absent_fails_the_job_and_says_what_to_do(bench):
    bench.settings = bench.settings.model_copy(update={"model": "nothing"})
    job = bench.queue(1)
    bench.work()
    found = bench.over(job)
    assert found.state == JobState.FAILED
    assert "nothing" in found.message


def test_what_nobody_foresaw_fails_one_job_and_not_the_next(bench, monkeypatch, caplog):
    message = "cannot read c1 of Maria Muster"

    def broken(*_: object) -> None:
        raise RuntimeError(message)

    with monkeypatch.context() as context:
        context.setattr(Slide, "rows", broken)
        first = bench.queue(1)
        worker = bench.work()
        assert bench.over(first).state == JobState.FAILED
    second = bench.queue(1)
    worker.wake()
    assert bench.over(second).state == JobState.FINISHED
    told = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
    assert any("RuntimeError" in line for line in told)
    assert not [line for line in told if "Muster" in line]
    assert "Muster" not in bench.job(first).message


def test_every_batch_is_classified_as_part_of_the_whole_case(bench, monkeypatch):
    """A batch is a few cells only, and after an interruption the last ones may be fewer yet."""
    slides: list[Slide] = []
    rows = Slide.rows

    def noted(self: Slide, *given: Any) -> Any:
        slides.append(self)
        return rows(self, *given)

    monkeypatch.setattr(Slide, "rows", noted)
    job = bench.queue(2 * IMAGES + 5)
    bench.work()
    bench.over(job)
    assert len(slides) == 3
    assert len(set(map(id, slides))) == 1
    assert len(slides[0].cells) == 2 * IMAGES + 5
    assert all(Path(cell.path).exists() for cell in slides[0].cells)


def test_copies_are_not_counted_even_if_they_come_after_the_analysis(bench):
    job = bench.queue(3)
    bench.work()
    bench.over(job)
    again = bench.add_copies(job, ["copy1.png", "copy2.png"])
    assert again.id != job.id
    bench.workers[0].wake()
    assert bench.over(again).state == JobState.FINISHED
    cells = {cell.name: cell for cell in bench.store.cells.all(bench.user, job.case_id)}
    assert {name: cell.not_counted for name, cell in cells.items()} == {
        "c0.png": None, "c1.png": None, "c2.png": None, "copy1.png": "duplicate", "copy2.png": "duplicate",
    }  # fmt: skip
    assert cells["copy1.png"].code == cells["c0.png"].code
