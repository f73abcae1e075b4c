"""Input of the user - a file, a folder, a list, a manifest - as whole slides to analyse."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from leukopy.core.errors import InputError, ManifestError
from leukopy.core.file_names import FileNames
from leukopy.core.leftovers import NOTHING_LEFT, Leftovers
from leukopy.core.tables import TABLE_SUFFIXES, has_column, read_table
from leukopy.core.text import WORKBOOK_SUFFIXES
from leukopy.fields.inputs import stated_scale
from leukopy.fields.scanner_slide import scanner_of
from leukopy.fields.whole_slide import SCANNER_SUFFIXES, SLIDE_SUFFIXES, is_slide_file, sample_digest
from leukopy.imaging.formats import IMAGE_SUFFIXES
from leukopy.inference.listing import LIST_SUFFIX, ListedFile, list_folder, read_list
from leukopy.inference.rows import printable

_DICOM = frozenset({".dcm", ".dicom"})
_LOOKED_AT = 24
"""TIFF files of a folder that are opened to tell slides from photographs, where a name does not."""
_COLUMNS = {name: name for name in ("path", "slide", "um_per_px")}


@dataclass(frozen=True)
class SlideFile:
    """One whole slide to analyse."""

    name: str
    path: Path
    """A file, or the folder of a DICOM series."""
    um_per_px: float | None = None
    """Micrometres per pixel from the user or a table; the file's own come before them."""

    @property
    def digest(self) -> str:
        """SHA-256 over a sample of the slide and its stated scale; a resumed run must match it.

        Raises:
            InputError: it cannot be read.
        """
        return hashlib.sha256(f"{sample_digest(self.path)} {self.um_per_px}".encode()).hexdigest()


@dataclass(frozen=True)
class SlideInputs:
    """The whole slides of a path, and all other files in it."""

    files: list[SlideFile]
    others: Leftovers = NOTHING_LEFT
    slides: bool = False
    """True for a folder, a list or a manifest of slides."""

    def by_slide(self) -> Mapping[str, SlideFile]:
        """The slides by name."""
        return {file.name: file for file in self.files}


def list_slides(path: Path, *, asked: bool, um_per_px: float | None = None) -> SlideInputs | None:
    """List the whole slides of ``path``, always in the same order; None where it holds other inputs.

    A folder of slides is searched with its sub-folders. A folder with DICOM files is one slide. A list (.txt) has one
    path per line; a manifest has the column ``path``, and may have ``slide`` and ``um_per_px``.

    Args:
        path: the user's input.
        asked: the user says that it holds slides; else a folder must show it, and lists are not taken for slides.
        um_per_px: micrometres per pixel of slides whose file states none.

    Raises:
        InputError: absent, without a slide although ``asked``, or slides beside photographs.
        ManifestError: a table that cannot be read, an absurd scale, or two slides of one name; names the line.
    """
    suffix = path.suffix.lower()
    if path.is_dir():
        return _of_folder(path, asked, um_per_px)
    if suffix in TABLE_SUFFIXES | WORKBOOK_SUFFIXES or (suffix == LIST_SUFFIX and has_column(path, "path")):
        return SlideInputs(_of_manifest(path, um_per_px), slides=True) if asked else None
    if suffix == LIST_SUFFIX:
        return SlideInputs(_named(read_list(path), um_per_px), slides=True) if asked else None
    if asked or (path.is_file() and is_slide_file(path)):
        return SlideInputs([SlideFile(printable(path.name), path, um_per_px)])
    return None


def slides_digest(files: Iterable[SlideFile]) -> str:
    """SHA-256 over the names, paths and scales of slides; their content is compared slide by slide."""
    return hashlib.sha256(repr(list(files)).encode("utf-8", "surrogateescape")).hexdigest()


