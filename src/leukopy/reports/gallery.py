"""Choice of the cells that a report shows, and their thumbnails."""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path

import polars as pl
from PIL import Image

from leukopy.core.errors import ImageError
from leukopy.imaging.decode import read_image
from leukopy.inference.rows import Predictions, counted_code
from leukopy.slides.review_order import REVIEW_RANK
from leukopy.taxonomy import display_order

PER_CLASS = 24
"""Cells shown per class where nothing else is asked for."""

THUMBNAIL = 192
"""Side of a thumbnail in pixels: shown at half that, and enlarged on a click."""

_LARGEST = 256
"""Side of a considered picture, in pixels, from which it is reduced at once."""


ReadCell = Callable[[str, str], Image.Image]
"""Reads the picture of a cell by its ``cell_id`` and the path of its file; raises `ImageError`."""


def totals(cells: pl.LazyFrame) -> dict[str, int]:
    """Number of cells in each counted class, fine or unidentified, in display order."""
    counts = cells.group_by(counted_code()).len().collect(engine="streaming")
    found: Mapping[str, int] = dict(counts.iter_rows())
    return {code: found[code] for code in display_order() if code in found}


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


def choose_first(cells: pl.LazyFrame, most: int = PER_CLASS) -> pl.DataFrame:
    """The cells to look at first (`slides.review_order`), in this order: rows of ``CELL_SCHEMA``.

    Args:
        cells: rows of ``CELL_SCHEMA`` with ``review_rank``.
        most: largest number of them.
    """
    return cells.filter(pl.col(REVIEW_RANK) <= most).collect(engine="streaming").sort(REVIEW_RANK)


def choose_left_out(cells: pl.LazyFrame, most: int = PER_CLASS) -> pl.DataFrame:
    """The first pictures without a single cell, by ``cell_id``: some columns of ``CELL_SCHEMA``.

    Args:
        cells: rows of ``CELL_SCHEMA``.
        most: largest number of them.
    """
    left_out = cells.filter(pl.col("fine").is_null()).select("cell_id", "path", "content", "flags")
    return left_out.bottom_k(most, by="cell_id").collect(engine="streaming").sort("cell_id")


class Thumbnails:
    """Thumbnails of the least certain cells of each class, made while their pictures are at hand.

    Memory is bounded by the number of classes times ``per_class``, however many cells are added.
    """

    def __init__(self, per_class: int = PER_CLASS) -> None:
        self._per_class = per_class
        self._kept: dict[str | None, list[tuple[float, str, Image.Image]]] = {}
        """By class: (confidence, cell id, centred square), sorted, at most ``per_class``. Class None: not counted."""

    def add(self, predictions: Predictions) -> None:
        """Consider cells whose small pictures came with their rows."""
        confidence = pl.col("fine_confidence").fill_null(0)  # pictures without a cell come before copies
        rows = predictions.cells.select(counted_code(), confidence, "cell_id").iter_rows()
        for view, (code, confidence, cell_id) in zip(predictions.views, rows, strict=False):
            kept = self._kept.setdefault(code, [])
            if len(kept) < self._per_class or (kept and (confidence, cell_id) < kept[-1][:2]):
                insort(kept, (confidence, cell_id, _square(view)), key=lambda one: one[:2])
                del kept[self._per_class :]

    def of(self, rows: pl.DataFrame, read: ReadCell | None = None) -> dict[str, bytes]:
        """A JPEG of the centred square of each cell, by ``cell_id``.

        A picture that was classified before a resume is read again; one that can no longer be read is left out, and
        the page says so in its place.

        Args:
            rows: ``cell_id`` and ``path`` of cells, as the functions above return them; a cell may come twice.
            read: reads the picture of a cell again by these two; by default from its file.
        """
        read = read or _of_file
        found = {cell_id: _jpeg(square) for kept in self._kept.values() for _, cell_id, square in kept}
        others = rows.filter(~pl.col("cell_id").is_in(list(found))).select("cell_id", "path")
        for cell_id, path in others.unique(maintain_order=True).iter_rows():
            try:
                found[cell_id] = _jpeg(_square(read(cell_id, path)))
            except ImageError:
                continue
        return found


def _of_file(_: str, path: str) -> Image.Image:
    return Image.fromarray(read_image(Path(path), short_side=THUMBNAIL))


def _square(picture: Image.Image) -> Image.Image:
    """The centred square, of at most 200 kB: many are considered, and few are shown."""
    side = min(picture.size)
    left, upper = (picture.width - side) // 2, (picture.height - side) // 2
    square = picture.crop((left, upper, left + side, upper + side))
    return square if side <= _LARGEST else square.resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BILINEAR)


def _jpeg(square: Image.Image) -> bytes:
    """A thumbnail of a square picture."""
    stream = BytesIO()
    square.resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BILINEAR).save(stream, "JPEG", quality=82)
    return stream.getvalue()
