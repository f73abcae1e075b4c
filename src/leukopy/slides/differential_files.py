"""The differential count as files: ``differential.csv`` for spreadsheets, ``differential.json`` for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import polars as pl

from leukopy.core.files import write_json, write_text
from leukopy.core.provenance import RESEARCH_USE_ONLY
from leukopy.inference.rows import (
    DUPLICATE,
    UNIDENTIFIED,
    counted_code,
    has_flag,
    is_counted,
    is_unidentified,
    left_out_flag,
)
from leukopy.slides.alarm import AlarmSettings, BlastAlarm, blast_alarm
from leukopy.slides.count_error import SlideError, with_total_limits
from leukopy.slides.differential import (
    Differential,
    LeftOut,
    Line,
    ReferenceRanges,
    differential,
    no_differential,
    refuse,
)
from leukopy.taxonomy import BLASTS, FINE, OUTSIDE, find, outside_classes

_FINE = tuple(cell.code for cell in FINE)

_COLUMNS: dict[str, pl.DataType] = {
    "code": pl.String(),
    "name": pl.String(),
    "sum_of": pl.String(),  # "SNE+BNE" for a line that sums others
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
    "total_low95": pl.Float64(),  # limits of sampling and classification error together; null where not stated
    "total_high95": pl.Float64(),
    "mainly_classification": pl.Boolean(),  # classification error adds more variance than sampling
}


def count_cells(
    cells: pl.LazyFrame,
    ranges: ReferenceRanges | None = None,
    *,
    fields: str = "",
    alarm: AlarmSettings | None = None,
    error: SlideError | None = None,
) -> Differential:
    """Count the differential of classified cells as a stream.

    Cells flagged ``unidentified`` are counted as such, outside every class; their probabilities are excluded too. Rows
    with a flag of `inference.rows.LEFT_OUT` are excluded. With too few cells left, there is no differential.

    Args:
        cells: rows of ``CELL_SCHEMA``, any number of them.
        ranges: the laboratory's reference ranges.
        fields: the warning where the pictures are fields of view (`imaging.content.SlideContent.note`); there is then
            no differential.
        alarm: thresholds of the alarm for blasts, where the model answers them.
        error: classification error of the slide; None: the limits state sampling error alone.
    """
    there = cells.collect_schema().names()
    outside = [cell for cell in outside_classes() if f"p_{cell.code}" in there]
    answered, own = tuple(cell.code for cell in outside), tuple(cell for cell in outside if cell not in OUTSIDE)
    counts = cells.group_by(counted_code()).len().drop_nulls().collect(engine="streaming")
    by_code = dict(counts.iter_rows())
    left_out = _left_out(cells)
    counted = sum(by_code.values())
    unidentified = by_code.get("UNIDENTIFIED", 0)
    doubted = {**left_out, (UNIDENTIFIED, "unlike every class"): unidentified} if unidentified else left_out
    located = "box_x" in there
    if refused := fields or no_differential(counted - unidentified, doubted, located=located):
        found = refuse(refused, ranges, notes=_left_out_notes(counted, left_out))
        blasts = _alarm(cells, by_code, answered, differential(by_code, own=own), alarm) if not fields else None
        return replace(found, alarm=blasts if blasts and blasts.raised else None)
    totals = (
        cells.filter(is_counted() & ~is_unidentified())
        .select(
            has_flag("uncertain").sum().alias("uncertain"),
            *(pl.col(f"p_{code}").cast(pl.Float64).sum().alias(code) for code in (*_FINE, *answered)),
        )
        .collect(engine="streaming")
    )
    expected = totals.row(0, named=True)
    uncertain = int(expected.pop("uncertain"))
    found = differential(by_code, uncertain=uncertain, expected=expected, ranges=ranges, own=own, answered=answered)
    found = with_total_limits(found, by_code, error) if error else found
    found = replace(found, alarm=_alarm(cells, by_code, answered, found, alarm))
    said = found.alarm.message if found.alarm and found.alarm.blasts else ""
    more = (*_unidentified(unidentified, found.cells, answered), *_left_out_notes(counted, left_out))
    return replace(found, notes=(*filter(None, (said,)), *found.notes, *more))


def _alarm(
    cells: pl.LazyFrame,
    counts: Mapping[str, int],
    answered: Sequence[str],
    found: Differential,
    how: AlarmSettings | None,
) -> BlastAlarm | None:
    """The alarm; None where the model does not answer blasts."""
    if not set(BLASTS) & set(answered):
        return None
    how = how or AlarmSettings()
    probability = pl.sum_horizontal(f"p_{code}" for code in BLASTS if code in answered)
    blasts = is_counted() & ~is_unidentified() & pl.col("fine").is_in(BLASTS)
    sure = cells.select((blasts & (probability >= how.probability)).sum()).collect(engine="streaming").item()
    lines = [line for line in found.lines if line.code in BLASTS and line.code in answered]
    low, high = (lines[0].total_low, lines[0].total_high) if len(lines) == 1 else (None, None)  # limits do not add up
    total = (low, high) if low is not None and high is not None else None
    return blast_alarm(sum(counts.get(code, 0) for code in BLASTS), int(sure), found.leukocytes, how, total)


def _left_out(cells: pl.LazyFrame) -> LeftOut:
    """Excluded rows, by flag and cause."""
    there = set(cells.collect_schema())
    cause = pl.col("content") if "content" in there else pl.lit(None, pl.String)
    flag = left_out_flag().alias("flag")
    rows = cells.filter(~is_counted()).select(flag, pl.when(flag != DUPLICATE).then(cause).alias("cause"))
    found = rows.group_by("flag", "cause").len().sort("len", "cause", descending=[True, False])
    return {(name, why or ""): count for name, why, count in found.collect(engine="streaming").iter_rows()}


def _left_out_notes(counted: int, left_out: LeftOut) -> list[str]:
    notes = []
    pictures = {(flag, why): count for (flag, why), count in left_out.items() if flag != DUPLICATE}
    if pictures:
        listed = "; ".join(f"{count} {why or flag.replace('_', ' ')}" for (flag, why), count in pictures.items())
        of = counted + sum(left_out.values())
        notes.append(f"No single cell in {sum(pictures.values())} of {of} pictures, which have no class: {listed}.")
    if copies := sum(count for (flag, _), count in left_out.items() if flag == DUPLICATE):
        files = "1 file is a copy" if copies == 1 else f"{copies} files are copies"
        notes.append(f"{files} of others, byte for byte, and counted once.")
    return notes


def _unidentified(count: int, cells: int, answered: Sequence[str]) -> list[str]:
    if not count:
        return []
    words = (
        "1 cell is unidentified: it is counted" if count == 1 else f"{count} cells are unidentified: they are counted"
    )
    others = [name for code, name in (("BLAST", "blasts"), ("SMUDGE", "smudge cells")) if code not in answered]
    listed = ", ".join([*others, "plasma cells"] if answered else others)
    return [f"Of {cells} cells, {words} in no class. {listed.capitalize()} and artefacts would be among these."]


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
    rows += [
        (code, find(code).name, "", "cells", n, *blanks, False, None, None, False)
        for code, n in differential.outside.items()
    ]
    return rows


def _record(line: Line, unit: str) -> tuple[object, ...]:
    return (
        line.code, line.name, "+".join(line.sums), unit, line.count, line.percent, line.low, line.high, line.expected,
        *(line.reference or (None, None)), line.flag, line.beyond_error, line.total_low, line.total_high,
        line.mainly_classification,
    )  # fmt: skip
