"""What helps to judge a cell: where the model looked, cells that look alike, reference cells."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Response

from leukopy.core.errors import BundleError, SettingsError
from leukopy.imaging.preprocess import Preprocess
from leukopy.review.api.cells import KEEP, PICTURE
from leukopy.review.api.params import MOST, CellNumber
from leukopy.review.records import Code, Id, Similar
from leukopy.review.security import Reader
from leukopy.review.station import StationDep
from leukopy.review.store import NotFound

router = APIRouter()


@router.get("/cases/{case_id}/cells/{cell}/heat", response_class=Response, responses=PICTURE)
def heat(case_id: Id, cell: CellNumber, user: Reader, here: StationDep) -> Response:
    """Where the model looked for its most probable class: a PNG to be laid over the picture."""
    found = here.store.cells.detail(user, case_id, cell)
    if found.model_code is None:
        raise NotFound("the model gives this image no class, hence no heat map.")
    seen_as = max(found.probabilities, key=found.probabilities.__getitem__, default=found.model_code)
    path = here.store.cells.path(user, case_id, cell)
    try:
        return Response(here.aids.heat(path, seen_as, _spec(case_id, here)), media_type="image/png", headers=KEEP)
    except (BundleError, SettingsError) as error:
        raise NotFound(str(error)) from error


@router.get("/cases/{case_id}/cells/{cell}/similar")
def similar(
    case_id: Id, cell: CellNumber, user: Reader, here: StationDep, count: Annotated[int, Query(ge=1, le=24)] = 6
) -> tuple[Similar, ...]:
    """The cells of the model's training that look most like it."""
    path = here.store.cells.path(user, case_id, cell)
    return here.aids.similar(path, count, _spec(case_id, here))


def _spec(case_id: str, here: StationDep) -> Preprocess:
    """How the model looked at the cells of a case."""
    return here.aids.spec(tuple(here.store.images.path(digest) for digest in here.store.predictions.digests(case_id)))


@router.get("/references/{code}")
def references(code: Code, _: Reader, here: StationDep) -> tuple[Similar, ...]:
    """Reference cells of a class."""
    try:
        return here.aids.reference(code)
    except SettingsError as error:
        raise NotFound(str(error)) from error


@router.get("/references/{code}/{number}", response_class=Response, responses=PICTURE)
def reference_picture(code: Code, number: Annotated[int, Path(ge=0, le=MOST)], _: Reader, here: StationDep) -> Response:
    """The picture of a reference cell."""
    try:
        return Response(here.aids.reference_picture(code, number), media_type="image/jpeg", headers=KEEP)
    except SettingsError as error:
        raise NotFound(str(error)) from error
