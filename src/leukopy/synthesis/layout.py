"""Places of cells on a smear."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from leukopy.synthesis.texture import noise
from leukopy.taxonomy.objects import RED_CELL_UM

_CELL_UM = 0.4
"""Side of a cell of the raster on which free places are marked."""

_CHAIN = (3, 9)
"""Fewest red cells of a rouleau, and one more than the most."""

_TRIES = 2000

_PATCH_UM = 9.0
"""Standard radius of the crowded and the empty patches of a smear."""


class FreePlaces:
    """A raster of places at which the centre of a red cell may lie."""

    def __init__(self, size_um: tuple[float, float], margin_um: float) -> None:
        self.margin_um = margin_um
        shape = tuple(int(np.ceil((side + 2 * margin_um) / _CELL_UM)) + 1 for side in size_um)
        self.free = np.ones(shape, dtype=bool)

    def take(self, row_um: float, column_um: float, radius_um: float) -> None:
        """Mark a disc as taken."""
        row, column = self._index(row_um), self._index(column_um)
        reach = int(radius_um / _CELL_UM) + 1
        rows = slice(max(row - reach, 0), max(row + reach + 1, 0))
        columns = slice(max(column - reach, 0), max(column + reach + 1, 0))
        window = self.free[rows, columns]
        y = np.arange(rows.start, rows.start + window.shape[0])[:, None] - row
        x = np.arange(columns.start, columns.start + window.shape[1]) - column
        window &= x * x + y * y > (radius_um / _CELL_UM) ** 2

    def thin_out(self, gaps: float, rng: np.random.Generator) -> None:
        """Close a share ``gaps`` of the smear in patches: red cells lie in groups with empty places between."""
        if gaps <= 0:
            return
        height, width = self.free.shape
        texture = noise((height, width), _PATCH_UM / _CELL_UM, rng)
        self.free &= texture > np.quantile(texture[::4, ::4], gaps)

    def keep_inside(self, distance_um: float) -> None:
        """Mark all places nearer than this to the border of the slide's part as taken."""
        steps = int(np.ceil((distance_um + self.margin_um) / _CELL_UM))
        inside = np.zeros_like(self.free)
        inside[steps:-steps, steps:-steps] = True
        self.free &= inside

    def is_free(self, row_um: float, column_um: float) -> bool:
        """Whether a centre may lie there; places off the raster are not free."""
        row, column = self._index(row_um), self._index(column_um)
        high, wide = self.free.shape
        return 0 <= row < high and 0 <= column < wide and bool(self.free[row, column])

    def _index(self, place_um: float) -> int:
        return round((place_um + self.margin_um) / _CELL_UM)


def place_red_cells(
    places: FreePlaces, wanted: int, *, apart_um: float, rouleaux: float, rng: np.random.Generator
) -> list[tuple[float, float]]:
    """Place centres of red cells by dart throwing.

    Args:
        places: free places; those of the red cells are marked as taken.
        wanted: number of red cells; fewer are placed where the room ends.
        apart_um: least distance between centres, outside rouleaux.
        rouleaux: share of the red cells in chains of overlapping cells.
        rng: the darts.

    Returns:
        Row and column in micrometres of each.
    """
    found: list[tuple[float, float]] = []
    chance = rouleaux / (rouleaux + np.mean(_CHAIN) * (1 - rouleaux))  # of a chain rather than a single cell
    rows, columns = np.nonzero(places.free)
    order = rng.permutation(len(rows))[: wanted * 12]
    jitter = rng.uniform(-0.5, 0.5, (len(order), 2))
    for pick, (down, right) in zip(order, jitter, strict=True):
        if len(found) >= wanted:
            break
        if not places.free[rows[pick], columns[pick]]:
            continue
        start = (rows[pick] + down) * _CELL_UM - places.margin_um, (columns[pick] + right) * _CELL_UM - places.margin_um
        length = int(rng.integers(*_CHAIN)) if rng.random() < chance else 1
        chain = _chain(start, length, rng)
        chain = [place for index, place in enumerate(chain) if index == 0 or places.is_free(*place)]
        found += chain
        for place in chain:
            places.take(*place, apart_um)
    return found[:wanted]


def _chain(start: tuple[float, float], length: int, rng: np.random.Generator) -> list[tuple[float, float]]:
    """Centres along a gently bent line, less than a diameter apart."""
    heading, bend = rng.uniform(0, 2 * np.pi), rng.normal(0, 0.15)
    step = RED_CELL_UM * rng.uniform(0.35, 0.75)
    places = [start]
    for _ in range(length - 1):
        heading += bend + rng.normal(0, 0.08)
        row, column = places[-1]
        places.append((row + step * float(np.sin(heading)), column + step * float(np.cos(heading))))
    return places


def scatter(
    reaches: NDArray[np.float64], size: tuple[int, int], rng: np.random.Generator, *, cut: bool, touching: float
) -> NDArray[np.int64]:
    """Centres of leukocytes and platelets.

    Args:
        reaches: (n,) radii in pixels, of discs that contain the cells.
        size: height and width in pixels.
        rng: the darts.
        cut: centres may lie at the border, which then cuts the cell.
        touching: share of the cells laid against the one before.

    Returns:
        (n, 2) rows and columns; -1 where there is no room.
    """
    places = np.full((len(reaches), 2), -1, dtype=np.int64)
    bounds = np.array(size)
    for number, reach in enumerate(reaches):
        margin = 0.0 if cut else float(reach)
        if (bounds < 2 * margin).any():
            continue
        darts = rng.uniform(margin, np.maximum(bounds - margin, margin), (_TRIES, 2))
        done = np.flatnonzero(places[:number, 0] >= 0)
        touches = len(done) > 0 and rng.random() < touching
        if touches:
            last = done[-1]
            angle = rng.uniform(0, 2 * np.pi, _TRIES)
            away = (reach + reaches[last]) * rng.uniform(0.7, 0.9)
            darts = places[last] + away * np.stack([np.sin(angle), np.cos(angle)], axis=1)
        darts = np.rint(darts).astype(np.int64)
        apart = np.hypot(*(darts[:, None] - places[None, done]).transpose(2, 0, 1))
        free = (apart > (reach + reaches[done]) * (0.69 if touches else 1)).all(axis=1)
        free &= ((darts >= margin) & (darts <= bounds - margin)).all(axis=1)
        if free.any():
            places[number] = darts[free.argmax()]
    return places
