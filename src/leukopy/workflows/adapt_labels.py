"""Labelled cells as they are given to `adapt`: a manifest, or the zip that the review station exports."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple
from zipfile import BadZipFile, ZipFile, is_zipfile

from leukopy.core.errors import ManifestError

_TABLE, _CLASSES = "manifest.csv", "labels.csv"
_ENTRY = re.compile(r"images/[0-9a-f]{64}\.[a-z]{3,5}")
_LONGEST = 2**35
"""Bytes of all entries, unpacked."""


class Labels(NamedTuple):
    """A manifest, and the table of its own classes."""

    table: Path
    classes: str | None
    """None: it has none."""


@contextmanager
def open_labels(path: Path) -> Iterator[Labels]:
    """The manifest at ``path``, or in the zip at ``path``, which is unpacked until the end of the block.

    Raises:
        ManifestError: the zip is damaged, or not an export of the review station.
    """
    if path.suffix.lower() != ".zip" or not is_zipfile(path):
        yield Labels(path, None)
        return
    with TemporaryDirectory(prefix="leukopy-labels-") as temporary:
        folder = Path(temporary)
        _unpack(path, folder)
        classes = folder / _CLASSES
        yield Labels(folder / _TABLE, str(classes) if classes.is_file() else None)


def _unpack(path: Path, folder: Path) -> None:
    try:
        with ZipFile(path) as archive:
            entries = [one for one in archive.infolist() if _is_known(one.filename)]
            if _TABLE not in {entry.filename for entry in entries}:
                raise ManifestError(
                    f"{path}: holds no {_TABLE}. Give the zip of the review station (page Quality), or a table."
                )
            if sum(entry.file_size for entry in entries) > _LONGEST:
                raise ManifestError(f"{path}: unpacks to more than {_LONGEST / 2**30:g} GiB. Give the table itself.")
            archive.extractall(folder, entries)  # known names alone; zipfile writes no more than an entry says
    except (BadZipFile, EOFError, NotImplementedError, RuntimeError) as error:
        raise ManifestError(f"{path}: is a damaged zip. Export it again.") from error


def _is_known(name: str) -> bool:
    return name in (_TABLE, _CLASSES) or _ENTRY.fullmatch(name) is not None
