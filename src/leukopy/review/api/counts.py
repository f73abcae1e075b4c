"""Counts and results of a case, shared by several routes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from leukopy.core.errors import InputError
from leukopy.review.agreement import Reading, agree
from leukopy.review.case_differential import count_case
from leukopy.review.case_error import error_of_case
from leukopy.review.pages.texts import Language
from leukopy.review.records import (
    BY_EYE,
    Case,
    CellRow,
    CorrectionResult,
    DifferentialView,
    PatientView,
    SignedContent,
    User,
)
from leukopy.review.signed_content import signed_content
from leukopy.review.smear import read_smear
from leukopy.review.station import Station
from leukopy.review.store import CorrectionOutcome


class Counted(NamedTuple):
    """The cells of a case, and their count."""

    cells: tuple[CellRow, ...]
    differential: DifferentialView


def count(station: Station, user: User, case: Case, language: Language) -> Counted:
    """Count the cells of a case as they stand."""
    cells, classes = station.store.cells.with_classes(user, case.id)
    error = error_of_case(case, station.store.models.path_of(case))
    return Counted(cells, count_case(cells, classes, case, station.settings, language, error))


def corrected(station: Station, user: User, changed: CorrectionOutcome, language: Language) -> CorrectionResult:
    """The answer to a gesture: the cells that changed, and the count of all."""
    return CorrectionResult(
        case=changed.case,
        cells=changed.cells,
        differential=count(station, user, changed.case, language).differential,
        can_undo=changed.can_undo,
        can_redo=changed.can_redo,
    )


def predict_patient(station: Station, user: User, case: Case, cells: Sequence[CellRow]) -> PatientView:
    """Reactive or tumoral lymphocytosis, for a case with age and count.

    Raises:
        InputError: one of them is missing, or there is no lymphocyte.
    """

    def path_of(cell: int) -> Path:
        return station.store.cells.path(user, case.id, cell)

    pictured = [cell for cell in cells if BY_EYE not in cell.flags]
    return station.lymphocytosis.predict(case, pictured, path_of)


def content_of(station: Station, user: User, case_id: str) -> SignedContent:
    """What a signature on a case as it stands would be given for."""
    case, cells = station.store.cases.get(user, case_id), station.store.cells.all(user, case_id)
    classes = station.store.classes.all()
    try:
        patient = predict_patient(station, user, case, cells)
    except InputError:  # age, count or lymphocytes are missing: a count without this result is whole, too
        patient = None
    error = error_of_case(case, station.store.models.path_of(case))
    content = signed_content(
        case,
        cells,
        count_case(cells, classes, case, station.settings, error=error),
        agree(Reading.of(case_id, cells), classes),
        patient,
        station.store.predictions.model(user, case_id) or ("", ""),
    )
    pictures, fields = station.store.cells.pictures(user, case_id), station.store.fields.all(user, case_id)
    smear = read_smear(station.store, station.settings, user, case_id)
    facts = {"pictures": pictures, "fields": fields, "smear": smear, "findings": station.store.phrases.findings(case)}
    return content.model_copy(update=facts)
