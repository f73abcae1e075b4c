"""Routes of cases: open, find, change, share, review, sign, amend."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.concurrency import run_in_threadpool

from leukopy.core.settings import Settings
from leukopy.review.api.counts import content_of
from leukopy.review.api.params import MOST
from leukopy.review.api.session import confirm
from leukopy.review.records import (
    Amendment,
    AuditEntry,
    Case,
    CaseChange,
    CaseDraft,
    CasePage,
    CaseSearch,
    Id,
    RequiredText,
    SignedContent,
    SignStep,
    VersionOnly,
    VoidCase,
)
from leukopy.review.security import Reader
from leukopy.review.station import StationDep

router = APIRouter()


class ShareWith(Settings):
    """The user that a case is shared with."""

    name: RequiredText
    """For logging in."""


@router.post("/cases", status_code=201)
def open_case(draft: CaseDraft, user: Reader, station: StationDep) -> Case:
    """Open a case."""
    return station.store.cases.open(user, draft)


@router.post("/cases/search")
def search(wanted: CaseSearch, user: Reader, station: StationDep) -> CasePage:
    """The cases that the user may see; the query is a body, since addresses never contain a patient's name."""
    return station.store.cases.search(user, wanted)


@router.get("/cases/{case_id}")
def case(case_id: Id, user: Reader, station: StationDep) -> Case:
    """One case."""
    return station.store.cases.get(user, case_id)


@router.patch("/cases/{case_id}")
def change_case(case_id: Id, change: CaseChange, user: Reader, station: StationDep) -> Case:
    """Give some fields other values."""
    return station.store.cases.change(user, case_id, change)


@router.post("/cases/{case_id}/share")
def share(case_id: Id, share: ShareWith, user: Reader, station: StationDep) -> Case:
    """Let another user work on a case."""
    return station.store.cases.share(user, case_id, share.name)


@router.post("/cases/{case_id}/reviewed")
def mark_reviewed(case_id: Id, step: VersionOnly, user: Reader, station: StationDep) -> Case:
    """Mark a case as reviewed."""
    return station.store.signing.mark_reviewed(user, case_id, step.version)


@router.post("/cases/{case_id}/reopen")
def reopen(case_id: Id, step: VersionOnly, user: Reader, station: StationDep) -> Case:
    """Back to draft, before any signature."""
    return station.store.signing.reopen(user, case_id, step.version)


@router.post("/cases/{case_id}/sign")
async def sign(case_id: Id, step: SignStep, user: Reader, request: Request, station: StationDep) -> Case:
    """Sign the present content of a case; where users log in, with the password once more."""
    await run_in_threadpool(station.store.cases.get, user, case_id)
    await confirm(station, request, user, step.password)

    def signed() -> Case:
        return station.store.signing.sign(user, case_id, step.version, content_of(station, user, case_id))

    return await run_in_threadpool(signed)


@router.post("/cases/{case_id}/second")
async def second_sign(case_id: Id, step: SignStep, user: Reader, request: Request, station: StationDep) -> Case:
    """Sign the same content as a second reviewer; where users log in, with the password once more."""
    await run_in_threadpool(station.store.cases.get, user, case_id)
    await confirm(station, request, user, step.password)
    return await run_in_threadpool(station.store.signing.second_sign, user, case_id, step.version)


@router.post("/cases/{case_id}/amend")
def amend(case_id: Id, amendment: Amendment, user: Reader, station: StationDep) -> Case:
    """Open a signed case again; the signed content is kept."""
    return station.store.signing.amend(user, case_id, amendment)


@router.post("/cases/{case_id}/void")
def void(case_id: Id, step: VoidCase, user: Reader, station: StationDep) -> Case:
    """Mark a case as void, with a reason; its reports say so."""
    return station.store.removal.void_case(user, case_id, step)


@router.get("/cases/{case_id}/signed")
def signed(
    case_id: Id, user: Reader, station: StationDep, revision: Annotated[int | None, Query(ge=1, le=MOST)] = None
) -> SignedContent:
    """The signed content of the last or an earlier revision."""
    return station.store.signing.content(user, case_id, revision)


@router.get("/cases/{case_id}/history")
def history(case_id: Id, user: Reader, station: StationDep) -> tuple[AuditEntry, ...]:
    """The audit log of a case."""
    return station.store.audit.history(user, case_id)
