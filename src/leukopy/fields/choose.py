"""Fields of view on a whole slide: the monolayer, sampled evenly.

The slide is divided into squares. Each square with cells is looked at with middle power for its thickness - the area
that cells cover, and the share of clustered cells - and each square of the monolayer with full power for its focus.
Of the fields that people chose for reading, 623 of 623 of RBC-12 and 93 of 115 of Chulalongkorn (training) are
monolayer; the other 22 are thick.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import polars as pl
from PIL import Image

from leukopy.core.errors import ImageError, InputError
from leukopy.core.progress import Progress, silent
from leukopy.fields.field import FieldInput, Region, ScaleSource
from leukopy.fields.quality import focus_of
from leukopy.fields.slide_sample import SlideSample, sample_slide, spread_places
from leukopy.fields.smear import (
    LOOK_PX,
    SmearLevels,
    SmearState,
    measure_smear,
)
from leukopy.fields.whole_slide import Thumbnail, WholeSlide, opened
from leukopy.taxonomy.objects import RED_CELL_UM

Verdict = Literal["chosen", "no_cells", "edge", "thin", "thick", "out_of_focus", "damaged", "not_looked_at"]

VERDICTS: dict[Verdict, str] = {
    "chosen": "monolayer",
    "no_cells": "glass without cells",
    "edge": "edge of the smear or of a zone",
    "thin": "feathered edge: few red cells",
    "thick": "thick: red cells overlap",
    "out_of_focus": "out of focus",
    "damaged": "damaged: cannot be read",
    "not_looked_at": "not looked at: enough of the slide was",
}
"""Verdict on a square -> words for people."""

_SIDE_UM = 250.0
"""Side of a square: about one field of a 100x objective."""
_MARGIN_UM = 20.0
"""Width around a square that is read too, so that its cells are whole."""
_MOST = 4_000
"""Squares that are looked at."""
_STAINED = 0.006
"""Mean optical density of a square, at low power, from which it is looked at."""
_EMPTY = 0.05
"""Cover below which a square has no cells."""
_THICK_COVER, _DENSE_COVER, _CLUSTERED = 0.72, 0.6, 0.97
"""Cover from which a square is thick; the same where at least this share of the cells is in clusters."""
_UNEVEN = 0.35
"""Unevenness (`smear.SmearState`) from which a square shows an edge."""
_THIN = 0.55
"""Cover, relative to that of the upper quarter of the squares that are not thick, below which a square is thin."""
_BLURRED, _SHARP_SHARE = 0.12, 0.35
"""Focus of a picture without detail, and least share of the way from there to the slide's sharpest tenth."""
_FOCUS_CELLS = 13
"""Side of the part that shows the focus, in red cells."""


SQUARE_SCHEMA: dict[str, pl.DataType] = {
    "slide_x": pl.Int32(),
    "slide_y": pl.Int32(),
    "slide_width": pl.Int32(),
    "slide_height": pl.Int32(),
    "verdict": pl.String(),  # a key of `VERDICTS`
    "analysed": pl.Boolean(),
    "cover": pl.Float32(),
    "touching": pl.Float32(),
    "focus": pl.Float32(),
}
"""One square of a slide."""


class Square(NamedTuple):
    """One square of a slide and what was seen of it."""

    place: tuple[int, int]
    """Row and column among the squares."""
    region: Region
    verdict: Verdict
    cover: float | None = None
    """`smear.SmearState`; None where it was not looked at."""
    touching: float | None = None
    focus: float | None = None
    """`quality.FieldQuality`; None where its thickness left it out already."""


