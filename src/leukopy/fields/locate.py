"""Objects of one field: scale, flags, counting rule, and the pictures of its leukocytes.

An object is counted where its centre lies inside the field, or in the field's core. A box that ends at the border shows
a part of the object: its whole width is taken as its height, so that an object of which less than half is visible is
not counted.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from leukopy.core.errors import ImageError
from leukopy.fields.box_pairs import overlapping
from leukopy.fields.crops import (
    RED_CELLS_ACROSS,
    background,
    cut_out,
    red_cell_px_from,
    whole_centres,
)
from leukopy.fields.detections import Detections
from leukopy.fields.doubles import Landmarks
from leukopy.fields.field import Field, FieldInput, ScaleSource
from leukopy.fields.located import LocatedField
from leukopy.fields.quality import measure_quality, no_blood_film
from leukopy.imaging.content import BLANK, NO_CELL, UNSTAINED, contents
from leukopy.imaging.decode import Picture
from leukopy.imaging.overview import overview
from leukopy.taxonomy.objects import OBJECTS, RED_CELL_UM

_BORDER = 1.5
"""Pixels from the border at which a box is cut."""
_OVERLAP = 0.05
"""Share of the smaller box from which two boxes overlap: boxes of round cells that only touch reach less."""
_RED_CELLS_UM = (5.0, 11.0)
"""Mean diameter of the red cells, in µm, that a stated scale can be right for: microcytic and macrocytic blood lie
within."""
_SAME_SCALE = 0.1
"""Relative difference of the red cells' size on one field from that on the slide that is sampling error."""

Read = Callable[[FieldInput], Field]
"""Reads a field, as `fields.read.read_field`."""


class Finder(Protocol):
    """A detector, as `fields.detector.Detector`. Threads may share it."""

    def find(self, field: Field, usual_red_cell_px: float | None = None) -> Detections:
        """Objects of a field, the highest score first; the diameter of a red cell on the slide saves time."""


class Crops(NamedTuple):
    """How leukocytes are cut out."""

    short_side: int
    """Pixels that the classifier needs of a cell's picture."""
    usual_red_cell_px: float | None = None
    """Diameter of a red cell on the fields of the slide; None where it is unknown."""


def locate(source: FieldInput, detector: Finder, read: Read, crops: Crops) -> tuple[LocatedField, Field | None]:
    """Read a field, find its objects, and cut out its leukocytes.

    Args:
        source: the field.
        detector: finds the objects.
        read: reads the field.
        crops: how leukocytes are cut out.

    Returns:
        The located field, and the decoded one; None where it cannot be read.
    """
    try:
        seen = read(source)
    except ImageError as error:
        return LocatedField(source, failure=error, left_out=f"unreadable: {error.reason.replace('_', ' ')}"), None
    found = detector.find(seen, crops.usual_red_cell_px)
    located = _located(seen, found)
    if cause := _unusable(seen.pixels, located):
        located.leave_out(cause)
    elif len(located.leukocytes):
        _cut_leukocytes(located, seen, crops)
    return located, seen


def _located(seen: Field, found: Detections) -> LocatedField:
    height, width = seen.pixels.shape[:2]
    um_per_px, origin, note = _scale(seen, found.red_cell_px)
    sides = border_sides(found.boxes, width, height)
    centres = whole_centres(found.boxes, sides)
    touching = np.zeros(len(found), bool)
    for kind in range(len(OBJECTS)):
        own = found.kinds == kind
        touching[own] = overlapping(found.boxes[own], _OVERLAP)
    return LocatedField(
        source=seen.source,
        size=(width, height),
        digest=seen.digest,
        um_per_px=um_per_px,
        scale_source=origin,
        scale_note=note,
        found=found,
        cut=np.asarray(sides.any(axis=1)),
        touching=touching,
        counted=_counted(seen, centres),
        centres=centres,
        quality=measure_quality(seen.pixels, found),
    )


