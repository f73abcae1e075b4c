"""Comment templates, coded findings, and rules of signing."""

from __future__ import annotations

from fastapi import APIRouter

from leukopy.review.api.counts import content_of
from leukopy.review.records import Demand, Id, Phrase, Rule
from leukopy.review.security import Reader
from leukopy.review.station import StationDep

router = APIRouter()


@router.get("/phrases")
def phrases(_: Reader, station: StationDep) -> tuple[Phrase, ...]:
    """Comment templates and findings, those that are not offered any more too."""
    return station.store.phrases.all()


@router.post("/phrases")
def save_phrase(phrase: Phrase, user: Reader, station: StationDep) -> Phrase:
    """Add a comment template or finding, or write one anew; for administrators."""
    return station.store.phrases.save(user, phrase)


@router.get("/rules")
def rules(_: Reader, station: StationDep) -> tuple[Rule, ...]:
    """Rules of signing, those that are switched off too."""
    return station.store.rules.all()


@router.post("/rules")
def save_rule(rule: Rule, user: Reader, station: StationDep) -> Rule:
    """Add a rule, or write one anew; for administrators."""
    return station.store.rules.save(user, rule)


@router.get("/cases/{case_id}/demands")
def demands(case_id: Id, user: Reader, station: StationDep) -> tuple[Demand, ...]:
    """The rules that a case reaches as it stands, and whether the user could sign it as far as each goes."""
    return station.store.rules.demands(user, case_id, content_of(station, user, case_id))
