"""Whole slides of scanners, read region by region through OpenSlide (Goode et al., J Pathol Inform 2013)."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from leukopy.core.errors import MissingExtraError
from leukopy.imaging.refusal import refusal
from leukopy.imaging.scale import Scale, judge_scale
from leukopy.imaging.tiff_regions import Rectangle, unsupported

if TYPE_CHECKING:
    from openslide import OpenSlide

GENERIC = "generic-tiff"
"""A tiled TIFF of no known scanner."""


class ScannerSlide:
    """A slide of a scanner. Threads may share it."""

    def __init__(self, path: Path) -> None:
        """Open the slide.

        Raises:
            ImageError: no slide that OpenSlide knows, incomplete, or damaged.
            MissingExtraError: the extra ``slides`` is not installed.
        """
        self._where = str(path)
        self._openslide = _openslide(path)
        self._slide = self._open()
        properties = self._slide.properties
        self.vendor: str = properties.get("openslide.vendor", "unknown")
        """The scanner's maker as OpenSlide names it."""
        self.objective = _number(properties.get("openslide.objective-power"))
        """Magnification; None: not stated."""

    def _open(self) -> OpenSlide:
        try:
            slide: OpenSlide = self._openslide.OpenSlide(self._where)
        except self._openslide.OpenSlideUnsupportedFormatError as error:
            raise unsupported(
                self._where, "OpenSlide does not know it as a slide, or files beside it are missing"
            ) from error
        except self._openslide.OpenSlideError as error:
            raise refusal("damaged", self._where, str(error)) from error
        return slide

    @property
    def sizes(self) -> list[tuple[int, int]]:
        """Width and height of each level, the largest first."""
        return list(self._slide.level_dimensions)

    @property
    def scale(self) -> Scale:
        """The scale that the slide states."""
        across, down = (_number(self._slide.properties.get(f"openslide.mpp-{axis}")) for axis in "xy")
        return Scale() if across is None or down is None else judge_scale(across, down, "the slide")

    def read(self, level: int, part: Rectangle) -> NDArray[np.uint8]:
        """Pixels of a rectangle inside a level, shape (height, width, 3), RGB; white where nothing was scanned.

        Raises:
            ImageError: damaged there.
        """
        slide = self._slide
        factor = slide.level_downsamples[level]
        place = (round(part.left * factor), round(part.top * factor))
        try:
            clear = slide.read_region(place, level, (part.width, part.height))
        except self._openslide.OpenSlideError as error:
            self._slide = self._open()  # after an error OpenSlide reads no other region
            raise refusal("damaged", self._where, str(error)) from error
        white = Image.new("RGBA", clear.size, "white")
        return np.asarray(Image.alpha_composite(white, clear).convert("RGB"))

    def close(self) -> None:
        """Close the file."""
        self._slide.close()


def scanner_of(path: Path) -> str | None:
    """The scanner that wrote a file, as OpenSlide names it; None where it knows none, or is not installed."""
    try:
        found: str | None = _openslide(path).OpenSlide.detect_format(path)
    except MissingExtraError:
        return None
    return found


def _openslide(path: Path) -> ModuleType:
    try:
        import openslide  # noqa: PLC0415
    except ImportError as error:  # its C library included
        raise MissingExtraError(f"{path}: a slide of a scanner", "slides") from error
    return openslide


def _number(text: str | None) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:
        return None
