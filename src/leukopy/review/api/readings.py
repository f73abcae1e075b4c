"""Blind readings: second readings, adjudication, and proficiency tests."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response

from leukopy.review.agreement import Reading, agree
from leukopy.review.api.cells import KEEP, PICTURE
from leukopy.review.api.params import CellNumber
from leukopy.review.records import (
    Answers,
    Confirmation,
    Confirmations,
    Correction,
    Corrections,
    Disagreement,
    Id,
    NewReading,
    ReadingResult,
    ReadingView,
    ReadingWork,
    Settlement,
)
from leukopy.review.security import Reader
from leukopy.review.station import StationDep
from leukopy.review.store import NotFound
from leukopy.review.thumbnails import LARGEST, SMALLEST, thumbnail

router = APIRouter()


@router.post("/cases/{case_id}/readings", status_code=201)
def ask(case_id: Id, new: NewReading, user: Reader, station: StationDep) -> ReadingView:
    """Ask a user to read the case blind; for reviewers."""
    return station.store.readings.ask(user, case_id, new)


@router.get("/cases/{case_id}/readings")
def of_case(case_id: Id, user: Reader, station: StationDep) -> tuple[ReadingView, ...]:
    """The readings of a case that the user may know of."""
    return station.store.readings.all(user, case_id)


@router.get("/readings")
def all_readings(user: Reader, station: StationDep) -> tuple[ReadingView, ...]:
    """The user's own readings; for reviewers those of all users."""
    return station.store.readings.all(user)


@router.get("/readings/{reading_id}")
def reading(reading_id: Id, user: Reader, station: StationDep) -> ReadingWork:
    """A reading for its reader."""
    view, cells, answers = station.store.readings.get(user, reading_id)
    return ReadingWork(reading=view, cells=cells, answers=answers)


@router.get("/readings/{reading_id}/cells/{cell}/image", response_class=Response, responses=PICTURE)
def image(
    reading_id: Id,
    cell: CellNumber,
    user: Reader,
    station: StationDep,
    side: Annotated[int, Query(ge=SMALLEST, le=LARGEST)] = LARGEST,
) -> Response:
    """The picture of a cell of a reading, as a JPEG whose long side is at most ``side`` pixels."""
    found = station.store.readings.image(user, reading_id, cell)
    return Response(thumbnail(station.store.images.path(found.digest), side), media_type="image/jpeg", headers=KEEP)


@router.post("/readings/{reading_id}/answers")
def answer(reading_id: Id, given: Answers, user: Reader, station: StationDep) -> ReadingView:
    """Give cells a class."""
    return station.store.readings.answer(user, reading_id, given)


@router.post("/readings/{reading_id}/finish")
def finish(reading_id: Id, user: Reader, station: StationDep) -> ReadingView:
    """Finish the reading; its answers change no more."""
    return station.store.readings.finish(user, reading_id)


@router.post("/readings/{reading_id}/withdraw")
def withdraw(reading_id: Id, user: Reader, station: StationDep) -> ReadingView:
    """Withdraw a reading that is not finished; for reviewers."""
    return station.store.readings.withdraw(user, reading_id)


@router.get("/readings/{reading_id}/result")
def result(reading_id: Id, user: Reader, station: StationDep) -> ReadingResult:
    """Agreement of the two readers, and the cells that they name differently."""
    view, cells = station.store.readings.result(user, reading_id)
    read = [Reading(reading_id, first, second) for first, second, _ in cells.values() if first is not None]
    return ReadingResult(
        reading=view,
        agreement=agree(read, station.store.classes.all()),
        disagreements=tuple(
            Disagreement(cell=cell, first=first, second=second, settled=settled)
            for cell, (first, second, settled) in cells.items()
            if first != second
        ),
    )


@router.post("/readings/{reading_id}/settle")
def settle(reading_id: Id, step: Settlement, user: Reader, station: StationDep) -> ReadingView:
    """Give a cell on which the readers disagree its class, in the case too; for a reviewer who is not the reader."""
    view, cells = station.store.readings.result(user, reading_id)
    if view.case_id is None or step.cell not in cells:
        raise NotFound("the reading has no such cell.")
    now = next((one for one in station.store.cells.all(user, view.case_id) if one.id == step.cell), None)
    if now is not None and now.code == step.code:
        seen = Confirmation(cell=step.cell, version=step.version)
        station.store.corrections.confirm(user, view.case_id, Confirmations(changes=(seen,)))
    else:
        change = Correction(cell=step.cell, version=step.version, code=step.code)
        station.store.corrections.correct(user, view.case_id, Corrections(changes=(change,)))
    return station.store.readings.settle(user, reading_id, step)
