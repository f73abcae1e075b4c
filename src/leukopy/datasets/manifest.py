"""The manifest: one row per cell image of any source."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from leukopy.core.errors import ManifestError, SettingsError
from leukopy.core.file_names import FileNames
from leukopy.core.files import atomic_path
from leukopy.core.tables import Row, Table, read_table
from leukopy.taxonomy import OUTSIDE, LabelMap, label_map, open_label_map, outside_classes

MANIFEST_SCHEMA: dict[str, pl.DataType] = {
    "cell_id": pl.String(),  # "<source>/<path below the root>", unique
    "path": pl.String(),  # absolute
    "source": pl.String(),  # the laboratory or data set
    "label": pl.String(),  # as the source writes it; null where there is none
    "code": pl.String(),  # class code: fine, coarse (NEU, IG) or outside; null where there is none
    "group": pl.String(),  # patient, slide or field: never split; null where unknown
    "slide": pl.String(),  # name of the slide; null where unknown
    "split": pl.String(),  # train, val or test; null before a split
    "width": pl.Int32(),  # px, as stored
    "height": pl.Int32(),
    "digest": pl.String(),  # sha256 of the file
}

SPLITS: tuple[str, ...] = ("train", "val", "test")

_SPLIT_WORDS = {"training": "train", "valid": "val", "validation": "val", "testing": "test"}
_COLUMNS = {name: name for name in (*MANIFEST_SCHEMA, "label_map")}
_LARGEST = 2**31 - 1


def read_manifest(path: Path, *, source: str = "manifest", labels: str | LabelMap = "leukopy") -> pl.DataFrame:
    """Read a manifest and fill in missing columns.

    Only ``path`` is required, relative to the manifest's folder or absolute, in slashes or backslashes. ``code`` takes
    precedence over ``label``, which is looked up in the label map named by the row's ``label_map``, else by ``labels``.
    Other columns are ignored.

    Args:
        path: a Parquet file, or text with a header (see `leukopy.core.tables.read_table`).
        source: the source of rows without one.
        labels: a label map, its name, or the path of a table of labels, for rows that name none.

    Returns:
        A table of ``MANIFEST_SCHEMA``, in the order of the file.

    Raises:
        ManifestError: absent, not a table, empty, without ``path``, with a wrong value, or an image on two lines; names
            the line.
        UnknownLabelError: a label or code that the label map does not hold; names the line.
        SettingsError: no label map has the name.
    """
    table = read_table(path, _COLUMNS, ("path",))
    rows = _typed(table).with_columns(source=pl.col("source").fill_null(source))
    _refuse(table, rows["path"].is_null(), "has no path", "Fill it in.")
    rows = _locate(table, rows)
    rows = rows.with_columns(code=pl.Series(_codes(table, rows, labels), dtype=pl.String))
    _refuse_repeated_ids(table, rows["cell_id"])
    rows = rows.with_columns(split=pl.Series([read_split(row) for row in table.rows], dtype=pl.String))
    return rows.select(*MANIFEST_SCHEMA)


def read_second_labels(path: Path, *, labels: str | LabelMap = "leukopy") -> pl.Series | None:
    """Codes of a second annotator for the images of a manifest: its columns ``label2`` and ``code2``.

    They are read as ``label`` and ``code`` are: ``code2`` takes precedence, and ``label2`` uses the same map.

    Args:
        path: as for `read_manifest`.
        labels: likewise.

    Returns:
        Class codes named ``code2``, in the order of the file, null where there is none; None without these columns.

    Raises:
        ManifestError: absent or not a table.
        UnknownLabelError: a label or code that the label map does not hold; names the line.
    """
    columns = {"path": "path", "label": "label2", "code": "code2", "label_map": "label_map"}
    table = read_table(path, columns, ())
    if not {"label", "code"} & table.fields:
        return None
    return pl.Series("code2", _codes(table, _typed(table), labels), dtype=pl.String)


def read_annotators(path: Path, columns: Sequence[str], labels: LabelMap) -> pl.DataFrame:
    """Class codes that several annotators gave to the images of a manifest.

    Args:
        path: as for `read_manifest`.
        columns: names of the annotators' columns, with labels or codes in them.
        labels: the label map.

    Returns:
        A column of codes for each, in the order of the file, null where there is no label.

    Raises:
        ManifestError: absent, not a table, or without a column.
        UnknownLabelError: a label that the label map does not hold; names the line.
    """
    table = read_table(path, {"path": "path", **{f"by {name}": name for name in columns}}, ("path",))
    found = {
        name: [
            labels.code(label, where=f"{row.where}, column {name}") if (label := row.values.get(f"by {name}")) else None
            for row in table.rows
        ]
        for name in columns
    }
    return pl.DataFrame(found, schema=dict.fromkeys(columns, pl.String()))


def write_manifest(path: Path, manifest: pl.DataFrame) -> None:
    """Write a manifest as Parquet or CSV, by the suffix of ``path``, atomically.

    Raises:
        SettingsError: the suffix is neither ``.parquet`` nor ``.csv``.
        OutputError: it cannot be written.
    """
    if path.suffix not in (".parquet", ".csv"):
        raise SettingsError(f"{path}: a manifest is written as .parquet or .csv; choose one of these suffixes.")
    with atomic_path(path) as temporary:
        if path.suffix == ".parquet":
            manifest.write_parquet(temporary)
        else:
            manifest.write_csv(temporary)


def read_split(row: Row) -> str | None:
    """The split of a row; capitals do not matter, and ``validation`` is ``val``.

    Raises:
        ManifestError: it is not a split; names the line.
    """
    text = row.values.get("split", "").lower()
    split = _SPLIT_WORDS.get(text, text)
    if split and split not in SPLITS:
        raise ManifestError(f"{row.where}: has a split that is not train, val or test. Correct it or leave it empty.")
    return split or None


def _typed(table: Table) -> pl.DataFrame:
    """Every column of the schema and ``label_map``, with its type; empty text becomes null."""
    empty: list[str | None] = [None] * len(table.rows)
    texts = {
        name: [row.values[name] or None for row in table.rows] if name in table.fields else empty for name in _COLUMNS
    }
    rows = pl.DataFrame(texts, schema=dict.fromkeys(_COLUMNS, pl.String()))
    for name in ("width", "height"):
        number = rows[name].cast(pl.Float64, strict=False)
        wrong = rows[name].is_not_null() & ((number % 1 != 0) | ~number.is_between(0, _LARGEST)).fill_null(True)
        _refuse(table, wrong, f"has a {name} that is no whole number of pixels", "Correct it or leave it empty.")
        rows = rows.with_columns(number.cast(pl.Int32).alias(name))
    return rows


def _locate(table: Table, rows: pl.DataFrame) -> pl.DataFrame:
    """Paths absolute and spelled as on the disk; cell ids filled in.

    Raises:
        ManifestError: an image is listed twice, in any spelling of its path; names both lines.
    """
    names = FileNames(table.path)
    first: dict[str, Row] = {}
    paths, ids = [], []
    for row, (written, source, cell_id) in zip(
        table.rows, rows.select("path", "source", "cell_id").iter_rows(), strict=True
    ):
        name = names.find(written, row.where)
        if earlier := names.earlier(name, row.place):
            labels = {" ".join(filter(None, map(each.values.get, ("label", "code")))) for each in (first[earlier], row)}
            label = f" with another label ({' and '.join(sorted(labels))})" if len(labels) > 1 else ""
            raise ManifestError(f"{row.where}: its image is on {earlier} too{label}. Keep one of the lines.")
        first[row.place] = row
        paths.append(names.path(name))
        ids.append(cell_id or f"{source}/{unicodedata.normalize('NFC', name).lstrip('/')}")
    try:
        return rows.with_columns(path=pl.Series(paths, dtype=pl.String), cell_id=pl.Series(ids, dtype=pl.String))
    except UnicodeEncodeError as error:
        raise ManifestError(f"{table.path}: a file name is not UTF-8 ({error.object!r}). Rename the file.") from error


def _codes(table: Table, rows: pl.DataFrame, labels: str | LabelMap) -> list[str | None]:
    taxonomy = label_map("leukopy")
    usual = open_label_map(labels, taxonomy) if isinstance(labels, str) else labels
    known = taxonomy.extended("leukopy", {}, (cell for cell in outside_classes() if cell not in OUTSIDE))
    codes: list[str | None] = []
    for row, (code, label, named) in zip(
        table.rows, rows.select("code", "label", "label_map").iter_rows(), strict=True
    ):
        if code is not None:
            codes.append(known.code(code, where=row.where))
        else:
            own = label_map(named) if named else usual
            codes.append(None if label is None else own.code(label, where=row.where))
    return codes


def _refuse_repeated_ids(table: Table, ids: pl.Series) -> None:
    first: dict[str, str] = {}
    for row, cell_id in zip(table.rows, ids, strict=True):
        earlier = first.setdefault(cell_id, row.place)
        if earlier != row.place:
            raise ManifestError(f"{row.where}: has the cell_id of {earlier}. Make it unique.")


def _refuse(table: Table, wrong: pl.Series, what: str, to_do: str) -> None:
    """Refuse the table if a row is wrong, and name the first."""
    if wrong.any():
        row = table.rows[wrong.arg_max() or 0]
        raise ManifestError(f"{row.where}: {what} ({wrong.sum()} such rows). {to_do}")