@dataclass(frozen=True, eq=False)
class SlideChoice:
    """The squares of a slide, and the fields to analyse."""

    fields: list[FieldInput]
    """The monolayer in the order of analysis: every beginning is spread evenly over it."""
    squares: list[Square]
    """All squares, row by row."""
    size: tuple[int, int]
    """Width and height of the slide in pixels of the full resolution."""
    um_per_px: float
    scale_source: ScaleSource
    scale_note: str
    """Reason why a scale that the file states is not used, in words; empty without one."""
    thumbnail: Thumbnail

    def table(self, analysed: int) -> pl.DataFrame:
        """One row per square, in pixels of the slide; the first ``analysed`` fields were analysed."""
        cores = {field.core for field in self.fields[:analysed]}
        rows = [
            (*square.region, square.verdict, square.region in cores, square.cover, square.touching, square.focus)
            for square in self.squares
        ]
        return pl.DataFrame(rows, schema=SQUARE_SCHEMA, orient="row")

    def count(self, verdict: Verdict) -> int:
        """Squares with this verdict."""
        return sum(square.verdict == verdict for square in self.squares)


def choose_fields(
    path: Path,
    *,
    slide: str = "",
    um_per_px: float | None = None,
    side_um: float = _SIDE_UM,
    progress: Progress = silent,
) -> SlideChoice:
    """Choose the fields of a whole slide.

    The scale is the file's, else that of a table, else measured on the red cells, in this order.

    Args:
        path: the slide.
        slide: its name in the fields.
        um_per_px: micrometres per pixel from a table.
        side_um: side of a square, in micrometres.
        progress: reports the squares looked at.

    Raises:
        InputError: no slide, or no scale is stated and too few red cells lie apart to measure it.
        ImageError: damaged or cut off.
        MissingExtraError: a slide of a scanner without the extra ``slides``.
    """
    whole = opened(path)
    sample = sample_slide(whole)
    levels = sample.levels
    scale, source = _scale(whole, sample, um_per_px)
    red_cell_px = RED_CELL_UM / scale
    thumbnail = whole.thumbnail()
    squares = _grid(whole, round(side_um / scale))
    if levels is None:
        squares = [square._replace(verdict="no_cells") for square in squares]
    else:
        look = _Look(whole, levels, red_cell_px)
        squares = look.judge(squares, _wanted(squares, whole, thumbnail, levels), progress)
    chosen = [square for square in squares if square.verdict == "chosen"]
    field = FieldInput("", str(path), slide, um_per_px=um_per_px)
    margin = round(_MARGIN_UM / scale)
    order = spread_places([square.place for square in chosen])
    fields = [_field(field, path.name, chosen[number].region, margin, whole) for number in order]
    return SlideChoice(fields, squares, (whole.width, whole.height), scale, source, whole.scale_note, thumbnail)


def _scale(slide: WholeSlide, sample: SlideSample, table: float | None) -> tuple[float, ScaleSource]:
    """Micrometres per pixel, and their origin."""
    if slide.um_per_px is not None:
        return slide.um_per_px, "file"
    if table is not None:
        return table, "table"
    if sample.um_per_px is not None:
        return sample.um_per_px, "red cells"
    raise InputError(
        f"{slide.path}: states no scale, and shows too few single red cells to measure it. State the micrometres "
        "per pixel (--um-per-px)."
    )


def _field(field: FieldInput, name: str, core: Region, margin: int, slide: WholeSlide) -> FieldInput:
    left, top = max(0, core.left - margin), max(0, core.top - margin)
    right = min(slide.width, core.left + core.width + margin)
    bottom = min(slide.height, core.top + core.height + margin)
    region = Region(left, top, right - left, bottom - top)
    return replace(field, field_id=f"{name}#x={left},y={top}", region=region, core=core)


