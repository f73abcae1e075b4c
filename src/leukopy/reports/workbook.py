"""All tables of a result folder in one workbook for spreadsheets."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from leukopy.core.errors import InputError
from leukopy.core.files import atomic_path, read_json
from leukopy.core.provenance import RESEARCH_USE_ONLY
from leukopy.reports.rendering import flat

if TYPE_CHECKING:
    from xlsxwriter.worksheet import Worksheet

WORKBOOK_FILE = "results.xlsx"

TABLES: tuple[str, ...] = (
    "differential.csv", "counts.csv", "fields.parquet", "cells.parquet", "objects.parquet", "failures.csv",
    "slides.parquet",
)  # fmt: skip
"""Tables of a result folder, in the order of the sheets. A sheet has the name of its file."""

SHEET_ROWS = 1_048_575
"""Most rows of a sheet below its heading; a longer table continues on the next sheet."""

OPTIONS = {"strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
"""Of each workbook: text is written as text."""

_TEXT = 32_767
"""Most characters of a cell."""
_CHUNK = 50_000
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")


def write_workbook(folder: Path) -> Path:
    """Write ``results.xlsx`` with the tables in ``folder``; returns its path.

    Text is written as text: a name that begins with ``=`` is no formula, an address no link. The same tables make the
    same bytes.

    Args:
        folder: the results of a run, on cells, fields or slides.

    Raises:
        InputError: ``folder`` holds no table.
        OutputError: the disk is full, or not permitted.
    """
    import xlsxwriter  # noqa: PLC0415 (adds to the start-up time of commands that write none)

    tables = {name: folder / name for name in TABLES if (folder / name).is_file()}
    if not tables:
        raise InputError(f"{folder}: holds no table of results. Give the output folder of `leukopy analyze`.")
    run = read_json(folder / "run.json") if (folder / "run.json").is_file() else {}
    options = {**OPTIONS, "constant_memory": True}  # whatever the number of rows
    with atomic_path(folder / WORKBOOK_FILE) as temporary, xlsxwriter.Workbook(str(temporary), options) as book:
        heading = book.add_format({"bold": True, "bottom": 1})
        book.set_properties({"comments": RESEARCH_USE_ONLY, "created": _created(run)})
        sheet = book.add_worksheet("about")
        sheet.set_column(0, 0, 32)
        for number, (name, value) in enumerate(_about(run)):
            sheet.write_string(number, 0, _text(name))
            sheet.write_string(number, 1, _text(value))
        for file, path in tables.items():
            table = _scan(path)
            rows = int(table.select(pl.len()).collect().item())
            for part, start in enumerate(range(0, max(rows, 1), SHEET_ROWS), start=1):
                name = Path(file).stem if part == 1 else f"{Path(file).stem} {part}"
                fill_sheet(book.add_worksheet(name), table.slice(start, SHEET_ROWS), heading)
    return folder / WORKBOOK_FILE


def _scan(path: Path) -> pl.LazyFrame:
    if path.suffix == ".parquet":
        return pl.scan_parquet(path)
    # All columns of failures are text: a cell named 007 keeps its name.
    return pl.scan_csv(path, infer_schema=path.stem != "failures", infer_schema_length=None)


def fill_sheet(sheet: Worksheet, table: pl.LazyFrame, heading: Any) -> None:
    """Write a table: its column names in the format ``heading``, then its rows."""
    columns = table.collect_schema().names()
    sheet.freeze_panes(1, 0)
    for place, name in enumerate(columns):
        sheet.write_string(0, place, name, heading)
    for number, row in enumerate(_rows(table), start=1):
        for place, value in enumerate(row):
            if value is None or (isinstance(value, float) and not math.isfinite(value)):
                continue  # an empty cell
            if isinstance(value, bool):
                sheet.write_boolean(number, place, value)
            elif isinstance(value, int | float):
                sheet.write_number(number, place, value)
            else:
                sheet.write_string(number, place, _text(value))


def _rows(table: pl.LazyFrame) -> Iterator[tuple[Any, ...]]:
    start = 0
    while len(found := table.slice(start, _CHUNK).collect()):
        yield from found.iter_rows()
        start += _CHUNK


def _text(value: object) -> str:
    """Text as a cell can hold it: of limited length, without control characters."""
    text = _CONTROL.sub("�", str(value))
    return text if len(text) <= _TEXT else f"{text[: _TEXT - 1]}…"


def _about(run: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "notice", RESEARCH_USE_ONLY
    names = ("command", "model", "provenance", "inputs", "slide")
    yield from flat({name: run[name] for name in names if run.get(name) is not None})


def _created(run: Mapping[str, Any]) -> datetime:
    """Time of the run: the workbook of a folder is always the same."""
    try:
        return datetime.fromisoformat(run["provenance"]["created"]).astimezone(UTC).replace(tzinfo=None)
    except (KeyError, TypeError, ValueError):
        return datetime(1980, 1, 1)
