"""Input of the user - a folder, a list, a manifest, one image - as cells to classify."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from leukopy.core.errors import InputError, ManifestError
from leukopy.core.leftovers import NOTHING_LEFT, Leftovers
from leukopy.core.tables import TABLE_SUFFIXES, has_column
from leukopy.core.text import WORKBOOK_SUFFIXES
from leukopy.datasets.manifest import read_manifest
from leukopy.imaging.formats import IMAGE_SUFFIXES
from leukopy.inference.listing import (
    LIST_SUFFIX,
    ListedFile,
    empty_slides,
    list_folder,
    read_list,
    refuse_beside_slides,
    slide_of,
)
from leukopy.inference.rows import CellInput, printable


@dataclass(frozen=True)
class Inputs:
    """The cells of a path, and all other files in it."""

    cells: list[CellInput]
    """Cells in a fixed order."""
    others: Leftovers = NOTHING_LEFT
    """Files of the path that are not read."""
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
            files, others = list_folder(path)
            return _by_sub_folder(files, others, path) if slides else _some(Inputs(_cells(files), others), path)
        if not path.exists():
            raise InputError(f"{path}: there is no such folder or file. Correct the path.")
        if suffix in TABLE_SUFFIXES | WORKBOOK_SUFFIXES or (suffix == LIST_SUFFIX and has_column(path, "path")):
            return _manifest(path)
        if slides:
            raise InputError(f"{path}: --slides takes a folder of folders, one for each slide, or a manifest.")
        if suffix == LIST_SUFFIX:
            return _some(Inputs(_cells(read_list(path))), path)
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
        others = f" ({found.others.note})" if found.others.note else ""
        raise InputError(
            f"{path}: holds no image (.jpg, .png, .bmp, .tif, .webp){others}. Give the folder of the cells."
        )
    return found


def _cells(files: Sequence[ListedFile]) -> list[CellInput]:
    return [CellInput(file.name, file.path) for file in files]


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


def _by_sub_folder(files: Sequence[ListedFile], others: Leftovers, path: Path) -> Inputs:
    """The cells below a folder; the first sub-folder names the slide of each. A folder without cells is an empty
    slide."""
    found = _some(Inputs(_cells(files), others), path)
    refuse_beside_slides(path, files)
    cells = [cell._replace(slide=slide_of(file)) for cell, file in zip(found.cells, files, strict=True)]
    return replace(found, cells=cells, slides=True, empty_slides=empty_slides(path, {cell.slide for cell in cells}))


def inputs_digest(cells: Sequence[CellInput]) -> str:
    """SHA-256 over ids and paths in their order; a resumed run must match it."""
    digest = hashlib.sha256()
    for cell in cells:
        parts = (cell.cell_id, cell.path, cell.slide, cell.field, "" if cell.box is None else repr(cell.box))
        digest.update("\0".join(parts).encode("utf-8", "surrogateescape") + b"\0")
    return digest.hexdigest()
