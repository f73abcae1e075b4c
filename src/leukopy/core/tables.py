"""Tables of users: Parquet, or text as editors and spreadsheets save it.

Every table of a user is opened here, so all commands read the same files in the same way. Messages omit values: a
value may be a name or a date of birth.
"""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from leukopy.core.errors import ManifestError
from leukopy.core.text import read_text

TABLE_SUFFIXES = frozenset({".csv", ".tsv", ".parquet"})

_SEPARATORS = "\t;,"
_EXCEL_SEPARATOR = re.compile(r'\s*"?sep=([^"\r\n])"?[\t;,\s]*', re.IGNORECASE)
_EXCEL_TEXT = re.compile(r'="(.*)"', re.DOTALL)
_QUOTED = re.compile(r'"[^"]*"')
_NOT_A_NAME = re.compile(r"[\d./\\]")
_INVISIBLE = "\ufeff\u200b"
_LARGEST_WHOLE = 1e15
"""Above it, a float of Parquet is neither a count nor an id."""


@dataclass(frozen=True)
class Row:
    """One row of a table."""

    table: Path
    place: str
    """``line 3``, as an editor counts the lines of a text file; ``row 2`` of Parquet, the first being 1."""
    values: Mapping[str, str]
    """Field -> text, without surrounding blanks, letters composed (NFC); empty where missing. Fields without a column
    are absent."""

    @property
    def where(self) -> str:
        """The table and the place in it: the beginning of a message."""
        return f"{self.table}, {self.place}"


@dataclass(frozen=True)
class Table:
    """Some columns of a table."""

    path: Path
    separator: str | None
    """None for Parquet."""
    rows: tuple[Row, ...]
    """At least one; rows without any value are left out."""
    fields: frozenset[str]
    """Fields with a column."""


def column_name(text: str) -> str:
    """The canonical name of a column: ``Patient ID`` and ``patient-id`` become ``patient_id``."""
    return re.sub(r"[\s-]+", "_", _clean(text)).casefold()


def read_header(path: Path) -> list[str]:
    """The column names of a table, as `column_name` writes them.

    Raises:
        ManifestError: absent, not permitted, or not a table.
    """
    return [column_name(name) for name in _open(path).names]


def has_column(path: Path, name: str) -> bool:
    """True for a table of several columns, one of which has this name."""
    try:
        names = read_header(path)
    except ManifestError:
        return False
    return len(names) > 1 and name in names


def read_table(path: Path, columns: Mapping[str, str], needed: Collection[str]) -> Table:
    """Read some columns of a table.

    A text file may be UTF-8, UTF-16 or Windows-1252; its columns may be separated by commas, semicolons or tabs, and a
    first line ``sep=;`` may say so. Blank lines, blank rows and trailing columns without a name are ignored.
    Every value stays text: ``007`` keeps its zeros, and ``NA`` is an ordinary value.

    Args:
        path: Parquet, or text with a header.
        columns: field -> name of its column; capitals, blanks and hyphens in the header do not matter.
        needed: fields whose column is required.

    Raises:
        ManifestError: absent, not permitted, not a table, a wrong header, a row that does not fit the header, or no
            row; names the line.
    """
    opened = _open(path)
    places = _places(opened, columns, needed)
    rows = tuple(
        Row(path, place, {field: values[index] for field, index in places.items()})
        for place, values in opened.rows(list(places.values()))
    )
    if not rows:
        raise ManifestError(f"{path}: holds no rows below its header. Add one row per image or patient.")
    return Table(path, opened.separator, rows, frozenset(places))


class _TextFile:
    """A table in a text file, read up to its header."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lines = list(io.StringIO(read_text(path), newline=""))
        header = self._next_line(0)
        stated = _EXCEL_SEPARATOR.fullmatch(self._lines[header])
        if stated:
            header = self._next_line(header + 1)
        found = _separator(self._lines[header])
        self.separator: str = stated[1] if stated else found
        self.where = f"{path}, line {header + 1}"
        if _count(self._lines[header], found) and not _count(self._lines[header], self.separator):
            raise ManifestError(
                f"{self.where}: separated by {_name(found)}, but the line sep= above it says {_name(self.separator)}. "
                "Correct that line."
            )
        self._header = header + 1
        self._records = self._read(header)
        _, self.names = next(self._records)
        while self.names and not self.names[-1]:
            self.names.pop()

    def rows(self, _: Collection[int]) -> Iterator[tuple[str, list[str]]]:
        """Place and values of every row that holds one."""
        self._refuse_other_separator()
        for number, values in self._records:
            if any(values):
                self._check(number, values)
                yield f"line {number}", values

    def _next_line(self, start: int) -> int:
        """The index of the next line that holds more than separators."""
        found = next((i for i in range(start, len(self._lines)) if _is_filled(self._lines[i])), None)
        if found is None:
            raise ManifestError(f"{self._path}: not a table (it is empty). Give a table with a header.")
        return found

    def _read(self, header: int) -> Iterator[tuple[int, list[str]]]:
        """The number of the line on which each record begins, and its values; the header's first."""
        reader = csv.reader(self._lines[header:], delimiter=self.separator, strict=True, skipinitialspace=True)
        while True:
            number = header + reader.line_num + 1
            try:
                values = next(reader, None)
            except csv.Error as error:
                raise ManifestError(
                    f"{self._path}, line {number}: not a table from here on (a quotation mark is not closed, or text "
                    "follows it). Correct the quotation marks."
                ) from error
            if values is None:
                return
            yield number, [_clean(value) for value in values]

    def _refuse_other_separator(self) -> None:
        """Refuse a body in semicolons or tabs whose decimal commas fit a header in commas by chance."""
        body = [line for line in self._lines[self._header :] if _is_filled(line)]
        for other in _SEPARATORS.partition(self.separator)[0] if self.separator in _SEPARATORS else "":
            if body and len(self.names) > 1 and all(_count(line, other) == len(self.names) - 1 for line in body):
                raise self._unfit(self._lines.index(body[0], self._header) + 1, 0)

    def _check(self, number: int, values: list[str]) -> None:
        width = len(self.names)
        filled = max(index for index, value in enumerate(values, start=1) if value)
        if len(values) < width or filled > width:
            raise self._unfit(number, max(filled, min(len(values), width)))
        for index, (name, value) in enumerate(zip(self.names, values, strict=False)):
            if index and value and not name:  # the first may hold row numbers of another program
                raise ManifestError(
                    f"{self._path}, line {number}: holds a value in column {index + 1}, which has no name in the "
                    "header. Name the column, or empty it."
                )

    def _unfit(self, number: int, count: int) -> ManifestError:
        line, width = self._lines[number - 1], len(self.names)
        others = [each for each in _SEPARATORS if each != self.separator and _count(line, each) >= max(1, width - 1)]
        if others:
            return ManifestError(
                f"{self._path}, line {number}: separated by {_name(others[0])}, but the header (line {self._header}) "
                f"by {_name(self.separator)}. Save the table with one separator."
            )
        return ManifestError(
            f"{self._path}, line {number}: holds {count} values under {width} columns. Correct the row: quote a value "
            f"that holds {_name(self.separator)}; where decimals are written with commas, separate the columns by "
            "semicolons."
        )


