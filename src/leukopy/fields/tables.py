"""Tables of located objects: one row per field, one row per object, and the columns of located cells.

The three join on ``field``; a leukocyte of ``objects.parquet`` joins its row of ``cells.parquet`` on ``cell_id``.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import polars as pl

from leukopy.taxonomy.objects import OBJECTS
from leukopy.taxonomy.red_cell_shapes import SHAPE_NAMES

OBJECTS_FILE, FIELDS_FILE = "objects.parquet", "fields.parquet"

CUT = "cut"
"""Flag of an object whose box reaches the border of its field."""
TOUCHING = "touching"
"""Flag of an object whose box overlaps another of its kind."""

_BOX: dict[str, pl.DataType] = {
    "box_x": pl.Float32(),  # left edge, px of the field from its upper left corner; may lie beyond the border
    "box_y": pl.Float32(),  # upper edge
    "box_width": pl.Float32(),
    "box_height": pl.Float32(),
    "diameter_um": pl.Float32(),  # mean of width and height; null where the scale of the field is unknown
}

LOCATION_SCHEMA: dict[str, pl.DataType] = {
    "field": pl.String(),  # `FieldInput.field_id`
    **_BOX,
    "detection_score": pl.Float32(),  # of the detector, 0 to 1
}
"""Columns of classified cells that a detector located, beside those of `inference.rows.CELL_SCHEMA`. Their ``flags``
name `CUT` and `TOUCHING` cells."""

OBJECT_SCHEMA: dict[str, pl.DataType] = {
    "slide": pl.String(),  # null where the fields are of one slide without a name
    "field": pl.String(),
    "kind": pl.String(),  # one of `taxonomy.objects.OBJECTS`
    **_BOX,
    "detection_score": pl.Float32(),
    "cut": pl.Boolean(),
    "touching": pl.Boolean(),
    "counted": pl.Boolean(),  # false: its centre lies outside the field, or an earlier field shows the same object
    "same_as": pl.String(),  # leukocytes: `cell_id` of the same cell on an earlier, overlapping field; else null
    "cell_id": pl.String(),  # of its row in the table of cells; null for objects without such a row
    "shape": pl.String(),  # the likeliest of `taxonomy.red_cell_shapes.SHAPES`; null where not judged
    "shape_probability": pl.Float32(),  # of that shape
    "shape_sure": pl.Boolean(),  # false: too unlikely to be named, or unlike the training cells
}
"""One object that a detector found on a field, counted or not."""

FIELD_SCHEMA: dict[str, pl.DataType] = {
    "slide": pl.String(),
    "field": pl.String(),  # `FieldInput.field_id`, unique within the run
    "path": pl.String(),  # of its file
    "page": pl.Int32(),  # of a file with several pages, from 1; null for the only page
    "slide_x": pl.Int32(),  # left edge on the whole slide, px of its full resolution; null for a photograph
    "slide_y": pl.Int32(),
    "slide_width": pl.Int32(),  # of the region, px of the full resolution; null for a photograph
    "slide_height": pl.Int32(),
    "width": pl.Int32(),  # px
    "height": pl.Int32(),
    "counted_share": pl.Float32(),  # of the area, where objects are counted (`FieldInput.core`); null for the whole
    "digest": pl.String(),  # `Field.digest`
    "um_per_px": pl.Float64(),  # null where unknown
    "scale_source": pl.String(),  # "file", "table" or "red cells"; null where unknown
    "scale_note": pl.String(),  # reason why a stated scale is not used; null without one
    "red_cell_px": pl.Float32(),  # diameter of a red cell, px; null where too few allow no measurement
    **{f"{kind}s": pl.Int32() for kind in OBJECTS},  # counted objects of each kind
    "cells": pl.Int32(),  # rows of this field in the table of cells
    "red_cells_judged": pl.Int32(),  # counted separate whole red cells: they have a shape, sure or not
    **{f"shape_{name}": pl.Int32() for name in SHAPE_NAMES},  # those that surely have this shape
    "focus": pl.Float32(),  # `fields.quality.FieldQuality`
    "crowding": pl.Float32(),
    "light": pl.Float32(),
    "light_range": pl.Float32(),
    "dyed_as_nuclei": pl.Float32(),
    "overlaps": pl.String(),  # an earlier field that shows a part of the same area; null where none is known
    "left_out": pl.String(),  # reason why nothing of it is counted; null for a field in use
}
"""One field that was read, used or left out. Unreadable fields are failures."""

ROWS_AT_ONCE = 50_000
"""Objects that are held in memory together: those of some hundred fields."""


def slices(rows: pl.LazyFrame) -> Iterator[pl.DataFrame]:
    """The rows of a table of any length, ``ROWS_AT_ONCE`` at a time; one slice or more."""
    for start in count(0, ROWS_AT_ONCE):
        part = rows.slice(start, ROWS_AT_ONCE).collect()
        if start and part.is_empty():
            return
        yield part
