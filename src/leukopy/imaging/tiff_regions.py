"""Regions of a TIFF of any size: only the tiles, strips or rows that a region needs are read."""

from __future__ import annotations

import logging
import math
import weakref
from collections import OrderedDict
from io import BytesIO
from pathlib import Path
from threading import Lock
from typing import NamedTuple, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tifffile import TiffFile, TiffPage

from leukopy.core.errors import ImageError
from leukopy.imaging import levels
from leukopy.imaging.formats import kind_of
from leukopy.imaging.refusal import refusal
from leukopy.imaging.scale import Scale, scale_of
from leukopy.imaging.tiff_directories import check_directories
from leukopy.imaging.tiff_planes import BYTE_CODECS, UNCOMPRESSED, check_numbers, unpack

logging.getLogger("tifffile").addHandler(logging.NullHandler())

CACHE_BYTES = 64_000_000
"""Decoded tiles and strips that are kept."""
MAX_SEGMENT = 64_000_000
"""Bytes of a decoded tile or strip."""

_HEAD = 256
"""Bytes that tell the kind of a file."""
_JPEG = 7
_GREY_INVERTED, _GREY, _RGB, _YCBCR = 0, 1, 2, 6
_ADOBE_RGB = b"\xff\xee\x00\x0eAdobe\x00d\x80\x00\x00\x00\x00"
"""Marker of a JPEG whose three channels are RGB."""
_SAME_ASPECT = 0.02


def unsupported(where: str, detail: str) -> ImageError:
    """The error of a slide of a kind that is not read."""
    return ImageError(
        "unsupported_format",
        f"{where}: a kind of slide that is not read ({detail}). Export it as SVS or as a tiled TIFF of 8-bit RGB.",
    )


class Rectangle(NamedTuple):
    """A rectangle in pixels of one level."""

    left: int
    top: int
    width: int
    height: int


