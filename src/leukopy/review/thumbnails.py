"""Small pictures of cells for the gallery."""

from __future__ import annotations

from functools import lru_cache
from io import BytesIO
from pathlib import Path

from PIL import Image

from leukopy.imaging.decode import read_image

BROWSERS_READ = frozenset({"image/jpeg", "image/png", "image/bmp", "image/webp", "image/avif"})
"""Media types that every browser shows."""
SMALLEST, LARGEST = 16, 1024
"""Long side, px."""
_CACHED_UP_TO = 256
_CACHED = 4096
"""Pictures kept in memory: at some 6 kB each, those of several large slides."""


def thumbnail(path: Path, side: int) -> bytes:
    """A JPEG of a stored picture, whole and never enlarged.

    Args:
        path: where the picture lies; under a path there is always the same picture, since it is its digest.
        side: most pixels of its long side.

    Raises:
        ImageError: the file is no longer readable.
    """
    return _cached(path, side) if side <= _CACHED_UP_TO else _made(path, side)


def displayable(path: Path) -> bytes:
    """A stored picture as PNG, whole and at its size: for browsers that do not read its kind.

    Raises:
        ImageError: the file is no longer readable.
    """
    stream = BytesIO()
    Image.fromarray(read_image(path)).save(stream, "PNG", compress_level=3)
    return stream.getvalue()


def _made(path: Path, side: int) -> bytes:
    picture = Image.fromarray(read_image(path, short_side=side))
    picture.thumbnail((side, side))
    stream = BytesIO()
    picture.save(stream, "JPEG", quality=85)
    return stream.getvalue()


_cached = lru_cache(maxsize=_CACHED)(_made)
