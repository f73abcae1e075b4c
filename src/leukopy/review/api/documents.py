"""Reports of a case: of a signed revision, or marked as preliminary."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from fastapi import APIRouter, Depends, Query, Response

from leukopy.core.errors import ImageError
from leukopy.review.api.cells import LanguageDep
from leukopy.review.api.counts import content_of
from leukopy.review.api.params import MOST
from leukopy.review.documents import (
    fhir_bundle,
    policy,
    signed_csv,
    signed_html,
    signed_pdf,
    signed_workbook,
    with_thumbnails,
)
from leukopy.review.records import Id, Signature, SignedContent
from leukopy.review.security import Reader
from leukopy.review.station import StationDep
from leukopy.review.store import StoreError
from leukopy.review.thumbnails import thumbnail

router = APIRouter()

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
SIDE = 176
"""Of the picture of a cell in a report, px: sharp in print at half that size."""


class Revision(NamedTuple):
    """The data of a report."""

    content: SignedContent
    signatures: tuple[Signature, ...]
    laboratory: str
    preliminary: bool
    voided: str


def chosen(
    case_id: Id, user: Reader, station: StationDep, revision: Annotated[int | None, Query(ge=1, le=MOST)] = None
) -> Revision:
    """The named revision, else the last signed one, else the case as it stands."""
    case = station.store.cases.get(user, case_id)
    preliminary = revision is None and not case.signatures
    content = (
        content_of(station, user, case_id) if preliminary else station.store.signing.content(user, case_id, revision)
    )
    return Revision(content, case.signatures, station.settings.laboratory, preliminary, case.void_reason or "")


Chosen = Annotated[Revision, Depends(chosen)]


def _documented(media_type: str) -> dict[int | str, dict[str, object]]:
    return {200: {"content": {media_type: {}}, "description": "The report"}}


@router.get("/cases/{case_id}/report.html", response_class=Response, responses=_documented("text/html"))
def html(report: Chosen, station: StationDep, language: LanguageDep) -> Response:
    """For people; may be looked at in place, since it can run nothing and load nothing."""
    headers = {"Content-Security-Policy": f"{policy()}; frame-ancestors 'none'; sandbox"}
    return Response(_html(report, station, language), media_type="text/html", headers=headers)


@router.get("/cases/{case_id}/report.pdf", response_class=Response, responses=_documented("application/pdf"))
def pdf(report: Chosen, station: StationDep, language: LanguageDep) -> Response:
    """For printing and keeping."""
    return _file(signed_pdf(_html(report, station, language)), report, "pdf", "application/pdf")


@router.get("/cases/{case_id}/report.csv", response_class=Response, responses=_documented("text/csv"))
def csv(report: Chosen) -> Response:
    """For spreadsheets."""
    return _file(signed_csv(**report._asdict()), report, "csv", "text/csv")


@router.get("/cases/{case_id}/report.xlsx", response_class=Response, responses=_documented(XLSX))
def xlsx(report: Chosen) -> Response:
    """For spreadsheets: numbers, cells, and what they belong to, each on a sheet."""
    return _file(signed_workbook(**report._asdict()), report, "xlsx", XLSX)


@router.get(
    "/cases/{case_id}/report.fhir.json", response_class=Response, responses=_documented("application/fhir+json")
)
def fhir(report: Chosen) -> Response:
    """For laboratory systems: a FHIR R4 bundle."""
    return _file(fhir_bundle(**report._asdict()), report, "fhir.json", "application/fhir+json")


def _html(report: Revision, station: StationDep, language: LanguageDep) -> str:
    def small(digest: str) -> bytes | None:
        try:
            station.store.images.read(digest)  # still what was signed
            return thumbnail(station.store.images.path(digest), SIDE)
        except (ImageError, StoreError):
            return None

    content = with_thumbnails(report.content, small)
    return signed_html(**report._replace(content=content)._asdict(), language=language)


def _file(body: str | bytes, report: Revision, suffix: str, media_type: str) -> Response:
    """To be saved, under a name that says nothing of the patient."""
    case = report.content.case
    name = f"leukopy-{case.id[:8]}-r{case.revision}.{suffix}"
    return Response(body, media_type=media_type, headers={"Content-Disposition": f'attachment; filename="{name}"'})
