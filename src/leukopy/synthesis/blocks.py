"""Blocks of a drawn whole slide: squares that fit beside one another.

A red cell that crosses the border of two blocks belongs to their seam, and both blocks show it. A seam is drawn once
for each zone and direction, so that a block of a zone fits beside every other block of that zone.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from leukopy.synthesis.appearance import Appearance
from leukopy.synthesis.camera import photograph
from leukopy.synthesis.canvas import Canvas, ObjectTruth
from leukopy.synthesis.field import lay_cells, paint_cells, red_cell_style
from leukopy.synthesis.layout import FreePlaces, place_red_cells
from leukopy.synthesis.redshapes import RedPatch, RedStyle, paint_shape
from leukopy.synthesis.scene import Scene, Zone
from leukopy.taxonomy import FINE
from leukopy.taxonomy.objects import LEUKOCYTE, RED_CELL, RED_CELL_UM

Side = Literal["north", "west", "south", "east"]

BLOCK_PX = 1024
"""Side of a block."""

_MARGIN_UM = 12.0
"""Around a block: every red cell of a seam lies wholly inside."""

_CLEAR_UM = 5.6
"""Distance between the centre of a red cell of no seam and the border: it lies wholly inside its block."""

_CORNER_UM = 9.0
"""Distance between a red cell of a seam and the corners."""


class BlockKind(NamedTuple):
    """Blocks of one kind differ in their variant alone."""

    zone: Zone
    seams: frozenset[Side]
    """Sides with a neighbour of the same zone; nothing crosses the others."""


@dataclass(frozen=True)
class Block:
    """A drawn block and its truth, in pixels from its upper left corner."""

    image: NDArray[np.uint8]
    """(``BLOCK_PX``, ``BLOCK_PX``, 3), RGB."""
    inner: list[ObjectTruth]
    """Objects wholly inside."""
    seams: dict[Side, list[ObjectTruth]]
    """Red cells of each seam, in the seam's order: visible and overlapping as seen from this block."""


@dataclass(frozen=True)
class _Seam:
    """Red cells that cross a border."""

    along: list[int]
    """Pixels along the border, from the block's corner."""
    across: list[int]
    """Pixels from the border, to the south or east."""
    shapes: list[str]
    patches: list[RedPatch]