def _scale(seen: Field, red_cell_px: float | None) -> tuple[float | None, ScaleSource | None, str]:
    """Micrometres per pixel, their origin, and the reason why a stated scale is not used."""
    stated = seen.um_per_px
    if red_cell_px is None:
        return stated, seen.scale_source, seen.scale_note
    if stated is not None:
        if is_plausible(stated, red_cell_px):
            return stated, seen.scale_source, seen.scale_note
        where = "file" if seen.scale_source == "file" else "table"
        note = (
            f"the {where} states {stated:.3g} µm per pixel, which makes the red cells {stated * red_cell_px:.3g} µm "
            "wide: the scale is measured on the red cells instead"
        )
        return RED_CELL_UM / red_cell_px, "red cells", note
    return RED_CELL_UM / red_cell_px, "red cells", seen.scale_note


def is_plausible(um_per_px: float, red_cell_px: float) -> bool:
    """True where a stated scale makes the red cells as large as blood's can be."""
    low, high = _RED_CELLS_UM
    return low <= um_per_px * red_cell_px <= high


def cut_again(pixels: NDArray[np.uint8], box: NDArray[np.float32], side: int) -> Image.Image:
    """The picture of a located cell from its field.

    Args:
        pixels: (height, width, 3), RGB.
        box: (4,), left, top, width and height in pixels of the field.
        side: of the picture, in pixels of the field.
    """
    height, width = pixels.shape[:2]
    centre = whole_centres(box[None], border_sides(box[None], width, height))[0]
    return cut_out(pixels, centre, side, side, background(pixels))


def _unusable(pixels: NDArray[np.uint8], located: LocatedField) -> str:
    """Cause that nothing is counted on a field, such as the lamp that was off; empty for any other field."""
    if len(located.found):
        return "" if located.quality is None else no_blood_film(located.found, located.quality)
    shown = overview(Image.fromarray(pixels))
    content = contents(shown[None], np.array([pixels.shape[1::-1]]))[0]
    return content.cause if content.kind == NO_CELL and content.cause not in (BLANK, UNSTAINED) else ""


def _cut_leukocytes(located: LocatedField, seen: Field, crops: Crops) -> None:
    """Add the pictures of its counted leukocytes, and the landmarks of a photograph."""
    boxes = located.found.boxes[located.leukocytes]
    red_cell_px = _crop_scale(located, crops.usual_red_cell_px) or red_cell_px_from(boxes)
    side = max(8, round(RED_CELLS_ACROSS * red_cell_px))
    beyond = background(seen.pixels)
    for index in located.rows:
        picture = cut_out(seen.pixels, located.centres[index], side, crops.short_side, beyond)
        digest = hashlib.sha256(f"{seen.digest} {located.found.boxes[index].tolist()}".encode()).hexdigest()
        located.pictures[index] = Picture(picture, side, side, digest, 1, scalable=False)
    if seen.source.region is None:  # the regions of a whole slide share no core
        areas = boxes[:, 2] * boxes[:, 3]
        located.landmarks = Landmarks.of(seen.pixels, located.centres[located.leukocytes], areas, red_cell_px)


def _crop_scale(located: LocatedField, usual: float | None) -> float | None:
    """Pixels of a red cell of 7.5 µm: by the stated scale, by the red cells of the slide, or by those of the field."""
    own = located.found.red_cell_px
    if located.um_per_px is not None and located.scale_source != "red cells":
        return RED_CELL_UM / located.um_per_px
    if own is None or (usual is not None and abs(own / usual - 1) <= _SAME_SCALE):
        return usual
    return own


def border_sides(boxes: NDArray[np.float32], width: int, height: int) -> NDArray[np.bool_]:
    """Sides (n, 4) of boxes (n, 4) that end at the border: left, upper, right, lower."""
    ends = np.array([width, height]) - _BORDER
    return np.concatenate([boxes[:, :2] <= _BORDER, boxes[:, :2] + boxes[:, 2:] >= ends], axis=1)


def _counted(seen: Field, centres: NDArray[np.float64]) -> NDArray[np.bool_]:
    """True where the centre of the object lies inside the field, or its core."""
    height, width = seen.pixels.shape[:2]
    low, high = np.zeros(2), np.array([width, height], np.float64)
    core, region = seen.source.core, seen.source.region
    if core is not None and region is not None:
        scale = high / (region.width, region.height)
        low = (np.array(core[:2]) - region[:2]) * scale
        high = low + np.array(core[2:]) * scale
    return np.asarray(((centres >= low) & (centres < high)).all(axis=1))
