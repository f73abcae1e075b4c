"""Several slides of one patient: compared and merged."""

from __future__ import annotations

from fastapi import APIRouter

from leukopy.review.api.cells import LanguageDep
from leukopy.review.api.counts import count
from leukopy.review.comparison import compare
from leukopy.review.records import Case, Comparison, Id, MergeWith
from leukopy.review.security import Reader
from leukopy.review.station import StationDep

router = APIRouter()


@router.get("/cases/{case_id}/siblings")
def siblings(case_id: Id, user: Reader, station: StationDep) -> tuple[Case, ...]:
    """The other cases of the patient that the user may see."""
    return station.store.merging.siblings(user, case_id)


@router.get("/cases/{case_id}/comparison/{other_id}")
def comparison(case_id: Id, other_id: Id, user: Reader, station: StationDep, language: LanguageDep) -> Comparison:
    """Two slides of one patient, class by class."""
    cases = station.store.merging.check_same_patient(user, case_id, other_id)
    first, second = (count(station, user, case, language).differential for case in cases)
    return compare(cases, (first, second))


@router.post("/cases/{case_id}/merge", status_code=201)
def merge(case_id: Id, step: MergeWith, user: Reader, station: StationDep) -> Case:
    """Open a new case with the cells of both slides; these do not change."""
    return station.store.merging.merge(user, case_id, step)
