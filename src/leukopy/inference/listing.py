"""Files that a user points at: a folder, or a list of paths."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple

from leukopy.core.errors import InputError
from leukopy.core.file_names import FileNames
from leukopy.core.leftovers import Leftovers
from leukopy.core.service_files import service_kind
from leukopy.core.text import read_text, split_lines
from leukopy.imaging.formats import IMAGE_SUFFIXES
from leukopy.inference.rows import printable

LIST_SUFFIX = ".txt"


class ListedFile(NamedTuple):
    """One file to read."""

    name: str
    """Path below the folder, or as the list writes it; fit for a table."""
    path: str
    """Path from the operating system, even where it is not valid UTF-8."""


def list_folder(top: Path, suffixes: Collection[str] = IMAGE_SUFFIXES) -> tuple[list[ListedFile], Leftovers]:
    """The pictures in a folder and its sub-folders, by name, and its other files.

    Links to folders are followed, each folder once. A sub-folder that cannot be read is listed: reading it as a picture
    fails with its reason, so its loss is reported.

    Args:
        top: the folder.
        suffixes: of pictures, in lower case.

    Raises:
        OSError: the folder itself cannot be read.
    """
    os.scandir(top).close()
    listed: list[ListedFile] = []
    service: Counter[str] = Counter()
    not_read: Counter[str] = Counter()
    for folder, names in _folders_below(str(top), listed):
        below = os.path.relpath(folder, top)
        parts, start = ((), "") if below == "." else (Path(below).parts, below + os.sep)
        for name in names:
            suffix = os.path.splitext(name)[1].lower()  # noqa: PTH122
            if (kind := service_kind((*parts, name))) is not None:
                service[kind] += 1
            elif suffix in suffixes:
                listed.append(ListedFile(printable(start + name), os.path.join(folder, name)))  # noqa: PTH118
            else:
                not_read[printable(suffix)] += 1
    return sorted(listed), Leftovers(service, not_read)


def read_list(path: Path) -> list[ListedFile]:
    """The files that a list names, one on each line.

    Raises:
        InputError: it names a file twice.
        ManifestError: it cannot be read, or names a path of a Windows drive.
    """
    names = FileNames(path)
    listed = []
    for number, written in enumerate(split_lines(read_text(path)), start=1):
        if not written.strip():
            continue
        line = written if names.exists(written) else written.strip().strip('"')  # as Windows copies a path
        name = names.find(line, f"{path}, line {number}")
        if earlier := names.earlier(name, f"line {number}"):
            raise InputError(
                f"{path}, line {number}: {line!r} is already on {earlier}. "
                "A picture is counted once: remove one of the lines."
            )
        listed.append(ListedFile(printable(line), names.path(name)))
    return listed


def refuse_beside_slides(path: Path, listed: Collection[ListedFile]) -> None:
    """Refuse pictures that lie beside the folders of the slides.

    Raises:
        InputError: names the first.
    """
    loose = [file.name for file in listed if os.sep not in file.name]
    if loose:
        raise InputError(
            f"{path}: {len(loose)} images lie beside the folders of the slides, the first is {loose[0]}. Move "
            "them into the folder of their slide, or leave out --slides."
        )


def slide_of(file: ListedFile) -> str:
    """The first sub-folder of a file: the name of its slide."""
    return file.name.split(os.sep, 1)[0]


def empty_slides(path: Path, named: Collection[str]) -> list[str]:
    """The sub-folders of a folder without a listed picture, beside the slides that are ``named``."""
    folders = sorted(printable(entry.name) for entry in os.scandir(path) if entry.is_dir())
    return [name for name in folders if name not in named and service_kind([name]) is None]


def _folders_below(top: str, unreadable: list[ListedFile]) -> Iterator[tuple[str, list[str]]]:
    """A folder and its sub-folders, each with the names of its files; ``unreadable`` receives each that cannot be
    read."""
    seen: set[tuple[int, int]] = set()
    errors: list[OSError] = []
    for folder, below, names in os.walk(top, followlinks=True, onerror=errors.append):
        status = os.stat(folder)  # noqa: PTH116
        if (status.st_dev, status.st_ino) in seen:  # visited before, through a link
            below.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        below.sort()  # so that of two links one is first
        yield folder, names
    for error in errors:
        folder = str(error.filename)
        if service_kind(Path(folder).relative_to(top).parts) is None:
            unreadable.append(ListedFile(printable(os.path.relpath(folder, top)), folder))
