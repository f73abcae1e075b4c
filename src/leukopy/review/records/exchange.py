"""Orders in and results out."""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum
from typing import Literal

from pydantic import Field

from leukopy.core.settings import Settings
from leukopy.review.records.cases import Priority
from leukopy.review.records.values import Id, RequiredText, ShortText


class NewOrder(Settings):
    """An order of a differential, as a laboratory system or a table gives it."""

    number: RequiredText
    """Of the laboratory system (HL7: placer order number); results name it."""
    patient: RequiredText
    slide: ShortText = ""
    """Empty: the number of the order."""
    age: float | None = Field(default=None, ge=0, le=120)
    """Years."""
    sex: Literal["female", "male"] | None = None
    priority: Priority = Priority.ROUTINE
    requester: ShortText = ""
    specimen_date: date | None = None


class Route(StrEnum):
    """Where results are sent to."""

    HL7 = "hl7"
    """HL7 v2 over MLLP."""
    FHIR = "fhir"
    """A FHIR server."""


class DeliveryKind(StrEnum):
    """What a delivery tells the receiver."""

    RESULT = "result"
    CORRECTION = "correction"
    """Of an amended case."""
    WITHDRAWAL = "withdrawal"
    """Of a void case."""


class DeliveryState(StrEnum):
    """State of a delivery."""

    WAITING = "waiting"
    """To be sent, or to be tried again."""
    SENT = "sent"
    """The receiver acknowledged it."""
    REFUSED = "refused"
    """The receiver refuses it, and would do so again: somebody must look."""
    REPLACED = "replaced"
    """A later delivery of the case took its place before the receiver acknowledged this one."""


class Delivery(Settings):
    """A result on its way to a receiver."""

    id: str
    """Message control id (HL7: MSH-10), by which the receiver knows a repeated message."""
    case_id: Id
    revision: int
    route: Route
    kind: DeliveryKind
    state: DeliveryState
    attempts: int
    answer: str = ""
    """The receiver's last answer, or why there was none."""
    created: datetime
    next_attempt: datetime | None = None
    sent: datetime | None = None


class DeliveryPage(Settings):
    """Some deliveries, latest first."""

    deliveries: tuple[Delivery, ...]
    waiting: int
    refused: int


class ExchangeState(Settings):
    """What the station exchanges with other systems."""

    routes: dict[Route, str]
    """Receiver of each route."""
    orders_port: int | None = None
    """Port on which orders come in (HL7 v2 over MLLP)."""
    orders_folder: bool = False
    """Tables of orders are taken from a folder."""
