"""A result as it goes to another system: first, corrected, or withdrawn."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from leukopy.review.documents.codes import title
from leukopy.review.documents.issue import Issue
from leukopy.review.documents.rows import Row, rows
from leukopy.review.documents.said import Said, said
from leukopy.review.records import CaseOrder, DeliveryKind


@dataclass(frozen=True)
class Outgoing:
    """A message on a signed revision."""

    id: str
    """Message control id: the same in each attempt."""
    kind: DeliveryKind
    created: datetime
    issue: Issue
    earlier: tuple[Issue, ...] = ()
    """Earlier signed revisions, whose numbers the receiver may hold."""

    @property
    def order(self) -> CaseOrder | None:
        """The order of the case."""
        return self.issue.content.case.order


Line = Row | Said | None
"""What a document gives under a code; None: the lymphocytosis result."""


def quantities(document: Issue) -> Iterator[tuple[str, str, Line]]:
    """Code, quantity and line of all that a document gives."""
    for row in rows(document.content.differential):
        if row.kind != "total":
            yield row.code, "count" if row.kind in ("count", "not_counted") else "percent", row
        if row.absolute is not None:
            yield row.code, "absolute", row
    if document.content.patient is not None:
        yield "TUMORAL", "percent", None
    for one in said(document.content):
        yield one.code, one.quantity, one


def words(line: Line) -> str:
    """The name of a line."""
    if line is None:
        return "Probability of a tumoral lymphocytosis"
    return line.name if isinstance(line, Said) else title(line)


def vanished(outgoing: Outgoing) -> dict[tuple[str, str], tuple[Issue, Line]]:
    """What earlier revisions give and this one does not any more, with the document that gave it."""
    given = {(code, quantity) for code, quantity, _ in quantities(outgoing.issue)}
    return {
        (code, quantity): (document, row)
        for document in outgoing.earlier
        for code, quantity, row in quantities(document)
        if (code, quantity) not in given
    }