class TiffRegions:
    """A TIFF whose pyramid levels are read region by region. Threads may share it.

    Levels are sub-directories (OME), reduced pages or further pages of the same shape. Of several pages of one size the
    first is read.
    """

    def __init__(self, path: Path) -> None:
        """Open the file and check its directories.

        Raises:
            ImageError: not a TIFF, cut off before its end, or of a kind that cannot be read in regions.
            OSError: it cannot be opened.
        """
        self._where = str(path)
        self._stream = path.open("rb")
        try:
            if kind_of(self._stream.read(_HEAD), self._where) != "TIFF":
                raise unsupported(self._where, "no TIFF by its content")
            check_directories(self._stream, self._where)
            self._tif = TiffFile(self._stream)
            self._pages = self._levels()
            self._size = self._stream.seek(0, 2)
            self._codecs = [int(page.compression) for page in self._pages]
            for page in self._pages:
                self._check(page)
        except BaseException:
            self._stream.close()
            raise
        self.close = weakref.finalize(self, self._stream.close)
        """Close the file."""
        self._lock = Lock()
        self._cache: OrderedDict[tuple[int, int], NDArray[np.generic]] = OrderedDict()
        self._cached = 0
        self._bits = self._depth()

    @property
    def sizes(self) -> list[tuple[int, int]]:
        """Width and height of each level, the largest first."""
        return [(page.imagewidth, page.imagelength) for page in self._pages]

    @property
    def tiled(self) -> bool:
        """True where the largest level is stored in tiles."""
        return bool(self._pages[0].is_tiled)

    @property
    def scale(self) -> Scale:
        """The scale that the file states."""
        return scale_of(self._tif)

    def read(self, level: int, part: Rectangle) -> NDArray[np.uint8]:
        """Pixels of a rectangle inside a level, shape (height, width, 3), RGB.

        Raises:
            ImageError: a tile or strip is damaged or lies beyond the end of the file.
        """
        page = self._pages[level]
        with self._lock:
            values = self._rows(page, part) if self._raw(level) else self._assembled(level, part)
        inverted = page.photometric == _GREY_INVERTED
        colours = values[..., :3] if values.shape[2] >= 3 else values[..., :1]
        return np.asarray(levels.to_rgb(colours, self._where, inverted=inverted, bits=self._bits))

    def _levels(self) -> list[TiffPage]:
        directories = [cast(TiffPage, page) for page in self._tif.pages]
        if not directories:
            raise refusal("damaged", self._where)
        for page in directories:
            check_numbers(page, self._where)
        full = max(directories, key=lambda page: (page.imagewidth * page.imagelength, -page.index))
        others = [cast(TiffPage, page) for page in full.pages or ()] + [
            page for page in directories if page is not full
        ]
        found = [full]
        for page in sorted(others, key=lambda page: -page.imagewidth):
            aspect = page.imagewidth * full.imagelength / max(1, page.imagelength * full.imagewidth)
            similar = abs(aspect - 1) < max(_SAME_ASPECT, 2 / max(1, min(page.imagewidth, page.imagelength)))
            same = page.dtype == full.dtype and page.samplesperpixel == full.samplesperpixel
            if similar and same and page.imagewidth < found[-1].imagewidth:
                found.append(page)
        return found

    def _check(self, page: TiffPage) -> None:
        codec = int(page.compression)
        if codec not in BYTE_CODECS | {_JPEG}:
            name = getattr(page.compression, "name", codec)
            raise unsupported(self._where, f"compression {name} in regions")
        if page.bitspersample not in (8, 16) or page.dtype is None or page.dtype.kind != "u":
            raise unsupported(self._where, f"{page.bitspersample} bits in regions")
        if page.photometric not in (_GREY_INVERTED, _GREY, _RGB) and not (
            codec == _JPEG and page.photometric == _YCBCR
        ):
            name = getattr(page.photometric, "name", page.photometric)
            raise unsupported(self._where, f"colours of kind {name} in regions")
        if page.planarconfig != 1 and page.samplesperpixel > 1:
            raise unsupported(self._where, "planes of one colour each in regions")
        rows, columns = self._segment_shape(page)
        if codec != UNCOMPRESSED or page.is_tiled:
            size = rows * columns * page.samplesperpixel * page.bitspersample // 8
            if size > MAX_SEGMENT:
                raise refusal("field_too_large", self._where, f"strips of {size / 1e6:.0f} MB; save it in tiles")
        count = math.ceil(page.imagelength / rows) * math.ceil(page.imagewidth / columns)
        ends = [start + length for start, length in zip(page.dataoffsets, page.databytecounts, strict=False)]
        if len(ends) < count or max(ends) > self._size:
            raise refusal("truncated", self._where)

    @staticmethod
    def _segment_shape(page: TiffPage) -> tuple[int, int]:
        """Rows and columns of a tile or strip."""
        if page.is_tiled:
            return page.tilelength, page.tilewidth
        return min(page.rowsperstrip, page.imagelength), page.imagewidth

    def _raw(self, level: int) -> bool:
        return self._codecs[level] == UNCOMPRESSED and not self._pages[level].is_tiled

    def _rows(self, page: TiffPage, part: Rectangle) -> NDArray[np.generic]:
        """Uncompressed rows: only the columns of the rectangle are read."""
        assert page.dtype is not None
        pixel = page.samplesperpixel * page.bitspersample // 8
        rows, columns = self._segment_shape(page)
        dtype = np.dtype(self._tif.byteorder + page.dtype.char)
        lines = []
        for row in range(part.top, part.top + part.height):
            strip, inside = divmod(row, rows)
            self._stream.seek(page.dataoffsets[strip] + (inside * columns + part.left) * pixel)
            lines.append(self._stream.read(part.width * pixel))
        values = np.frombuffer(b"".join(lines), dtype)
        if values.size < part.width * part.height * page.samplesperpixel:
            raise refusal("truncated", self._where)
        return values.astype(page.dtype).reshape(part.height, part.width, page.samplesperpixel)

    def _assembled(self, level: int, part: Rectangle) -> NDArray[np.generic]:
        page = self._pages[level]
        rows, columns = self._segment_shape(page)
        across = math.ceil(page.imagewidth / columns)
        values: NDArray[np.generic] = np.empty((part.height, part.width, page.samplesperpixel), page.dtype)
        bottom, right = part.top + part.height, part.left + part.width
        for row in range(part.top // rows, math.ceil(bottom / rows)):
            for column in range(part.left // columns, math.ceil(right / columns)):
                segment = self._segment(level, row * across + column)
                y, x = row * rows, column * columns
                top, left = max(y, part.top), max(x, part.left)
                low, far = min(y + segment.shape[0], bottom), min(x + segment.shape[1], right)
                target = (slice(top - part.top, low - part.top), slice(left - part.left, far - part.left))
                values[target] = segment[top - y : low - y, left - x : far - x]
        return values

    def _segment(self, level: int, index: int) -> NDArray[np.generic]:
        """One decoded tile or strip, shape (rows, columns, samples)."""
        if (found := self._cache.get((level, index))) is not None:
            self._cache.move_to_end((level, index))
            return found
        page = self._pages[level]
        self._stream.seek(page.dataoffsets[index])
        packed = self._stream.read(page.databytecounts[index])
        try:
            segment = self._decoded(level, index, packed)
        except (OSError, SyntaxError, ValueError, IndexError) as error:
            raise refusal("damaged", self._where, f"tile {index} of level {level}") from error
        self._cache[level, index] = segment
        self._cached += segment.nbytes
        while self._cached > CACHE_BYTES and len(self._cache) > 1:
            self._cached -= self._cache.popitem(last=False)[1].nbytes
        return segment

    def _decoded(self, level: int, index: int, packed: bytes) -> NDArray[np.generic]:
        page, codec = self._pages[level], self._codecs[level]
        rows, columns = self._segment_shape(page)
        if not page.is_tiled:
            rows = min(rows, page.imagelength - index * rows)
        if not packed:  # a sparse tile: background
            return np.full((rows, columns, page.samplesperpixel), 255 if page.bitspersample == 8 else 65535, page.dtype)
        if codec == _JPEG:
            return self._jpeg(page, packed)
        row_bytes = columns * page.samplesperpixel * page.bitspersample // 8
        unpacked = packed if codec == UNCOMPRESSED else unpack(packed, codec, rows, row_bytes)
        page.compression = UNCOMPRESSED  # `decode` gets unpacked bytes
        segment, _, _ = page.decode(unpacked, index)
        if segment is None:
            raise ValueError("an empty segment")
        return np.asarray(segment[0])

    def _jpeg(self, page: TiffPage, packed: bytes) -> NDArray[np.generic]:
        tables = page.jpegtables[2:-2] if page.jpegtables else b""
        colours = _ADOBE_RGB if page.photometric == _RGB else b""
        picture = Image.open(BytesIO(b"\xff\xd8" + colours + tables + packed[2:]), formats=("JPEG",))
        values = np.asarray(picture.convert("L" if page.samplesperpixel == 1 else "RGB"))
        return values[..., None] if values.ndim == 2 else values

    def _depth(self) -> int | None:
        """Bits in use, from the smallest level or the middle of it, so that all regions have one white."""
        page = self._pages[-1]
        if page.bitspersample == 8:
            return None
        width, height = min(page.imagewidth, 1024), min(page.imagelength, 1024)
        middle = Rectangle((page.imagewidth - width) // 2, (page.imagelength - height) // 2, width, height)
        last = len(self._pages) - 1
        values = self._rows(page, middle) if self._raw(last) else self._assembled(last, middle)
        return next(bits for bits in levels.DEPTHS if int(values.max()) < 2**bits)
