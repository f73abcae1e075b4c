"""What the user points at - a folder, a list, a manifest, one image - as cells to classify."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from leukopy.core.errors import InputError
from leukopy.core.file_names import FileNames
from leukopy.core.tables import TABLE_SUFFIXES, has_column
from leukopy.core.text import WORKBOOK_SUFFIXES, read_text, split_lines
from leukopy.datasets.manifest import read_manifest
from leukopy.inference.rows import CellInput, printable

IMAGE_SUFFIXES = frozenset({
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".dib", ".tif", ".tiff", ".webp",
    # Kinds that are not read: named here, so that each becomes a failure with its reason and none is passed over.
    ".gif", ".heic", ".heif", ".avif", ".jp2", ".j2k", ".jxl", ".dcm", ".psd", ".svs",
})  # fmt: skip
"""What a picture in a folder is known by; other files there (tables, notes) are no cells."""

LIST_SUFFIX = ".txt"


def list_inputs(path: Path) -> list[CellInput]:
    """The cells that ``path`` stands for, always in the same order.

    A folder is searched with its sub-folders, in the order of their ids, without hidden files; links to folders are
    followed, each folder once. A ``.csv``, ``.tsv`` or ``.parquet`` file is a manifest, and so is a ``.txt`` file whose
    header names ``path`` among its columns; another ``.txt`` file lists one path per line, relative to its folder.
    Anything else with a picture's suffix is one cell.

    Raises:
        InputError: absent, not permitted, of no known kind, without a single image, or a list that names one twice.
        ManifestError: as `read_manifest`.
        UnknownLabelError: as `read_manifest`.
    """
    suffix = path.suffix.lower()
    try:
        if path.is_dir():
            cells = sorted(_folder(path))
        elif not path.exists():
            raise InputError(f"{path}: there is no such folder or file. Correct the path.")
        elif suffix in TABLE_SUFFIXES | WORKBOOK_SUFFIXES or (suffix == LIST_SUFFIX and has_column(path, "path")):
            return [CellInput(*row) for row in read_manifest(path).select("cell_id", "path").iter_rows()]
        elif suffix == LIST_SUFFIX:
            cells = _list(path)
        elif suffix in IMAGE_SUFFIXES:
            return [CellInput(printable(path.name), str(path))]
        else:
            raise InputError(
                f"{path}: neither a folder, an image, a list (.txt) nor a manifest (.csv, .parquet). Give one of these."
            )
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}). Check the path and its permissions.") from error
    if not cells:
        raise InputError(f"{path}: holds no image (.jpg, .png, .bmp, .tif, .webp). Give the folder of the cells.")
    return cells


def inputs_digest(cells: Sequence[CellInput]) -> str:
    """SHA-256 over ids and paths in their order: what a run must find again to be resumed."""
    digest = hashlib.sha256()
    for cell in cells:
        digest.update("\0".join(cell).encode("utf-8", "surrogateescape") + b"\0")
    return digest.hexdigest()


def _folder(top: Path) -> Iterator[CellInput]:
    unreadable: list[str] = []
    os.scandir(top).close()  # the folder itself must be readable; below it, a failure is a row of its own

    def note(error: OSError) -> None:
        unreadable.append(str(error.filename))

    seen: set[tuple[int, int]] = set()
    for folder, below, names in os.walk(top, followlinks=True, onerror=note):
        status = os.stat(folder)  # noqa: PTH116
        if (status.st_dev, status.st_ino) in seen:  # reached before, by a link
            below.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        below[:] = sorted(name for name in below if not name.startswith("."))  # so that of two links one is first
        for name in names:
            if not name.startswith(".") and os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES:  # noqa: PTH122
                yield _below(top, os.path.join(folder, name))  # noqa: PTH118
    # Reading a folder as a cell fails with its reason, so that what lies in it is not passed over.
    for folder in unreadable:
        yield _below(top, folder)


def _below(top: Path, path: str) -> CellInput:
    return CellInput(printable(os.path.relpath(path, top)), path)


def _list(path: Path) -> list[CellInput]:
    names = FileNames(path)
    cells = []
    for number, written in enumerate(split_lines(read_text(path)), start=1):
        if not written.strip():
            continue
        line = written if names.exists(written) else written.strip().strip('"')  # as Windows copies a path
        name = names.find(line, f"{path}, line {number}")
        if earlier := names.earlier(name, f"line {number}"):
            raise InputError(
                f"{path}, line {number}: {line!r} is already on {earlier}. "
                "A cell is counted once: remove one of the lines."
            )
        cells.append(CellInput(printable(line), names.path(name)))
    return cells
