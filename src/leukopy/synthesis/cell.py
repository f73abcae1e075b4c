"""One cell among red cells, as an analyser crops it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from leukopy.synthesis.appearance import PBC_LIKE, STAINS, Appearance, expose
from leukopy.synthesis.paint import INDEX, Painted, paint_cell
from leukopy.synthesis.redcells import RedCells, paint_red_cell, place
from leukopy.synthesis.texture import Plane

CROP_PX = 360
"""Width of a crop at the camera's own scale, as in PBC Barcelona."""


@dataclass(frozen=True)
class DrawnCell:
    """A crop and its truth."""

    image: NDArray[np.uint8]
    """(size, size, 3), RGB."""
    code: str
    """Fine class code."""
    nucleus_mask: NDArray[np.bool_]
    """(size, size); empty for a platelet."""
    cell_mask: NDArray[np.bool_]
    """(size, size); holds the nucleus."""
    box: tuple[int, int, int, int]
    """Left, top, right, bottom of the cell in pixels; right and bottom are exclusive."""
    um_per_px: float


class Slide:
    """Amounts of stain on a part of a smear, painted from the bottom up."""

    def __init__(self, height: int, width: int, um_per_px: float) -> None:
        self.amounts = np.zeros((len(STAINS), height, width), dtype=np.float32)
        self.um_per_px = um_per_px

    def windows(self, row: int, column: int, side: int) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
        """Where a patch centred on a pixel lies on the slide, and which part of the patch that is."""
        half = side // 2
        height, width = self.amounts.shape[1:]
        top, left = row - half, column - half
        rows = slice(max(top, 0), max(min(top + side, height), 0))
        columns = slice(max(left, 0), max(min(left + side, width), 0))
        part = (slice(rows.start - top, rows.stop - top), slice(columns.start - left, columns.stop - left))
        return (rows, columns), part

    def split(self, row_um: float, column_um: float) -> tuple[int, int, tuple[float, float]]:
        """The pixel that holds a place, and (x, y) in micrometres by which the place is off that pixel's centre."""
        row, column = round(row_um / self.um_per_px - 0.5), round(column_um / self.um_per_px - 0.5)
        return row, column, (column_um - (column + 0.5) * self.um_per_px, row_um - (row + 0.5) * self.um_per_px)

    def add_red_cells(self, cells: RedCells, centres: NDArray[np.float64], rng: np.random.Generator) -> None:
        """Lay red cells; where they overlap, light passes through both."""
        for row_um, column_um in centres:
            row, column, shift = self.split(row_um, column_um)
            patch = paint_red_cell(cells, self.um_per_px, rng, shift)
            window, part = self.windows(row, column, len(patch))
            self.amounts[INDEX["haemoglobin"]][window] += patch[part]

    def add_cell(self, painted: Painted, row: int, column: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Lay a cell, which pushes red cells aside. Returns the masks of cell and nucleus on the slide."""
        window, part = self.windows(row, column, len(painted.cell))
        self.amounts[:, window[0], window[1]] *= 1 - painted.cell[part]
        self.amounts[:, window[0], window[1]] += painted.amounts[:, part[0], part[1]]
        masks = []
        for cover in (painted.cell, painted.nucleus):
            mask = np.zeros(self.amounts.shape[1:], dtype=bool)
            mask[window] = cover[part] > 0.5
            masks.append(mask)
        return masks[0], masks[1] & masks[0]


def box_of(mask: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """Left, top, right, bottom (exclusive) of a mask that is not empty."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def reach_um(painted: Plane, um_per_px: float) -> float:
    """Radius of the disc that holds a painted cell's coverage, in micrometres."""
    return float(np.sqrt((painted > 0.5).sum() / np.pi) * um_per_px)


def draw_cell(code: str, *, seed: int, appearance: Appearance | None = None, size: int = CROP_PX) -> DrawnCell:
    """Draw a cell centred among red cells.

    Args:
        code: a fine class code.
        seed: the same seed, code, appearance and size give the same pixels.
        appearance: the laboratory; PBC Barcelona's look by default.
        size: pixels of the square crop. The part of the smear that is seen does not depend on it.

    Raises:
        SettingsError: the code is none of the 11 fine ones.
    """
    look = appearance or PBC_LIKE
    rng = np.random.default_rng(seed)
    um_per_px = look.um_per_px * CROP_PX / size
    slide = Slide(size, size, um_per_px)
    centre = size * um_per_px / 2 + rng.normal(0, 0.4, 2)
    row, column, shift = slide.split(*centre)
    painted = paint_cell(code, um_per_px, rng, shift)
    red = RedCells.random(look.pallor, rng)
    keep_off = np.array([[*centre, reach_um(painted.cell, um_per_px)]])
    side = size * um_per_px
    slide.add_red_cells(red, place((side, side), red, keep_off, rng), rng)
    cell_mask, nucleus_mask = slide.add_cell(painted, row, column)
    image = expose(slide.amounts, look, um_per_px, rng)
    return DrawnCell(image, code, nucleus_mask, cell_mask, box_of(cell_mask), um_per_px)