class _ParquetFile:
    """A table in a Parquet file."""

    separator = None

    def __init__(self, path: Path) -> None:
        self._path = path
        self.where = str(path)
        try:
            self._schema = pl.read_parquet_schema(path)
        except OSError as error:
            raise ManifestError(f"{path}: cannot be read ({error.strerror or error}). Check the path.") from error
        except pl.exceptions.PolarsError as error:
            raise ManifestError(f"{path}: not a table (no Parquet in it). Write the file again, or as CSV.") from error
        self.names = [_clean(name) for name in self._schema]

    def rows(self, places: Collection[int]) -> Iterator[tuple[str, list[str]]]:
        """Place and values of every row that holds one in the columns at ``places``; other columns are empty."""
        names = list(self._schema)
        for place in places:
            kind = self._schema[names[place]]
            if kind.is_nested() or kind in (pl.Binary, pl.Object):
                raise ManifestError(
                    f"{self._path}: column {names[place]!r} holds {kind}, neither text nor numbers. Write it as text."
                )
        wanted = [names[place] for place in places]
        table = pl.read_parquet(self._path, columns=wanted).select(wanted)
        for number, row in enumerate(table.iter_rows(), start=1):
            values = [""] * len(names)
            for place, value in zip(places, row, strict=True):
                values[place] = _as_text(value)
            if any(values):
                yield f"row {number}", values


def _open(path: Path) -> _TextFile | _ParquetFile:
    return _ParquetFile(path) if path.suffix.lower() == ".parquet" else _TextFile(path)


def _places(opened: _TextFile | _ParquetFile, columns: Mapping[str, str], needed: Collection[str]) -> dict[str, int]:
    """Field -> index of its column."""
    names = [column_name(name) for name in opened.names]
    wanted = {field: column_name(column) for field, column in columns.items()}
    if missing := [columns[field] for field in needed if wanted[field] not in names]:
        # A first line without a known name may be a patient instead of a header: it is not printed.
        shown = [name for name in opened.names if name]
        known = any(name in names for name in wanted.values()) or not any(map(_NOT_A_NAME.search, shown))
        found = f"columns found: {', '.join(shown)}" if known else "its first line names none of them"
        raise ManifestError(
            f"{opened.where}: column {', '.join(map(repr, missing))} is missing ({found}; columns needed: "
            f"{', '.join(columns[field] for field in needed)}). Correct the header; separate columns by commas, "
            "semicolons or tabs."
        )
    if twice := [columns[field] for field, name in wanted.items() if names.count(name) > 1]:
        raise ManifestError(f"{opened.where}: column {', '.join(twice)} occurs twice. Keep one of them.")
    return {field: names.index(name) for field, name in wanted.items() if name in names}


def _clean(text: str) -> str:
    """Letters composed, without blanks around; Excel's ``="007"`` is ``007``."""
    text = unicodedata.normalize("NFC", text).strip().strip(_INVISIBLE).strip()
    formula = _EXCEL_TEXT.fullmatch(text)
    return formula[1] if formula else text


def _as_text(value: object) -> str:
    """A value of Parquet; a whole number is written without decimals, whatever its type."""
    if value is None or value != value:  # noqa: PLR0124 - NaN
        return ""
    if isinstance(value, float) and value.is_integer() and abs(value) < _LARGEST_WHOLE:
        return str(int(value))
    return _clean(str(value))


def _separator(line: str) -> str:
    """The most frequent separator of a header outside quotation marks; a comma where the header has none."""
    found = max(_SEPARATORS, key=lambda separator: _count(line, separator))
    return found if _count(line, found) else ","


def _is_filled(line: str) -> bool:
    """True where a line holds more than separators."""
    return bool(_clean(line).strip('",;\t '))


def _count(line: str, separator: str) -> int:
    return _QUOTED.sub("", line).count(separator)


def _name(separator: str) -> str:
    return {",": "commas", ";": "semicolons", "\t": "tabs"}.get(separator, repr(separator))
