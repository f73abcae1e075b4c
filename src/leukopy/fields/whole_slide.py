"""Whole slides of scanners, read region by region."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from contextlib import suppress
from functools import cached_property, lru_cache
from pathlib import Path
from typing import NamedTuple, Protocol, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from leukopy.core.errors import ImageError, InputError
from leukopy.fields.field import Region
from leukopy.fields.scanner_slide import GENERIC, ScannerSlide, scanner_of
from leukopy.imaging.formats import FORMATS
from leukopy.imaging.refusal import FIELD, refusal
from leukopy.imaging.scale import Scale
from leukopy.imaging.tiff_regions import Rectangle, TiffRegions

TIFF_SUFFIXES = frozenset(FORMATS["TIFF"].suffixes)
SCANNER_SUFFIXES = frozenset({
    ".svs", ".ndpi", ".mrxs", ".scn", ".bif", ".czi", ".dcm", ".vms", ".vmu", ".svslide",
})  # fmt: skip
"""Kinds that OpenSlide reads beside TIFF."""
SLIDE_SUFFIXES = SCANNER_SUFFIXES | TIFF_SUFFIXES

_SAMPLE = 1_000_000
"""Bytes at the beginning and at the end of a file that stand for the whole in its digest."""
_BLOCK = 2048
"""Pixels of a side that are read at a time for an overview."""


class Thumbnail(NamedTuple):
    """A whole slide at low power."""

    pixels: NDArray[np.uint8]
    """Shape (height, width, 3), RGB."""
    damaged: NDArray[np.bool_]
    """Shape (height, width): not readable at this power; white in ``pixels``."""


class _Reader(Protocol):
    """Pixels and facts of one kind of file."""

    @property
    def sizes(self) -> list[tuple[int, int]]: ...

    @property
    def scale(self) -> Scale: ...

    def read(self, level: int, part: Rectangle) -> NDArray[np.uint8]: ...

    def close(self) -> None: ...


class WholeSlide:
    """A whole slide; memory holds only the regions that are read. Threads may share it."""

    def __init__(self, path: Path, reader: _Reader, vendor: str, objective: float | None) -> None:
        self.path = path
        self.vendor = vendor
        """The scanner's maker as OpenSlide names it, or ``TIFF``."""
        self.objective = objective
        """Magnification of the objective; None: the file does not state it."""
        self.sizes: tuple[tuple[int, int], ...] = tuple(reader.sizes)
        """Width and height in pixels of each level, the largest first."""
        stated = reader.scale
        self.um_per_px = stated.um_per_px
        """Micrometres per pixel of the largest level; None: the file states no usable scale."""
        self.scale_note = stated.note
        """Reason why a scale that the file states is not used."""
        self._reader = reader

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open a slide: TIFF and OME-TIFF by tifffile, the kinds of scanners by OpenSlide. A folder is a DICOM series.

        Raises:
            InputError: absent, not permitted, or no slide.
            ImageError: damaged, cut off before its end, or of a kind that cannot be read in regions.
            MissingExtraError: the extra ``slides`` is not installed.
        """
        file = _file_of(path)
        suffix = file.suffix.lower()
        if suffix not in SLIDE_SUFFIXES:
            known = ", ".join(sorted(SLIDE_SUFFIXES))
            raise InputError(f"{path}: not a whole slide by its name. Give one of {known}.")
        try:
            if suffix in SCANNER_SUFFIXES or scanner_of(file) not in (None, GENERIC):
                return cls._of_scanner(path, file)
            try:
                return cls(path, _tiff(file), "TIFF", None)
            except ImageError as error:
                if error.reason == "unsupported_format" and scanner_of(file) == GENERIC:
                    return cls._of_scanner(path, file)
                raise
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({error.strerror or error}). Check its permissions.") from error

    @classmethod
    def _of_scanner(cls, path: Path, file: Path) -> Self:
        slide = ScannerSlide(file)
        return cls(path, slide, slide.vendor, slide.objective)

    @property
    def width(self) -> int:
        """Pixels of the largest level."""
        return self.sizes[0][0]

    @property
    def height(self) -> int:
        """Pixels of the largest level."""
        return self.sizes[0][1]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._reader.close()

    def downsample(self, level: int) -> float:
        """Pixels of the largest level along one pixel of ``level``."""
        return self.width / self.sizes[level][0]

    def level_for(self, reduction: float) -> int:
        """The smallest level that is reduced by at most ``reduction``."""
        return max(
            level for level in range(len(self.sizes)) if level == 0 or self.downsample(level) <= reduction * 1.01
        )

    def read(self, region: Region, level: int = 0) -> NDArray[np.uint8]:
        """Pixels of a region, shape (height, width, 3), RGB; beyond the border of the slide they are white.

        Args:
            region: in pixels of the largest level.
            level: number of the level; its pixels are returned.

        Raises:
            ImageError: damaged there, or larger than a field may be.
        """
        factor = self.downsample(level)
        left, top = math.floor(region.left / factor), math.floor(region.top / factor)
        width, height = max(1, round(region.width / factor)), max(1, round(region.height / factor))
        if width * height > FIELD.pixels:
            raise refusal("field_too_large", str(self.path), f"a region of {width} x {height} px")
        pixels = np.full((height, width, 3), 255, np.uint8)
        across, down = self.sizes[level]
        x, y = max(0, left), max(0, top)
        right, bottom = min(across, left + width), min(down, top + height)
        for part in _blocks(x, y, right, bottom):
            target = pixels[part.top - top :, part.left - left :][: part.height, : part.width]
            target[:] = self._reader.read(level, part)
        return pixels

    def thumbnail(self, side: int = 1024) -> Thumbnail:
        """The whole slide with at most ``side`` pixels along its longer side, from the smallest sufficient level."""
        reduction = max(1.0, max(self.width, self.height) / side)
        level = self.level_for(reduction)
        step = max(1, math.ceil(reduction / self.downsample(level)))  # pixels of the level along one of the thumbnail
        across, down = self.sizes[level]
        pixels = np.full((math.ceil(down / step), math.ceil(across / step), 3), 255, np.uint8)
        damaged = np.zeros(pixels.shape[:2], bool)
        for part in _blocks(0, 0, across, down, max(step, _BLOCK // step * step)):
            place = slice(part.top // step, None), slice(part.left // step, None)
            extent = slice(math.ceil(part.height / step)), slice(math.ceil(part.width / step))
            try:
                picture = Image.fromarray(self._reader.read(level, part))
            except ImageError:
                damaged[place][extent] = True
            else:
                pixels[place][extent] = np.asarray(picture.reduce(step))
        return Thumbnail(pixels, damaged)

    def digest(self, region: Region) -> str:
        """SHA-256 of a region and of `sample_digest`."""
        return hashlib.sha256(f"{self._sample} {tuple(region)}".encode()).hexdigest()

    @cached_property
    def _sample(self) -> str:
        return sample_digest(self.path)


def _blocks(left: int, top: int, right: int, bottom: int, side: int = _BLOCK) -> Iterator[Rectangle]:
    """The parts of a rectangle that are read one at a time; none where it is empty."""
    for y in range(top, bottom, side):
        for x in range(left, right, side):
            yield Rectangle(x, y, min(side, right - x), min(side, bottom - y))


def is_slide_file(path: Path) -> bool:
    """True for a file of a scanner by its suffix, and for a TIFF that is tiled or larger than a field.

    Only the directories of a TIFF are read; a damaged one is none.
    """
    suffix = path.suffix.lower()
    if suffix in SCANNER_SUFFIXES:
        return True
    if suffix not in TIFF_SUFFIXES:
        return False
    with suppress(ImageError, InputError, OSError):
        tiff = _tiff(path)
        width, height = tiff.sizes[0]
        tiff.close()
        return (tiff.tiled and width * height > FIELD.pixels // 16) or width * height > FIELD.pixels
    return False


def sample_digest(path: Path) -> str:
    """SHA-256 of a slide's size and of its first and last megabyte: a slide may hold many gigabytes.

    Raises:
        InputError: it cannot be read.
    """
    try:
        file = _file_of(path)
        size = file.stat().st_size
        with file.open("rb") as stream:
            digest = hashlib.sha256(f"{size}".encode() + stream.read(_SAMPLE))
            stream.seek(max(0, size - _SAMPLE))
            digest.update(stream.read(_SAMPLE))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error}). Check the path.") from error
    return digest.hexdigest()


def opened(path: Path) -> WholeSlide:
    """A slide that stays open: the last few are kept.

    Raises:
        InputError: as `WholeSlide.open`.
    """
    file = _file_of(path)
    status = file.stat()
    return _kept(path, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=4)  # an evicted slide is closed with its last user
def _kept(path: Path, _changed: int, _size: int) -> WholeSlide:
    return WholeSlide.open(path)


def _file_of(path: Path) -> Path:
    """The file of a slide: of a folder, its first DICOM file.

    Raises:
        InputError: absent, or a folder without one.
    """
    try:
        if path.is_dir():
            files = sorted(each for each in path.iterdir() if each.suffix.lower() in (".dcm", ".dicom"))
            if not files:
                raise InputError(f"{path}: a folder without a DICOM file (.dcm). Give the slide's file.")
            return files[0]
        if not path.exists():
            raise InputError(f"{path}: there is no such file. Correct the path.")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}). Check its permissions.") from error
    return path


def _tiff(path: Path) -> TiffRegions:
    try:
        return TiffRegions(path)
    except (ImageError, OSError):
        raise
    except Exception as error:
        raise refusal("damaged", str(path), type(error).__name__) from error
