"""Which cells a report shows, and their thumbnails."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from pathlib import Path

import polars as pl
from PIL import Image, ImageOps

from leukopy.core.errors import ImageError
from leukopy.imaging.decode import read_image
from leukopy.inference.rows import counted_code
from leukopy.taxonomy import DISPLAY_ORDER

PER_CLASS = 24
"""Cells shown per class where nothing else is asked for."""

THUMBNAIL = 192
"""Side of a thumbnail in pixels: shown at half that, and enlarged on a click."""


def totals(cells: pl.LazyFrame) -> dict[str, int]:
    """Cells per class that they are counted in, fine or unidentified, in display order."""
    counts = cells.group_by(counted_code()).len().collect(engine="streaming")
    found: Mapping[str, int] = dict(counts.iter_rows())
    return {code: found[code] for code in DISPLAY_ORDER if code in found}


def choose(cells: pl.LazyFrame, per_class: int = PER_CLASS) -> pl.DataFrame:
    """The ``per_class`` least certain cells of each class: in display order, least certain cell first.

    Classes are those that cells are counted in: a fine one, or ``UNIDENTIFIED``.

    Args:
        cells: rows of ``CELL_SCHEMA``, any number of them; they are streamed, never held together.
        per_class: most cells of a class.

    Returns:
        Rows of ``CELL_SCHEMA``.
    """
    order = ["fine_confidence", "cell_id"]
    shown = [
        cells.filter(counted_code() == code).bottom_k(per_class, by=order).collect(engine="streaming").sort(order)
        for code in totals(cells)
    ]
    return pl.concat(shown) if shown else cells.head(0).collect()


def thumbnails(rows: pl.DataFrame) -> dict[str, bytes]:
    """A JPEG of the centred square of each cell, by ``cell_id``.

    A picture that can no longer be read (moved since it was classified) is left out; the page says so in its place.
    """
    found = {}
    for cell_id, path in rows.select("cell_id", "path").iter_rows():
        try:
            pixels = read_image(Path(path), short_side=THUMBNAIL)
        except ImageError:
            continue
        stream = BytesIO()
        ImageOps.fit(Image.fromarray(pixels), (THUMBNAIL, THUMBNAIL)).save(stream, "JPEG", quality=82, optimize=True)
        found[cell_id] = stream.getvalue()
    return found
