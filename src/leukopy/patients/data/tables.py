"""Tables of patients as people keep them. No message prints what a row holds: it may be a name or a date of birth."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path

from leukopy.core import tables
from leukopy.core.errors import InputError, ManifestError
from leukopy.core.tables import TABLE_SUFFIXES, Row, Table
from leukopy.core.text import WORKBOOK_SUFFIXES

NAMES = frozenset({"patient_id", "path"})
"""Fields that hold names: ``NA`` is one of them, and no missing value."""

_MISSING = frozenset({"na", "n/a", "nan", "null", "none"})
_COMMA = re.compile(r"[+-]?\d+,\d+")
_BESIDE_COMMAS = (";", "\t")
"""Separators of columns beside which decimals may be written with commas, and thousands with points."""
_MAYBE_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}([.,]\d{3})+")


def decimal_commas(table: Table, field: str) -> bool:
    """Whether a column of numbers writes decimals with a comma: decided for the whole column.

    Raises:
        ManifestError: some numbers may mean two things; names the first line.
    """
    rows = [row for row in table.rows if row.values.get(field)]
    texts = [row.values[field] for row in rows]
    commas = [text for text in texts if _COMMA.fullmatch(text)]
    points = [text for text in texts if "." in text]
    marked = commas or points
    clear = not all(map(_MAYBE_THOUSANDS.fullmatch, marked))
    if commas:
        clear = clear and not points and table.separator in _BESIDE_COMMAS
    elif points:
        clear = clear or table.separator not in _BESIDE_COMMAS
    if marked and not clear:
        raise ManifestError(
            f"{rows[texts.index(marked[0])].where}: {len(marked)} values of {field!r} hold a "
            f"{'comma' if commas else 'point'}, which may separate decimals or thousands. Write decimals with a point "
            "and thousands without a separator, and separate the columns by commas."
        )
    return bool(commas)


def read_table(path: Path, columns: Mapping[str, str], needed: Collection[str]) -> Table:
    """Read some columns of a table of patients as `leukopy.core.tables` does; words for missing values become empty.

    Raises:
        ManifestError: likewise.
    """
    table = tables.read_table(path, columns, needed)
    return replace(table, rows=tuple(_without_missing(row) for row in table.rows))


def _without_missing(row: Row) -> Row:
    values = {
        field: "" if field not in NAMES and text.lower() in _MISSING else text for field, text in row.values.items()
    }
    return replace(row, values=values)


def find_tables(folder: Path) -> list[Path]:
    """The tables that lie in a folder, without hidden ones, in the order of their names.

    Raises:
        InputError: the folder cannot be listed.
    """
    return _files(folder, TABLE_SUFFIXES)


def find_workbooks(folder: Path) -> list[Path]:
    """The workbooks of spreadsheets that lie in a folder; they are not read.

    Raises:
        InputError: the folder cannot be listed.
    """
    return _files(folder, WORKBOOK_SUFFIXES)


def _files(folder: Path, suffixes: Collection[str]) -> list[Path]:
    try:
        return sorted(
            path
            for path in folder.iterdir()
            if path.suffix.lower() in suffixes and not path.name.startswith((".", "~$")) and path.is_file()
        )
    except OSError as error:
        raise InputError(f"{folder}: cannot be read ({error.strerror}). Check its permissions.") from error
