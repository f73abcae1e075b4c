"""The numbers of a signed count, rounded once, so that HTML, PDF, CSV and FHIR print the same digits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from leukopy.review.records import DifferentialLine, DifferentialView

Kind = Literal["total", "differential", "per_100_leukocytes", "count", "not_counted"]
Pair = tuple[Decimal, Decimal]


@dataclass(frozen=True)
class Row:
    """One line of a document."""

    kind: Kind
    """``total``: the leukocytes of the blood, only an absolute count. ``count``: only a number of cells.
    ``not_counted``: a reason, with the number of cells."""
    code: str
    name: str
    french: str
    sums: tuple[str, ...]
    """The classes that this line adds up."""
    count: int | None
    """Cells; None: they were not divided into this class, and none was given it."""
    undivided: bool
    value: Decimal | None
    """% of the leukocytes, or per 100 leukocytes; one decimal, as the limits."""
    low: Decimal | None
    """Of the exact 95 % interval."""
    high: Decimal | None
    reference: Pair | None
    """%."""
    flag: str | None
    """L, N or H; found before rounding."""
    beyond_error: bool
    total_low: Decimal | None
    """Of the 95 % interval that holds the model's errors too; None where not stated."""
    total_high: Decimal | None
    mainly_classification: bool
    absolute: Decimal | None
    """10⁹/L, two decimals."""
    absolute_reference: Pair | None
    absolute_flag: str | None


def rows(view: DifferentialView) -> Iterator[Row]:
    """All lines of a count, in the order in which documents list them."""
    if view.total is not None:
        yield _row("total", view.total)
    yield from (_row("differential", line) for line in view.lines)
    yield from (_row("per_100_leukocytes", line) for line in view.beside)
    yield from (_row("count", line) for line in view.outside)
    yield from (_row("not_counted", line) for line in view.not_counted)


def percent(share: float | None) -> Decimal | None:
    """A share as per cent with one decimal."""
    return _rounded(None if share is None else 100 * share, 1)


def plain(number: float) -> Decimal:
    """A number that people entered, with the digits it has."""
    return Decimal(f"{number:g}")


def _row(kind: Kind, line: DifferentialLine) -> Row:
    return Row(
        kind, line.code, line.name, line.french, line.sums,
        count=None if line.undivided and not line.count else line.count,
        undivided=line.undivided,
        value=_rounded(line.percent, 1),
        low=_rounded(line.low, 1),
        high=_rounded(line.high, 1),
        reference=_pair(line.reference),
        flag=line.flag,
        beyond_error=line.beyond_error,
        total_low=_rounded(line.total_low, 1),
        total_high=_rounded(line.total_high, 1),
        mainly_classification=line.mainly_classification,
        absolute=_rounded(line.absolute, 2),
        absolute_reference=_pair(line.absolute_reference),
        absolute_flag=line.absolute_flag,
    )  # fmt: skip


def _rounded(value: float | None, digits: int) -> Decimal | None:
    return None if value is None else Decimal(f"{value:.{digits}f}")


def _pair(limits: tuple[float, float] | None) -> Pair | None:
    return None if limits is None else (plain(limits[0]), plain(limits[1]))
