"""Input of the user - a folder, a list, a manifest, one image - as cells to classify."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import polars as pl

from leukopy.core.errors import InputError, ManifestError
from leukopy.core.file_names import FileNames
from leukopy.core.service_files import service_kind
from leukopy.core.tables import TABLE_SUFFIXES, has_column
from leukopy.core.text import WORKBOOK_SUFFIXES, read_text, split_lines
from leukopy.datasets.manifest import read_manifest
from leukopy.imaging.formats import IMAGE_SUFFIXES
from leukopy.inference.rows import CellInput, printable

LIST_SUFFIX = ".txt"

DOCUMENT_SUFFIXES = frozenset({
    ".csv", ".tsv", ".parquet", ".xls", ".xlsx", ".ods", ".txt", ".md", ".rtf", ".doc", ".docx", ".odt", ".pdf", ".ppt",
    ".pptx", ".htm", ".html", ".json", ".xml", ".yaml", ".yml", ".toml", ".ini", ".log", ".py", ".r", ".ipynb", ".sh",
})  # fmt: skip
"""Suffixes of tables and notes, which are not pictures."""


@dataclass(frozen=True)
class Inputs:
    """The cells of a path, and all other files in it."""

    cells: list[CellInput]
    """Cells in a fixed order."""
    service_files: Mapping[str, int] = field(default_factory=dict)
    """Skipped files of operating systems and storage boxes, by kind (`core.service_files`)."""
    not_read: Mapping[str, int] = field(default_factory=dict)
    """Other files, not images, by suffix in lower case; "" without one."""
    slides: bool = False
    """True where the cells are of several slides (`CellInput.slide`)."""
    empty_slides: Sequence[str] = ()
    """Slides without a readable image."""

    def by_slide(self) -> dict[str, list[CellInput]]:
        """The cells of each slide, in the order in which the slides first appear."""
        found: dict[str, list[CellInput]] = {}
        for cell in self.cells:
            found.setdefault(cell.slide, []).append(cell)
        return found | {name: [] for name in self.empty_slides}

    @property
    def note(self) -> str:
        """One line that names every file that is not a cell; empty where every file is one."""
        pictures = {suffix: count for suffix, count in self.not_read.items() if suffix not in DOCUMENT_SUFFIXES}
        documents = {suffix: count for suffix, count in self.not_read.items() if suffix in DOCUMENT_SUFFIXES}
        return "; ".join(
            f"{title}: {_files(found)}"
            for title, found in (
                ("not read", pictures),
                ("tables and notes", documents),
                ("passed over, made by operating systems and storage boxes", self.service_files),
            )
            if found
        )


def _files(found: Mapping[str, int]) -> str:
    """``5 files (.czi, .nd2)``, the most frequent first."""
    count = sum(found.values())
    names = ", ".join(
        name or "without suffix" for name in sorted(found, key=lambda name: (-found[name], not name, name))
    )
    return f"{count} file{'s' if count > 1 else ''} ({names})"


def list_inputs(path: Path, *, slides: bool = False) -> Inputs:
    """List the cells of ``path``, always in the same order.

    A folder is searched with its sub-folders, in the order of their ids, without hidden and service files. Links to
    folders are followed, each folder once. A ``.csv``, ``.tsv`` or ``.parquet`` file is a manifest; its column
    ``slide`` may name several slides. A ``.txt`` file with ``path`` in its header is a manifest too. Any other ``.txt``
    file lists one path per line, relative to its folder. Any other file with a picture's suffix is one cell.

    Args:
        path: the user's input.
        slides: each sub-folder of the folder ``path`` is a slide.

    Raises:
        InputError: absent, not permitted, of no known kind, without an image, or a list that names one twice.
        ManifestError: as `read_manifest`.
        UnknownLabelError: as `read_manifest`.
    """
    suffix = path.suffix.lower()
    try:
        if path.is_dir():
            found = _folder(path)
            return _by_sub_folder(found, path) if slides else _some(found, path)
        if not path.exists():
            raise InputError(f"{path}: there is no such folder or file. Correct the path.")
        if suffix in TABLE_SUFFIXES | WORKBOOK_SUFFIXES or (suffix == LIST_SUFFIX and has_column(path, "path")):
            return _manifest(path)
        if slides:
            raise InputError(f"{path}: --slides takes a folder of folders, one for each slide, or a manifest.")
        if suffix == LIST_SUFFIX:
            return _some(Inputs(_list(path)), path)
        if suffix in IMAGE_SUFFIXES:
            return Inputs([CellInput(printable(path.name), str(path))])
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}). Check the path and its permissions.") from error
    raise InputError(
        f"{path}: neither a folder, an image, a list (.txt) nor a manifest (.csv, .parquet). Give one of these."
    )


def _some(found: Inputs, path: Path) -> Inputs:
    """The inputs; an error where there are none."""
    if not found.cells:
        others = f" ({found.note})" if found.note else ""
        raise InputError(
            f"{path}: holds no image (.jpg, .png, .bmp, .tif, .webp){others}. Give the folder of the cells."
        )
    return found


def _manifest(path: Path) -> Inputs:
    """The cells of a manifest, of several slides where its column ``slide`` names them."""
    table = read_manifest(path)
    if table["slide"].null_count() == len(table):
        return Inputs([CellInput(*row) for row in table.select("cell_id", "path").iter_rows()])
    nameless = table.filter(pl.col("slide").is_null())
    if len(nameless):
        raise ManifestError(
            f"{path}: {len(nameless)} of {len(table)} rows name no slide, the first is {nameless['path'][0]}. Fill in "
            "the column 'slide', or leave it out."
        )
    return Inputs([CellInput(*row) for row in table.select("cell_id", "path", "slide").iter_rows()], slides=True)


def _by_sub_folder(found: Inputs, path: Path) -> Inputs:
    """The cells below a folder; the first sub-folder names the slide of each. A folder without cells is an empty
    slide."""
    loose = [cell for cell in _some(found, path).cells if os.sep not in cell.cell_id]
    if loose:
        raise InputError(
            f"{path}: {len(loose)} images lie beside the folders of the slides, the first is {loose[0].cell_id}. Move "
            "them into the folder of their slide, or leave out --slides."
        )
    cells = [cell._replace(slide=cell.cell_id.split(os.sep, 1)[0]) for cell in found.cells]
    named = {cell.slide for cell in cells}
    folders = sorted(printable(entry.name) for entry in os.scandir(path) if entry.is_dir())
    empty = [name for name in folders if name not in named and service_kind([name]) is None]
    return replace(found, cells=cells, slides=True, empty_slides=empty)


def inputs_digest(cells: Sequence[CellInput]) -> str:
    """SHA-256 over ids and paths in their order; a resumed run must match it."""
    digest = hashlib.sha256()
    for cell in cells:
        parts = (cell.cell_id, cell.path, cell.slide, cell.field, "" if cell.box is None else repr(cell.box))
        digest.update("\0".join(parts).encode("utf-8", "surrogateescape") + b"\0")
    return digest.hexdigest()


def _folder(top: Path) -> Inputs:
    os.scandir(top).close()  # the folder itself must be readable; below it, a failure is a row of its own
    cells: list[CellInput] = []
    service: Counter[str] = Counter()
    not_read: Counter[str] = Counter()
    for path in _files_below(str(top), cells):
        kind = service_kind(Path(path).relative_to(top).parts)
        suffix = os.path.splitext(path)[1].lower()  # noqa: PTH122
        if kind is not None:
            service[kind] += 1
        elif suffix in IMAGE_SUFFIXES:
            cells.append(_below(top, path))
        else:
            not_read[printable(suffix)] += 1
    return Inputs(sorted(cells), service, not_read)


def _files_below(top: str, unreadable: list[CellInput]) -> Iterator[str]:
    """The files of a folder and its sub-folders. Links to folders are followed, each folder once.

    Args:
        top: the folder.
        unreadable: receives each sub-folder that cannot be read. Reading it as a cell fails with its reason, so its
            loss is reported.
    """
    seen: set[tuple[int, int]] = set()
    errors: list[OSError] = []
    for folder, below, names in os.walk(top, followlinks=True, onerror=errors.append):
        status = os.stat(folder)  # noqa: PTH116
        if (status.st_dev, status.st_ino) in seen:  # visited before, through a link
            below.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        below.sort()  # so that of two links one is first
        yield from (os.path.join(folder, name) for name in names)  # noqa: PTH118
    for error in errors:
        folder = str(error.filename)
        if service_kind(Path(folder).relative_to(top).parts) is None:
            unreadable.append(_below(Path(top), folder))


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
