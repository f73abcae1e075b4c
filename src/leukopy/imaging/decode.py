"""From a file to pixels, for files that nobody vouches for.

Training and serving read cells through :func:`read_cell`, so that both see the same pixels. Whatever a file holds, the
only thing raised is an :class:`~leukopy.core.errors.ImageError` with one of the words of :data:`REASONS`.
"""

from __future__ import annotations

import hashlib
import stat
import struct
import warnings
import zlib
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from leukopy.core.errors import ImageError
from leukopy.imaging.overview import overview
from leukopy.imaging.preprocess import Preprocess

MAX_BYTES = 200_000_000
MAX_PIXELS = 64_000_000
MIN_SIDE = 16
"""Pixels. A smaller picture holds no cell that anybody could name."""

REASONS: dict[str, str] = {
    "not_found": "there is no such file. Correct the path.",
    "no_permission": "no permission to read it. Change the rights of the file or its folder.",
    "is_a_folder": "is a folder, not an image. Give the images in it.",
    "unreadable": "cannot be read. Check the path and the disk.",
    "empty_file": "not an image (0 bytes). Copy it again.",
    "not_an_image": "not an image. Remove it from the input, or replace it.",
    "unsupported_format": "a kind of image that is not read. Convert it to 8-bit RGB PNG.",
    "too_large": "too large to be one cell. Give a crop of the cell.",
    "too_small": f"too small to hold a cell (short side below {MIN_SIDE} px). Give a larger crop.",
    "truncated": "cut off before its end. Copy it again.",
    "damaged": "damaged. Copy it again.",
}
"""Every reason an image can fail for, and what is said of it."""

