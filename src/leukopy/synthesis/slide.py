"""A part of a smear: leukocytes, platelets and red cells laid side by side."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from leukopy.synthesis.appearance import STAINS
from leukopy.synthesis.morphology import morphology
from leukopy.synthesis.paint import INDEX, PATCH_RADII, Painted, paint_cell
from leukopy.synthesis.redcells import RedCells, paint_red_cell, place


@dataclass(frozen=True)
class Truth:
    """One cell on a picture."""

    code: str
    """Fine class code."""
    box: tuple[int, int, int, int]
    """Left, top, right, bottom of the cell in pixels; right and bottom are exclusive."""
    cell_mask: NDArray[np.bool_]
    """(bottom - top, right - left)."""
    nucleus_mask: NDArray[np.bool_]
    """The same shape, inside ``cell_mask``; empty for a platelet."""
    um_per_px: float


@dataclass(frozen=True)
class _Laid:
    code: str
    painted: Painted
    row: int
    column: int
    radius_um: float
    """Of the disc of the same area."""


class Slide:
    """Collects cells, then mixes them into one stack of stain amounts."""

    def __init__(self, height: int, width: int, um_per_px: float) -> None:
        self.height, self.width, self.um_per_px = height, width, um_per_px
        self._laid: list[_Laid] = []

    @staticmethod
    def reach_um(code: str) -> float:
        """Radius within which every cell of a class lies, pseudopods included."""
        return PATCH_RADII * morphology(code).diameter_um[1] / 2

    def lay(self, code: str, row_um: float, column_um: float, rng: np.random.Generator) -> None:
        """Lay a leukocyte, an erythroblast or a platelet; the first ones laid come first in ``truth``."""
        row, column, shift = self._pixel(row_um, column_um)
        painted = paint_cell(code, self.um_per_px, rng, shift)
        radius = float(np.sqrt((painted.cell > 0.5).sum() / np.pi)) * self.um_per_px
        self._laid.append(_Laid(code, painted, row, column, radius))

    def amounts(self, red_cells: RedCells, rng: np.random.Generator) -> NDArray[np.float32]:
        """Stained matter, float32 (6, H, W): the cells laid, and red cells round them, which they push aside.

        Where red cells overlap, light passes through both.
        """
        amounts = np.zeros((len(STAINS), self.height, self.width), dtype=np.float32)
        scale = self.um_per_px
        keep_off = np.array([(laid.row * scale, laid.column * scale, laid.radius_um) for laid in self._laid])
        size_um = (self.height * scale, self.width * scale)
        for row_um, column_um in place(size_um, red_cells, keep_off.reshape(-1, 3), rng):
            row, column, shift = self._pixel(row_um, column_um)
            patch = paint_red_cell(red_cells, scale, rng, shift)
            window, part = self._windows(row, column, len(patch))
            amounts[INDEX["haemoglobin"]][window] += patch[part]
        for laid in reversed(self._laid):
            window, part = self._windows(laid.row, laid.column, len(laid.painted.cell))
            below = amounts[:, window[0], window[1]]
            below *= 1 - laid.painted.cell[part]
            below += laid.painted.amounts[:, part[0], part[1]]
        return amounts

    def truth(self) -> list[Truth]:
        """The cells laid of which something lies inside the picture."""
        found = []
        for laid in self._laid:
            (rows, columns), part = self._windows(laid.row, laid.column, len(laid.painted.cell))
            cell = laid.painted.cell[part] > 0.5
            if not cell.any():
                continue
            high, wide = np.flatnonzero(cell.any(axis=1)), np.flatnonzero(cell.any(axis=0))
            inner = (slice(high[0], high[-1] + 1), slice(wide[0], wide[-1] + 1))
            left, top = columns.start + int(wide[0]), rows.start + int(high[0])
            nucleus = (laid.painted.nucleus[part] > 0.5)[inner] & cell[inner]
            box = (left, top, left + cell[inner].shape[1], top + cell[inner].shape[0])
            found.append(Truth(laid.code, box, cell[inner], nucleus, self.um_per_px))
        return found

    def _pixel(self, row_um: float, column_um: float) -> tuple[int, int, tuple[float, float]]:
        """The pixel that holds a place, and (x, y) in micrometres by which the place is off that pixel's centre."""
        row, column = int(row_um // self.um_per_px), int(column_um // self.um_per_px)
        return row, column, (column_um - (column + 0.5) * self.um_per_px, row_um - (row + 0.5) * self.um_per_px)

    def _windows(self, row: int, column: int, side: int) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
        """Where a patch centred on a pixel lies on the slide, and which part of the patch that is."""
        top, left = row - side // 2, column - side // 2
        rows = slice(min(max(top, 0), self.height), min(max(top + side, 0), self.height))
        columns = slice(min(max(left, 0), self.width), min(max(left + side, 0), self.width))
        part = (slice(rows.start - top, rows.stop - top), slice(columns.start - left, columns.stop - left))
        return (rows, columns), part
