"""The cells whose pictures a report shows: alarms first, then all with a remark, then a few of each class."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

from leukopy.review.records import CellRow, SignedContent
from leukopy.taxonomy import BLASTS

ALARMS_SHOWN = 24
"""Most cells that raise an alarm; of more, the most certain ones."""
OF_A_CLASS = 4
"""Cells of each class: those that a reader has seen, then the most certain ones."""


class Group(NamedTuple):
    """Cells that a report shows together."""

    title: str
    """``alarms``, ``remarked``, or the code of their class."""
    cells: tuple[CellRow, ...]


def shown_cells(content: SignedContent) -> tuple[Group, ...]:
    """The cells whose pictures a report shows; each is shown once."""
    return tuple(group for group in _groups(content) if group.cells)


def with_thumbnails(content: SignedContent, thumbnail: Callable[[str], bytes | None]) -> SignedContent:
    """A content with the pictures that its report shows.

    Args:
        content: the signed content, or the present one.
        thumbnail: JPEG of the picture with this sha256; None where it is gone.
    """
    wanted = [cell.id for group in shown_cells(content) for cell in group.cells if cell.id in content.pictures]
    made = {cell: thumbnail(content.pictures[cell]) for cell in wanted}
    return content.model_copy(update={"thumbnails": {cell: jpeg for cell, jpeg in made.items() if jpeg is not None}})


def _groups(content: SignedContent) -> Iterator[Group]:
    counted = [cell for cell in content.cells if cell.not_counted is None]
    alarms = sorted((cell for cell in counted if cell.code in BLASTS), key=_order)[:ALARMS_SHOWN]
    yield Group("alarms", tuple(alarms))
    remarked = [cell for cell in content.cells if cell.comment and cell not in alarms]
    yield Group("remarked", tuple(remarked))
    yield from _classes([cell for cell in counted if cell not in alarms and cell not in remarked])


def _classes(cells: Sequence[CellRow]) -> Iterator[Group]:
    """The classes in the order of the content, which is that of the display."""
    for code, own in groupby(cells, key=lambda cell: str(cell.code)):
        yield Group(code, tuple(sorted(own, key=_order)[:OF_A_CLASS]))


def _order(cell: CellRow) -> tuple[bool, float, int]:
    return cell.seen_by is None, -(cell.confidence or 0), cell.id