# Sniffing the kind here, rather than in PIL.Image.open, keeps out the dozens of formats that nobody exports cells in.
_READERS: dict[bytes, type[ImageFile.ImageFile]] = {
    b"\xff\xd8\xff": JpegImageFile,
    b"\x89PNG\r\n\x1a\n": PngImageFile,
    b"BM": BmpImageFile,
    b"II*\0": TiffImageFile,
    b"MM\0*": TiffImageFile,
    b"II+\0": TiffImageFile,  # BigTIFF
    b"MM\0+": TiffImageFile,
}
_OTHER_KINDS = (b"GIF8", b"8BPS", b"%PDF", b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x51", b"\xff\x0a")

# What Pillow has been seen to raise on bytes that are no healthy picture, beside its own OSError and SyntaxError.
_DECODER_ERRORS = (
    OSError, SyntaxError, ValueError, TypeError, LookupError, ArithmeticError, AttributeError, AssertionError,
    RuntimeError, EOFError, MemoryError, struct.error, zlib.error, Image.DecompressionBombError, Warning,
)  # fmt: skip

# Pillow warns of odd metadata in files that decode well; that is no news to whoever classifies 100,000 of them.
warnings.filterwarnings("ignore", module=r"PIL\.")

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF orientation -> what brings the picture upright."""


@dataclass(frozen=True, eq=False)
class CellImage:
    """One cell as the network gets it."""

    pixels: NDArray[np.uint8]
    """Shape (size, size, 3), RGB."""
    width: int
    """Pixels, as stored in the file."""
    height: int
    digest: str
    """SHA-256 of the file's bytes."""
    overview: NDArray[np.uint8]
    """The whole picture, for `leukopy.imaging.content`."""


def read_cell(source: Path | bytes, spec: Preprocess) -> CellImage:
    """Read one image of a cell and bring it to the network's size; of several frames, the first.

    The centred box of ``spec`` is reduced with an antialiasing triangle filter.

    Args:
        source: a file, or its bytes.
        spec: what the network takes.

    Raises:
        ImageError: it cannot be read; ``reason`` is one of :data:`REASONS`.
    """
    data, where = (source, "image") if isinstance(source, bytes) else (_read(source), str(source))
    picture, (width, height) = _decode(data, where, spec.short_side)
    side = (spec.size, spec.size)
    cell = picture.resize(side, Image.Resampling.BILINEAR, box=spec.box(*picture.size))
    if spec.white_balance:
        cell = cell.point(_white_balance(picture))
    pixels = np.array(cell)
    if spec.stain is not None:
        pixels = spec.stain(pixels)
    return CellImage(pixels, width, height, hashlib.sha256(data).hexdigest(), overview(picture))


WHITE = 235
"""Level that the background is brought to by `Preprocess.white_balance`."""


def _white_balance(picture: Image.Image) -> list[int]:
    """Lookup table (768 levels) that brings the 95th percentile of each channel to ``WHITE``."""
    histogram = np.array(picture.histogram(), dtype=np.int64).reshape(3, 256).cumsum(axis=1)
    table: list[int] = []
    for counts in histogram:
        level = max(int(np.searchsorted(counts, 0.95 * counts[-1])), 32)  # a black picture stays as good as black
        table += np.minimum(np.arange(256) * (WHITE / level), 255).astype(int).tolist()
    return table


def read_image(source: Path | bytes, *, short_side: int | None = None) -> NDArray[np.uint8]:
    """Read a picture as RGB, shape (height, width, 3), upright, transparency over white.

    Args:
        source: a file, or its bytes.
        short_side: pixels that suffice. A JPEG is then decoded at 1/2, 1/4 or 1/8 as long as its short side stays
            at least this, which takes half the time.

    Raises:
        ImageError: it cannot be read; ``reason`` is one of :data:`REASONS`.
    """
    data, where = (source, "image") if isinstance(source, bytes) else (_read(source), str(source))
    picture, _ = _decode(data, where, short_side)
    return np.array(picture)


@dataclass(frozen=True)
class ImageFacts:
    """What a whole, readable picture is."""

    width: int
    """Pixels, as stored in the file."""
    height: int
    media_type: str
    """By the reader that decoded it, whatever the file is called."""


def check_image(data: bytes, where: str) -> ImageFacts:
    """Decode every pixel of a picture, and say what it is.

    Args:
        data: the file's bytes.
        where: what the message calls it.

    Raises:
        ImageError: it cannot be read; ``reason`` is one of :data:`REASONS`.
    """
    _, (width, height) = _decode(data, where, None)
    return ImageFacts(width, height, Image.MIME[_reader(data, where).format or ""])


def _read(path: Path) -> bytes:
    """The bytes of a regular file of a sensible length."""
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            next(path.iterdir(), None)  # a folder that may not be opened is told apart: that is no permission
            raise _failure("is_a_folder", str(path))
        if not stat.S_ISREG(status.st_mode):
            raise _failure("unreadable", str(path))
        if status.st_size > MAX_BYTES:
            raise _failure("too_large", str(path), f"{status.st_size / 1e6:.0f} MB, the limit is {MAX_BYTES / 1e6:.0f}")
        return path.read_bytes()
    except FileNotFoundError as error:
        raise _failure("not_found", str(path)) from error
    except PermissionError as error:
        raise _failure("no_permission", str(path)) from error
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise _failure("unreadable", str(path), str(getattr(error, "strerror", None) or error)) from error


def _decode(data: bytes, where: str, short_side: int | None) -> tuple[Image.Image, tuple[int, int]]:
    """The upright RGB picture, perhaps reduced, and the width and height that the file states."""
    reader = _reader(data, where)
    try:
        ImageFile.LOAD_TRUNCATED_IMAGES = False  # a library may have set it for the whole process: WeasyPrint does
        picture = reader(BytesIO(data))
        stored = picture.size
        _check_size(stored, where)
        if short_side is not None:
            picture.draft(None, (short_side, short_side))
        picture.load()
        return _to_rgb(_upright(picture), where), stored
    except ImageError:
        raise
    except _DECODER_ERRORS as error:
        reason = "truncated" if isinstance(error, EOFError) or "truncated" in str(error).lower() else "damaged"
        raise _failure(reason, where) from error


def _reader(data: bytes, where: str) -> type[ImageFile.ImageFile]:
    if not data:
        raise _failure("empty_file", where)
    for signature, reader in _READERS.items():
        if data.startswith(signature):
            return reader
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return WebPImageFile
    if data.startswith(_OTHER_KINDS) or data[4:8] == b"ftyp" or data[128:132] == b"DICM":
        raise _failure("unsupported_format", where)
    raise _failure("not_an_image", where)


def _check_size(size: tuple[int, int], where: str) -> None:
    """Refuse by the header, before a pixel is decoded."""
    width, height = size
    if width * height > MAX_PIXELS:
        raise _failure("too_large", where, f"{width} x {height} px, the limit is {MAX_PIXELS // 10**6} million pixels")
    if min(size) < MIN_SIDE:
        raise _failure("too_small", where, f"{width} x {height} px")


def _upright(picture: Image.Image) -> Image.Image:
    try:
        orientation = picture.getexif().get(ExifTags.Base.Orientation)
    except _DECODER_ERRORS:  # the pixels are whole, only the note about them is not
        return picture
    turn = _TURNS.get(orientation) if isinstance(orientation, int) else None
    return picture if turn is None else picture.transpose(turn)


def _to_rgb(picture: Image.Image, where: str) -> Image.Image:
    if picture.mode == "RGB":
        return picture
    if picture.mode in ("I", "F", "LAB"):  # 32-bit numbers have no agreed white
        raise _failure("unsupported_format", where, f"pixels of kind {picture.mode}")
    if picture.mode.startswith("I;16"):
        # Full range to full range: 65535 is white.
        grey = np.rint(np.asarray(picture, dtype=np.float32) / 257).astype(np.uint8)
        return Image.fromarray(grey).convert("RGB")
    if picture.has_transparency_data:
        opaque = picture.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", opaque.size, "white"), opaque).convert("RGB")
    return picture.convert("RGB")


def _failure(reason: str, where: str, detail: str = "") -> ImageError:
    what, _, to_do = REASONS[reason].partition(". ")
    return ImageError(reason, f"{where}: {what}{f' ({detail})' if detail else ''}. {to_do}")
