"""Whose image is which: from a folder for each patient, or from a manifest."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from leukopy.core.errors import InputError, ManifestError
from leukopy.core.file_names import FileNames
from leukopy.datasets.readers import image_files, leftovers
from leukopy.imaging.formats import IMAGE_SUFFIXES
from leukopy.patients.data.tables import read_table


class PatientImage(NamedTuple):
    """One image of a patient."""

    patient_id: str
    file: str
    """Unique among the images of the patient."""
    path: str
    """Absolute."""


def images_in_folders(roots: Sequence[Path], *, passed_over: frozenset[str] = frozenset()) -> list[PatientImage]:
    """The images of ``<root>/<patient_id>/``, at any depth.

    Args:
        roots: folders that hold the folders of patients.
        passed_over: names of folders in a root that are no patient's.

    Raises:
        InputError: a folder cannot be listed, or one patient has images below two roots.
    """
    images: list[PatientImage] = []
    home: dict[str, Path] = {}
    try:
        for root in (each.resolve() for each in roots):
            for folder in sorted(root.iterdir()):
                if folder.name.startswith(".") or folder.name in passed_over or not folder.is_dir():
                    continue
                patient_id = unicodedata.normalize("NFC", folder.name)  # as tables are read
                found = [PatientImage(patient_id, str(file), str(folder / file)) for file in image_files(folder)]
                if found and home.setdefault(patient_id, folder) != folder:
                    raise InputError(
                        f"patient {patient_id} has images in {home[patient_id]} and in {folder}. Keep one folder each."
                    )
                images += found
    except OSError as error:
        raise InputError(f"{error.filename}: cannot be read ({error.strerror}). Check its permissions.") from error
    return images


def unread_files(roots: Sequence[Path]) -> dict[str, str]:
    """A note on the files in ``<root>/<patient_id>/`` that may be pictures of a kind that is not read.

    Returns:
        By patient_id, only where there are some.

    Raises:
        InputError: a folder cannot be listed.
    """
    try:
        notes = {
            unicodedata.normalize("NFC", folder.name): leftovers(folder).pictures_note
            for root in roots
            for folder in sorted(root.iterdir())
            if folder.is_dir() and not folder.name.startswith(".")
        }
    except OSError as error:
        raise InputError(f"{error.filename}: cannot be read ({error.strerror}). Check its permissions.") from error
    return {patient_id: note for patient_id, note in notes.items() if note}


def stray_images(root: Path) -> int:
    """How many images lie in ``root`` itself, and so in no patient's folder."""
    return sum(
        path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".") and path.is_file()
        for path in root.iterdir()
    )


def images_listed(manifest: Path) -> list[PatientImage]:
    """The images of a manifest: columns ``patient_id`` and ``path``, relative to its folder or absolute.

    An image goes by its file's name, or by its path as written where two images of a patient have the same name.

    Raises:
        ManifestError: no table, a wrong header, a row without one of the two, or an image that is listed twice.
    """
    fields = ("patient_id", "path")
    rows = read_table(manifest, {field: field for field in fields}, fields).rows
    names = FileNames(manifest)
    listed: list[PatientImage] = []
    for row in rows:
        patient_id, file = (row.values[field] for field in fields)
        if not patient_id or not file:
            raise ManifestError(f"{row.where}: has no patient_id or no path. Fill it in.")
        file = names.find(file, row.where)
        if earlier := names.earlier(file, row.place):
            raise ManifestError(f"{row.where}: its image is on {earlier} too. Keep one of them.")
        listed.append(PatientImage(patient_id, file, names.path(file)))
    same = Counter((image.patient_id, PurePosixPath(image.file).name) for image in listed)
    return [
        image._replace(file=name) if same[image.patient_id, name] == 1 else image
        for image in listed
        for name in [PurePosixPath(image.file).name]
    ]