def _grid(slide: WholeSlide, side: int) -> list[Square]:
    """Squares row by row that cover the slide; their sides differ from ``side`` by less than a half."""
    rows, columns = (max(1, round(length / side)) for length in (slide.height, slide.width))
    tops = [number * slide.height // rows for number in range(rows + 1)]
    lefts = [number * slide.width // columns for number in range(columns + 1)]
    return [
        Square((row, column), Region(left, top, right - left, bottom - top), "not_looked_at")
        for row, (top, bottom) in enumerate(pairwise(tops))
        for column, (left, right) in enumerate(pairwise(lefts))
    ]


def _wanted(squares: list[Square], slide: WholeSlide, low: Thumbnail, levels: SmearLevels) -> list[bool]:
    """True for squares that show something at low power, or cannot be read there."""
    green = np.maximum(low.pixels[..., 1], 1)
    density = np.where((low.pixels == 255).all(axis=2), 0, np.log10(levels.glass / green))
    density[low.damaged] = 1
    found = []
    for square in squares:
        left, top, width, height = square.region
        scale = low.pixels.shape[1] / slide.width
        rows = slice(math.floor(top * scale), math.ceil((top + height) * scale))
        columns = slice(math.floor(left * scale), math.ceil((left + width) * scale))
        found.append(float(density[rows, columns].mean()) > _STAINED)
    return found


class _Look:
    """Looks at the squares of a slide."""

    def __init__(self, slide: WholeSlide, levels: SmearLevels, red_cell_px: float) -> None:
        self._slide, self._levels, self._red_cell_px = slide, levels, red_cell_px
        reduction = max(1.0, red_cell_px / LOOK_PX)
        self._level = slide.level_for(reduction)
        factor = slide.downsample(self._level)
        self._step = max(1, math.floor(reduction / factor))
        self._look_px = red_cell_px / factor / self._step

    def judge(self, squares: list[Square], wanted: list[bool], progress: Progress) -> list[Square]:
        """Give each square its verdict."""
        squares = [
            square if show else square._replace(verdict="no_cells")
            for square, show in zip(squares, wanted, strict=True)
        ]
        places = [place for place, show in enumerate(wanted) if show]
        looked = [places[number] for number in spread_places([squares[place].place for place in places])][:_MOST]
        self._each(squares, looked, self._thickness, "looking at the slide", progress)
        self._compare_cover(squares)
        clear = [place for place in looked if squares[place].verdict == "chosen"]
        self._each(squares, clear, self._focus, "checking the focus", progress)
        self._compare_focus(squares)
        return squares

    @staticmethod
    def _each(
        squares: list[Square], places: list[int], look: Callable[[Square], Square], stage: str, progress: Progress
    ) -> None:
        progress(stage, 0, len(places))
        for done, place in enumerate(places, start=1):
            try:
                squares[place] = look(squares[place])
            except ImageError:
                squares[place] = squares[place]._replace(verdict="damaged")
            progress(stage, done, len(places))

    def _thickness(self, square: Square) -> Square:
        pixels = self._slide.read(square.region, self._level)
        if self._step > 1:
            pixels = np.asarray(Image.fromarray(pixels).reduce(self._step))
        state = measure_smear(pixels, self._look_px, self._levels)
        return square._replace(verdict=_thickness_verdict(state), cover=state.cover, touching=state.touching)

    def _focus(self, square: Square) -> Square:
        left, top, width, height = square.region
        side = min(round(_FOCUS_CELLS * self._red_cell_px), width, height)
        middle = Region(left + (width - side) // 2, top + (height - side) // 2, side, side)
        return square._replace(focus=focus_of(Image.fromarray(self._slide.read(middle)), self._red_cell_px))

    @staticmethod
    def _compare_cover(squares: list[Square]) -> None:
        covers = [square.cover for square in squares if square.verdict == "chosen" and square.cover is not None]
        least = _THIN * float(np.percentile(covers, 75)) if covers else 0.0
        for place, square in enumerate(squares):
            if square.verdict == "chosen" and square.cover is not None and square.cover < least:
                squares[place] = square._replace(verdict="thin")

    @staticmethod
    def _compare_focus(squares: list[Square]) -> None:
        measured = [square.focus for square in squares if square.focus is not None]
        if not measured:
            return
        least = _BLURRED + _SHARP_SHARE * max(0.0, float(np.percentile(measured, 90)) - _BLURRED)
        for place, square in enumerate(squares):
            if square.focus is not None and square.focus < least:
                squares[place] = square._replace(verdict="out_of_focus")


def _thickness_verdict(state: SmearState) -> Verdict:
    if state.cover < _EMPTY:
        return "no_cells"
    if state.cover > _THICK_COVER or (state.cover > _DENSE_COVER and state.touching > _CLUSTERED):
        return "thick"
    return "edge" if state.uneven > _UNEVEN else "chosen"
