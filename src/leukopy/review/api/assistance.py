"""Routes for a cell's class activation map, similar training cells and reference cells."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Response

from leukopy.core.errors import BundleError, SettingsError
from leukopy.imaging.preprocess import Preprocess
from leukopy.review.api.cells import KEEP, PICTURE
from leukopy.review.api.params import MOST, CellNumber
from leukopy.review.records import Code, Id, LookAlikes, Similar
from leukopy.review.security import Reader
from leukopy.review.station import StationDep
from leukopy.review.store import NotFound, SignedPicture

router = APIRouter()

SIGNED_SIDE = 320
"""Of the picture of a signed cell, px."""


@router.get("/cases/{case_id}/cells/{cell}/heat", response_class=Response, responses=PICTURE)
def heat(case_id: Id, cell: CellNumber, user: Reader, station: StationDep) -> Response:
    """Class activation map of the most probable class, as a PNG overlay."""
    found = station.store.cells.detail(user, case_id, cell)
    if found.model_code is None:
        raise NotFound("the model gives this image no class, hence no heat map.")
    seen_as = max(found.probabilities, key=found.probabilities.__getitem__, default=found.model_code)
    path = station.store.cells.path(user, case_id, cell)
    try:
        return Response(
            station.assistance.heat(path, seen_as, _spec(case_id, station)), media_type="image/png", headers=KEEP
        )
    except (BundleError, SettingsError) as error:
        raise NotFound(str(error)) from error


@router.get("/cases/{case_id}/cells/{cell}/similar")
def similar(
    case_id: Id, cell: CellNumber, user: Reader, station: StationDep, count: Annotated[int, Query(ge=1, le=24)] = 6
) -> tuple[Similar, ...]:
    """The most similar training cells."""
    path = station.store.cells.path(user, case_id, cell)
    return station.assistance.similar(path, count, _spec(case_id, station))


@router.get("/cases/{case_id}/cells/{cell}/look-alikes")
def look_alikes(
    case_id: Id, cell: CellNumber, user: Reader, station: StationDep, count: Annotated[int, Query(ge=1, le=24)] = 8
) -> LookAlikes:
    """The most similar cells of the signed cases that the user may see, with their signed class."""
    wanted = station.store.cells.image(user, case_id, cell).digest
    signed = station.store.labels.pictures(user, case_id)
    found = station.look_alikes.find(wanted, [one.digest for one in signed], count)
    cells = tuple(_signed(signed[index], similarity) for index, similarity in found.nearest)
    return LookAlikes(cells=cells, waiting=found.waiting)


def _signed(picture: SignedPicture, similarity: float) -> Similar:
    image = f"/api/v1/cases/{picture.case_id}/cells/{picture.cell}/image?side={SIGNED_SIDE}"
    return Similar(code=picture.code, similarity=min(1.0, max(-1.0, similarity)), image=image, source="signed")


def _spec(case_id: str, station: StationDep) -> Preprocess:
    """Preprocessing of the cells of a case."""
    located = station.store.predictions.located(case_id)
    digests = [cell.digest for cell in located] or station.store.predictions.digests(case_id)
    return station.assistance.spec(tuple(station.store.images.path(digest) for digest in digests))


@router.get("/references/{code}")
def references(code: Code, _: Reader, station: StationDep) -> tuple[Similar, ...]:
    """Reference cells of a class."""
    try:
        return station.assistance.reference(code)
    except SettingsError as error:
        raise NotFound(str(error)) from error


@router.get("/references/{code}/{number}", response_class=Response, responses=PICTURE)
def reference_picture(
    code: Code, number: Annotated[int, Path(ge=0, le=MOST)], _: Reader, station: StationDep
) -> Response:
    """The picture of a reference cell."""
    try:
        return Response(station.assistance.reference_picture(code, number), media_type="image/jpeg", headers=KEEP)
    except SettingsError as error:
        raise NotFound(str(error)) from error
