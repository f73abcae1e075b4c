"""Paths that an assistant names, confined to one folder."""

from __future__ import annotations

import os
from pathlib import Path

from leukopy.core.errors import InputError

_LISTS = {".csv", ".tsv", ".txt", ".parquet", ".json", ".yaml", ".yml"}
"""Suffixes of files that name other files, which may lie anywhere."""


def confined(root: Path, name: str) -> Path:
    """The file or folder below ``root`` that a name means.

    Raises:
        InputError: it lies outside ``root``, holds a link that leads out, is a list of other files, or is absent.
    """
    path = (root / name).resolve()
    if not path.is_relative_to(root):
        raise InputError(f"{name}: lies outside the folder that was opened. Name a path below it.")
    if path.suffix.lower() in _LISTS:
        raise InputError(f"{name}: is a list of files, which may lie anywhere. Name a folder or a picture.")
    if not path.exists():
        raise InputError(f"{name}: no such file or folder below the folder that was opened. List it with list_slides.")
    if path.is_dir():
        _refuse_ways_out(root, path)
    return path


def _refuse_ways_out(root: Path, folder: Path) -> None:
    """Refuse a folder with a link, anywhere below it, that leads out of ``root``."""
    for place, folders, files in os.walk(folder):
        for each in (*folders, *files):
            path = Path(place) / each
            if path.is_symlink() and not path.resolve().is_relative_to(root):
                raise InputError(f"{path.relative_to(root)}: leads out of the folder that was opened. Remove the link.")
