"""Limits of a picture, and refusal of a file: a word for tables and a sentence for people."""

from __future__ import annotations

from leukopy.core.errors import ImageError

MAX_BYTES = 200_000_000
MAX_PIXELS = 64_000_000
MIN_SIDE = 16
"""Pixels. A cell in a smaller picture cannot be named."""

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
    "too_small": f"too small to hold a cell (short side below {MIN_SIDE} px). Give a larger crop.",
    "outside": "holds no such box. Correct its position.",
    "truncated": "cut off before its end. Copy it again.",
    "damaged": "damaged. Copy it again.",
}
"""Every reason for which an image can fail, and the sentence for people."""


def refusal(reason: str, where: str, detail: str = "") -> ImageError:
    """The error of one of :data:`REASONS`; ``detail`` follows the statement in brackets."""
    what, _, to_do = REASONS[reason].partition(". ")
    return ImageError(reason, f"{where}: {what}{f' ({detail})' if detail else ''}. {to_do}")


def check_size(size: tuple[int, int], where: str) -> None:
    """Refuse a picture by the width and height of its header, before a pixel is decoded.

    Raises:
        ImageError: ``too_large`` or ``too_small``.
    """
    width, height = size
    if width * height > MAX_PIXELS:
        raise refusal("too_large", where, f"{width} x {height} px, the limit is {MAX_PIXELS // 10**6} million pixels")
    if min(size) < MIN_SIDE:
        raise refusal("too_small", where, f"{width} x {height} px")


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
