"""One small function per public layout: a folder in, a record per cell image out.

The layouts are the published ones. A rearranged copy with a ``labels.csv`` beside its images is read by :func:`listed`,
for any data set.
"""

from __future__ import annotations

import csv
import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TextIO

from leukopy.core.errors import ManifestError
from leukopy.core.file_names import FileNames
from leukopy.core.leftovers import Leftovers
from leukopy.core.service_files import service_kind
from leukopy.core.tables import read_table
from leukopy.datasets.manifest import read_split
from leukopy.imaging.formats import IMAGE_SUFFIXES
from leukopy.taxonomy import find, label_key, label_map

LIST_FILE = "labels.csv"

_SPLIT_FOLDERS = {
    "train": "train", "training": "train",
    "val": "val", "valid": "val", "validation": "val",
    "test": "test", "testing": "test", "testa": "test", "testb": "test",
}  # fmt: skip


@dataclass(frozen=True)
class Record:
    """Facts that a layout states of one image, before any file is opened."""

    file: str
    """Path below the root, separated by ``/``."""
    label: str | None = None
    """Label in the source's spelling."""
    group: str | None = None
    """Patient, slide or field."""
    split: str | None = None


Reader = Callable[[Path], Iterator[Record]]


def image_files(root: Path) -> Iterator[PurePosixPath]:
    """Images below ``root``, by suffix, sorted, relative to it; `leftovers` tells of the other files.

    Raises:
        OSError: a folder cannot be listed.
    """
    for file in _files(root):
        if file.suffix.lower() in IMAGE_SUFFIXES and service_kind(file.parts) is None:
            yield file


def _files(root: Path) -> Iterator[PurePosixPath]:
    """All files below ``root`` outside hidden folders, sorted. ``os.walk`` alone would skip a folder silently."""

    def stop(error: OSError) -> None:
        raise error

    for folder, folders, files in os.walk(root, onerror=stop):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        below = PurePosixPath(Path(folder).relative_to(root).as_posix())
        yield from (below / name for name in sorted(files))


def leftovers(root: Path) -> Leftovers:
    """The files below ``root`` that `image_files` does not list.

    Raises:
        OSError: a folder cannot be listed.
    """
    service: Counter[str] = Counter()
    not_read: Counter[str] = Counter()
    for file in _files(root):
        kind = service_kind(file.parts)
        if kind is not None:
            service[kind] += 1
        elif file.suffix.lower() not in IMAGE_SUFFIXES:
            not_read[file.suffix.lower()] += 1
    return Leftovers(service, not_read)


def unlabelled(root: Path) -> Iterator[Record]:
    """A folder of images, at any depth."""
    for file in image_files(root):
        yield Record(str(file))


def class_folders(root: Path) -> Iterator[Record]:
    """``<class>/<image>``, at any depth; a folder above named train, val or test gives the split."""
    for file in image_files(root):
        splits = (_SPLIT_FOLDERS.get(part.lower()) for part in file.parts[:-2])
        yield Record(str(file), label=(root / file).parent.name, split=next(filter(None, splits), None))


def listed(root: Path) -> Iterator[Record]:
    """``labels.csv`` beside the images: columns ``file``, ``label``, and where known ``patient``, ``slide`` or
    ``field``, and ``split``.

    Raises:
        ManifestError: it is not such a list, or lists an image twice; names the line.
    """
    columns = ("file", "label", "patient", "slide", "field", "split")
    table = read_table(root / LIST_FILE, dict(zip(columns, columns, strict=True)), ("file",))
    names = FileNames(table.path)
    for row in table.rows:
        if not row.values["file"]:
            raise ManifestError(f"{row.where}: has no file. Fill it in.")
        name = names.find(row.values["file"], row.where)
        if earlier := names.earlier(name, row.place):
            raise ManifestError(f"{row.where}: its image is on {earlier} too. Keep one of the lines.")
        yield Record(
            file=name,
            label=row.values.get("label") or None,
            group=next(filter(None, map(row.values.get, ("patient", "slide", "field"))), None),
            split=read_split(row),
        )


@contextmanager
def _list_of_images(path: Path) -> Iterator[TextIO]:
    with path.open(encoding="utf-8-sig", newline="") as stream:
        try:
            yield stream
        except (KeyError, ValueError, csv.Error) as error:  # ValueError: not UTF-8, or not a number
            raise ManifestError(f"{path}: not a valid list of images ({error!r}). Copy it again.") from error


def or_listed(layout: Reader) -> Reader:
    """Read ``labels.csv`` where there is one, else the public layout."""

    def read(root: Path) -> Iterator[Record]:
        return listed(root) if (root / LIST_FILE).is_file() else layout(root)

    return read


def pbc(root: Path) -> Iterator[Record]:
    """PBC Barcelona: ``neutrophil/SNE_123456.jpg``; the part before ``_`` is the sub-class where it is known.

    A file whose folder and name disagree was moved by hand: the folder takes precedence.
    """
    codes = label_map("pbc").codes
    for record in or_listed(class_folders)(root):
        file = PurePosixPath(record.file)
        folder, prefix = file.parent.name, file.name.split("_")[0]
        code, coarse = codes.get(label_key(prefix)), codes.get(label_key(folder))
        yield replace(record, label=prefix if code and find(code).coarse == coarse else folder)


def cellavision(root: Path) -> Iterator[Record]:
    """Zheng 2018: ``Dataset 2/001.bmp`` with its mask ``001.png``, and ``Class Labels of Dataset 2.csv``."""
    with _list_of_images(root / "Class Labels of Dataset 2.csv") as stream:
        rows = csv.reader(stream)
        next(rows, None)  # image ID, class
        for number, label in rows:
            yield Record(f"Dataset 2/{int(number):03d}.bmp", label)


def raabin(root: Path) -> Iterator[Record]:
    """Raabin-WBC: ``TestA/Basophil/95-5-4-1_20_2.jpg``; the part before the first ``_`` is the slide."""
    for record in class_folders(root):
        yield replace(record, group=PurePosixPath(record.file).name.split("_")[0])


def bcisc(root: Path) -> Iterator[Record]:
    """BCISC: ``original-images/baso/2-1.jpg`` with masks ``2-1.png``; the part before ``-`` is the slide."""
    for record in class_folders(root):
        file = PurePosixPath(record.file)
        if file.suffix != ".png" and "masks" not in file.parts:
            yield replace(record, group=f"{file.parent.name}-{file.name.split('-')[0]}")


def lymphocytosis(root: Path) -> Iterator[Record]:
    """The lymphocytosis challenge: ``trainset/<patient>/<image>``; every cell was picked as a lymphocyte."""
    for record in class_folders(root):
        yield replace(record, label="lymphocyte", group=PurePosixPath(record.file).parent.name, split=None)


def hopkins(root: Path) -> Iterator[Record]:
    """Johns Hopkins: ``Patient_00/Signed slides/<class>/<image>``; the patient is the group.

    ``Unsigned slides`` hold labels that no expert signed, and are left out.
    """
    for record in class_folders(root):
        parts = PurePosixPath(record.file).parts
        if not any(part.lower().startswith("unsigned") for part in parts):
            patient = next((part for part in parts if part.lower().startswith("patient")), None)
            yield replace(record, group=patient, split=None)


def no_layout(_: Path) -> Iterator[Record]:
    """Not published as a folder of single cells: nothing is found, and the card names the file to read instead."""
    return iter(())
