"""Assembles the content of a signature once, so that all documents of a revision agree."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import metadata

from leukopy.review.records import AgreementView, Case, CellRow, DifferentialView, PatientView, SignedContent


def signed_content(
    case: Case,
    cells: Sequence[CellRow],
    differential: DifferentialView,
    agreement: AgreementView,
    patient: PatientView | None,
    model: tuple[str, str],
) -> SignedContent:
    """The content of a revision of a case.

    Args:
        case: as it is now; its signatures are left out, since they are given for this.
        cells: its cells.
        differential: as `counting.count_case` counts them.
        agreement: as `agreement.agree` compares them.
        patient: the lymphocytosis result, where there is one.
        model: name and sha256 of the cell model; two empty strings before the analysis.
    """
    return SignedContent(
        case=case.model_copy(update={"signatures": ()}),
        differential=differential,
        cells=tuple(cells),
        agreement=agreement,
        patient=patient,
        model=model[0],
        model_sha256=model[1],
        leukopy=metadata.version("leukopy"),
    )
