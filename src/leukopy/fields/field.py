"""A field of view: its pixels, its origin and its scale."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from leukopy.imaging.focus import Focus

ScaleSource = Literal["file", "table", "red cells"]
"""Origin of the micrometres per pixel, in the order of preference."""


class Region(NamedTuple):
    """A rectangle of a whole slide, in pixels of its full resolution."""

    left: int
    top: int
    width: int
    height: int


@dataclass(frozen=True)
class FieldInput:
    """One field to read."""

    field_id: str
    """Unique within the run: the path below the input, with ``#page=3`` or ``#x=1024,y=2048`` for a part of a file."""
    path: str
    slide: str = ""
    """Name of its slide; empty where the fields are of one slide without a name."""
    page: int | None = None
    """Page of a file with several pages, from 1; None: the only page, or ``planes``."""
    planes: tuple[int, ...] = ()
    """Pages that are focus planes of this field."""
    focus: Focus = "sharpest"
    """How the focus planes become one picture."""
    region: Region | None = None
    """Part of a whole slide; None: the whole picture."""
    core: Region | None = None
    """Part of ``region`` whose objects count here: those with their centre inside. The cores of a slide do not overlap,
    and a region reaches beyond its core by a cell's diameter. None: the whole region."""
    um_per_px: float | None = None
    """Micrometres per pixel from a table."""


@dataclass(frozen=True, eq=False)
class Field:
    """One decoded field of view."""

    source: FieldInput
    pixels: NDArray[np.uint8]
    """Shape (height, width, 3), RGB, upright."""
    digest: str
    """SHA-256 of the file's bytes; with a page or region, of these too."""
    um_per_px: float | None = None
    """Micrometres per pixel from the file or a table; None: unknown until red cells are measured."""
    scale_source: ScaleSource | None = None
    scale_note: str = ""
    """Reason why a scale that the file states is not used, in words; empty without one."""
