"""Photographs of fields of view, and cells that readers draw on them."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from leukopy.core.settings import Settings
from leukopy.review.records.values import Number

Box = tuple[int, int, int, int]
"""Left, top, width and height, in pixels of the field."""
Side = Annotated[int, Field(ge=4, le=20_000)]
Place = Annotated[int, Field(ge=-20_000, le=20_000)]


class FieldView(Settings):
    """A photograph of a field of view, without its picture."""

    id: int
    name: str
    """Name of the file."""
    width: int
    """px"""
    height: int
    digest: str
    """sha256 of the file."""
    searched: bool
    """False: it waits for the analysis, or cannot be read."""
    reason: str | None = None
    """Why it cannot be read."""
    message: str | None = None
    left_out: str | None = None
    """Why nothing of it is counted; None: it is in use."""
    place: tuple[int, int, int, int] | None = None
    """Left, top, width and height on the whole slide, in pixels of its full resolution; None: a photograph."""


class SlideOverview(Settings):
    """A whole slide at low power, without its picture."""

    width: int
    """Of the slide, px of its full resolution."""
    height: int


class DrawnBox(Settings):
    """A cell that the detector missed, as a reader draws it."""

    version: Number
    """Of the case."""
    box: tuple[Place, Place, Side, Side]
