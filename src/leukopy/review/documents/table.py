"""The signed count as CSV: one table, one line per class, fit for spreadsheets and laboratory systems."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from decimal import Decimal
from io import StringIO

from leukopy.core.provenance import RESEARCH_USE_ONLY
from leukopy.review.documents.issue import Issue, issue
from leukopy.review.documents.rows import Pair, percent, plain, rows
from leukopy.review.records import Signature, SignedContent

UNITS = {
    "total": "",
    "differential": "%",
    "per_100_leukocytes": "per 100 leukocytes",
    "count": "cells",
    "not_counted": "cells",
}

_DANGEROUS = ("=", "+", "-", "@", "\t", "\r", "\n")
"""What makes a spreadsheet take a cell for a formula (OWASP, "CSV injection")."""

Cell = str | int | float | Decimal | None


def signed_csv(
    content: SignedContent,
    *,
    signatures: Sequence[Signature] = (),
    laboratory: str = "",
    preliminary: bool = False,
    voided: str = "",
) -> str:
    """The count of a revision as CSV text.

    Each line repeats what it belongs to (patient, slide, revision, signatures), so that lines of many slides may be put
    together. Text that a spreadsheet would take for a formula begins with an apostrophe.

    Args:
        content: the numbers.
        signatures: of the case.
        laboratory: its name.
        preliminary: not signed yet.
        voided: why the case is void; empty: it is not.
    """
    document = issue(content, signatures=signatures, laboratory=laboratory, preliminary=preliminary, voided=voided)
    head, lines = head_of(document), list(count_lines(document))
    stream = StringIO()
    writer = csv.DictWriter(stream, [*head, *lines[0]], lineterminator="\r\n")
    writer.writeheader()
    writer.writerows({name: _safe(value) for name, value in (head | line).items()} for line in lines)
    return stream.getvalue()


def _safe(value: Cell) -> Cell:
    """Text that no spreadsheet reads as a formula; numbers, negative ones too, stay as they are."""
    return f"'{value}" if isinstance(value, str) and value.lstrip(" ").startswith(_DANGEROUS) else value


def count_lines(document: Issue) -> Iterator[dict[str, Cell]]:
    """One line per number."""
    yield from _counted(document)
    yield from _patient(document)
    yield from _agreement(document)


def head_of(document: Issue) -> dict[str, Cell]:
    """What the lines belong to."""
    case = document.content.case
    return {
        "notice": RESEARCH_USE_ONLY,
        "laboratory": document.laboratory,
        "patient": case.patient,
        "slide": case.slide,
        "specimen_date": case.specimen_date.isoformat() if case.specimen_date else "",
        "comment": case.comment,
        "findings": "; ".join(one.english for one in document.content.findings),
        "finding_codes": " ".join(one.code for one in document.content.findings),
        "case": case.id,
        "status": document.state,
        "revision": case.revision,
        "amendment_reason": case.amendment_reason or "",
        "void_reason": document.voided,
        "signed": "; ".join(f"{one.user}, {one.at.isoformat(timespec='seconds')}" for one in document.signatures),
        "sha256": document.digest,
        "audit_entry": document.entry[0] if document.entry else None,
        "audit_hash": document.entry[1] if document.entry else "",
        "model": document.content.model,
        "slide_distance": plain(case.slide_check.distance) if case.slide_check else None,
        "leukopy": document.content.leukopy,
    }


def _line(kind: str, code: str, name: str, **values: Cell) -> dict[str, Cell]:
    columns = (
        "sum_of", "unit", "count", "value", "low95", "high95", "reference_low", "reference_high", "flag",
        "beyond_error", "absolute_10e9_per_l", "absolute_reference_low", "absolute_reference_high", "absolute_flag",
        "total_low95", "total_high95", "mainly_classification",
    )  # fmt: skip
    return {"kind": kind, "code": code, "name": name} | dict.fromkeys(columns, None) | values


def _counted(document: Issue) -> Iterator[dict[str, Cell]]:
    for row in rows(document.content.differential):
        low, high = _ends(row.reference)
        absolute_low, absolute_high = _ends(row.absolute_reference)
        yield _line(
            row.kind, row.code, row.name, sum_of=" ".join(row.sums), unit=UNITS[row.kind], count=row.count,
            value=row.value, low95=row.low, high95=row.high, reference_low=low, reference_high=high, flag=row.flag,
            beyond_error="yes" if row.beyond_error else "no" if row.flag else None,
            absolute_10e9_per_l=row.absolute, absolute_reference_low=absolute_low,
            absolute_reference_high=absolute_high, absolute_flag=row.absolute_flag,
            total_low95=row.total_low, total_high95=row.total_high,
            mainly_classification=None if row.total_low is None else "yes" if row.mainly_classification else "no",
        )  # fmt: skip


def _patient(document: Issue) -> Iterator[dict[str, Cell]]:
    patient = document.content.patient
    if patient is not None:
        yield _line(
            "patient", "TUMORAL", "probability of a tumoral lymphocytosis", unit="%", count=patient.lymphocytes_read,
            value=percent(patient.probability), low95=percent(patient.low), high95=percent(patient.high),
            reference_high=percent(patient.threshold), flag=patient.decision,
        )  # fmt: skip


def _agreement(document: Issue) -> Iterator[dict[str, Cell]]:
    found = document.content.agreement
    if found.raw is not None:
        yield _line(
            "agreement", "RAW", "model and reader agree", unit="%", count=found.cells, value=percent(found.raw),
            low95=percent(found.raw_low), high95=percent(found.raw_high),
        )  # fmt: skip
    if found.kappa is not None:
        low, high = (None if limit is None else plain(round(limit, 3)) for limit in (found.kappa_low, found.kappa_high))
        yield _line(
            "agreement", "KAPPA", "Cohen's kappa of model and reader", unit="1", count=found.cells,
            value=plain(round(found.kappa, 3)), low95=low, high95=high,
        )  # fmt: skip


def _ends(limits: Pair | None) -> tuple[Decimal | None, Decimal | None]:
    return limits or (None, None)
