"""Routes of the photographs of fields of a case."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Response

from leukopy.review.api.cells import KEEP, PICTURE
from leukopy.review.api.params import MOST
from leukopy.review.field_search import cut_drawn
from leukopy.review.records import (
    Case,
    DrawnBox,
    FieldObject,
    FieldView,
    Id,
    Job,
    SlideOverview,
    SmearChange,
    SmearView,
)
from leukopy.review.security import Reader
from leukopy.review.smear import field_objects, read_smear
from leukopy.review.station import StationDep
from leukopy.review.store import NotFound
from leukopy.review.thumbnails import BROWSERS_READ, LARGEST, SMALLEST, displayable, thumbnail

router = APIRouter()

FieldNumber = Annotated[int, Path(ge=1, le=MOST)]


@router.get("/cases/{case_id}/fields")
def fields(case_id: Id, user: Reader, station: StationDep) -> tuple[FieldView, ...]:
    """The photographs of fields of a case; its cells tell on which of them they lie."""
    return station.store.fields.all(user, case_id)


@router.get("/cases/{case_id}/overview")
def overview(case_id: Id, user: Reader, station: StationDep) -> SlideOverview | None:
    """The whole slide on which the fields lie; null where they are photographs."""
    found = station.store.fields.overview(user, case_id)
    return found and found[0]


@router.get("/cases/{case_id}/overview/image", response_class=Response, responses=PICTURE)
def overview_image(case_id: Id, user: Reader, station: StationDep) -> Response:
    """The whole slide at low power, with the squares that were searched and those that were left out."""
    found = station.store.fields.overview(user, case_id)
    if found is None:
        raise NotFound("the case shows no whole slide.")
    return Response(station.store.images.read(found[1]), media_type="image/png", headers=KEEP)


@router.get("/cases/{case_id}/fields/{field}/image", response_class=Response, responses=PICTURE)
def field_image(
    case_id: Id,
    field: FieldNumber,
    user: Reader,
    station: StationDep,
    side: Annotated[int | None, Query(ge=SMALLEST, le=LARGEST)] = None,
) -> Response:
    """The photograph at its size, of a kind that browsers show, or a JPEG of at most ``side`` pixels."""
    found = station.store.fields.image(user, case_id, field)
    if side is not None:
        small = thumbnail(station.store.images.path(found.digest), side)
        return Response(small, media_type="image/jpeg", headers=KEEP)
    if found.media_type not in BROWSERS_READ:
        return Response(displayable(station.store.images.path(found.digest)), media_type="image/png", headers=KEEP)
    return Response(station.store.images.read(found.digest), media_type=found.media_type, headers=KEEP)


@router.get("/cases/{case_id}/fields/{field}/objects")
def objects(case_id: Id, field: FieldNumber, user: Reader, station: StationDep) -> tuple[FieldObject, ...]:
    """All objects that the detector found on a field: red cells with their shape, platelets, clumps, leukocytes."""
    station.store.fields.image(user, case_id, field)
    return field_objects(station.store, case_id, field)


@router.get("/cases/{case_id}/smear")
def smear(case_id: Id, user: Reader, station: StationDep) -> SmearView | None:
    """Red cells and platelets of the fields, and what the reader says of them; null without a field."""
    return read_smear(station.store, station.settings, user, case_id)


@router.put("/cases/{case_id}/smear")
def change_smear(case_id: Id, change: SmearChange, user: Reader, station: StationDep) -> Case:
    """Say what is to be signed of red cells and platelets."""
    return station.store.fields.find(user, case_id, change)


@router.post("/cases/{case_id}/fields/{field}/cells", status_code=202)
def draw(case_id: Id, field: FieldNumber, drawn: DrawnBox, user: Reader, station: StationDep) -> Job:
    """Draw a cell that the detector missed: it is cut out, judged in the background, and counted."""
    station.store.fields.image(user, case_id, field)
    picture = cut_drawn(station.store, case_id, field, drawn.box)
    station.store.fields.draw(user, case_id, field, drawn, picture)
    job = station.store.jobs.start(user, case_id)
    station.worker.wake()
    return job
