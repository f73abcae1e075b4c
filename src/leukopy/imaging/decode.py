"""Decoding of untrusted files to pixels.

Training and serving read cells through :func:`read_cell`, so both see the same pixels. Any file either decodes or
raises an :class:`~leukopy.core.errors.ImageError` with one of the words of :data:`REASONS`.

A file of several pages (a TIFF stack, an animation) is refused, unless the page is named: see :func:`pages`.
"""

from __future__ import annotations

import hashlib
import struct
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageFile
from PIL.AvifImagePlugin import AvifImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from leukopy.core.errors import ImageError
from leukopy.imaging import levels
from leukopy.imaging.formats import FORMATS, kind_of
from leukopy.imaging.png import DEPTH_AT, read_deep_png
from leukopy.imaging.preprocess import Preprocess
from leukopy.imaging.read_file import open_file, read_file
from leukopy.imaging.refusal import CELL, FIELD, REASONS, Limits, check_size, chosen, refusal

__all__ = [
    "CELL",
    "FIELD",
    "REASONS",
    "WHITE",
    "Box",
    "CellImage",
    "ImageFacts",
    "Limits",
    "Picture",
    "check_image",
    "decode",
    "focus_stacks",
    "pages",
    "prepare",
    "read_cell",
    "read_file",
    "read_header",
    "read_image",
    "read_picture",
]

_READERS: dict[str, type[ImageFile.ImageFile]] = {
    "AVIF": AvifImageFile,
    "BMP": BmpImageFile,
    "JPEG": JpegImageFile,
    "PNG": PngImageFile,
    "WEBP": WebPImageFile,
}
"""TIFF is read by `imaging.tiff`, HEIF by pillow-heif; both are imported on the first such file."""

# Errors that Pillow raises on damaged bytes, beside its own OSError and SyntaxError.
_DECODER_ERRORS = (
    OSError, SyntaxError, ValueError, TypeError, LookupError, ArithmeticError, AttributeError, AssertionError,
    RuntimeError, EOFError, MemoryError, struct.error, zlib.error, Image.DecompressionBombError, Warning,
)  # fmt: skip

# Pillow warns of odd metadata in files that decode well; in a run of 100,000 such warnings are noise.
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
"""EXIF orientation -> the operation that turns the picture upright."""


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


@dataclass(frozen=True, eq=False)
class Picture:
    """One decoded picture: cells for several networks are prepared from it without another read."""

    image: Image.Image
    """RGB, upright; a JPEG may be decoded at 1 / ``reduction`` of its size."""
    width: int
    """Width and height in pixels: of the stored picture, or of the box."""
    height: int
    digest: str
    """SHA-256 of the file's bytes; with a box, of the bytes and the box."""
    reduction: int
    """1, 2, 4 or 8."""
    scalable: bool
    """True where the file can be decoded at a reduced size (JPEG)."""

    def serves(self, short_side: int) -> bool:
        """True where reading the file for ``short_side`` gives this very picture."""
        return not self.scalable or self.reduction == _jpeg_reduction((self.width, self.height), short_side)


Box = tuple[int, int, int, int]
"""Left, upper, width, height in pixels of the picture that holds the cell."""


def read_cell(source: Path | bytes, spec: Preprocess, *, page: int | None = None, box: Box | None = None) -> CellImage:
    """Read one image of a cell and bring it to the network's size.

    The centred box of ``spec`` is reduced with an antialiasing triangle filter.

    Args:
        source: a file, or its bytes.
        spec: the preprocessing of the network.
        page: number of the page in a file of several, from 1.
        box: where the cell lies in the picture; None: the picture is the cell.

    Raises:
        ImageError: it cannot be read; ``reason`` is one of :data:`REASONS`.
    """
    return prepare(read_picture(source, spec.short_side, page=page, box=box), spec)


def read_picture(source: Path | bytes, short_side: int, *, page: int | None = None, box: Box | None = None) -> Picture:
    """Read and decode one picture, or the part of it in ``box``.

    Args:
        source: a file, or its bytes.
        short_side: sufficient pixels; a JPEG without ``box`` is decoded at 1/2, 1/4 or 1/8 as long as it has them.
        page: number of the page in a file of several, from 1.
        box: where the cell lies in the picture; None: the whole picture.

    Raises:
        ImageError: it cannot be read, or ``box`` does not lie in it; ``reason`` is one of :data:`REASONS`.
    """
    data, where = (source, "image") if isinstance(source, bytes) else (read_file(source), str(source))
    image, (width, height) = _decode(data, where, short_side if box is None else None, page, CELL)
    digest = hashlib.sha256(data)
    if box is not None:
        image, digest = _part(image, box, where), hashlib.sha256(digest.digest() + repr(box).encode())
        return Picture(image, image.width, image.height, digest.hexdigest(), 1, scalable=False)
    reduction = round(min(width, height) / min(image.size))
    return Picture(image, width, height, digest.hexdigest(), reduction, scalable=kind_of(data, where) == "JPEG")


