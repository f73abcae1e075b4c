"""Limits of a picture, and refusal of a file: a word for tables and a sentence for people."""

from __future__ import annotations

from typing import NamedTuple

from leukopy.core.errors import ImageError


class Limits(NamedTuple):
    """Sizes of the pictures of one kind of input."""

    pixels: int
    """At most; width times height."""
    file_bytes: int
    """At most."""
    side: int
    """At least; pixels of the short side."""
    large: str
    """Reason of a larger picture, a key of :data:`REASONS`."""
    small: str
    """Reason of a smaller picture, likewise."""


CELL = Limits(64_000_000, 200_000_000, 16, "too_large", "too_small")
"""A picture of one cell; in a smaller picture it cannot be named."""
FIELD = Limits(200_000_000, 1_600_000_000, 64, "field_too_large", "field_too_small")
"""A photograph of a field of view."""

REASONS: dict[str, str] = {
    "not_found": "there is no such file. Correct the path.",
    "no_permission": "no permission to read it. Change the rights of the file or its folder.",
    "is_a_folder": "is a folder, not an image. Give the images in it.",
    "unreadable": "cannot be read. Check the path and the disk.",
    "empty_file": "not an image (0 bytes). Copy it again.",
    "not_an_image": "not an image. Remove it from the input, or replace it.",
    "unsupported_format": "a kind of image that is not read. Convert it to 8-bit RGB PNG.",
    "needs_extra": "needs leukopy's 'heic' extra. Install it (pip install 'leukopy[heic]'), or convert it to PNG.",
    "several_pages": "holds several pages. Split it into one file per page, and keep those with one cell each.",
    "no_such_page": "has no such page. Correct the page; the first is 1.",
    "too_large": "too large to be one cell. Give a crop of the cell.",
    "too_small": f"too small to hold a cell (short side below {CELL.side} px). Give a larger crop.",
    "field_too_large": "too large to be one field of view. Give a part of it.",
    "field_too_small": f"too small to be a field of view (short side below {FIELD.side} px). Give the photograph.",
    "outside": "holds no such box. Correct its position.",
    "truncated": "cut off before its end. Copy it again.",
    "damaged": "damaged. Copy it again.",
}
"""Every reason for which an image can fail, and the sentence for people."""


def refusal(reason: str, where: str, detail: str = "") -> ImageError:
    """The error of one of :data:`REASONS`; ``detail`` follows the statement in brackets."""
    what, _, to_do = REASONS[reason].partition(". ")
    return ImageError(reason, f"{where}: {what}{f' ({detail})' if detail else ''}. {to_do}")


def check_size(size: tuple[int, int], where: str, limits: Limits = CELL) -> None:
    """Refuse a picture by the width and height of its header, before a pixel is decoded.

    Raises:
        ImageError: ``limits.large`` or ``limits.small``.
    """
    width, height = size
    if width * height > limits.pixels:
        limit = f"the limit is {limits.pixels // 10**6} million pixels"
        raise refusal(limits.large, where, f"{width} x {height} px, {limit}")
    if min(size) < limits.side:
        raise refusal(limits.small, where, f"{width} x {height} px")


def chosen(page: int | None, count: int, where: str) -> int:
    """The index, from 0, of a page counted from 1; None is the only page.

    Raises:
        ImageError: ``several_pages`` or ``no_such_page``.
    """
    if page is None:
        if count > 1:
            raise refusal("several_pages", where, f"{count} pages")
        return 0
    if not 1 <= page <= count:
        raise refusal("no_such_page", where, f"page {page} of {count}")
    return page - 1
