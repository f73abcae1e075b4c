"""Input of the user - a folder of photographs, a list, a manifest, one photograph - as fields to read."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from leukopy.core.errors import ImageError, InputError, ManifestError
from leukopy.core.file_names import FileNames
from leukopy.core.leftovers import NOTHING_LEFT, Leftovers
from leukopy.core.tables import TABLE_SUFFIXES, Row, has_column, read_table
from leukopy.core.text import WORKBOOK_SUFFIXES
from leukopy.fields.field import FieldInput
from leukopy.imaging.decode import FIELD, focus_stacks
from leukopy.imaging.focus import Focus
from leukopy.imaging.formats import IMAGE_SUFFIXES, PAGED_SUFFIXES
from leukopy.imaging.scale import LARGEST, SMALLEST
from leukopy.inference.listing import (
    LIST_SUFFIX,
    ListedFile,
    empty_slides,
    list_folder,
    read_list,
    refuse_beside_slides,
    slide_of,
)
from leukopy.inference.rows import printable

Pages = Literal["fields", "planes"]
"""Meaning of the pages of a file: fields of their own, or focus planes of one field."""

_COLUMNS = {name: name for name in ("path", "slide", "um_per_px")}


@dataclass(frozen=True)
class FieldInputs:
    """The fields of a path, and all other files in it."""

    fields: list[FieldInput]
    """Fields in a fixed order."""
    others: Leftovers = NOTHING_LEFT
    """Files of the path that are not read."""
    slides: bool = False
    """True where the fields are of several slides (`FieldInput.slide`)."""
    empty_slides: Sequence[str] = ()
    """Slides without a photograph."""

    def by_slide(self) -> dict[str, list[FieldInput]]:
        """The fields of each slide, in the order in which the slides first appear."""
        found: dict[str, list[FieldInput]] = {}
        for field in self.fields:
            found.setdefault(field.slide, []).append(field)
        return found | {name: [] for name in self.empty_slides}


def list_fields(path: Path, *, slides: bool = False, pages: Pages = "fields", focus: Focus = "sharpest") -> FieldInputs:
    """List the fields of ``path``, always in the same order.

    Folders, lists and manifests are read as by `inference.inputs.list_inputs`. A manifest has the column ``path``, and
    may have ``slide`` and ``um_per_px``, micrometres per pixel. Each page of a file with several pages is a field,
    unless ``pages`` or the file's OME header calls them focus planes. Pixels are not decoded: an unreadable file is
    listed, and fails in `fields.read.read_field`.

    Args:
        path: the user's input.
        slides: each sub-folder of the folder ``path`` is a slide.
        pages: meaning of the pages of a file.
        focus: how focus planes become one picture.

    Raises:
        InputError: absent, not permitted, of no known kind, without a photograph, or a list that names one twice.
        ManifestError: a table that cannot be read, an absurd scale, or a file on two lines; names the line.
    """
    suffix = path.suffix.lower()
    try:
        if path.is_dir():
            files, others = list_folder(path)
            return _of_folder(path, list(_expand(files, pages, focus)), others, slides=slides)
        if not path.exists():
            raise InputError(f"{path}: there is no such folder or file. Correct the path.")
        if suffix in TABLE_SUFFIXES | WORKBOOK_SUFFIXES or (suffix == LIST_SUFFIX and has_column(path, "path")):
            return _of_manifest(path, pages, focus)
        if slides:
            raise InputError(f"{path}: --slides takes a folder of folders, one for each slide, or a manifest.")
        if suffix == LIST_SUFFIX:
            return _some(path, [field for field, _ in _expand(read_list(path), pages, focus)])
        if suffix in IMAGE_SUFFIXES:
            file = ListedFile(printable(path.name), str(path))
            return FieldInputs([field for field, _ in _expand([file], pages, focus)])
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}). Check the path and its permissions.") from error
    raise InputError(
        f"{path}: neither a folder, a photograph, a list (.txt) nor a manifest (.csv, .parquet). Give one of these."
    )


def fields_of(paths: Iterable[Path | str]) -> list[FieldInput]:
    """The fields of photographs; each page of a file with several pages is one.

    Args:
        paths: files. ``field_id`` is the path as given.
    """
    return fields_of_files([ListedFile(printable(str(path)), str(path)) for path in paths])


def fields_of_files(
    files: Sequence[ListedFile], pages: Pages = "fields", focus: Focus = "sharpest", slide: str = ""
) -> list[FieldInput]:
    """The fields of listed photographs of one slide."""
    return [_with(field, slide) for field, _ in _expand(files, pages, focus)]


def fields_digest(fields: Sequence[FieldInput]) -> str:
    """SHA-256 over the fields in their order; a resumed run must match it."""
    digest = hashlib.sha256()
    for field in fields:
        digest.update(repr(field).encode("utf-8", "surrogateescape") + b"\0")
    return digest.hexdigest()


def _expand(files: Sequence[ListedFile], pages: Pages, focus: Focus) -> Iterator[tuple[FieldInput, ListedFile]]:
    """The fields of each file: one, or those of its pages."""
    for file in files:
        stacks = _stacks(file)
        if pages == "planes":
            stacks = [tuple(page for stack in stacks for page in stack)]
        for stack in stacks:
            name = file.name if len(stacks) == 1 else f"{file.name}#page={stack[0]}"
            if len(stack) > 1:
                yield FieldInput(name, file.path, planes=stack, focus=focus), file
            else:
                yield FieldInput(name, file.path, page=stack[0] if len(stacks) > 1 else None), file


def _stacks(file: ListedFile) -> list[tuple[int, ...]]:
    """The pages of each field of a file; one page where it cannot be read, so that reading it states the reason."""
    if os.path.splitext(file.path)[1].lower() not in PAGED_SUFFIXES:  # noqa: PTH122
        return [(1,)]
    try:
        return focus_stacks(Path(file.path), FIELD)
    except ImageError:
        return [(1,)]


def _some(path: Path, fields: list[FieldInput], others: Leftovers = NOTHING_LEFT) -> FieldInputs:
    """The inputs; an error where there are none."""
    if not fields:
        note = f" ({others.note})" if others.note else ""
        raise InputError(
            f"{path}: holds no photograph (.jpg, .png, .bmp, .tif, .webp){note}. Give the folder of the fields."
        )
    return FieldInputs(fields, others)


def _of_folder(
    path: Path, found: Sequence[tuple[FieldInput, ListedFile]], others: Leftovers, *, slides: bool
) -> FieldInputs:
    """The fields below a folder; with ``slides``, its sub-folders name the slides."""
    inputs = _some(path, [field for field, _ in found], others)
    if not slides:
        return inputs
    refuse_beside_slides(path, [file for _, file in found])
    fields = [_with(field, slide_of(file)) for field, file in found]
    return FieldInputs(fields, others, True, empty_slides(path, {field.slide for field in fields}))


def _of_manifest(path: Path, pages: Pages, focus: Focus) -> FieldInputs:
    """The fields of a manifest, of several slides where its column ``slide`` names them."""
    rows = read_table(path, _COLUMNS, ("path",)).rows
    named = [bool(row.values.get("slide")) for row in rows]
    if any(named) and not all(named):
        row = rows[named.index(False)]
        raise ManifestError(f"{row.where}: names no slide. Fill in the column 'slide', or leave it out.")
    names = FileNames(path)
    fields = []
    for row in rows:
        if not row.values["path"]:
            raise ManifestError(f"{row.where}: has no path. Fill it in.")
        name = names.find(row.values["path"], row.where)
        if earlier := names.earlier(name, row.place):
            raise ManifestError(f"{row.where}: its photograph is on {earlier} too. Keep one of the lines.")
        file = ListedFile(printable(name), names.path(name))
        scale = stated_scale(row)
        fields += [_with(field, row.values.get("slide", ""), scale) for field, _ in _expand([file], pages, focus)]
    return FieldInputs(fields, slides=any(named))


def _with(field: FieldInput, slide: str, um_per_px: float | None = None) -> FieldInput:
    return replace(field, slide=slide, um_per_px=um_per_px)


def stated_scale(row: Row) -> float | None:
    """Micrometres per pixel of a row; None where it is empty.

    Raises:
        ManifestError: not a number of a microscope.
    """
    text = row.values.get("um_per_px", "")
    if not text:
        return None
    try:
        scale = float(text.replace(",", "."))
    except ValueError:
        scale = float("nan")
    if not SMALLEST <= scale <= LARGEST:
        raise ManifestError(
            f"{row.where}: um_per_px is not a scale of a microscope ({SMALLEST} to {LARGEST} µm per pixel). Correct it "
            "or leave it empty."
        )
    return scale
