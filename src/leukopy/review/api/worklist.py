"""The work list: priority, due day, owner, and word of every change."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from leukopy.review.records import Case, CasePlan, HandOver, Id
from leukopy.review.security import Reader
from leukopy.review.security.sessions import lives
from leukopy.review.station import StationDep
from leukopy.review.store import Store, Unavailable

router = APIRouter()

_POLL = 1.0
"""Seconds between two looks at the log."""
_KEEP_ALIVE = 5.0
"""Seconds after which something is sent, so that a lost connection is noticed."""
_LONGEST = 300.0
"""Seconds after which the browser must ask again, and shows again who it is."""


@router.post("/cases/{case_id}/plan")
def plan(case_id: Id, plan: CasePlan, user: Reader, station: StationDep) -> Case:
    """Set priority and due day."""
    return station.store.planning.plan(user, case_id, plan)


@router.post("/cases/{case_id}/owner")
def hand_over(case_id: Id, step: HandOver, user: Reader, station: StationDep) -> Case:
    """Give the case to another user."""
    return station.store.planning.hand_over(user, case_id, step)


@router.get(
    "/worklist/events",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {}}, "description": "`ready`, `alive`, `changed`, `again`"}},
)
async def events(_: Reader, request: Request, station: StationDep) -> StreamingResponse:
    """An event whenever something in the station changed; it does not say what, so that it tells nobody too much.

    The stream ends with the session.
    """
    return StreamingResponse(_stream(station.store, lives(request)), media_type="text/event-stream")


async def _stream(store: Store, signed_in: Callable[[], bool]) -> AsyncIterator[str]:
    started = sent = time.monotonic()
    seen = await run_in_threadpool(store.audit.last_number)
    yield "event: ready\ndata: \n\n"
    while time.monotonic() - started < _LONGEST:
        await asyncio.sleep(_POLL)
        try:
            if not await run_in_threadpool(signed_in):
                return
            now = await run_in_threadpool(store.audit.last_number)
        except Unavailable:  # the page says that the connection is lost, and asks again
            return
        if now != seen:
            yield "event: changed\ndata: \n\n"
            sent = time.monotonic()
        elif time.monotonic() - sent > _KEEP_ALIVE:
            yield "event: alive\ndata: \n\n"
            sent = time.monotonic()
        seen = now
    yield "event: again\ndata: \n\n"
