"""Images that come into a case."""

from __future__ import annotations

from pathlib import Path
from threading import Semaphore

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile

from leukopy.core.errors import InputError
from leukopy.core.settings import Settings
from leukopy.review.importing import import_analysis
from leukopy.review.records import Id, OtherCase, RequiredText, UploadResult, User
from leukopy.review.security import Reader
from leukopy.review.station import Station, StationDep
from leukopy.review.store import Forbidden
from leukopy.review.uploads import Kind, Upload, keep, unpack

router = APIRouter()

_UNPACKING = Semaphore(2)
"""Uploads decoded at a time: an image may take some hundred megabytes while it is."""

_FILES = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["files"],
                    "properties": {
                        "files": {"type": "array", "minItems": 1, "items": {"type": "string", "format": "binary"}}
                    },
                }
            }
        },
    }
}


class ImportFrom(Settings):
    """Where the result of an analysis lies on this computer."""

    folder: RequiredText


@router.post("/cases/{case_id}/images", openapi_extra=_FILES)
async def upload(
    case_id: Id, request: Request, user: Reader, station: StationDep, kind: Kind | None = None
) -> UploadResult:
    """Add images, or zips of images: of single cells, or photographs of fields (``kind``; else the pictures tell).

    The body is read only once the user is known and the case is theirs.
    """
    await run_in_threadpool(station.store.cases.get, user, case_id)
    async with request.form(max_files=station.settings.limits.zip_entries, max_fields=0) as form:
        return await run_in_threadpool(_take, station, user, case_id, _files(form), kind)


@router.post("/cases/{case_id}/import")
def import_result(case_id: Id, source: ImportFrom, user: Reader, station: StationDep) -> UploadResult:
    """Add the cells of a folder that ``leukopy analyze`` wrote, with their classes; only on one's own computer."""
    if station.settings.serve:
        raise Forbidden("A station for several users reads no folder of its computer. Upload the images.")
    with _UNPACKING:
        return import_analysis(station.store, user, case_id, Path(source.folder))


@router.get("/cases/{case_id}/elsewhere")
def elsewhere(case_id: Id, user: Reader, station: StationDep) -> tuple[OtherCase, ...]:
    """Other cases with images of this case, byte for byte; of those that the user may see."""
    return station.store.cells.elsewhere(user, case_id)


def _files(form: FormData) -> list[Upload]:
    files = [one for one in form.getlist("files") if isinstance(one, UploadFile)]
    if not files:
        raise InputError("No file was sent. Send images or zips as 'files' of a multipart form.")
    return [Upload(one.filename or "", one.file) for one in files]


def _take(station: Station, user: User, case_id: str, uploads: list[Upload], kind: Kind | None) -> UploadResult:
    with _UNPACKING:
        return keep(station.store, user, case_id, unpack(uploads, station.settings.limits), kind)
