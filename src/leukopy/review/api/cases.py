"""Cases: opened, found, changed, shared, and their steps to the signature."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from leukopy.core.settings import Settings
from leukopy.review.api.counts import content_of
from leukopy.review.api.params import MOST
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
    VersionOnly,
)
from leukopy.review.security import Reader
from leukopy.review.station import StationDep

router = APIRouter()


class ShareWith(Settings):
    """Whom a case is shared with."""

    name: RequiredText
    """For logging in."""


@router.post("/cases", status_code=201)
def open_case(draft: CaseDraft, user: Reader, here: StationDep) -> Case:
    """Open a case."""
    return here.store.cases.open(user, draft)


@router.post("/cases/search")
def search(wanted: CaseSearch, user: Reader, here: StationDep) -> CasePage:
    """The cases that the user may see; asked for in a body, since a patient's name never stands in an address."""
    return here.store.cases.search(user, wanted)


@router.get("/cases/{case_id}")
def case(case_id: Id, user: Reader, here: StationDep) -> Case:
    """One case."""
    return here.store.cases.get(user, case_id)


@router.patch("/cases/{case_id}")
def change_case(case_id: Id, change: CaseChange, user: Reader, here: StationDep) -> Case:
    """Give some fields other values."""
    return here.store.cases.change(user, case_id, change)


@router.post("/cases/{case_id}/share")
def share(case_id: Id, whom: ShareWith, user: Reader, here: StationDep) -> Case:
    """Let another user work on a case."""
    return here.store.cases.share(user, case_id, whom.name)


@router.post("/cases/{case_id}/reviewed")
def mark_reviewed(case_id: Id, at: VersionOnly, user: Reader, here: StationDep) -> Case:
    """Say that all cells were looked at."""
    return here.store.signing.mark_reviewed(user, case_id, at.version)


@router.post("/cases/{case_id}/reopen")
def reopen(case_id: Id, at: VersionOnly, user: Reader, here: StationDep) -> Case:
    """Back to draft, before any signature."""
    return here.store.signing.reopen(user, case_id, at.version)


@router.post("/cases/{case_id}/sign")
def sign(case_id: Id, at: VersionOnly, user: Reader, here: StationDep) -> Case:
    """Sign what the case now holds."""
    return here.store.signing.sign(user, case_id, at.version, content_of(here, user, case_id))


@router.post("/cases/{case_id}/second")
def second_sign(case_id: Id, at: VersionOnly, user: Reader, here: StationDep) -> Case:
    """Sign, as another reviewer, what was signed."""
    return here.store.signing.second_sign(user, case_id, at.version)


@router.post("/cases/{case_id}/amend")
def amend(case_id: Id, why: Amendment, user: Reader, here: StationDep) -> Case:
    """Open a signed case again; what was signed is kept."""
    return here.store.signing.amend(user, case_id, why)


@router.get("/cases/{case_id}/signed")
def signed(
    case_id: Id, user: Reader, here: StationDep, revision: Annotated[int | None, Query(ge=1, le=MOST)] = None
) -> SignedContent:
    """What was signed: of the last revision, or of an earlier one."""
    return here.store.signing.content(user, case_id, revision)


@router.get("/cases/{case_id}/history")
def history(case_id: Id, user: Reader, here: StationDep) -> tuple[AuditEntry, ...]:
    """All that was done to a case."""
    return here.store.audit.history(user, case_id)
