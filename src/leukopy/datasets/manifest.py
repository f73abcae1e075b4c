"""The manifest: one row per cell image, whatever the source."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from leukopy.core.errors import ManifestError, SettingsError
from leukopy.core.files import atomic_path
from leukopy.taxonomy import LabelMap, label_map

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


def read_manifest(path: Path, *, source: str = "manifest", labels: str = "leukopy") -> pl.DataFrame:
    """Read a manifest that leukopy or anybody else wrote, and fill in what it leaves out.

    Only ``path`` is required, relative to the manifest's folder or absolute. ``code`` goes before ``label``, which is
    looked up in the label map named by the row's ``label_map``, else by ``labels``. Other columns are ignored.

    Args:
        path: a Parquet file, or a UTF-8 text file with a header and columns parted by commas, semicolons or tabs.
        source: what rows without a ``source`` are from.
        labels: name of the label map for rows that name none.

    Returns:
        A table of ``MANIFEST_SCHEMA``, in the order of the file.

    Raises:
        ManifestError: absent, no table, empty, without ``path``, or with a wrong value; names the row.
        UnknownLabelError: a label or code that the label map does not hold; names the row.
        SettingsError: no label map has the name.
    """
    table = _read_table(path)
    if "path" not in table.columns:
        found = ", ".join(table.columns)
        raise ManifestError(f"{path}: column 'path' is missing (columns found: {found}). Add it: one image per row.")
    if table.is_empty():
        raise ManifestError(f"{path}: holds no rows. Add one row per image.")
    table = _typed(path, table)
    _refuse_rows(path, table, pl.col("path").is_null(), "has no path", "Fill it in.")
    table = _complete(table, path.resolve().parent, source)
    table = table.with_columns(code=pl.Series(_codes(table, path, labels), dtype=pl.String))
    _refuse_rows(
        path, table, pl.col("cell_id").is_duplicated(), "has a cell_id that another row has", "Make it unique."
    )
    wrong_split = ~pl.col("split").is_in(SPLITS)
    _refuse_rows(
        path, table, wrong_split, "has a split that is not train, val or test", "Correct it or leave it empty."
    )
    return table.select(*MANIFEST_SCHEMA)


def read_second_labels(path: Path, *, labels: str = "leukopy") -> pl.Series | None:
    """What a second annotator calls the images of a manifest: its columns ``label2`` and ``code2``.

    They are read as ``label`` and ``code`` are: ``code2`` goes first, and ``label2`` is looked up in the same map.

    Args:
        path: as for `read_manifest`.
        labels: likewise.

    Returns:
        Class codes named ``code2``, in the order of the file, null where there is none; None without these columns.

    Raises:
        ManifestError: absent or no table.
        UnknownLabelError: a label or code that the label map does not hold; names the row.
    """
    table = _read_table(path)
    if not {"label2", "code2"} & set(table.columns):
        return None
    first = table.drop("label", "code", strict=False)
    table = _typed(path, first.rename({"label2": "label", "code2": "code"}, strict=False))
    return pl.Series("code2", _codes(table, path, labels), dtype=pl.String)


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


def find_code(labels: LabelMap, label: str, where: str) -> str:
    """The class code of a label; ``segmented_neutrophil`` is read as ``segmented neutrophil``.

    Raises:
        UnknownLabelError: names ``where`` and the labels that are known.
    """
    spaced = label.replace("_", " ")
    return labels.code(spaced if spaced.strip().lower() in labels.codes else label, where=where)


def _read_table(path: Path) -> pl.DataFrame:
    try:
        if path.suffix == ".parquet":
            return pl.read_parquet(path)
        with path.open(encoding="utf-8-sig") as stream:
            header = stream.readline()
        separator = max(",;\t", key=header.count)
        return pl.read_csv(path, separator=separator, infer_schema=False)
    except OSError as error:
        raise ManifestError(f"{path}: cannot be read ({error.strerror or error}). Check the path.") from error
    except (pl.exceptions.PolarsError, UnicodeDecodeError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ManifestError(f"{path}: not a table ({reason}). Give a Parquet file or a CSV in UTF-8.") from error


def _typed(path: Path, table: pl.DataFrame) -> pl.DataFrame:
    """Every column of the schema and ``label_map``, with its type; empty text becomes null."""
    columns = {**MANIFEST_SCHEMA, "label_map": pl.String()}
    missing = [pl.lit(None).alias(name) for name in columns if name not in table.columns]
    try:
        table = table.with_columns(missing).select(pl.col(name).cast(dtype) for name, dtype in columns.items())
    except pl.exceptions.PolarsError as error:
        reason = str(error).splitlines()[0]
        raise ManifestError(f"{path}: a column does not hold what its name says ({reason}). Correct it.") from error
    return table.with_columns(pl.col(pl.String).str.strip_chars().replace("", None))


def _complete(table: pl.DataFrame, folder: Path, source: str) -> pl.DataFrame:
    """Sources and cell ids filled in, paths absolute."""
    source_of = pl.col("source").fill_null(source)
    return table.with_columns(
        source=source_of,
        cell_id=pl.col("cell_id").fill_null(source_of + "/" + pl.col("path").str.strip_chars_start("/")),
        path=pl.Series([str(folder / name) for name in table["path"]], dtype=pl.String),
    )


def _codes(table: pl.DataFrame, path: Path, labels: str) -> list[str | None]:
    known = label_map("leukopy")
    codes: list[str | None] = []
    for row, (code, label, named) in enumerate(table.select("code", "label", "label_map").iter_rows()):
        where = f"{path}, row {row + 2}"  # as a spreadsheet counts, header included
        if code is not None:
            codes.append(known.code(code, where=where))
        else:
            codes.append(None if label is None else find_code(label_map(named or labels), label, where))
    return codes


def _refuse_rows(path: Path, table: pl.DataFrame, wrong: pl.Expr, what: str, to_do: str) -> None:
    rows = table.select(pl.arg_where(wrong)).to_series()
    if len(rows):
        raise ManifestError(f"{path}, row {rows[0] + 2}: {what} ({len(rows)} such rows). {to_do}")
