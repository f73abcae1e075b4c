"""Training pictures: a canvas of one part of a field or of four pictures (mosaic; Bochkovskiy et al.,
arXiv:2004.10934, 2020), with its targets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch.utils.data import Dataset

from leukopy.taxonomy.objects import OBJECTS
from leukopy.training.detector.pictures import HEADROOM, Scaled
from leukopy.training.detector.settings import DetectorSettings
from leukopy.training.detector.targets import Targets
from leukopy.training.detector.tiles import Tile, change

Part = tuple[int, int, int, int]
"""Left, top, width and height of a tile on the canvas."""

VISIBLE = 0.6
"""Share of a box that a tile must show, for the object to count as present; less is neither present nor absent."""
BORDER = 0.6
"""Width, in red cells, of the border of a source's picture in which nothing counts as absent."""
_WIDE = 5
"""Pictures at least this many red cells wide show whole fields."""


@dataclass(frozen=True, eq=False)
class Piece:
    """A tile's pixels before they are placed; may be smaller than its part of the canvas."""

    pixels: Tile
    boxes: NDArray[np.float32]
    """In pixels of the tile; may reach beyond it."""
    kinds: NDArray[np.int64]
    inner: tuple[float, float, float, float]
    """Left, top, right and bottom of the area where unlabelled means absent, in pixels of the tile."""


class Canvases(Dataset[tuple[Tile, NDArray[np.float32]]]):
    """Canvas ``i`` is drawn from the seed and ``i`` alone, so that a resumed training goes on alike.

    Each item is the picture, uint8 (side, side, 3), and `Targets.planes`.
    """

    def __init__(
        self, settings: DetectorSettings, sources: Mapping[str, Sequence[Scaled]], count: int, *, seed: int
    ) -> None:
        self.settings = settings
        self.sources = sources
        self.count = count
        self.seed = seed
        shares = {name: share for name, share in settings.shares.items() if name in sources}
        least = _WIDE * settings.red_cell_px * HEADROOM
        wide = {name: share for name, share in shares.items() if sources[name][0].pixels.shape[1] >= least}
        self.shares, self.wide = shares, wide or shares

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> tuple[Tile, NDArray[np.float32]]:
        rng = np.random.default_rng((self.seed, index))
        side = self.settings.optimisation.canvas
        canvas = np.empty((side, side, 3), np.uint8)
        targets = Targets(side)
        mosaic = rng.random() < self.settings.augmentation.mosaic
        for part in _parts(side, rng) if mosaic else [(0, 0, side, side)]:
            self._fill(canvas, targets, part, self.shares if mosaic else self.wide, rng)
        return canvas, targets.planes()

    def _fill(
        self, canvas: Tile, targets: Targets, part: Part, shares: Mapping[str, float], rng: np.random.Generator
    ) -> None:
        """Draw one picture on a part of the canvas, and its targets."""
        names, weights = list(shares), np.array(list(shares.values()))
        name = names[rng.choice(len(names), p=weights / weights.sum())]
        picture = self._any(name, rng)
        low, high = self.settings.augmentation.scale
        scale = float(np.exp(rng.uniform(np.log(low), np.log(high))))
        piece = cut(picture, part[2:], scale / HEADROOM, scale * self.settings.red_cell_px, rng)
        other = self._any(names[rng.integers(len(names))], rng)
        pixels = change(piece.pixels, other.pixels, self.settings.augmentation, rng)
        left, top, width, height = part
        canvas[top : top + height, left : left + width] = pixels.mean((0, 1))
        canvas[top : top + pixels.shape[0], left : left + pixels.shape[1]] = pixels
        place(targets, piece, picture, (left, top))

    def _any(self, name: str, rng: np.random.Generator) -> Scaled:
        return self.sources[name][int(rng.integers(len(self.sources[name])))]


def _parts(side: int, rng: np.random.Generator) -> list[Part]:
    """Four parts around a random point."""
    x, y = (int(value) for value in rng.integers(round(0.31 * side), round(0.69 * side) + 1, 2))
    return [(0, 0, x, y), (x, 0, side - x, y), (0, y, x, side - y), (x, y, side - x, side - y)]


