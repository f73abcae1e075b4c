"""A sample of a whole slide: levels of glass and cells, and the size of its red cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from leukopy.core.errors import ImageError
from leukopy.fields.field import Region
from leukopy.fields.smear import SmearLevels, find_levels, single_cells, typical_diameter
from leukopy.fields.stream import spread
from leukopy.fields.whole_slide import WholeSlide
from leukopy.taxonomy.objects import RED_CELL_UM

_SQUARES = 64
"""Squares of a sample."""
_SIDE = 1024
"""Their side, in pixels."""
_FEWEST = 50
"""Single red cells that a scale is measured on."""


_HILBERT_BITS = 12
"""Squares along a side of the Hilbert curve, as a power of two."""


@dataclass(frozen=True)
class SlideSample:
    """Squares spread evenly over a slide at full resolution, measured."""

    squares: int
    damaged: tuple[Region, ...]
    """Squares that cannot be read."""
    levels: SmearLevels | None
    """None where no square shows both cells and glass."""
    single_cells: int
    """Round objects that touch no other."""
    red_cell_px: float | None
    """Their diameter in pixels; None where fewer than 50 were found."""

    @property
    def um_per_px(self) -> float | None:
        """Micrometres per pixel where the red cells are as wide as usual; None: unknown."""
        return None if self.red_cell_px is None else RED_CELL_UM / self.red_cell_px


def spread_places(places: Sequence[tuple[int, int]]) -> list[int]:
    """The numbers of places (row, column below 4,096) in an order of which every beginning is spread over the area.

    They are ordered along Hilbert's curve (Math Ann 1891), then as by `spread`.
    """
    along = sorted(range(len(places)), key=lambda number: _hilbert(*places[number]))
    return [along[number] for number in spread(len(places))]


def _hilbert(row: int, column: int) -> int:
    """Position of a place along the curve."""
    found, side = 0, 1 << _HILBERT_BITS
    step = side // 2
    while step:
        right, down = bool(column & step), bool(row & step)
        found += step * step * ((3 * right) ^ down)
        if not down:
            if right:
                row, column = side - 1 - row, side - 1 - column
            row, column = column, row
        step //= 2
    return found


def sample_slide(slide: WholeSlide) -> SlideSample:
    """Read and measure a sample of a slide."""
    across, down = (max(1, side // _SIDE) for side in (slide.width, slide.height))
    chosen = sorted(spread(across * down)[:_SQUARES])
    halves, damaged = [], []
    for number in chosen:
        row, column = divmod(number, across)
        region = Region(column * slide.width // across, row * slide.height // down, _SIDE, _SIDE)
        try:
            halves.append(np.asarray(Image.fromarray(slide.read(region)).reduce(2)))
        except ImageError:
            damaged.append(region)
    levels = find_levels(halves)
    diameters = np.concatenate([np.empty(0), *(single_cells(half, levels) for half in halves if levels)])
    red_cell_px = 2 * typical_diameter(diameters) if len(diameters) >= _FEWEST else None
    return SlideSample(len(chosen), tuple(damaged), levels, len(diameters), red_cell_px)
