"""The parts of a running station, for its routes.

What opens models is imported at its first use: a reader does not wait for it before the first page.
"""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, cast

from fastapi import Depends, Request

from leukopy.review.exchange import ExchangeService
from leukopy.review.security import LogIns, OneTimeToken
from leukopy.review.settings import ReviewSettings
from leukopy.review.store import Store
from leukopy.review.worker import Worker
from leukopy.review.worker_process import WorkerProcess

if TYPE_CHECKING:
    from leukopy.review.assistance import Assistance
    from leukopy.review.look_alikes import LookAlikes
    from leukopy.review.lymphocytosis import LymphocytosisPredictor


@dataclass(frozen=True)
class Station:
    """One for each app, as ``app.state.station``."""

    settings: ReviewSettings
    store: Store
    worker: Worker | WorkerProcess
    logins: LogIns
    hashing: Executor
    """Passwords checked at a time, in threads of their own: pages do not wait for log-ins."""
    token: OneTimeToken
    """Lets the one user in; of no use where users log in."""
    exchange: ExchangeService

    @cached_property
    def assistance(self) -> Assistance:
        """Heat maps, similar and reference cells."""
        from leukopy.review.assistance import Assistance

        return Assistance(self.settings.model_copy(update={"model": self.store.models.current()}))

    @cached_property
    def look_alikes(self) -> LookAlikes:
        """Cells of signed cases that look alike."""
        from leukopy.review.look_alikes import LookAlikes

        return LookAlikes(self.settings, self.store.images)

    @cached_property
    def lymphocytosis(self) -> LymphocytosisPredictor:
        """The patients' model."""
        from leukopy.review.lymphocytosis import LymphocytosisPredictor

        return LymphocytosisPredictor(self.settings.patient_model)


async def station(request: Request) -> Station:
    """The station that answers a request. (Not a plain function: that would be called in a thread, for nothing.)"""
    return cast(Station, request.app.state.station)


StationDep = Annotated[Station, Depends(station)]
"""A route's parameter."""