def cut(picture: Scaled, size: tuple[int, int], factor: float, red_cell: float, rng: np.random.Generator) -> Piece:
    """Cut a random window of a picture, turned and mirrored at random, at most ``size`` (width, height) when scaled.

    Args:
        picture: in memory.
        size: of the part of the canvas.
        factor: tile's pixels per pixel in memory.
        red_cell: diameter of a red cell on the tile.
        rng: draws the window and the turn.
    """
    pixels, boxes = _turn(picture, rng)
    high, wide = pixels.shape[:2]
    width, height = min(size[0], int(wide * factor)), min(size[1], int(high * factor))
    left, top = rng.uniform(0, wide - width / factor), rng.uniform(0, high - height / factor)
    window = (left, top, min(wide, left + width / factor), min(high, top + height / factor))
    outer = tuple(int(edge) for edge in (left, top, np.ceil(window[2]), np.ceil(window[3])))
    area = Image.fromarray(np.ascontiguousarray(pixels[outer[1] : outer[3], outer[0] : outer[2]]))
    shift = (outer[0], outer[1]) * 2
    box = tuple(edge - by for edge, by in zip(window, shift, strict=True))
    tile = np.asarray(area.resize((width, height), Image.Resampling.BILINEAR, box=box))
    moved = (boxes - np.array([left, top, 0, 0], np.float32)) * factor
    band = BORDER * red_cell
    inner = (
        band - left * factor, band - top * factor, (wide - left) * factor - band, (high - top) * factor - band,
    )  # fmt: skip
    return Piece(tile, moved.astype(np.float32), picture.kinds, inner)


def _turn(picture: Scaled, rng: np.random.Generator) -> tuple[Tile, NDArray[np.float32]]:
    """One of the eight turns and mirror images of a picture and its boxes."""
    pixels, boxes = picture.pixels, picture.boxes.copy()
    if rng.random() < 0.5:
        pixels, boxes = pixels.transpose(1, 0, 2), boxes[:, [1, 0, 3, 2]]
    if rng.random() < 0.5:
        boxes[:, 0] = pixels.shape[1] - boxes[:, 0] - boxes[:, 2]
        pixels = pixels[:, ::-1]
    if rng.random() < 0.5:
        boxes[:, 1] = pixels.shape[0] - boxes[:, 1] - boxes[:, 3]
        pixels = pixels[::-1]
    return pixels, boxes


def place(targets: Targets, piece: Piece, picture: Scaled, corner: tuple[int, int]) -> None:
    """Add a tile's objects and its knowledge of absence to the targets of the canvas.

    Args:
        targets: of the canvas.
        piece: the tile.
        picture: the picture of the tile.
        corner: left and top of the tile on the canvas.
    """
    height, width = piece.pixels.shape[:2]
    left, top = corner
    west, north, east, south = piece.inner
    inner = (max(west, 0) + left, max(north, 0) + top, min(east, width) + left, min(south, height) + top)
    for kind in picture.complete:
        targets.absent(OBJECTS.index(kind), inner)
    partial = {OBJECTS.index(kind) for kind in picture.partial}
    known = partial | {OBJECTS.index(kind) for kind in picture.complete}
    for box, mark in sorted(zip(piece.boxes.tolist(), piece.kinds.tolist(), strict=True), key=_area):
        kind = mark if mark >= 0 else -1 - mark
        x, y, wide, high = box
        x0, y0, x1, y1 = max(x, 0.0), max(y, 0.0), min(x + wide, float(width)), min(y + high, float(height))
        if kind not in known or x1 <= x0 or y1 <= y0:
            continue
        shown = (x0 + left, y0 + top, x1 + left, y1 + top)
        if mark >= 0 and (x1 - x0) * (y1 - y0) > VISIBLE * wide * high:
            if kind in partial:  # a cell has one centre: its parts are no cells
                targets.absent(kind, shown)
            targets.present(kind, shown)
        else:
            targets.unknown(kind, shown)


def _area(item: tuple[list[float], int]) -> float:
    """Sort the largest first: the smaller of two overlapping boxes has the last word."""
    return -item[0][2] * item[0][3]
