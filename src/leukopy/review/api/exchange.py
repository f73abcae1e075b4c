"""Where results were sent, and what is exchanged with other systems."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from leukopy.core.settings import Settings
from leukopy.review.records import Delivery, DeliveryPage, ExchangeState, Id, Route
from leukopy.review.security import Reader
from leukopy.review.station import StationDep

router = APIRouter()


class SendAgain(Settings):
    """Where to send a result once more."""

    route: Route


@router.get("/exchange")
def exchange(_: Reader, station: StationDep) -> ExchangeState:
    """What the station exchanges with other systems."""
    return station.exchange.state


@router.get("/cases/{case_id}/deliveries")
def deliveries_of_case(case_id: Id, user: Reader, station: StationDep) -> tuple[Delivery, ...]:
    """Where the results of a case were sent, the latest first."""
    return station.store.outbox.of_case(user, case_id)


@router.post("/cases/{case_id}/deliveries", status_code=201)
def send_again(case_id: Id, again: SendAgain, user: Reader, station: StationDep) -> Delivery:
    """Send the last signed revision once more, as a message of its own; for reviewers."""
    return station.store.outbox.send_again(user, case_id, again.route)


@router.get("/deliveries")
def deliveries(user: Reader, station: StationDep, page: Annotated[int, Query(ge=1, le=1_000_000)] = 1) -> DeliveryPage:
    """All deliveries, those that wait or were refused first; for administrators."""
    return station.store.outbox.page(user, page)