def prepare(picture: Picture, spec: Preprocess) -> CellImage:
    """The cell of a picture as a network takes it."""
    side = (spec.size, spec.size)
    cell = picture.image.resize(side, Image.Resampling.BILINEAR, box=spec.box(*picture.image.size))
    if spec.white_balance:
        cell = cell.point(_white_balance(picture.image))
    pixels = np.array(cell)
    if spec.stain is not None:
        pixels = spec.stain(pixels)
    return CellImage(pixels, picture.width, picture.height, picture.digest)


def _part(image: Image.Image, box: Box, where: str) -> Image.Image:
    left, upper, width, height = box
    if min(width, height) < CELL.side:
        raise refusal("too_small", where, f"box of {width} x {height} px")
    if left < 0 or upper < 0 or left + width > image.width or upper + height > image.height:
        raise refusal("outside", where, f"{left}, {upper}, {width} x {height} px in {image.width} x {image.height}")
    return image.crop((left, upper, left + width, upper + height))


def _jpeg_reduction(size: tuple[int, int], short_side: int) -> int:
    """The largest of 1, 2, 4, 8 at which a JPEG keeps ``short_side`` pixels, as Pillow's ``draft`` chooses."""
    scale = min(size) // short_side
    return next(step for step in (8, 4, 2, 1) if scale >= step or step == 1)


WHITE = 235
"""Level of the background after `Preprocess.white_balance`."""


def _white_balance(picture: Image.Image) -> list[int]:
    """Lookup table (768 levels) that brings the 95th percentile of each channel to ``WHITE``."""
    histogram = np.array(picture.histogram(), dtype=np.int64).reshape(3, 256).cumsum(axis=1)
    table: list[int] = []
    for counts in histogram:
        level = max(int(np.searchsorted(counts, 0.95 * counts[-1])), 32)  # a black picture stays nearly black
        table += np.minimum(np.arange(256) * (WHITE / level), 255).astype(int).tolist()
    return table


def read_image(source: Path | bytes, *, short_side: int | None = None, page: int | None = None) -> NDArray[np.uint8]:
    """Read a picture as RGB, shape (height, width, 3), upright, transparency over white.

    Args:
        source: a file, or its bytes.
        short_side: sufficient pixels. A JPEG is then decoded at 1/2, 1/4 or 1/8 as long as its short side stays at
            least this, in half the time.
        page: number of the page in a file of several, from 1.

    Raises:
        ImageError: it cannot be read; ``reason`` is one of :data:`REASONS`.
    """
    data, where = (source, "image") if isinstance(source, bytes) else (read_file(source), str(source))
    picture, _ = _decode(data, where, short_side, page, CELL)
    return np.array(picture)


def decode(data: bytes, where: str, limits: Limits, page: int | None = None) -> NDArray[np.uint8]:
    """Decode a picture of any kind of input as `read_image` does.

    Args:
        data: the file's bytes.
        where: its name in messages.
        limits: sizes of the kind of input.
        page: number of the page in a file of several, from 1.

    Raises:
        ImageError: it cannot be read; ``reason`` is one of :data:`REASONS`.
    """
    picture, _ = _decode(data, where, None, page, limits)
    return np.array(picture)


@dataclass(frozen=True)
class ImageFacts:
    """Facts of a whole, readable picture."""

    width: int
    """Pixels, as stored in the file."""
    height: int
    media_type: str
    """Kind by the reader that decoded it; the file name is ignored."""


def check_image(data: bytes, where: str, limits: Limits = CELL) -> ImageFacts:
    """Decode every pixel of a picture, and return its facts.

    Args:
        data: the file's bytes.
        where: its name in messages.
        limits: sizes of the kind of input.

    Raises:
        ImageError: it cannot be read; ``reason`` is one of :data:`REASONS`.
    """
    _, (width, height) = _decode(data, where, None, None, limits)
    return ImageFacts(width, height, FORMATS[kind_of(data, where)].media_type)