def _of_folder(path: Path, asked: bool, um_per_px: float | None) -> SlideInputs | None:
    try:
        listed, others = list_folder(path, SLIDE_SUFFIXES | _DICOM)
        pictures, _ = list_folder(path, IMAGE_SUFFIXES - SLIDE_SUFFIXES - _DICOM)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}). Check the path and its permissions.") from error
    series = sorted({Path(file.path).parent for file in listed if Path(file.path).suffix.lower() in _DICOM})
    if not asked:
        series = [folder for folder in series if _is_series(folder)]
    slides, photographs = _told_apart([file for file in listed if Path(file.path).suffix.lower() not in _DICOM], asked)
    companions = {file.name for file in pictures if Path(file.path).suffix.lower() in (".jpg", ".jpeg")}
    if any(Path(file.path).suffix.lower() in (".vms", ".vmu") for file in slides):
        pictures = [file for file in pictures if file.name not in companions]
    beside = sorted([*photographs, *pictures])
    if series == [path] and not slides:
        return SlideInputs([SlideFile(printable(path.name), path, um_per_px)], others)
    if not slides and not series:
        if asked:
            raise InputError(f"{path}: holds no whole slide ({', '.join(sorted(SLIDE_SUFFIXES))}). Give their folder.")
        return None
    if beside and not asked:
        first = slides[0].name if slides else printable(str(series[0].relative_to(path)))
        raise InputError(
            f"{path}: holds whole slides and photographs. The first slide is {first}, the first photograph "
            f"{beside[0].name}. Put them into two folders, or take the slides alone with --as slide."
        )
    folders = [ListedFile(printable(str(folder.relative_to(path))), str(folder)) for folder in series]
    unread = {**others.not_read}
    for file in photographs:  # the others are among the files that are not read
        suffix = Path(file.path).suffix.lower()
        unread[suffix] = unread.get(suffix, 0) + 1
    files = _named(sorted([*slides, *folders]), um_per_px)
    return SlideInputs(files, Leftovers(others.service_files, unread), slides=True)


def _is_series(folder: Path) -> bool:
    """True for a folder whose first DICOM file is of a whole slide."""
    files = sorted(file for file in folder.iterdir() if file.suffix.lower() in _DICOM)
    return bool(files) and scanner_of(files[0]) is not None


def _told_apart(listed: Sequence[ListedFile], asked: bool) -> tuple[list[ListedFile], list[ListedFile]]:
    """Slides and photographs. A TIFF is opened where its name does not tell."""
    sure = [file for file in listed if Path(file.path).suffix.lower() in SCANNER_SUFFIXES]
    tiffs = [file for file in listed if Path(file.path).suffix.lower() not in SCANNER_SUFFIXES]
    step = max(1, len(tiffs) // _LOOKED_AT)
    if not (asked or sure or any(is_slide_file(Path(file.path)) for file in tiffs[::step])):
        return [], tiffs
    large = [file for file in tiffs if is_slide_file(Path(file.path))]
    return sorted([*sure, *large]), [file for file in tiffs if file not in large]


def _named(files: Sequence[ListedFile], um_per_px: float | None) -> list[SlideFile]:
    return [SlideFile(file.name, Path(file.path), um_per_px) for file in files]


def _of_manifest(path: Path, um_per_px: float | None) -> list[SlideFile]:
    names, places, files = FileNames(path), dict[str, str](), []
    for row in read_table(path, _COLUMNS, ("path",)).rows:
        if not row.values["path"]:
            raise ManifestError(f"{row.where}: has no path. Fill it in.")
        file = names.find(row.values["path"], row.where)
        name = row.values.get("slide") or printable(file)
        if earlier := names.earlier(file, row.place) or places.get(name):
            raise ManifestError(f"{row.where}: its slide is on {earlier} too. Keep one of the lines.")
        places[name] = row.place
        files.append(SlideFile(name, Path(names.path(file)), stated_scale(row) or um_per_px))
    if not files:
        raise ManifestError(f"{path}: names no slide.")
    return files