@dataclass(frozen=True)
class BlockPainter:
    """Draws the blocks of one slide."""

    scenes: dict[Zone, Scene]
    appearance: Appearance
    mix: dict[str, float]
    """Weight of each fine class among the leukocytes."""
    leukocytes: float
    """Leukocytes per 1,000 red cells."""
    seed: int

    def paint(self, kind: BlockKind, variant: int) -> Block:
        """Draw a block; the same kind and variant give the same block."""
        rng = self._rng("block", kind.zone, "".join(sorted(kind.seams)), str(variant))
        scale, scene = self.appearance.um_per_px, self.scenes[kind.zone]
        margin = int(np.ceil(_MARGIN_UM / scale))
        side = BLOCK_PX + 2 * margin
        canvas = Canvas(side, side, scale)
        places = self._inside(canvas, scene, rng)
        seams = self._lay_seams(canvas, kind, margin, places)
        red_cells = self._red_cells(scene)
        counts = self._counts(red_cells, rng)
        cells = [
            (kind_, code, painted, row + margin, column + margin)
            for kind_, code, painted, row, column in paint_cells(counts, (BLOCK_PX, BLOCK_PX), scale, scene, rng)
        ]
        for kind_, _, painted, row, column in cells:
            if kind_ == LEUKOCYTE:
                radius = painted.mean_radius_px * scale + 0.45 * RED_CELL_UM * scene.red_size
                places.take(row * scale, column * scale, radius)
        self._lay_red_cells(canvas, places, red_cells, scene, rng)
        lay_cells(canvas, cells)
        image = photograph(canvas.amounts, self.appearance, scene, scale, rng)
        inner, at_seams = _sort_truth(canvas, margin, seams)
        return Block(image[margin:-margin, margin:-margin].copy(), inner, at_seams)

    def _red_cells(self, scene: Scene) -> int:
        """Red cells whose centre lies in a block."""
        return round(scene.coverage * (BLOCK_PX * self.appearance.um_per_px) ** 2 / (np.pi / 4 * RED_CELL_UM**2))

    def _counts(self, red_cells: int, rng: np.random.Generator) -> dict[str, int]:
        codes = [cell.code for cell in FINE if self.mix.get(cell.code, 0) > 0 and cell.code != "PLT"]
        weights = np.array([self.mix[code] for code in codes])
        number = int(rng.poisson(red_cells * self.leukocytes / 1000))
        drawn = rng.multinomial(number, weights / weights.sum()).tolist()
        return dict(zip(codes, drawn, strict=True))

    def _inside(self, canvas: Canvas, scene: Scene, rng: np.random.Generator) -> FreePlaces:
        """Places at which a red cell lies wholly inside the block."""
        size_um = canvas.height * canvas.um_per_px
        places = FreePlaces((size_um, size_um), 0)
        places.thin_out(scene.gaps, rng)
        places.keep_inside(_MARGIN_UM + _CLEAR_UM)
        return places

    def _lay_red_cells(
        self, canvas: Canvas, places: FreePlaces, wanted: int, scene: Scene, rng: np.random.Generator
    ) -> None:
        scale = canvas.um_per_px
        apart = scene.apart * RED_CELL_UM * scene.red_size
        inside = round(wanted * (1 - 2 * _CLEAR_UM / (BLOCK_PX * scale)) ** 2)
        centres = place_red_cells(places, inside, apart_um=apart, rouleaux=scene.rouleaux, rng=rng)
        for shape, (row_um, column_um) in zip(_shapes(scene, len(centres), rng), centres, strict=True):
            patch = paint_shape(shape, self._styles[scene.zone], scale, rng)
            canvas.lay_red_cell(shape, patch, round(row_um / scale), round(column_um / scale), RED_CELL)

    @cached_property
    def _styles(self) -> dict[Zone, RedStyle]:
        return {
            zone: red_cell_style(scene, self.appearance.pallor, self._rng("style"))
            for zone, scene in self.scenes.items()
        }

    def _lay_seams(
        self, canvas: Canvas, kind: BlockKind, margin: int, places: FreePlaces
    ) -> dict[Side, tuple[int, int]]:
        """Lay the red cells of the seams first; return the positions of each seam's in the canvas's list."""
        scale, scene = canvas.um_per_px, self.scenes[kind.zone]
        laid: dict[Side, tuple[int, int]] = {}
        for side in ("north", "west", "south", "east"):
            if side not in kind.seams:
                continue
            seam = self._seam(kind.zone, "row" if side in ("north", "south") else "column")
            begin, away = len(canvas.laid), BLOCK_PX if side in ("south", "east") else 0
            for along, across, shape, patch in zip(seam.along, seam.across, seam.shapes, seam.patches, strict=True):
                row, column = margin + away + across, margin + along
                if side in ("west", "east"):
                    row, column = column, row
                canvas.lay_red_cell(shape, patch, row, column, RED_CELL)
                places.take(row * scale, column * scale, scene.apart * RED_CELL_UM * scene.red_size)
            laid[side] = (begin, len(canvas.laid))
        return laid

    def _seam(self, zone: Zone, direction: Literal["row", "column"]) -> _Seam:
        rng = self._rng("seam", zone, direction)
        scene, scale = self.scenes[zone], self.appearance.um_per_px
        along, across = [], []
        position, step = _CORNER_UM, scene.apart * RED_CELL_UM * scene.red_size
        length = BLOCK_PX * scale
        while scene.coverage and (position := position + step * rng.uniform(0.85, 1.15 / np.sqrt(scene.coverage))) < (
            length - _CORNER_UM
        ):
            along.append(round(position / scale))
            across.append(round(rng.uniform(-3.2, 3.2) / scale))
        shapes = _shapes(scene, len(along), rng)
        return _Seam(along, across, shapes, [paint_shape(each, self._styles[zone], scale, rng) for each in shapes])

    def _rng(self, *names: str) -> np.random.Generator:
        return np.random.default_rng([self.seed, *"/".join(names).encode()])


def _shapes(scene: Scene, count: int, rng: np.random.Generator) -> list[str]:
    weights = np.array(list(scene.shapes.values()))
    return [str(name) for name in rng.choice(list(scene.shapes), count, p=weights / weights.sum())]


def _sort_truth(
    canvas: Canvas, margin: int, seams: dict[Side, tuple[int, int]]
) -> tuple[list[ObjectTruth], dict[Side, list[ObjectTruth]]]:
    """Truth in pixels of the block: objects inside, and the red cells of each seam."""
    truth = [each._replace(left=each.left - margin, top=each.top - margin) for each in canvas.truth()]
    at_seams = {side: truth[begin:end] for side, (begin, end) in seams.items()}
    return truth[max((end for _, end in seams.values()), default=0) :], at_seams
