"""Cache of decoded pictures, so that no file is read twice, and pictures that have no file of their own."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from threading import Lock

from leukopy.core.errors import ImageError
from leukopy.imaging.decode import Box, Picture, read_picture
from leukopy.inference.rows import CellInput

BUDGET = 96_000_000
"""Bytes of cached pictures: a survey of 128 cells needs 13 MB as JPEG, 50 MB as PNG of 360 px."""


_Key = tuple[str, str, Box | None]


class Pictures:
    """Cache of pictures by path, field and box, within a budget of memory. Threads may share it.

    The error of an unreadable file is cached too, so that it is not tried again.
    """

    def __init__(self, budget: int = BUDGET) -> None:
        self._budget = budget
        self._kept: dict[_Key, Picture | ImageError] = {}
        self._lock = Lock()

    def keep(self, cell: CellInput, short_side: int) -> Picture:
        """Read the picture of a cell, or return it from the cache; it is cached within the budget.

        Raises:
            ImageError: it cannot be read.
        """
        known = self._kept.get(_key(cell))
        if known is not None and (isinstance(known, ImageError) or known.serves(short_side)):
            return _raised(known)
        try:
            found: Picture | ImageError = read_picture(Path(cell.path), short_side, box=cell.box)
        except ImageError as error:
            found = error
        with self._lock:
            size = _size(found) - (_size(known) if known is not None else 0)
            if self._budget >= size:
                self._budget -= size
                self._kept[_key(cell)] = found
        return _raised(found)

    def take(self, cell: CellInput, short_side: int) -> Picture:
        """Return the picture of a cell and remove it from the cache.

        Raises:
            ImageError: it cannot be read.
        """
        known = self._kept.pop(_key(cell), None)
        if known is None or (isinstance(known, Picture) and not known.serves(short_side)):
            return read_picture(Path(cell.path), short_side, box=cell.box)
        return _raised(known)

    def hold(self, found: Iterable[tuple[CellInput, Picture | ImageError]]) -> None:
        """Add pictures of located cells, or the errors of their fields, whatever the budget."""
        self._kept |= {_key(cell): picture for cell, picture in found}

    def forget(self, cells: Iterable[CellInput]) -> None:
        """Remove the pictures of cells from the cache."""
        for cell in cells:
            self._kept.pop(_key(cell), None)


def _key(cell: CellInput) -> _Key:
    return cell.path, cell.field, cell.box


def _raised(found: Picture | ImageError) -> Picture:
    if isinstance(found, ImageError):
        raise found
    return found


def _size(found: Picture | ImageError) -> int:
    return 3 * found.image.width * found.image.height if isinstance(found, Picture) else 1000
