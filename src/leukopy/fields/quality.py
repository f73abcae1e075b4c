"""Quality of a field: focus, crowding and light."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import scipy  # its parts load on first use
from numpy.typing import NDArray
from PIL import Image

from leukopy.fields.box_pairs import overlapping
from leukopy.fields.detections import Detections
from leukopy.fields.optical_density import OpticalDensity
from leukopy.taxonomy.objects import LEUKOCYTE, RED_CELL

_RED_CELL = 24.0
"""Diameter, in pixels, to which the red cells are scaled before the focus is measured."""
_REST = 15**0.5
"""What blurs a picture that was blurred by 1 pixel as if by 4."""
_PATCHES = 4
"""Parts of each side in which the background is measured."""
_DYED = 0.45
"""Absorption of blue, in units of that of red, below which an object is dyed as nuclei are: red cells absorb blue."""
_TISSUE = 0.38
"""Share of the objects taken for red cells, dyed as nuclei are, above which a picture is no blood film: .46 or more of
drawn sections of tissue, .29 or less on validation pictures of eight laboratories and on drawn fields."""


class FieldQuality(NamedTuple):
    """Quality of one field."""

    focus: float
    """Detail of 1 pixel against detail of 1 to 4 pixels, where a red cell measures 24 pixels: .1 out of focus, .3
    sharp. Not-a-number where the size of the red cells is unknown."""
    crowding: float
    """Share of the red cells whose box overlaps another red cell, 0 to 1; not-a-number without red cells."""
    light: float
    """Level of the background: the 95th percentile of green, 0 to 255."""
    light_range: float
    """Largest less smallest level of the background among 16 parts of the field, in units of ``light``."""
    dyed_as_nuclei: float
    """Share of the red cells that absorb as little blue light as nuclei do; not-a-number without red cells."""


def measure_quality(pixels: NDArray[np.uint8], found: Detections) -> FieldQuality:
    """Measure a field.

    Args:
        pixels: (height, width, 3), RGB.
        found: its objects.
    """
    picture = Image.fromarray(pixels)
    small = picture.reduce(max(1, min(picture.size) // 128))
    levels = np.asarray(small)[..., 1]
    parts = [part for rows in np.array_split(levels, _PATCHES) for part in np.array_split(rows, _PATCHES, axis=1)]
    backgrounds = [float(np.percentile(part, 90)) for part in parts if part.size]
    light = float(np.percentile(levels, 95))
    red = found.of(RED_CELL).boxes
    in_red, _, in_blue = OpticalDensity(pixels).of(red).T
    return FieldQuality(
        focus=float("nan") if found.red_cell_px is None else focus_of(picture, found.red_cell_px),
        crowding=float(overlapping(red, 0.05).mean()) if len(red) else float("nan"),
        light=light,
        light_range=(max(backgrounds) - min(backgrounds)) / max(light, 1.0),
        dyed_as_nuclei=float((in_blue < _DYED * in_red).mean()) if len(red) else float("nan"),
    )


def no_blood_film(found: Detections, quality: FieldQuality) -> str:
    """Reason why a picture with objects is no field of a blood film; empty where it may be one.

    Args:
        found: the objects of the picture.
        quality: of the picture.
    """
    if len(found) and found.red_cell_px is None and not len(found.of(LEUKOCYTE)):
        return "no blood film: neither leukocytes nor enough whole red cells"
    if quality.dyed_as_nuclei > _TISSUE:
        return "no blood film: the objects as large as red cells have the colour of nuclei"
    return ""


def focus_of(picture: Image.Image, red_cell_px: float) -> float:
    """Focus of a picture (`FieldQuality.focus`): sharpness as in `inference.reasons`, at the scale of the red cells."""
    scale = _RED_CELL / red_cell_px
    size = (max(8, round(picture.width * scale)), max(8, round(picture.height * scale)))
    grey = np.asarray(picture.convert("L").resize(size, Image.Resampling.BILINEAR), np.float32)
    soft = scipy.ndimage.gaussian_filter(grey, 1)
    half = soft[::2, ::2]  # every second pixel shows what is left, at a quarter of the cost
    coarse = half - scipy.ndimage.gaussian_filter(half, _REST / 2)
    return float((grey - soft).std() / (coarse.std() + 1e-6))
