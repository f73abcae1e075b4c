"""A cache of large files that does not grow without end: the files used last stay."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

from leukopy.core.errors import SettingsError

MOST_GB = 20.0
"""Size of the cache in GB (10^9 bytes), unless ``LEUKOPY_CACHE_GB`` says otherwise."""

_ABANDONED_S = 86_400
"""Age after which a file being written belongs to a process that was killed."""


def most_bytes() -> int:
    """The size that the cache may have: ``LEUKOPY_CACHE_GB``, or `MOST_GB`.

    Raises:
        SettingsError: it is no number above 0.
    """
    given = os.environ.get("LEUKOPY_CACHE_GB", str(MOST_GB))
    try:
        size = float(given)
    except ValueError:
        size = 0.0
    if not 0 < size < float("inf"):
        raise SettingsError(f"LEUKOPY_CACHE_GB: {given!r} is no size in GB. Give a number above 0, such as 20.")
    return int(size * 1e9)


def file_state(path: str) -> str:
    """The path of a file with its size and time, since another file may take its name; the path alone of no file."""
    try:
        found = Path(path).stat()
    except OSError:
        return path
    return f"{path}:{found.st_size}:{found.st_mtime_ns}"


def mark_used(path: Path) -> None:
    """Note that a file of the cache is in use now."""
    with suppress(OSError):  # a cache that another user wrote is read all the same
        os.utime(path)


def keep_recent(folder: Path, newest: Path) -> None:
    """Remove the arrays that were not used for longest, until the folder is as small as it may be.

    Arrays are ``*.npy``, each with the file ``*.json`` of the same name. A process that reads a removed array keeps it,
    where the system allows that; elsewhere the array stays.

    Args:
        folder: of the cache; folders in it are not looked into.
        newest: an array that stays, whatever its size.
    """
    for part in folder.glob(".*.part"):
        if _used(part) < time.time() - _ABANDONED_S:
            _remove(part)
    arrays = sorted(folder.glob("*.npy"), key=_used, reverse=True)
    room = most_bytes() - _size(newest)
    for array in arrays:
        if array == newest:
            continue
        room -= _size(array)
        if room < 0:
            _remove(array)
            _remove(array.with_suffix(".json"))


def _used(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:  # another process removed it
        return 0.0


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _remove(path: Path) -> None:
    with suppress(OSError):
        path.unlink()
