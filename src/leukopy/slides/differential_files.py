"""The differential count as files: ``differential.csv`` for spreadsheets, ``differential.json`` for programs."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import polars as pl

from leukopy.core.files import write_json, write_text
from leukopy.core.provenance import RESEARCH_USE_ONLY
from leukopy.inference.rows import counted_code, is_unidentified
from leukopy.slides.differential import Differential, Line, ReferenceRanges, differential
from leukopy.taxonomy import FINE, find

_COLUMNS: dict[str, pl.DataType] = {
    "code": pl.String(),
    "name": pl.String(),
    "sum_of": pl.String(),  # "SNE+BNE" for a line that adds others up
    "unit": pl.String(),  # of the next four columns: "%", "per 100 leukocytes", or "cells" (only counted)
    "count": pl.Int64(),
    "value": pl.Float64(),
    "low95": pl.Float64(),
    "high95": pl.Float64(),
    "expected": pl.Float64(),
    "reference_low": pl.Float64(),
    "reference_high": pl.Float64(),
    "flag": pl.String(),  # L, N, H
    "beyond_error": pl.Boolean(),
}


def count_cells(cells: pl.LazyFrame, ranges: ReferenceRanges | None = None) -> Differential:
    """The differential of classified cells, counted as a stream.

    Cells flagged ``unidentified`` are counted as such, in no class, and their probabilities are expected of none.

    Args:
        cells: rows of ``CELL_SCHEMA``, any number of them.
        ranges: the laboratory's reference ranges.
    """
    counts = cells.group_by(counted_code()).len().collect(engine="streaming")
    totals = (
        cells.filter(~is_unidentified())
        .select(
            pl.col("flags").str.split(";").list.contains("uncertain").sum().alias("uncertain"),
            *(pl.col(f"p_{cell.code}").cast(pl.Float64).sum().alias(cell.code) for cell in FINE),
        )
        .collect(engine="streaming")
    )
    expected = totals.row(0, named=True)
    uncertain = int(expected.pop("uncertain"))
    by_code = dict(counts.iter_rows())
    counted = differential(by_code, uncertain=uncertain, expected=expected, ranges=ranges)
    return replace(counted, notes=(*counted.notes, *_unidentified(by_code.get("UNIDENTIFIED", 0), counted.cells)))


def _unidentified(count: int, cells: int) -> list[str]:
    if not count:
        return []
    words = (
        "1 cell is unidentified: it is counted" if count == 1 else f"{count} cells are unidentified: they are counted"
    )
    return [f"Of {cells} cells, {words} in no class. Blasts, smudge cells and artefacts would be among these."]


def write_differential(folder: Path, differential: Differential) -> None:
    """Write ``differential.csv`` and ``differential.json`` into ``folder``.

    Raises:
        OutputError: they cannot be written.
    """
    table = pl.DataFrame(_records(differential), schema=_COLUMNS, orient="row")
    write_text(folder / "differential.csv", table.write_csv(float_precision=4))
    write_json(folder / "differential.json", {"notice": RESEARCH_USE_ONLY, **asdict(differential)})


def _records(differential: Differential) -> list[tuple[object, ...]]:
    rows = [_record(line, "%") for line in differential.lines]
    rows += [_record(line, "per 100 leukocytes") for line in differential.beside]
    blanks = (None,) * 7
    rows += [(code, find(code).name, "", "cells", n, *blanks, False) for code, n in differential.outside.items()]
    return rows


def _record(line: Line, unit: str) -> tuple[object, ...]:
    return (
        line.code, line.name, "+".join(line.sums), unit, line.count, line.percent, line.low, line.high, line.expected,
        *(line.reference or (None, None)), line.flag, line.beyond_error,
    )  # fmt: skip
