"""The analysis of a case in the background."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from leukopy.core.errors import LeukopyError
from leukopy.review.records import Id, Job, JobState, User
from leukopy.review.security import Reader
from leukopy.review.security.sessions import lives
from leukopy.review.station import StationDep
from leukopy.review.store import NotFound, Store

router = APIRouter()

_POLL = 0.4
"""Seconds between two polls of a job whose progress is shown."""
_KEEP_ALIVE = 15.0
"""Seconds after which something is sent, so that no proxy thinks the connection dead."""
_LONGEST = 300.0
"""Seconds after which the browser must ask again, and shows again who it is."""
_OVER = frozenset({JobState.FINISHED, JobState.FAILED, JobState.CANCELLED})


@router.post("/cases/{case_id}/analysis", status_code=202)
def start(case_id: Id, user: Reader, station: StationDep) -> Job:
    """Classify the pending images."""
    job = station.store.jobs.start(user, case_id)
    station.worker.wake()
    return job


@router.get("/cases/{case_id}/analysis")
def latest(case_id: Id, user: Reader, station: StationDep) -> Job | None:
    """The latest analysis; null if none was started."""
    return station.store.jobs.latest(user, case_id)


@router.delete("/cases/{case_id}/analysis")
def cancel(case_id: Id, user: Reader, station: StationDep) -> Job:
    """Cancel it; classified cells are kept."""
    station.store.jobs.cancel(user, case_id)
    return _job(station.store, user, case_id)


@router.get(
    "/cases/{case_id}/analysis/events",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {}}, "description": "Events `job`, each with a Job"}},
)
async def events(case_id: Id, user: Reader, request: Request, station: StationDep) -> StreamingResponse:
    """How far it is, sent whenever that changes, until it is over, or the session ends."""
    first = await run_in_threadpool(_job, station.store, user, case_id)
    return StreamingResponse(_stream(station.store, user, first, lives(request)), media_type="text/event-stream")


async def _stream(store: Store, user: User, job: Job, signed_in: Callable[[], bool]) -> AsyncIterator[str]:
    started = sent = time.monotonic()
    yield _event(job)
    while job.state not in _OVER and time.monotonic() - started < _LONGEST:
        await asyncio.sleep(_POLL)
        try:
            if not await run_in_threadpool(signed_in):
                return
            now = await run_in_threadpool(_job, store, user, job.case_id)
        except LeukopyError:  # the case is no longer the user's
            return
        if (now.state, now.done) != (job.state, job.done):
            yield _event(now)
            sent = time.monotonic()
        elif time.monotonic() - sent > _KEEP_ALIVE:
            yield ":\n\n"
            sent = time.monotonic()
        job = now


def _event(job: Job) -> str:
    return f"event: job\ndata: {job.model_dump_json()}\n\n"


def _job(store: Store, user: User, case_id: str) -> Job:
    job = store.jobs.latest(user, case_id)
    if job is None:
        raise NotFound("The case has not been analysed yet. Start the analysis.")
    return job
