"""A part of a smear: leukocytes, platelets and red cells laid side by side."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from leukopy.synthesis.appearance import STAINS
from leukopy.synthesis.paint import INDEX, Painted
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


class Slide:
    """Collects cells, then mixes them into one stack of stain amounts."""

    def __init__(self, height: int, width: int, um_per_px: float) -> None:
        self.height, self.width, self.um_per_px = height, width, um_per_px
        self._laid: list[_Laid] = []

    def lay(self, code: str, painted: Painted, row: int, column: int) -> None:
        """Place a cell, its centre on a pixel; the first placed cell is on top and comes first in ``truth``."""
        self._laid.append(_Laid(code, painted, row, column))

    def amounts(self, red_cells: RedCells, rng: np.random.Generator) -> NDArray[np.float32]:
        """Stained matter, float32 (6, H, W): the placed cells, and red cells pushed aside by them.

        Where red cells overlap, light passes through both.
        """
        amounts = np.zeros((len(STAINS), self.height, self.width), dtype=np.float32)
        scale = self.um_per_px
        keep_off = np.array([(laid.row, laid.column, laid.painted.mean_radius_px) for laid in self._laid]) * scale
        size_um = (self.height * scale, self.width * scale)
        for row_um, column_um in place(size_um, red_cells, keep_off.reshape(-1, 3), rng):
            patch = paint_red_cell(red_cells, scale, rng)
            window, part = self._windows(round(row_um / scale), round(column_um / scale), len(patch))
            amounts[INDEX["haemoglobin"]][window] += patch[part]
        for laid in reversed(self._laid):
            window, part = self._windows(laid.row, laid.column, len(laid.painted.cell))
            below = amounts[:, window[0], window[1]]
            below *= 1 - laid.painted.cell[part]
            below += laid.painted.amounts[:, part[0], part[1]]
        return amounts

    def truth(self) -> list[Truth]:
        """The placed cells that overlap the picture."""
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

    def _windows(self, row: int, column: int, side: int) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
        """Position on the slide of a patch centred on a pixel, and the visible part of the patch."""
        top, left = row - side // 2, column - side // 2
        rows = slice(min(max(top, 0), self.height), min(max(top + side, 0), self.height))
        columns = slice(min(max(left, 0), self.width), min(max(left + side, 0), self.width))
        part = (slice(rows.start - top, rows.stop - top), slice(columns.start - left, columns.stop - left))
        return (rows, columns), part
