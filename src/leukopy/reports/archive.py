"""All files of a result folder in one zip archive."""

from __future__ import annotations

import stat
import zipfile
from pathlib import Path

from leukopy.core.errors import InputError
from leukopy.core.files import atomic_path

ARCHIVE_FILE = "results.zip"

_STORED = frozenset({".parquet", ".xlsx", ".zip", ".jpg", ".png", ".webp"})
"""Suffixes of files that are compressed already."""


def write_archive(folder: Path) -> Path:
    """Write ``results.zip`` with all files in ``folder``; returns its path.

    Names in the archive begin with the name of the folder; the order, times and permissions are fixed, so that the
    same files make the same bytes. Hidden files, links and earlier archives stay out.

    Raises:
        InputError: ``folder`` holds no file.
        OutputError: the disk is full, or not permitted.
    """
    chosen = [path for path in folder.rglob("*") if path.is_file() and _belongs(path, folder)]
    if not chosen:
        raise InputError(f"{folder}: holds no file. Give the output folder of a run.")
    top = folder.resolve().name or "results"
    with atomic_path(folder / ARCHIVE_FILE) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for path in sorted(chosen, key=lambda path: path.relative_to(folder).parts):
            entry = zipfile.ZipInfo("/".join((top, *path.relative_to(folder).parts)))
            entry.compress_type = zipfile.ZIP_STORED if path.suffix.lower() in _STORED else zipfile.ZIP_DEFLATED
            entry.external_attr = (stat.S_IFREG | 0o644) << 16
            entry.create_system = 3
            with path.open("rb") as source, archive.open(entry, "w", force_zip64=True) as target:
                while block := source.read(1 << 20):
                    target.write(block)
    return folder / ARCHIVE_FILE


def _belongs(path: Path, folder: Path) -> bool:
    parts = path.relative_to(folder).parts
    hidden = any(part.startswith(".") for part in parts)
    return not hidden and not path.is_symlink() and parts != (ARCHIVE_FILE,)