def read_header(data: bytes, where: str, limits: Limits = CELL) -> ImageFacts:
    """Read the facts in the header of a picture; no pixel is decoded, so a truncated file goes unnoticed.

    Args:
        data: the file's bytes.
        where: its name in messages.
        limits: sizes that are read.

    Raises:
        ImageError: it cannot be read; ``reason`` is one of :data:`REASONS`.
    """
    kind = kind_of(data, where)
    with _decoder_errors(where):
        if kind == "TIFF":
            from leukopy.imaging.tiff import read_size  # noqa: PLC0415

            size = read_size(data, where)
        else:
            size = _opened(kind, data, where, None, limits).size
    return ImageFacts(*size, FORMATS[kind].media_type)


def pages(source: Path | bytes, limits: Limits = CELL) -> int:
    """The number of pictures in a file: pages of a TIFF, frames of an animation.

    Thumbnails, pyramid levels and the channels of one picture are not pages. Only the directories of a TIFF on disk are
    read.

    Raises:
        ImageError: it cannot be read; ``reason`` is one of :data:`REASONS`.
    """
    return sum(map(len, focus_stacks(source, limits)))


def focus_stacks(source: Path | bytes, limits: Limits = CELL) -> list[tuple[int, ...]]:
    """The pages of each picture of a file, from 1: one page, or the focus planes that an OME-TIFF names.

    Raises:
        ImageError: it cannot be read; ``reason`` is one of :data:`REASONS`.
    """
    where = "image" if isinstance(source, bytes) else str(source)
    with BytesIO(source) if isinstance(source, bytes) else open_file(source, limits) as stream, _decoder_errors(where):
        kind = kind_of(stream.read(256), where)
        stream.seek(0)
        if kind == "TIFF":
            from leukopy.imaging.tiff import list_stacks  # noqa: PLC0415

            return list_stacks(stream, where)
        return [(page,) for page in range(1, 1 + _frames(_reader(kind, where)(stream)))]


@contextmanager
def _decoder_errors(where: str) -> Iterator[None]:
    try:
        yield
    except ImageError:
        raise
    except _DECODER_ERRORS as error:
        reason = "truncated" if isinstance(error, EOFError) or "truncated" in str(error).lower() else "damaged"
        raise refusal(reason, where) from error


def _decode(
    data: bytes, where: str, short_side: int | None, page: int | None, limits: Limits
) -> tuple[Image.Image, tuple[int, int]]:
    """The upright RGB picture, possibly reduced, and the width and height stated in the file."""
    kind = kind_of(data, where)
    with _decoder_errors(where):
        ImageFile.LOAD_TRUNCATED_IMAGES = False  # WeasyPrint sets it for the whole process
        if kind == "TIFF":
            from leukopy.imaging.tiff import read_tiff  # noqa: PLC0415

            picture, orientation, stored = read_tiff(data, where, page, limits)
            return _turned(picture, orientation), stored
        picture = _opened(kind, data, where, page, limits)
        stored = picture.size
        if short_side is not None:
            picture.draft(None, (short_side, short_side))
        picture.load()
        if kind == "PNG" and data[DEPTH_AT] == 16:
            rgb = read_deep_png(data, picture, where)
        else:
            rgb = levels.flatten(picture, where)
        return _turned(rgb, _orientation(picture)), stored


def _reader(kind: str, where: str) -> Callable[[BinaryIO], ImageFile.ImageFile]:
    if kind != "HEIF":
        return _READERS[kind]
    try:
        from pillow_heif import HeifImageFile  # noqa: PLC0415
    except ImportError as error:
        raise refusal("needs_extra", where, "HEIC") from error
    return cast(Callable[[BinaryIO], ImageFile.ImageFile], HeifImageFile)


def _opened(kind: str, data: bytes, where: str, page: int | None, limits: Limits) -> ImageFile.ImageFile:
    """The picture at the requested page, with a valid header."""
    picture = _reader(kind, where)(BytesIO(data))
    check_size(picture.size, where, limits)
    if frame := chosen(page, _frames(picture), where):
        picture.seek(frame)
    return picture


def _frames(picture: ImageFile.ImageFile) -> int:
    return int(getattr(picture, "n_frames", 1))


def _orientation(picture: Image.Image) -> object:
    try:
        return picture.getexif().get(ExifTags.Base.Orientation)
    except _DECODER_ERRORS:  # the pixels are whole, only their metadata are damaged
        return None


def _turned(picture: Image.Image, orientation: object) -> Image.Image:
    turn = _TURNS.get(orientation) if isinstance(orientation, int) else None
    return picture if turn is None else picture.transpose(turn)
