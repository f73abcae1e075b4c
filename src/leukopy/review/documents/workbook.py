"""The signed count as a workbook: its numbers, its cells, and what they belong to, each on a sheet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from io import BytesIO

import polars as pl

from leukopy.core.provenance import RESEARCH_USE_ONLY
from leukopy.reports.workbook import OPTIONS, fill_sheet
from leukopy.review.documents.issue import Issue, issue
from leukopy.review.documents.table import Cell, count_lines, head_of
from leukopy.review.records import CellRow, Signature, SignedContent


def signed_workbook(
    content: SignedContent,
    *,
    signatures: Sequence[Signature] = (),
    laboratory: str = "",
    preliminary: bool = False,
    voided: str = "",
) -> bytes:
    """The count of a revision as a workbook (XLSX). Text is written as text: no name is a formula.

    Args:
        content: the numbers.
        signatures: of the case.
        laboratory: its name.
        preliminary: not signed yet.
        voided: why the case is void; empty: it is not.
    """
    import xlsxwriter  # noqa: PLC0415 (adds to the start-up time of the station)

    document = issue(content, signatures=signatures, laboratory=laboratory, preliminary=preliminary, voided=voided)
    stream = BytesIO()
    with xlsxwriter.Workbook(stream, {**OPTIONS, "in_memory": True}) as book:
        heading = book.add_format({"bold": True, "bottom": 1})
        book.set_properties({"comments": RESEARCH_USE_ONLY, "created": document.at.replace(tzinfo=None)})
        for name, lines in (("count", count_lines(document)), ("cells", _cells(document)), ("about", _about(document))):
            fill_sheet(book.add_worksheet(name), _table(lines), heading)
    return stream.getvalue()


def _table(lines: Iterator[dict[str, Cell]]) -> pl.LazyFrame:
    return pl.LazyFrame([{name: _plain(value) for name, value in line.items()} for line in lines],
                        infer_schema_length=None, strict=False)  # fmt: skip


def _plain(value: Cell) -> str | float | int | None:
    return value if value is None or isinstance(value, str | int) else float(value)


def _about(document: Issue) -> Iterator[dict[str, Cell]]:
    facts: Mapping[str, Cell] = {**head_of(document), "notes": "\n".join(document.content.differential.notes)}
    for name, value in facts.items():
        if value not in (None, ""):
            yield {"name": name, "value": str(value)}


def _cells(document: Issue) -> Iterator[dict[str, Cell]]:
    yield from map(_cell, document.content.cells)


def _cell(cell: CellRow) -> dict[str, Cell]:
    return {
        "cell": cell.id, "name": cell.name, "class": cell.code, "model_class": cell.model_code,
        "model_probability": cell.confidence, "flags": " ".join(cell.flags), "not_counted": cell.not_counted,
        "seen_by": cell.seen_by, "comment": cell.comment, "void_reason": cell.void_reason,
    }  # fmt: skip
