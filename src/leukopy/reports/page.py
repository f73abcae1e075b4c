"""``report.html``: one file that a person can check, offline, on any machine, today and in ten years."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from leukopy.bundle.card import Card
from leukopy.core.files import write_text
from leukopy.inference.attribute_columns import words
from leukopy.inference.rows import counted_code
from leukopy.reports.fields_page import FieldsContent, field_values
from leukopy.reports.rendering import embedded, flat, render
from leukopy.slides.differential import Differential, Line
from leukopy.taxonomy import FINE, CellClass, find, outside_classes

FAILURES_SHOWN = 200
"""Failed inputs listed in the page; ``failures.csv`` holds them all."""


@dataclass(frozen=True)
class ReportContent:
    """Content of a report."""

    title: str
    """Name of the slide."""
    cells: pl.DataFrame
    """The rows of ``CELL_SCHEMA`` that the gallery shows, as `gallery.choose` returns them."""
    first: pl.DataFrame
    """The cells to look at first, as `gallery.choose_first` returns them."""
    thumbnails: Mapping[str, bytes]
    """JPEG by ``cell_id``."""
    totals: Mapping[str, int]
    """All cells by the class that they are counted in, as `gallery.totals` returns them."""
    differential: Differential
    failures: pl.DataFrame
    """Rows of ``FAILURE_SCHEMA``: the first of them suffice."""
    failures_total: int
    card: Card
    left_out: pl.DataFrame
    """Pictures without a single cell, as `gallery.choose_left_out` returns them."""
    left_out_total: int
    provenance: Mapping[str, Any]
    """Provenance of the result, from `core.provenance.provenance`; mappings may be nested."""
    fields: FieldsContent | None = None
    """Its fields of view; None where the input was cells."""


@dataclass(frozen=True)
class Tile:
    """One cell of the gallery."""

    cell_id: str
    picture: str | None
    """Base64 of the JPEG; None where the picture can no longer be read."""
    first: CellClass
    """Its most probable class, counted or not."""
    probability: float
    second: CellClass
    second_probability: float
    flags: tuple[str, ...]
    why: str | None
    """The cell in words, where the model judges attributes."""
    reason: str | None
    """Reason why it is unidentified; None for an identified cell."""


@dataclass(frozen=True)
class Shelf:
    """The cells of one class."""

    cell: CellClass
    total: int
    tiles: tuple[Tile, ...]


def write_report(path: Path, content: ReportContent) -> None:
    """Write the report as one HTML file.

    Raises:
        OutputError: it cannot be written.
    """
    page = render(
        "report.html.j2",
        content=content,
        count=content.differential,
        date=str(content.provenance.get("created", ""))[:10],
        shelves=tuple(_shelves(content)),
        first=tuple(_tile(row, content.thumbnails) for row in content.first.iter_rows(named=True)),
        left_out=tuple(_left_out(content)),
        failures=failure_lines(content.failures),
        provenance=tuple(flat(content.provenance)),
        find=find,
        fields=field_values(content.fields) if content.fields else None,
        scale=_scale(content.differential),
    )
    write_text(path, page)


def _shelves(content: ReportContent) -> Iterator[Shelf]:
    for code, total in content.totals.items():
        rows = content.cells.filter(counted_code() == code)
        yield Shelf(find(code), total, tuple(_tile(row, content.thumbnails) for row in rows.iter_rows(named=True)))


def _left_out(content: ReportContent) -> Iterator[tuple[str, str | None, str]]:
    """Id, Base64 of the JPEG, and cause of each picture without a single cell."""
    for cell_id, cause in content.left_out.select("cell_id", "content").iter_rows():
        jpeg = content.thumbnails.get(cell_id)
        yield cell_id, embedded(jpeg) if jpeg else None, cause


def _tile(row: Mapping[str, Any], thumbnails: Mapping[str, bytes]) -> Tile:
    jpeg = thumbnails.get(row["cell_id"])
    others = [cell for cell in (*FINE, *outside_classes()) if cell.code != row["fine"] and f"p_{cell.code}" in row]
    second = max(others, key=lambda cell: float(row[f"p_{cell.code}"]))
    return Tile(
        cell_id=row["cell_id"],
        picture=embedded(jpeg) if jpeg else None,
        first=find(row["fine"]),
        probability=row["fine_confidence"],
        second=second,
        second_probability=row[f"p_{second.code}"],
        flags=tuple(flag for flag in row["flags"].split(";") if flag),
        why=words(row),
        reason=row.get("unidentified_reason"),
    )


def failure_lines(failures: pl.DataFrame) -> list[tuple[str, str, str]]:
    """Cell, reason, message; without the path, which may hold a name."""
    rows = failures.head(FAILURES_SHOWN).select("cell_id", "path", "reason", "message").iter_rows()
    return [(cell_id, reason, message.removeprefix(f"{path}: ")) for cell_id, path, reason, message in rows]


def _scale(differential: Differential) -> float:
    """The share at the right end of the bars, a multiple of 10 %: all lines are drawn to the same scale."""
    lines: tuple[Line, ...] = differential.lines
    ends = [end for line in lines for end in (line.high or 0, line.total_high or 0, (line.reference or (0, 0))[1])]
    return min(100.0, 10 * (max(ends, default=0) // 10 + 1))
