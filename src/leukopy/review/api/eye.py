"""Counting by eye."""

from __future__ import annotations

from fastapi import APIRouter

from leukopy.review.api.cells import LanguageDep
from leukopy.review.api.counts import count
from leukopy.review.pages.texts import Language
from leukopy.review.records import Id, Tally, TallyView, User
from leukopy.review.security import Reader
from leukopy.review.station import Station, StationDep

router = APIRouter()


@router.get("/cases/{case_id}/tally")
def tally(case_id: Id, user: Reader, station: StationDep, language: LanguageDep) -> TallyView:
    """The cells of a case that were counted by eye."""
    return _view(station, user, case_id, language)


@router.post("/cases/{case_id}/tally")
def add(case_id: Id, tally: Tally, user: Reader, station: StationDep, language: LanguageDep) -> TallyView:
    """Count cells by eye: all of them or none, and once however often the same key is sent."""
    station.store.eye_counts.add(user, case_id, tally)
    return _view(station, user, case_id, language)


def _view(station: Station, user: User, case_id: str, language: Language) -> TallyView:
    case = station.store.cases.get(user, case_id)
    counts, own = station.store.eye_counts.counts(user, case_id)
    return TallyView(case=case, counts=counts, own=own, differential=count(station, user, case, language).differential)
