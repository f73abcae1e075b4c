"""Table of many slides: one row per slide, whatever its result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import polars as pl

from leukopy.inference.rows import DUPLICATE, has_flag
from leukopy.slides.differential import Differential, Line
from leukopy.slides.record import SlideRecord
from leukopy.taxonomy import COARSE, FINE, Place, find

LINES: tuple[str, ...] = tuple(
    dict.fromkeys(cell.code for cell in (*FINE, *COARSE, find("BLAST")) if cell.place is Place.DIFFERENTIAL)
)
"""Codes of the lines of a differential, parts and sums; and blasts, null where the model does not answer them."""
BESIDE: tuple[str, ...] = tuple(cell.code for cell in (*FINE, find("SMUDGE")) if cell.place is Place.PER_100_LEUKOCYTES)
OUTSIDE: tuple[str, ...] = tuple(cell.code for cell in FINE if cell.place is Place.OUTSIDE)


def _line_schema(code: str) -> dict[str, pl.DataType]:
    return {
        f"{code}_count": pl.Int64(),
        f"{code}_percent": pl.Float64(),  # of the leukocytes, or per 100 leukocytes
        f"{code}_low95": pl.Float64(),
        f"{code}_high95": pl.Float64(),
        f"{code}_total_low95": pl.Float64(),  # sampling and classification error together; null where not stated
        f"{code}_total_high95": pl.Float64(),
        f"{code}_flag": pl.String(),  # L, N, H
    }


SLIDE_SCHEMA: dict[str, pl.DataType] = {
    "slide": pl.String(),
    "status": pl.String(),  # analysed, refused (no differential) or failed
    "attention": pl.Int64(),  # 0: nothing stands out; the page lists the highest first
    "message": pl.String(),  # why it failed or has no differential
    "folder": pl.String(),  # of its results, below the folder of the run
    "pictures": pl.Int64(),
    "failures": pl.Int64(),
    "duplicates": pl.Int64(),
    "no_cell": pl.Int64(),
    "several_cells": pl.Int64(),
    "unidentified": pl.Int64(),
    "shared": pl.Int64(),  # pictures that are also on another slide of the run
    "blast_alarm": pl.Boolean(),  # blasts beyond the threshold of the alarm; null where the model does not answer them
    "leukocytes": pl.Int64(),
    "uncertain": pl.Int64(),
    **{name: kind for code in (*LINES, *BESIDE) for name, kind in _line_schema(code).items()},
    **{f"{code}_count": pl.Int64() for code in OUTSIDE},
    "distance": pl.Float64(),  # to the nearest laboratory of the training; above 1 it is foreign
    "nearest": pl.String(),
    "notes": pl.String(),  # warnings for the reader, joined by " | "
}


class Found(Protocol):
    """Result of a slide's analysis."""

    @property
    def record(self) -> SlideRecord:
        """Counts of its pictures."""

    @property
    def differential(self) -> Differential:
        """Its differential."""


@dataclass(frozen=True)
class SlideRow:
    """One slide of the table."""

    slide: str
    folder: str
    pictures: int
    result: Found | str
    """The result, or the reason of the failure."""


def slides_table(rows: Sequence[SlideRow]) -> pl.DataFrame:
    """Rows of ``SLIDE_SCHEMA``, in the order of ``rows``."""
    return pl.DataFrame([_row(row) for row in rows], schema=SLIDE_SCHEMA)


def slide_digests(table: pl.DataFrame, out: Path) -> pl.LazyFrame:
    """``slide`` and ``digest`` of the pictures of a run, without the duplicates of a slide.

    Args:
        table: rows of ``SLIDE_SCHEMA``.
        out: the folder of the run; each slide's rows are read as a stream.
    """
    files = {row["slide"]: out / row["folder"] / "cells.parquet" for row in table.iter_rows(named=True)}
    frames = [
        pl.scan_parquet(file).filter(~has_flag(DUPLICATE)).select(pl.lit(slide).alias("slide"), "digest")
        for slide, file in files.items()
        if file.is_file()
    ]
    return pl.concat([pl.LazyFrame(schema={"slide": pl.String, "digest": pl.String}), *frames])


