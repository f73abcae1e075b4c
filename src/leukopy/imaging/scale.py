"""Micrometres per pixel that a picture file states."""

from __future__ import annotations

import re
from io import BytesIO
from typing import NamedTuple

from tifffile import TiffFile

from leukopy.imaging.formats import kind_of
from leukopy.imaging.tiff_directories import check_directories

SMALLEST, LARGEST = 0.02, 5.0
"""Micrometres per pixel of a microscope: a 100x objective with small pixels, and a 2x objective."""
_PRINT = 10.0
"""Micrometres per pixel from which a resolution tag is that of a printer or a screen (2,540 dots per inch)."""
_SQUARE = 1.02
"""Largest ratio of width to height of a pixel."""

_UNITS = {
    "nm": 1e-3, "nanometer": 1e-3, "µm": 1.0, "μm": 1.0, "um": 1.0, "micron": 1.0, "microns": 1.0, "micrometer": 1.0,
    "micrometre": 1.0, "\\u00b5m": 1.0, "mm": 1e3, "millimeter": 1e3, "cm": 1e4, "centimeter": 1e4, "m": 1e6,
    "inch": 25_400.0, "in": 25_400.0,
}  # fmt: skip
"""Unit -> micrometres."""
_INCH, _CENTIMETRE = 2, 3


class Scale(NamedTuple):
    """The scale of a file."""

    um_per_px: float | None = None
    """None: the file states no usable scale."""
    note: str = ""
    """Reason why a stated scale is not used, in words; empty without one."""


def judge_scale(across: float, down: float, where: str) -> Scale:
    """A stated scale, or the reason not to use it.

    Args:
        across: micrometres per pixel along a row.
        down: along a column.
        where: the origin, in words: ``"its OME header"``.
    """
    smaller, larger = sorted((across, down))
    if not SMALLEST <= smaller <= larger <= LARGEST:
        return Scale(None, f"{where} states {across:.4g} µm per pixel, beyond a microscope's {SMALLEST} to {LARGEST}")
    if larger > _SQUARE * smaller:
        return Scale(None, f"{where} states pixels of {across:.4g} x {down:.4g} µm, which are not square")
    return Scale((across + down) / 2)


def read_scale(data: bytes, where: str) -> Scale:
    """The scale that a TIFF states: in its OME header, by ImageJ, or as resolution; other kinds state none.

    A resolution of 2,540 dots per inch or less belongs to a printer or a screen, and counts as none.

    Args:
        data: the bytes of a readable picture.
        where: its name in messages.

    Raises:
        ImageError: not a picture, or a damaged TIFF.
    """
    if kind_of(data, where) != "TIFF":
        return Scale()
    stream = BytesIO(data)
    check_directories(stream, where)
    with TiffFile(stream) as tif:
        return scale_of(tif)


def scale_of(tif: TiffFile) -> Scale:
    """The scale that an open TIFF states, as `read_scale`."""
    if tif.is_ome and (stated := _ome(tif.ome_metadata or "")):
        return judge_scale(*stated, "its OME header")
    page = tif.pages.first
    pixels_per_unit = tuple(_ratio(page.tags.valueof(tag)) for tag in ("XResolution", "YResolution"))
    if not all(pixels_per_unit):
        return Scale()
    unit, name = {_INCH: 25_400.0, _CENTIMETRE: 10_000.0}.get(int(page.tags.valueof("ResolutionUnit") or _INCH)), ""
    if tif.is_imagej and (named := str((tif.imagej_metadata or {}).get("unit", ""))):
        unit, name = _UNITS.get(named.strip().lower()), "ImageJ"
    if unit is None:
        return Scale()
    across, down = (unit / each for each in pixels_per_unit)
    if not name and min(across, down) >= _PRINT:
        return Scale()
    return judge_scale(across, down, name or "its resolution tag")


def _ome(xml: str) -> tuple[float, float] | None:
    """``PhysicalSizeX`` and ``Y`` of the first picture, in micrometres; None where one or its unit is missing."""
    found = re.search(r"<(?:\w+:)?Pixels\b([^>]*)>", xml)
    values = dict(re.findall(r'(\w+)="([^"]*)"', found[1])) if found else {}
    sizes = []
    for axis in "XY":
        unit = _UNITS.get(values.get(f"PhysicalSize{axis}Unit", "µm").replace("&#181;", "µ").lower())
        try:
            sizes.append(float(values[f"PhysicalSize{axis}"]) * (unit or 0))
        except (KeyError, ValueError):
            return None
    return (sizes[0], sizes[1]) if all(sizes) else None


def _ratio(value: object) -> float:
    """A fraction of TIFF as a number; 0 where it is none."""
    match value:
        case (int() as top, int() as bottom) if bottom:
            return top / bottom
        case int() | float():
            return float(value)
        case _:
            return 0.0
