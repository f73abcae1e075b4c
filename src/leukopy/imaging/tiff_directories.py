"""The chain of directories of a TIFF, checked before a library follows it.

``tifffile`` ignores directories beyond the end of the file, follows a circular chain for ever, and reads every value
of every tag. A valid file can lose pages or colours, and a hostile one exhausts the memory.
"""

from __future__ import annotations

import struct
from typing import BinaryIO

from leukopy.imaging.refusal import refusal

MAX_PAGES = 10_000
_MAX_NUMBERS = 32_000_000
"""Bytes of the numbers in all tags together."""

_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
"""Kind of a tag's values -> bytes of each."""
_TEXT = frozenset({1, 2, 7})


def check_directories(stream: BinaryIO, where: str) -> None:
    """Follow the chain to its end; the stream is left at its start.

    Raises:
        ImageError: ``truncated``, ``damaged`` (a loop), ``several_pages`` or ``too_large``.
        struct.error: not a TIFF.
    """
    end = stream.seek(0, 2)
    stream.seek(0)
    head = stream.read(16)
    order = "<" if head[:2] == b"II" else ">"
    big = head[2:4] in (b"+\0", b"\0+")
    count_format, entry_format, place_format = (
        (f"{order}Q", f"{order}HHQQ", f"{order}Q") if big else (f"{order}H", f"{order}HHII", f"{order}I")
    )
    room = struct.calcsize(place_format)
    (place,) = struct.unpack_from(place_format, head, 8 if big else 4)
    seen: set[int] = set()
    text = numbers = 0
    while place:
        if place in seen:
            raise refusal("damaged", where, "its directories form a circle")
        if len(seen) == MAX_PAGES:
            raise refusal("several_pages", where, f"more than {MAX_PAGES} pages")
        seen.add(place)
        entries, place = _directory(stream, place, (count_format, entry_format, place_format), where)
        for _, kind, number, value_at in struct.iter_unpack(entry_format, entries):
            size = number * _SIZES.get(kind, 0)
            if size > room and value_at + size > end:
                raise refusal("truncated", where)
            text, numbers = (text + size, numbers) if kind in _TEXT else (text, numbers + size)
        if text > 2 * end or numbers > _MAX_NUMBERS:
            raise refusal("too_large", where, f"{(text + numbers) / 1e6:.0f} MB of tags")
    stream.seek(0)


def _directory(stream: BinaryIO, place: int, formats: tuple[str, str, str], where: str) -> tuple[bytes, int]:
    """The entries of a directory, and the offset of the next one (0: none)."""
    count_format, entry_format, place_format = formats
    stream.seek(place)
    start = stream.read(struct.calcsize(count_format))
    if len(start) < struct.calcsize(count_format):
        raise refusal("truncated", where)
    length = struct.unpack(count_format, start)[0] * struct.calcsize(entry_format)
    entries = stream.read(min(length, _MAX_NUMBERS))
    following = stream.read(struct.calcsize(place_format))
    if len(entries) < length or len(following) < struct.calcsize(place_format):
        raise refusal("truncated", where)
    return entries, struct.unpack(place_format, following)[0]
