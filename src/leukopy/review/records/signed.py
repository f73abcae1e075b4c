"""The signed content of a case."""

from __future__ import annotations

from pydantic import Field

from leukopy.core.settings import Settings
from leukopy.review.records.cases import Case
from leukopy.review.records.cells import CellRow
from leukopy.review.records.counts import AgreementView, DifferentialView, PatientView
from leukopy.review.records.fields import FieldView
from leukopy.review.records.phrases import Finding
from leukopy.review.records.smear import SmearView


class SignedContent(Settings):
    """The content of a signature, stored whole: every report of a revision uses the same numbers."""

    case: Case
    """As it was when the first reader signed (without the signatures)."""
    differential: DifferentialView
    cells: tuple[CellRow, ...]
    agreement: AgreementView
    patient: PatientView | None
    model: str
    model_sha256: str
    leukopy: str
    """Version."""
    fields: tuple[FieldView, ...] = ()
    """Photographs of fields, where there are any."""
    smear: SmearView | None = None
    """Red cells and platelets of the fields, where there are any."""
    findings: tuple[Finding, ...] = ()
    """The findings of the case, in the words of that day."""
    pictures: dict[int, str] = Field(default_factory=dict)
    """sha256 of the picture of each cell, by its id; contents of 0.1.0 have none."""
    thumbnails: dict[int, bytes] = Field(default_factory=dict, exclude=True, repr=False)
    """JPEG of the cells that a report shows, by their id: made for the report from ``pictures``, never stored."""
