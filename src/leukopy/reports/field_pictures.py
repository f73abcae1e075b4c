"""Choice of the fields that a report shows, and their small pictures."""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Collection, Iterable
from io import BytesIO

from PIL import Image

from leukopy.core.errors import LeukopyError
from leukopy.fields.field import Field, FieldInput

FIELDS_SHOWN = 24
"""Fields shown where nothing else is asked for."""

LONGEST = 1000
"""Longer side of a picture in the page, pixels."""

PICTURE_BYTES = 5_000_000
"""All pictures of a page: with their base64 and the cells, a page stays below 10 MB."""


class FieldPictures:
    """WebP pictures of the fields with the most leukocytes, made while their pixels are at hand.

    Memory is bounded by ``most`` pictures, however many fields are added.
    """

    def __init__(self, most: int = FIELDS_SHOWN) -> None:
        self._most = most
        self._kept: list[tuple[int, int, str, bytes]] = []
        """(leukocytes below 0, number, field, WebP), sorted."""
        self._added = 0

    def add(self, field: Field, leukocytes: int) -> None:
        """Consider a field.

        Args:
            field: with its pixels.
            leukocytes: located on it; -1 for a field that is left out.
        """
        self._added += 1
        place = (-leukocytes, self._added, field.source.field_id)
        if self._most and (len(self._kept) < self._most or place < self._kept[-1][:3]):
            insort(self._kept, (*place, _webp(field)))
            del self._kept[self._most :]

    def of(self, wanted: Iterable[FieldInput], read: Callable[[FieldInput], Field]) -> dict[str, bytes]:
        """Pictures by ``field_id``, up to 5 MB of them.

        A field that was analysed before a resume is read again; an unreadable one is left out.

        Args:
            wanted: fields to show, the most important first.
            read: as `fields.read.read_field`.
        """
        made = {name: webp for *_, name, webp in self._kept}
        found: dict[str, bytes] = {}
        size = 0
        for source in wanted:
            try:
                picture = made.get(source.field_id) or _webp(read(source))
            except LeukopyError:
                continue
            size += len(picture)
            if size > PICTURE_BYTES:
                break
            found[source.field_id] = picture
        return found


def choose_fields(leukocytes: Collection[tuple[str, int]], most: int = FIELDS_SHOWN) -> list[str]:
    """Names of the ``most`` fields with the most leukocytes, in the order of `FieldPictures`.

    Args:
        leukocytes: field and number of its leukocytes; -1 for a field that is left out.
        most: largest number of fields.
    """
    return [name for name, _ in sorted(leukocytes, key=lambda one: -one[1])[:most]]


def _webp(field: Field) -> bytes:
    picture = Image.fromarray(field.pixels)
    picture.thumbnail((LONGEST, LONGEST), Image.Resampling.BILINEAR, reducing_gap=2)
    stream = BytesIO()
    picture.save(stream, "WEBP", quality=72, method=2)
    return stream.getvalue()
