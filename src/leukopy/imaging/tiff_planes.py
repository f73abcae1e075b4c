"""The pixels of one plane of a TIFF.

``tifffile`` assembles strips and tiles. libtiff, through Pillow, decompresses them, within the size stated in the
header. Planes in image codecs (JPEG, CCITT, WebP) or in the colours of photography (YCbCr, CMYK) are decoded by Pillow.
"""

from __future__ import annotations

import math
import struct
from io import BytesIO
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.TiffImagePlugin import TiffImageFile
from tifffile import TiffPage

from leukopy.imaging import levels
from leukopy.imaging.refusal import Limits, check_size, refusal

_CMYK, _YCBCR = 5, 6
UNCOMPRESSED, _FLOAT_PREDICTOR = 1, 3
BYTE_CODECS = frozenset({UNCOMPRESSED, 5, 8, 32773, 32946, 34925, 50000})  # LZW, deflate, PackBits, LZMA, zstd
_IMAGE_CODECS = frozenset({2, 3, 4, 6, 7, 50001})  # CCITT, JPEG, WebP
_PIXEL_BYTES = 8
"""Bytes of a decoded pixel, at most: four samples of 16 bits."""


class Plane(NamedTuple):
    """One plane of pixels."""

    page: TiffPage
    """The directory that describes it."""
    offset: int | None
    """Offset of its bytes, where it has no directory of its own; uncompressed."""


def check_numbers(page: TiffPage, where: str) -> None:
    """Refuse a directory with a list in place of a number; all later steps need numbers.

    Raises:
        ImageError: ``damaged``.
    """
    numbers = (
        page.imagewidth, page.imagelength, page.imagedepth, page.tilewidth, page.tilelength, page.tiledepth,
        page.samplesperpixel, page.rowsperstrip, page.compression, page.planarconfig, page.photometric, page.fillorder,
        page.predictor,
    )  # fmt: skip
    if not all(isinstance(number, int) for number in numbers):
        raise refusal("damaged", where)


def check_plane(page: TiffPage, where: str, limits: Limits) -> None:
    """Refuse by the header, before a pixel is decoded.

    Raises:
        ImageError: too large, too small, or of a kind that leukopy does not read.
    """
    check_size((page.imagewidth, page.imagelength), where, limits)
    if page.compression not in BYTE_CODECS | _IMAGE_CODECS:
        raise refusal("unsupported_format", where, f"compression {getattr(page.compression, 'name', page.compression)}")
    if page.imagedepth != 1 or page.tiledepth != 1 or page.dtype is None or not isinstance(page.bitspersample, int):
        raise refusal("unsupported_format", where, "pixels of an unknown kind")
    if page.nbytes > _PIXEL_BYTES * limits.pixels:
        raise refusal(limits.large, where, f"{page.nbytes / 1e6:.0f} MB decoded")


def is_whole(page: TiffPage) -> bool:
    """True where Pillow decodes the whole plane: see :func:`read_whole`."""
    return (
        page.compression in _IMAGE_CODECS
        or page.photometric in (_CMYK, _YCBCR)
        or page.predictor == _FLOAT_PREDICTOR
        or page.bitspersample not in (1, 8, 16, 32, 64)
        or (page.fillorder == 2 and page.compression != UNCOMPRESSED)
    )


def read_whole(data: bytes, plane: Plane, where: str) -> Image.Image:
    """Decode a plane with Pillow: upright RGB.

    Raises:
        ImageError: Pillow does not read its kind, or not at its full depth.
    """
    page = plane.page
    try:
        picture = TiffImageFile(BytesIO(data))
        picture.seek(page.index)
    except SyntaxError as error:
        raise refusal("unsupported_format", where, f"{page.samplesperpixel} x {page.bitspersample} bits") from error
    single = picture.mode.startswith("I;16") or picture.mode in ("I", "F")
    if page.bitspersample > 8 and not single:
        raise refusal("unsupported_format", where, f"{page.samplesperpixel} x {page.bitspersample} bits")
    picture.load()
    if not single:
        return levels.flatten(picture, where)
    values = np.asarray(picture)[..., None]
    return levels.to_rgb(values.astype(values.dtype.newbyteorder("=")), where, inverted=page.photometric == 0)


def read_samples(data: bytes, plane: Plane, where: str, limits: Limits) -> NDArray[np.generic]:
    """The values stored in a plane, shape (height, width, samples).

    Raises:
        ImageError: ``truncated`` or ``too_large``. Damaged files raise whatever the libraries raise.
    """
    page = plane.page
    assert page.dtype is not None  # by check_plane
    if plane.offset is not None:
        dtype = np.dtype(page.parent.byteorder + page.dtype.char)
        stored = np.frombuffer(data, dtype, math.prod(page.shaped), plane.offset)
        values = stored.astype(page.dtype).reshape(page.shaped)
    else:
        values = _assembled(data, page, where, limits)
    separate, _, height, width, together = page.shaped
    return np.moveaxis(values[:, 0], 0, 2).reshape(height, width, separate * together)


def _assembled(data: bytes, page: TiffPage, where: str, limits: Limits) -> NDArray[np.generic]:
    """All strips or tiles of a directory, shape ``page.shaped``."""
    separate, _, height, width, together = page.shaped
    rows, columns = (page.tilelength, page.tilewidth) if page.is_tiled else (min(page.rowsperstrip, height), width)
    down, across = math.ceil(height / rows), math.ceil(width / columns)
    row_bytes = math.ceil(columns * together * page.bitspersample / 8)
    count = separate * down * across
    if count * rows * row_bytes > 2 * _PIXEL_BYTES * limits.pixels:
        raise refusal(limits.large, where, f"{count} tiles of {columns} x {rows} px")
    if min(len(page.dataoffsets), len(page.databytecounts)) < count:
        raise refusal("truncated", where)
    compression = int(page.compression)
    page.compression = UNCOMPRESSED  # `decode` gets unpacked bytes
    values = np.empty(page.shaped, page.dtype)
    for index in range(count):
        start, length = page.dataoffsets[index], page.databytecounts[index]
        packed = data[start : start + length]
        if length == 0 or len(packed) < length:
            raise refusal("truncated", where)
        here = rows if page.is_tiled else min(rows, height - index % down * rows)
        unpacked = packed if compression == UNCOMPRESSED else unpack(packed, compression, here, row_bytes)
        segment, (plane, _, top, left, _), _ = page.decode(unpacked, index)
        assert segment is not None  # bytes were given
        target = values[plane, 0, top : top + rows, left : left + columns]
        target[:] = segment[0, : target.shape[0], : target.shape[1]]
    return values


def unpack(packed: bytes, compression: int, rows: int, row_bytes: int) -> bytes:
    """Decompress one strip or tile, by wrapping it as grey one-byte pixels in a TIFF of its own."""
    tags = (
        (256, row_bytes), (257, rows), (258, 8), (259, compression), (262, 1), (273, 122), (277, 1), (278, rows),
        (279, len(packed)),
    )  # fmt: skip
    directory = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    head = struct.pack("<2sHIH", b"II", 42, 8, len(tags)) + directory + struct.pack("<I", 0)
    return TiffImageFile(BytesIO(head + packed)).tobytes()
