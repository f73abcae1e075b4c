"""The queue of analyses."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from leukopy.review.records import JobState
from leukopy.review.store import NotAllowed, NotFound
from leukopy.review.store import tables as t
from leukopy.review.store.jobs import LOST_AFTER


@pytest.fixture
def case(station):
    """A case with three images that wait."""
    case = station.draft()
    station.add(case, ["a", "b", "c"])
    return case


def silent(station, how_long: timedelta) -> None:
    """The workers of all jobs have been silent for so long."""
    with station.store.database.write() as db:
        for job in db.query(t.Job):
            job.heartbeat = t.now() - how_long


def test_a_job_is_queued_run_and_finished(station, case):
    store = station.store
    assert store.jobs.latest(station.reader, case.id) is None
    assert store.jobs.claim("w") is None
    queued = store.jobs.start(station.reader, case.id)
    assert (queued.state, queued.done, queued.total) == (JobState.QUEUED, 0, 3)
    running = store.jobs.claim("w")
    assert (running.id, running.case_id, running.state) == (queued.id, case.id, JobState.RUNNING)
    assert store.jobs.progress(queued.id, 2, 3)
    assert store.jobs.latest(station.reader, case.id).done == 2
    finished = store.jobs.finish(queued.id, JobState.FINISHED)
    assert finished == store.jobs.latest(station.reader, case.id)
    assert finished.state is JobState.FINISHED
    assert not store.jobs.progress(queued.id, 3, 3)
    assert store.jobs.claim("w") is None


def test_a_case_has_one_job_at_a_time(station, case):
    first = station.store.jobs.start(station.reader, case.id)
    assert station.store.jobs.start(station.reviewer, case.id).id == first.id
    station.store.jobs.claim("w")
    assert station.store.jobs.start(station.reader, case.id).id == first.id
    station.store.jobs.finish(first.id, JobState.FAILED, "the model is absent")
    assert station.store.jobs.latest(station.reader, case.id).message == "the model is absent"
    assert station.store.jobs.start(station.reader, case.id).id != first.id


def test_without_images_there_is_nothing_to_do(station):
    with pytest.raises(NotAllowed, match="no image"):
        station.store.jobs.start(station.reader, station.classified().id)


def test_two_workers_never_get_the_same_job(station):
    cases = [station.draft() for _ in range(6)]
    for case in cases:
        station.add(case, ["a"])
        station.store.jobs.start(station.reader, case.id)
    with ThreadPoolExecutor(4) as pool:
        claimed = [job.case_id for job in pool.map(lambda n: station.store.jobs.claim(f"w{n}"), range(10)) if job]
    # On PostgreSQL a worker that meets another passes by a job that is just being taken: it comes again.
    while job := station.store.jobs.claim("again"):
        claimed.append(job.case_id)
    assert sorted(claimed) == sorted(case.id for case in cases)


def test_jobs_are_taken_in_the_order_in_which_they_came(station):
    cases = [station.draft() for _ in range(3)]
    for case in cases:
        station.add(case, ["a"])
        station.store.jobs.start(station.reader, case.id)
    assert [station.store.jobs.claim("w").case_id for _ in cases] == [case.id for case in cases]


def test_the_job_of_a_lost_worker_is_taken_by_another(station, case):
    station.store.jobs.start(station.reader, case.id)
    job = station.store.jobs.claim("first")
    silent(station, LOST_AFTER - timedelta(seconds=5))
    assert station.store.jobs.claim("second") is None
    silent(station, LOST_AFTER + timedelta(seconds=1))
    assert station.store.jobs.claim("second").id == job.id
    assert station.store.jobs.claim("third") is None


def test_the_job_of_a_worker_that_is_gone_waits_again(station, case):
    job = station.store.jobs.start(station.reader, case.id)
    assert station.store.jobs.release("one") is None
    station.store.jobs.claim("one")
    assert station.store.jobs.release("another") is None
    released = station.store.jobs.release("one")
    assert (released.id, released.state) == (job.id, JobState.QUEUED)
    assert station.store.jobs.claim("another").id == job.id


def test_a_cancelled_job_stops_its_worker_and_stays_cancelled(station, case):
    job = station.store.jobs.start(station.reader, case.id)
    station.store.jobs.claim("w")
    assert station.store.jobs.cancel(station.reader, case.id).state is JobState.CANCELLED
    assert not station.store.jobs.progress(job.id, 1, 3)
    assert station.store.jobs.finish(job.id, JobState.FINISHED).state is JobState.CANCELLED
    assert station.store.jobs.cancel(station.reader, case.id).state is JobState.CANCELLED
    silent(station, LOST_AFTER * 2)
    assert station.store.jobs.claim("w") is None


def test_a_job_that_waits_can_be_cancelled_too(station, case):
    station.store.jobs.start(station.reader, case.id)
    station.store.jobs.cancel(station.reader, case.id)
    assert station.store.jobs.claim("w") is None


def test_what_there_is_not_cannot_be_cancelled_or_finished(station, case):
    with pytest.raises(NotFound):
        station.store.jobs.cancel(station.reader, case.id)
    with pytest.raises(NotFound):
        station.store.jobs.finish("0" * 32, JobState.FINISHED)
    assert not station.store.jobs.progress("0" * 32, 1, 2)
