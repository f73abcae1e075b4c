"""Tables of patients as people keep them: Parquet, or text parted by commas, semicolons or tabs.

No message prints what a row holds: it may be a name or a date of birth.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from leukopy.core.errors import InputError, ManifestError

TABLE_SUFFIXES = frozenset({".csv", ".tsv", ".parquet"})

_MISSING = frozenset({"", "na", "n/a", "nan", "null", "none"})
_COMMA = re.compile(r"[+-]?\d+,\d+")
_MAYBE_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}")


@dataclass(frozen=True)
class Row:
    """One row, every field as text; empty where it is missing."""

    table: Path
    number: int
    """As a spreadsheet counts: the header is row 1."""
    values: Mapping[str, str]
    """Field -> text; only the fields whose column is there."""


@dataclass(frozen=True)
class Table:
    """What was asked for of a table's columns."""

    path: Path
    separator: str | None
    """None for Parquet."""
    rows: tuple[Row, ...]
    """At least one."""
    fields: frozenset[str]
    """Those whose column is there."""

    def decimal_commas(self, field: str) -> bool:
        """Whether a column of numbers writes decimals with a comma: decided for the whole column.

        Raises:
            ManifestError: some do, and it cannot be told what they mean.
        """
        texts = [row.values.get(field, "") for row in self.rows]
        commas = [text for text in texts if _COMMA.fullmatch(text)]
        if not commas:
            return False
        clear = not any("." in text for text in texts) and not all(map(_MAYBE_THOUSANDS.fullmatch, commas))
        if self.separator == ";" and clear:
            return True
        raise ManifestError(
            f"{self.path}: {len(commas)} values of {field!r} hold a comma, which may part decimals or thousands. "
            "Write decimals with a point; or part the columns by semicolons and write the whole column with commas."
        )


def header(path: Path) -> list[str]:
    """The column names of a table.

    Raises:
        ManifestError: absent, not permitted, or no table.
    """
    return _read(path, only_header=True)[0]


def read_table(path: Path, columns: Mapping[str, str], needed: Collection[str]) -> Table:
    """Read some columns of a table; rows that are wholly empty are passed over.

    Args:
        path: ``.parquet``, or text in UTF-8 with a header.
        columns: field -> name of its column; capitals do not matter.
        needed: fields whose column must be there.

    Raises:
        ManifestError: absent, not permitted, no table, a wrong header, or without a row.
    """
    names, lines, separator = _read(path)
    _check_header(path, names, columns, needed)
    lower = [name.lower() for name in names]
    places = {field: lower.index(column.lower()) for field, column in columns.items() if column.lower() in lower}
    rows = [
        Row(path, number, {field: line[place] for field, place in places.items()})
        for number, line in lines
        if any(line)
    ]
    if not rows:
        raise ManifestError(f"{path}: holds no rows. Add one row per patient or image.")
    return Table(path, separator, tuple(rows), frozenset(places))


def _check_header(path: Path, names: list[str], columns: Mapping[str, str], needed: Collection[str]) -> None:
    lower = [name.lower() for name in names]
    if missing := [columns[field] for field in needed if columns[field].lower() not in lower]:
        # A first line without a known name may be a patient and no header: it is not printed.
        known = any(column.lower() in lower for column in columns.values())
        found = f"columns found: {', '.join(filter(None, names))}" if known else "its first line names none of them"
        wanted = ", ".join(columns[field] for field in needed)
        raise ManifestError(
            f"{path}: column {', '.join(missing)} is missing ({found}; columns needed: {wanted}). Correct the header."
        )
    if twice := [column for column in columns.values() if lower.count(column.lower()) > 1]:
        raise ManifestError(f"{path}: column {', '.join(twice)} is there twice. Keep one of them.")


_Line = tuple[int, list[str]]


def _read(path: Path, *, only_header: bool = False) -> tuple[list[str], list[_Line], str | None]:
    """Column names, numbered rows, separator (None for Parquet)."""
    try:
        if path.suffix.lower() == ".parquet":
            names = list(pl.read_parquet_schema(path))
            rows = [] if only_header else pl.read_parquet(path).rows()
            return _stripped(names), [(number, _texts(row)) for number, row in enumerate(rows, start=2)], None
        with path.open(encoding="utf-8-sig", newline="") as stream:
            first = stream.readline()
            separator = max(",;\t", key=first.count)
            names = next(csv.reader([first], delimiter=separator, strict=True), [])
            body: Iterable[list[str]] = [] if only_header else csv.reader(stream, delimiter=separator, strict=True)
            return _stripped(names), list(_lines(path, body, len(names))), separator
    except OSError as error:
        raise ManifestError(f"{path}: cannot be read ({error.strerror or error}). Check the path.") from error
    except (pl.exceptions.PolarsError, UnicodeDecodeError, csv.Error) as error:
        reason = "not UTF-8" if isinstance(error, UnicodeDecodeError) else "broken quotes or content"
        raise ManifestError(f"{path}: not a table ({reason}). Give a Parquet file or a CSV in UTF-8.") from error


def _lines(path: Path, body: Iterable[list[str]], width: int) -> Iterator[_Line]:
    for number, line in enumerate(body, start=2):
        if not any(map(str.strip, line)):
            continue
        if len(line) != width:
            raise ManifestError(
                f"{path}, row {number}: holds {len(line)} values under {width} columns. Correct the row; where "
                "decimals are written with commas, part the columns by semicolons."
            )
        yield number, _texts(line)


def _stripped(names: Iterable[str]) -> list[str]:
    return [name.strip() for name in names]


def _texts(values: Iterable[object]) -> list[str]:
    """Values as text; the words for what is missing become empty."""
    texts = ("" if value is None else str(value).strip() for value in values)
    return ["" if text.lower() in _MISSING else text for text in texts]


def find_tables(folder: Path) -> list[Path]:
    """The tables that lie in a folder, without hidden ones, in the order of their names.

    Raises:
        InputError: the folder cannot be listed.
    """
    try:
        return sorted(
            path
            for path in folder.iterdir()
            if path.suffix.lower() in TABLE_SUFFIXES and not path.name.startswith(".") and path.is_file()
        )
    except OSError as error:
        raise InputError(f"{folder}: cannot be read ({error.strerror}). Check its permissions.") from error
