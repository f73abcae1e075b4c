"""Routes of the gallery: cells, images and corrections."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import Field

from leukopy.core.errors import InputError
from leukopy.core.settings import Settings
from leukopy.imaging.formats import MEDIA_SUFFIXES
from leukopy.review.api.counts import corrected, count, predict_patient
from leukopy.review.api.params import CellNumber
from leukopy.review.pages.texts import Language, preferred_language
from leukopy.review.records import (
    CellComment,
    CellDetail,
    CellList,
    CellRow,
    Confirmations,
    CorrectionResult,
    Corrections,
    DifferentialView,
    Id,
    Number,
    PatientView,
    VoidCell,
)
from leukopy.review.security import Reader
from leukopy.review.station import StationDep
from leukopy.review.store import NotAllowed
from leukopy.review.thumbnails import BROWSERS_READ, LARGEST, SMALLEST, displayable, thumbnail

router = APIRouter()


class Retried(Settings):
    """An undo or redo whose answer may have been lost: done once, on the version of the case that is named."""

    version: Number | None = None


class PictureForm(Settings):
    """How the picture of a cell is sent."""

    side: int | None = Field(default=None, ge=SMALLEST, le=LARGEST)
    """As a JPEG of at most so many pixels on its long side; None: as it was uploaded."""
    cropped: bool = False
    """With ``side``: the part around the cell alone."""
    shown: bool = False
    """Without ``side``: as PNG where browsers do not show its kind (TIFF)."""


async def preferred(request: Request) -> Language:
    """In which language notes are written: as the pages are."""
    return preferred_language(request)


LanguageDep = Annotated[Language, Depends(preferred)]
"""A route's parameter."""

KEEP = {"Cache-Control": "private, max-age=3600, immutable", "Vary": "Cookie"}
"""A picture never changes: a browser may show it again without asking, as long as the same session lasts."""
PICTURE: dict[int | str, dict[str, object]] = {
    200: {"content": {media_type: {} for media_type in MEDIA_SUFFIXES}, "description": "The picture"}
}


@router.get("/cases/{case_id}/cells")
def gallery(case_id: Id, user: Reader, station: StationDep, language: LanguageDep) -> CellList:
    """All cells in display order of their classes, least certain first; failures; the count."""
    case = station.store.cases.get(user, case_id)
    counted, undo = count(station, user, case, language), station.store.corrections.undo_state(user, case_id)
    return CellList(
        case=case,
        cells=counted.cells,
        failures=station.store.cells.failures(user, case_id),
        differential=counted.differential,
        can_undo=undo.can_undo,
        can_redo=undo.can_redo,
    )


@router.get("/cases/{case_id}/differential")
def differential(case_id: Id, user: Reader, station: StationDep, language: LanguageDep) -> DifferentialView:
    """The present differential."""
    return count(station, user, station.store.cases.get(user, case_id), language).differential


@router.get("/cases/{case_id}/patient")
def patient(case_id: Id, user: Reader, station: StationDep) -> PatientView:
    """Reactive or tumoral lymphocytosis, where age, count and lymphocytes are known."""
    try:
        return predict_patient(
            station, user, station.store.cases.get(user, case_id), station.store.cells.all(user, case_id)
        )
    except InputError as error:
        raise NotAllowed(str(error)) from error


@router.get("/cases/{case_id}/cells/{cell}")
def detail(case_id: Id, cell: CellNumber, user: Reader, station: StationDep) -> CellDetail:
    """All data of a cell."""
    return station.store.cells.detail(user, case_id, cell)


@router.patch("/cases/{case_id}/cells/{cell}")
def comment(case_id: Id, cell: CellNumber, change: CellComment, user: Reader, station: StationDep) -> CellRow:
    """Put a remark on a cell."""
    return station.store.corrections.comment(user, case_id, cell, change)


@router.post("/cases/{case_id}/cells/{cell}/void")
def void(case_id: Id, cell: CellNumber, change: VoidCell, user: Reader, station: StationDep) -> CellRow:
    """Mark an image as void, with a reason: no count holds it; an empty reason takes that back."""
    return station.store.removal.void_cell(user, case_id, cell, change)


@router.get("/cases/{case_id}/cells/{cell}/image", response_class=Response, responses=PICTURE)
def image(
    case_id: Id,
    cell: CellNumber,
    user: Reader,
    station: StationDep,
    form: Annotated[PictureForm, Query()],
) -> Response:
    """The picture as it was uploaded, or in another form."""
    found = station.store.cells.image(user, case_id, cell)
    if form.side is None and form.shown and found.media_type not in BROWSERS_READ:
        png = displayable(station.store.images.path(found.digest))
        return Response(png, media_type="image/png", headers=KEEP)
    if form.side is None:
        return Response(station.store.images.read(found.digest), media_type=found.media_type, headers=KEEP)
    small = thumbnail(station.store.images.path(found.digest), form.side, form.cropped)
    return Response(small, media_type="image/jpeg", headers=KEEP)


@router.post("/cases/{case_id}/corrections")
def correct(
    case_id: Id, changes: Corrections, user: Reader, station: StationDep, language: LanguageDep
) -> CorrectionResult:
    """Correct cells, all or none; a conflict returns the present state of the cells."""
    return corrected(station, user, station.store.corrections.correct(user, case_id, changes), language)


@router.post("/cases/{case_id}/confirmations")
def confirm(
    case_id: Id, changes: Confirmations, user: Reader, station: StationDep, language: LanguageDep
) -> CorrectionResult:
    """Confirm the classes of cells, all or none: the user has seen them."""
    return corrected(station, user, station.store.corrections.confirm(user, case_id, changes), language)


@router.post("/cases/{case_id}/undo")
def undo(
    case_id: Id, user: Reader, station: StationDep, language: LanguageDep, step: Retried | None = None
) -> CorrectionResult:
    """Undo the user's last correction."""
    version = step.version if step else None
    return corrected(station, user, station.store.corrections.undo(user, case_id, version), language)


@router.post("/cases/{case_id}/redo")
def redo(
    case_id: Id, user: Reader, station: StationDep, language: LanguageDep, step: Retried | None = None
) -> CorrectionResult:
    """Redo the correction that was undone last."""
    version = step.version if step else None
    return corrected(station, user, station.store.corrections.redo(user, case_id, version), language)
