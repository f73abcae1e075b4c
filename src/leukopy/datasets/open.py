"""Manifest of a data set from its name and its folder, without opening an image."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from leukopy.core.errors import InputError, ManifestError
from leukopy.datasets.cards import DATASETS
from leukopy.datasets.manifest import MANIFEST_SCHEMA, read_manifest
from leukopy.datasets.readers import Record, leftovers
from leukopy.taxonomy import LabelMap, label_map, open_label_map


def open_dataset(
    name: str, root: Path, *, source: str | None = None, labels: str | LabelMap | None = None
) -> pl.DataFrame:
    """List the images of a data set. Sizes and digests are null: no image is opened.

    Args:
        name: an entry of ``DATASETS``.
        root: the folder that holds its layout, or a manifest (CSV or Parquet) of it.
        source: prefix of ``cell_id`` and value of ``source``; ``name`` if not given.
        labels: a label map, its name, or the path of a table of labels; the data set's own if not given.

    Returns:
        A table of ``MANIFEST_SCHEMA``, sorted as the layout lists it; ``cell_id`` is unique.

    Raises:
        InputError: no such folder, no permission, or no image in it.
        ManifestError: the list of the images is not a table or lists an image twice.
        UnknownLabelError: names the file whose label (or folder) the label map does not hold.
        SettingsError: no data set or no label map has the name.
    """
    dataset = DATASETS[name]
    source, base = source or name, label_map(dataset.labels)
    known = open_label_map(labels, base) if isinstance(labels, str) else labels or base
    if not root.exists():
        raise InputError(f"{root}: there is no such folder or manifest. Correct the path.")
    root = root.resolve()
    if root.is_file():
        return read_manifest(root, source=source, labels=known)
    try:
        records = list(dataset.read(root))
    except OSError as error:
        expected = f"Expected for {name!r}: {dataset.card.layout}."
        raise InputError(f"{error.filename or root}: cannot be read ({error.strerror}). {expected}") from error
    if not records:
        others = leftovers(root).note
        raise InputError(
            f"{root}: no image found{f' ({others})' if others else ''}. Expected for {name!r}: {dataset.card.layout}."
        )
    codes = [record.label and known.code(record.label, where=str(root / record.file)) for record in records]
    try:
        manifest = _manifest(records, root, source, codes)
    except UnicodeEncodeError as error:
        raise InputError(f"{root}: a file name is not UTF-8 ({error.object!r}). Rename the file.") from error
    if manifest["cell_id"].is_duplicated().any():
        twice = manifest.filter(pl.col("cell_id").is_duplicated())["path"][0]
        raise ManifestError(f"{twice}: is listed twice. Keep one of its rows.")
    return manifest


def _manifest(records: list[Record], root: Path, source: str, codes: list[str | None]) -> pl.DataFrame:
    columns = {
        "cell_id": [f"{source}/{record.file}" for record in records],
        "path": [str(root / record.file) for record in records],
        "source": [source] * len(records),
        "label": [record.label for record in records],
        "code": codes,
        "group": [record.group for record in records],
        "split": [record.split for record in records],
    }
    unknown = [None] * len(records)
    return pl.DataFrame({name: columns.get(name, unknown) for name in MANIFEST_SCHEMA}, schema=MANIFEST_SCHEMA)
