"""The parts of a running station, for its routes."""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends, Request

from leukopy.review.assistance import Assistance
from leukopy.review.lymphocytosis import LymphocytosisPredictor
from leukopy.review.security import LogIns, OneTimeToken
from leukopy.review.settings import ReviewSettings
from leukopy.review.store import Store
from leukopy.review.worker import Worker


@dataclass(frozen=True)
class Station:
    """One for each app, as ``app.state.station``."""

    settings: ReviewSettings
    store: Store
    worker: Worker
    logins: LogIns
    hashing: Executor
    """Passwords checked at a time, in threads of their own: pages do not wait for log-ins."""
    token: OneTimeToken
    """Lets the one user in; of no use where users log in."""
    lymphocytosis: LymphocytosisPredictor
    assistance: Assistance


async def station(request: Request) -> Station:
    """The station that answers a request. (Not a plain function: that would be called in a thread, for nothing.)"""
    return cast(Station, request.app.state.station)


StationDep = Annotated[Station, Depends(station)]
"""A route's parameter."""
