"""Patients as a whole: void and erased by administrators, on request or after the time of retention."""

from __future__ import annotations

from fastapi import APIRouter

from leukopy.core.settings import Settings
from leukopy.review.records import Case, Erased, OfPatient, VoidPatient
from leukopy.review.security import Reader
from leukopy.review.station import StationDep

router = APIRouter(prefix="/patients")


class Voided(Settings):
    """Number of cases that are void now."""

    cases: int


@router.post("/cases")
def cases_of(patient: OfPatient, user: Reader, station: StationDep) -> tuple[Case, ...]:
    """All cases of a patient, by the exact name or number; for administrators."""
    return station.store.removal.cases_of(user, patient.patient)


@router.post("/void")
def void(void: VoidPatient, user: Reader, station: StationDep) -> Voided:
    """Mark all cases of a patient as void, with a reason."""
    return Voided(cases=station.store.removal.void_patient(user, void.patient, void.reason))


@router.post("/erase")
def erase(patient: OfPatient, user: Reader, station: StationDep) -> Erased:
    """Erase all cases of a patient; the audit log keeps a tombstone of each."""
    return station.store.removal.erase_patient(user, patient.patient)


@router.get("/due")
def due(user: Reader, station: StationDep) -> tuple[Case, ...]:
    """Cases whose time of retention is over; for administrators."""
    return station.store.removal.due(user, station.settings.retention)


@router.post("/due/erase")
def erase_due(user: Reader, station: StationDep) -> Erased:
    """Erase the cases whose time of retention is over."""
    cases = station.store.removal.due(user, station.settings.retention)
    return station.store.removal.erase(user, [case.id for case in cases], "retention")
