"""A part of a smear on which cells of all kinds are laid, with the exact truth of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from leukopy.synthesis.appearance import STAINS
from leukopy.synthesis.paint import INDEX, Painted
from leukopy.synthesis.redshapes import RedPatch


class ObjectTruth(NamedTuple):
    """One object on a drawn field: a row of ``fields.csv``."""

    kind: str
    """One of ``taxonomy.objects.OBJECTS``, or ``distractor``: stained matter that is none of them."""
    code: str
    """Fine class of a leukocyte, shape of a red cell, nature of a distractor; empty for platelets and clumps."""
    left: int
    """Box of the part on the picture, in pixels; hidden parts are included."""
    top: int
    width: int
    height: int
    diameter_um: float
    """Of the disc whose area is the whole cell's, the part beyond the border included."""
    cut: bool
    """A part lies beyond the border."""
    overlapping: bool
    """It shares at least one pixel with another object."""
    visible: float
    """Share of the whole object on the picture and not hidden by an object on top, 0 to 1."""


DISTRACTOR = "distractor"


@dataclass(frozen=True, eq=False)
class Laid:
    """An object at its place."""

    kind: str
    code: str
    mask: NDArray[np.bool_]
    """(rows, columns) of the patch."""
    top: int
    """Row of the patch's first row on the picture; may be negative."""
    left: int
    opaque: bool


class Canvas:
    """Stain amounts and the objects that were laid, in the order of laying: later opaque ones hide earlier ones."""

    def __init__(self, height: int, width: int, um_per_px: float) -> None:
        self.height, self.width, self.um_per_px = height, width, um_per_px
        self.amounts = np.zeros((len(STAINS), height, width), dtype=np.float32)
        self.laid: list[Laid] = []

    def lay_red_cell(self, code: str, patch: RedPatch, row: int, column: int, kind: str) -> None:
        """Lay a translucent cell, its centre on a pixel: where cells overlap, light passes through both."""
        side = len(patch.mask)
        laid = Laid(kind, code, patch.mask, row - side // 2, column - side // 2, opaque=False)
        window, part = self.windows(laid.top, laid.left, laid.mask.shape)
        self.amounts[INDEX["haemoglobin"]][window] += patch.haemoglobin[part]
        self.laid.append(laid)

    def lay(self, kind: str, code: str, painted: Painted, row: int, column: int) -> None:
        """Lay an opaque cell, its centre on a pixel."""
        side = len(painted.cell)
        laid = Laid(kind, code, painted.cell > 0.5, row - side // 2, column - side // 2, opaque=True)
        (rows, columns), part = self.windows(laid.top, laid.left, laid.mask.shape)
        below = self.amounts[:, rows, columns]
        below *= 1 - painted.cell[part]
        below += painted.amounts[:, part[0], part[1]]
        self.laid.append(laid)

    def windows(self, top: int, left: int, shape: tuple[int, ...]) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
        """Position on the picture of a patch, and the part of the patch that lies on it."""
        rows = slice(min(max(top, 0), self.height), min(max(top + shape[0], 0), self.height))
        columns = slice(min(max(left, 0), self.width), min(max(left + shape[1], 0), self.width))
        part = (slice(rows.start - top, rows.stop - top), slice(columns.start - left, columns.stop - left))
        return (rows, columns), part

    def truth(self) -> list[ObjectTruth]:
        """Every object of which a pixel lies on the picture, in the order of laying."""
        depth = np.zeros((self.height, self.width), dtype=np.uint16)
        top_most = np.full((self.height, self.width), -1, dtype=np.int32)
        for number, laid in enumerate(self.laid):
            window, part = self.windows(laid.top, laid.left, laid.mask.shape)
            mask = laid.mask[part]
            if laid.kind != DISTRACTOR:
                depth[window] += mask
            if laid.opaque:
                top_most[window][mask] = number
        return [truth for number, laid in enumerate(self.laid) if (truth := self._truth(number, laid, depth, top_most))]

    def _truth(
        self, number: int, laid: Laid, depth: NDArray[np.uint16], top_most: NDArray[np.int32]
    ) -> ObjectTruth | None:
        window, part = self.windows(laid.top, laid.left, laid.mask.shape)
        mask = laid.mask[part]
        if not mask.any():
            return None
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        area, shown = int(laid.mask.sum()), int(mask.sum())
        above = top_most[window][mask]  # opaque objects laid later hide this one
        return ObjectTruth(
            laid.kind,
            laid.code,
            left=window[1].start + int(columns[0]),
            top=window[0].start + int(rows[0]),
            width=int(columns[-1] - columns[0]) + 1,
            height=int(rows[-1] - rows[0]) + 1,
            diameter_um=2 * float(np.sqrt(area / np.pi)) * self.um_per_px,
            cut=shown < area,
            overlapping=bool((depth[window][mask] > (laid.kind != DISTRACTOR)).any()),
            visible=float((above <= number).sum()) / area,
        )
