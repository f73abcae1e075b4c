"""A drawn whole slide of any size, tile by tile: few blocks are drawn, and each is shown at many places."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from leukopy.synthesis.blocks import BLOCK_PX, Block, BlockKind, BlockPainter, Side
from leukopy.synthesis.canvas import ObjectTruth
from leukopy.synthesis.scene import Scene, Zone

_Key = tuple[BlockKind, int]
_Part = tuple[int, int, _Key]
"""Row and column at which a block begins on a tile, and the block."""

TILE_PX = 512
"""Side of a tile of the file."""

_STEP = 4
"""Each level of the pyramid is this much smaller than the one before."""

_GLASS = (0.06, 0.1)
"""Empty glass before the drop and behind the feathered edge, as shares of the width; at least one block each."""

_WIDTHS: tuple[tuple[Zone, float], ...] = (("thick", 0.37), ("monolayer", 0.43), ("thin", 0.2))
"""Zones from the drop to the feathered edge, as shares of the smear's length."""

_BESIDE: dict[Side, tuple[int, int]] = {"north": (-1, 0), "west": (0, -1), "south": (1, 0), "east": (0, 1)}

_SHARED: tuple[tuple[Side, Side], ...] = (("north", "south"), ("west", "east"))
"""Seams that a block lists, and the side of the neighbour that shows them too."""


class ZoneArea(NamedTuple):
    """A part of the slide of one zone, in pixels."""

    zone: Zone
    left: int
    top: int
    width: int
    height: int


@dataclass(frozen=True)
class WholeSlide:
    """A plan of blocks; they are drawn as they are needed."""

    painter: BlockPainter
    rows: int
    """Rows of blocks; at least 3."""
    columns: int
    """Columns of blocks; at least 5."""
    variants: int = 4
    """Different blocks of each kind."""
    drawn: dict[_Key, Block] = field(default_factory=dict)
    """The blocks drawn so far: their number does not grow with the slide."""
    _small: dict[tuple[_Key, int], NDArray[np.uint8]] = field(default_factory=dict)

    @property
    def height(self) -> int:
        """Pixels."""
        return self.rows * BLOCK_PX

    @property
    def width(self) -> int:
        """Pixels."""
        return self.columns * BLOCK_PX

    @property
    def factors(self) -> list[int]:
        """Downsampling of each level of the pyramid: 1, 4, 16 …"""
        factors = [1]
        while max(self.height, self.width) // factors[-1] > 4 * TILE_PX and factors[-1] * _STEP <= BLOCK_PX:
            factors.append(factors[-1] * _STEP)
        return factors

    def zones(self) -> list[ZoneArea]:
        """Areas of the zones between the rows of glass above and below; the rest is empty glass."""
        names = [self._zone(1, column) for column in range(self.columns)]
        areas: list[ZoneArea] = []
        for column, name in enumerate(names):
            if areas and areas[-1].zone == name:
                areas[-1] = areas[-1]._replace(width=areas[-1].width + BLOCK_PX)
            else:
                areas.append(ZoneArea(name, column * BLOCK_PX, BLOCK_PX, BLOCK_PX, self.height - 2 * BLOCK_PX))
        return areas

    def block(self, row: int, column: int) -> Block:
        """The block at a place of the plan."""
        return self._paint(self._key(row, column))

    def truth(self, row: int, column: int) -> list[ObjectTruth]:
        """Objects of a block in pixels of the slide, with the red cells of its northern and western seams."""
        block = self.block(row, column)
        objects = list(block.inner)
        for side, opposite in _SHARED:
            if side in block.seams:
                down, right = _BESIDE[side]
                beyond = self.block(row + down, column + right).seams[opposite]
                objects += [
                    here._replace(
                        overlapping=here.overlapping or there.overlapping, visible=here.visible + there.visible - 1
                    )
                    for here, there in zip(block.seams[side], beyond, strict=True)
                ]
        top, left = row * BLOCK_PX, column * BLOCK_PX
        return [each._replace(left=each.left + left, top=each.top + top) for each in objects]

    def tiles(self, factor: int) -> Iterator[tuple[object, Callable[[], NDArray[np.uint8]]]]:
        """The tiles of a level, row by row: a name and a function that makes the pixels, the same for one name."""
        side = BLOCK_PX // factor
        for top in range(0, self.height // factor, TILE_PX):
            for left in range(0, self.width // factor, TILE_PX):
                parts = tuple(
                    (row * side - top, column * side - left, self._key(row, column))
                    for row in range(top // side, min(-(-(top + TILE_PX) // side), self.rows))
                    for column in range(left // side, min(-(-(left + TILE_PX) // side), self.columns))
                )
                yield parts, partial(self._tile, parts, factor)

    def _tile(self, parts: tuple[_Part, ...], factor: int) -> NDArray[np.uint8]:
        side = BLOCK_PX // factor
        tile = np.zeros((TILE_PX, TILE_PX, 3), dtype=np.uint8)
        for down, right, key in parts:
            window = tile[max(down, 0) : down + side, max(right, 0) : right + side]
            window[:] = self._shrunken(key, factor)[max(-down, 0) :, max(-right, 0) :][
                : window.shape[0], : window.shape[1]
            ]
        return tile

    def _shrunken(self, key: _Key, factor: int) -> NDArray[np.uint8]:
        if factor == 1:
            return self._paint(key).image
        if (key, factor) not in self._small:
            self._small[key, factor] = np.asarray(Image.fromarray(self._paint(key).image).reduce(factor))
        return self._small[key, factor]

    def _paint(self, key: _Key) -> Block:
        if key not in self.drawn:
            self.drawn[key] = self.painter.paint(*key)
        return self.drawn[key]

    def _zone(self, row: int, column: int) -> Zone:
        begin, end = (max(round(share * self.columns), 1) for share in _GLASS)
        length = self.columns - begin - end
        if not (0 < row < self.rows - 1 and 0 <= column - begin < length):
            return "empty"
        place = (column - begin + 0.5) / length
        for zone, share in _WIDTHS:
            if place < share:
                return zone
            place -= share
        return _WIDTHS[-1][0]  # by rounding

    def _key(self, row: int, column: int) -> _Key:
        zone = self._zone(row, column)
        same = {side for side, (down, right) in _BESIDE.items() if self._zone(row + down, column + right) == zone}
        seams: frozenset[Side] = frozenset() if zone == "empty" else frozenset(same)
        count = self.variants if len(seams) == len(_BESIDE) else 1
        return BlockKind(zone, seams), (row * 7 + column * 3 + row * column) % count


def slide_scenes() -> dict[Zone, Scene]:
    """Conditions of the zones of a slide."""
    return {
        "empty": Scene(zone="empty", coverage=0, platelets=0, cut=False),
        "thin": Scene(zone="thin", coverage=0.2, gaps=0.4, platelets=0.04, cut=False, red_size=1.05),
        "monolayer": Scene(coverage=0.5, apart=0.9, gaps=0.1, cut=False),
        "thick": Scene(zone="thick", coverage=1.0, apart=0.55, gaps=0.05, rouleaux=0.3, touching=0.2, cut=False),
    }
