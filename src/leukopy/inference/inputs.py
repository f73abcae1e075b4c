"""What the user points at - a folder, a list, a manifest, one image - as cells to classify."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from leukopy.core.errors import InputError
from leukopy.datasets.manifest import read_manifest
from leukopy.imaging.formats import IMAGE_SUFFIXES
from leukopy.inference.rows import CellInput, printable

MANIFEST_SUFFIXES = frozenset({".csv", ".tsv", ".parquet"})
LIST_SUFFIX = ".txt"


def list_inputs(path: Path) -> list[CellInput]:
    """The cells that ``path`` stands for, always in the same order.

    A folder is searched with its sub-folders, in the order of their ids, without hidden files; links to folders are
    followed, each folder once. A ``.txt`` file lists one path per line, relative to the list's folder. A ``.csv``,
    ``.tsv`` or ``.parquet`` file is a manifest. Anything else with a picture's suffix is one cell.

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
        elif suffix in MANIFEST_SUFFIXES:
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
    lines = path.read_text(encoding="utf-8-sig", errors="surrogateescape").split("\n")
    first_line: dict[str, int] = {}
    cells = []
    for number, line in enumerate((line.rstrip("\r") for line in lines), start=1):
        if not line.strip():
            continue
        found = os.path.normpath(path.parent / line)
        if found in first_line:
            raise InputError(
                f"{path}, line {number}: {line!r} is already on line {first_line[found]}. "
                "A cell is counted once: remove one of the lines."
            )
        first_line[found] = number
        cells.append(CellInput(printable(line), found))
    return cells
