"""Cells or fields: the kind of a user's pictures, told from the pictures themselves.

The headers of some pictures, spread evenly, are read; pictures are decoded where one is as large as a photograph of a
field. A field has several nuclei, or small cells (`imaging.content`).
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from leukopy.core.errors import ImageError, InputError
from leukopy.imaging.content import SEVERAL_CELLS, contents
from leukopy.imaging.decode import FIELD, read_file, read_header, read_picture
from leukopy.imaging.overview import overview
from leukopy.inference.rows import CellInput

InputKind = Literal["cells", "fields"]

SAMPLE = 24
"""Largest number of pictures that are looked at."""

_LARGE = 400
"""Short side, in pixels, from which a picture may be a field."""
_LOOK = 256
"""Short side, in pixels, to which a JPEG is decoded."""
_NO_CELL = ("several_pages", "too_large")
"""Reasons of pictures that are no cell."""
_WIDE = 1.2
"""Ratio of long to short side of a camera's picture."""
_SMALLER = 0.6
"""Ratio of short sides below which a picture is a crop beside fields."""
_FIELDS, _FEW, _ENOUGH = 0.35, 0.6, 20
"""Share of pictures with several cells from which large pictures are fields, and the share where they are few: as in
`imaging.content.SlideContent`."""


@dataclass(frozen=True)
class KindGuess:
    """The kind of the inputs, and its evidence."""

    kind: InputKind
    looked_at: int
    """Pictures."""
    fields: int = 0
    """Pictures that look like fields."""


class _Look(NamedTuple):
    cell: CellInput
    side: int
    """Short side, pixels; 0 where the picture cannot be read."""
    kind: str
    """``field``, ``cell`` or neither."""


def guess_kind(cells: Sequence[CellInput], where: str) -> KindGuess:
    """Tell cells from fields by up to ``SAMPLE`` of the pictures.

    Args:
        cells: all inputs, as cells.
        where: the input in messages.

    Raises:
        InputError: the pictures are cells and fields.
    """
    places = np.linspace(0, len(cells) - 1, min(SAMPLE, len(cells))).round().astype(int)
    sample = [cells[place] for place in places]
    if not any(_may_be_field(cell) for cell in sample):
        return KindGuess("cells", len(sample))
    with ThreadPoolExecutor(2, thread_name_prefix="leukopy") as pool:
        looks = list(pool.map(_look, sample))
    fields = [look for look in looks if look.kind == "field"]
    if not fields:
        return KindGuess("cells", len(sample))
    usual = float(np.median([look.side for look in fields if look.side] or [0]))
    large = [look for look in looks if look.kind and look.side >= _SMALLER * usual]
    if len(fields) < (_FIELDS if len(large) >= _ENOUGH else _FEW) * len(large):
        return KindGuess("cells", len(sample), len(fields))
    small = [look for look in looks if look.kind == "cell" and look.side < _SMALLER * usual]
    if small:
        raise InputError(
            f"{where}: holds cells and fields of view. Of {len(looks)} pictures looked at, {len(fields)} look like "
            f"fields, the first is {fields[0].cell.cell_id}; {len(small)} look like crops of single cells, the first "
            f"is {small[0].cell.cell_id}. Put them into two folders, or decide with --as cells or --as fields."
        )
    return KindGuess("fields", len(sample), len(fields))


def _may_be_field(cell: CellInput) -> bool:
    """True where the header tells a picture as large as a field, or of several pages."""
    try:
        found = read_header(read_file(Path(cell.path), FIELD), cell.path)
    except ImageError as error:
        return error.reason in _NO_CELL
    return min(found.width, found.height) >= _LARGE


def _can_be_field(cell: CellInput) -> bool:
    """True where the header tells a size that a field may have."""
    try:
        read_header(read_file(Path(cell.path), FIELD), cell.path, FIELD)
    except ImageError as error:
        return error.reason == "several_pages"
    return True


def _look(cell: CellInput) -> _Look:
    try:
        picture = read_picture(Path(cell.path), _LOOK)
    except ImageError as error:
        return _Look(cell, 0, "field" if error.reason in _NO_CELL and _can_be_field(cell) else "")
    short, long = sorted((picture.width, picture.height))
    (found,) = contents(overview(picture.image)[None], np.array([(picture.width, picture.height)]))
    if found.kind == SEVERAL_CELLS and short >= _LARGE:
        return _Look(cell, short, "field")
    if found.kind == "cell":  # a camera's picture is a field even where its one nucleus lies in the middle
        return _Look(cell, short, "field" if short >= _LARGE and long >= _WIDE * short else "cell")
    return _Look(cell, short, "")