def with_shared_pictures(table: pl.DataFrame, digests: pl.LazyFrame) -> pl.DataFrame:
    """The table with the number of pictures shared by each slide with others of the run.

    Args:
        table: rows of ``SLIDE_SCHEMA``.
        digests: as `slide_digests`; read as a stream.
    """
    short = pl.col("digest").str.head(15).str.to_integer(base=16)  # 8 bytes each in memory, for millions of pictures
    maybe = digests.group_by(short.alias("short")).len().filter(pl.col("len") > 1).select("short")
    digests = digests.with_columns(short.alias("short")).join(maybe, on="short", how="semi")
    common = digests.group_by("digest").len().filter(pl.col("len") > 1).select("digest")
    shared = digests.join(common, on="digest", how="semi").group_by("slide").len().collect(engine="streaming")
    counts: dict[str, int] = dict(shared.iter_rows())
    return table.with_columns(
        shared=pl.Series([counts.get(slide, 0) for slide in table["slide"]], dtype=pl.Int64),
        notes=pl.Series([
            " | ".join(filter(None, (notes, _shared_note(counts.get(slide, 0)))))
            for slide, notes in table.select("slide", "notes").iter_rows()
        ], dtype=pl.String),
        attention=pl.col("attention") + pl.Series([10 * (slide in counts) for slide in table["slide"]]),
    )  # fmt: skip


def _shared_note(count: int) -> str:
    if not count:
        return ""
    return f"{count} picture{' is' if count == 1 else 's are'} on another slide of this run too."


def _row(row: SlideRow) -> dict[str, Any]:
    shared = {"slide": row.slide, "folder": row.folder, "pictures": row.pictures}
    if isinstance(row.result, str):
        return {**shared, "status": "failed", "attention": 1000, "message": row.result, "notes": row.result}
    record, count = row.result.record, row.result.differential
    counted = record.trusted and not count.refused
    lines = {line.code: line for line in (*count.lines, *count.beside)}
    return {
        **shared,
        "status": "analysed" if counted else "refused",
        "attention": _attention(record, count),
        "message": "" if counted else count.notes[0],
        "failures": record.failures,
        "duplicates": record.duplicates,
        "no_cell": record.no_cell,
        "several_cells": record.several_cells,
        "unidentified": record.unidentified,
        "shared": 0,
        "blast_alarm": count.alarm.raised if count.alarm else None,
        "leukocytes": count.leukocytes,
        "uncertain": count.uncertain,
        **{name: value for code, line in lines.items() if code in (*LINES, *BESIDE) for name, value in _cells(line)},
        **{f"{code}_count": count.outside.get(code, 0) for code in OUTSIDE},
        "distance": record.distance and record.distance.distance,
        "nearest": record.distance and record.distance.nearest,
        "notes": " | ".join(count.notes),
    }


def _cells(line: Line) -> list[tuple[str, object]]:
    code = line.code
    return [
        (f"{code}_count", line.count),
        (f"{code}_percent", line.percent),
        (f"{code}_low95", line.low),
        (f"{code}_high95", line.high),
        (f"{code}_total_low95", line.total_low),
        (f"{code}_total_high95", line.total_high),
        (f"{code}_flag", line.flag),
    ]


def _attention(record: SlideRecord, count: Differential) -> int:
    """Rank of a slide by conspicuousness: blasts; then no differential, unread or foreign; then values beyond their
    limits."""
    without_class = record.no_cell + record.several_cells + record.unidentified
    return (
        2000 * bool(count.alarm and count.alarm.raised)
        + 500 * (not record.trusted or bool(count.refused))
        + 100 * bool(record.failures)
        + 100 * bool(record.distance and record.distance.foreign)
        + 50 * (10 * without_class > record.pictures)
        + 20 * bool(record.duplicates)
        + sum(line.beyond_error for line in count.lines if not line.sums or line.reference)
    )
