"""The same cell on two photographs: fields that overlap, found by their leukocytes.

Each leukocyte and its surroundings, three red cells wide, are compared with those of the last fields by normalised
cross-correlation (Lewis, "Fast normalized cross-correlation", 1995). A match proposes a shift between two fields; it is
accepted where the whole common area correlates at this shift. Fields whose common area shows no leukocyte, turned
photographs and those of another magnification are not recognised.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import scipy  # its parts load on first use
from numpy.typing import NDArray
from PIL import Image

REMEMBERED = 64
"""Number of last fields that are compared with the next."""

_RED_CELL = 12.0
"""Diameter of a red cell on the reduced field, in pixels."""
_PATCH = 36
"""Side of a leukocyte's surroundings on the reduced field, in pixels."""
_COMPARED = 24
"""Most leukocytes of a field that are compared: the largest, which are the same on both fields."""
_ALIKE = 0.75
"""Least correlation of two surroundings that propose a shift."""
_LARGEST_CHANGE = 0.1
"""Largest relative difference of the red cells' size on two fields that overlap."""
_COMMON = 0.6
"""Least correlation of the common area of two fields."""
_PROMISING = 0.3
"""Least correlation of the common area at the proposed shift, from which the shift is corrected: a few pixels beside
the true one fields correlate by half."""
_PART = 0.4
"""Least share of the surroundings that two leukocytes must have in common."""
_SEARCH = 2
"""Pixels of the reduced field by which a proposed shift is corrected: boxes are not exact."""
_SAME = 0.6
"""Largest distance of the same leukocyte on two fields, in diameters of a red cell."""

Plane = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Landmarks:
    """A reduced field and the surroundings of its largest leukocytes."""

    plane: Plane
    """(h, w): light without its slow changes, 0 on the leukocytes, of which any two correlate."""
    scale: float
    """Pixels of the plane along one pixel of the field."""
    centres: NDArray[np.float64]
    """(n, 2: x, y) of all leukocytes, pixels of the field."""
    compared: NDArray[np.intp]
    """(m,): the leukocytes with surroundings."""
    patches: Plane
    """(m, P): surroundings, 0 beyond the border."""
    inside: Plane
    """(m, P): 1 inside the field."""

    @classmethod
    def of(
        cls, pixels: NDArray[np.uint8], centres: NDArray[np.float64], areas: NDArray[np.float32], red_cell_px: float
    ) -> Self:
        """Reduce a field.

        Args:
            pixels: (height, width, 3), RGB.
            centres: (n, 2: x, y) of its leukocytes, pixels.
            areas: (n,) of their boxes.
            red_cell_px: diameter of a red cell.
        """
        scale = _RED_CELL / red_cell_px
        picture = Image.fromarray(pixels).convert("L")
        size = (max(4, round(picture.width * scale)), max(4, round(picture.height * scale)))
        small = np.asarray(picture.resize(size, Image.Resampling.BILINEAR, reducing_gap=2), np.float32)
        plane = small - scipy.ndimage.gaussian_filter(small, _RED_CELL)
        places = (centres * scale - 0.5)[:, ::-1]  # rows and columns
        compared = np.sort(np.argsort(-areas, kind="stable")[:_COMPARED])
        patches, inside = _surroundings(plane, places[compared])
        for place in places:
            _blank(plane, place)
        return cls(plane, scale, centres, compared, patches, inside)


def _surroundings(plane: Plane, places: NDArray[np.float64]) -> tuple[Plane, Plane]:
    """Patches (n, P) of a plane around ``places`` (n, 2: row, column), and 1 where they lie inside it."""
    offset = np.arange(_PATCH) - (_PATCH - 1) / 2
    rows = np.repeat(places[:, :1, None] + offset[None, :, None], _PATCH, axis=2).reshape(-1)
    columns = np.repeat(places[:, 1:, None] + offset[None, None, :], _PATCH, axis=1).reshape(-1)
    height, width = plane.shape
    inside = (rows >= 0) & (rows <= height - 1) & (columns >= 0) & (columns <= width - 1)
    values = scipy.ndimage.map_coordinates(plane, [rows, columns], order=1, mode="nearest") * inside
    shape = (len(places), _PATCH * _PATCH)
    return values.reshape(shape).astype(np.float32), inside.reshape(shape).astype(np.float32)


def _blank(plane: Plane, place: NDArray[np.float64]) -> None:
    """Set the disc of a leukocyte, a red cell in radius, to 0."""
    low = np.maximum(np.floor(place - _RED_CELL).astype(int), 0)
    window = plane[low[0] : int(place[0] + _RED_CELL) + 2, low[1] : int(place[1] + _RED_CELL) + 2]
    down, right = np.ogrid[: window.shape[0], : window.shape[1]]
    window[np.hypot(down + low[0] - place[0], right + low[1] - place[1]) < _RED_CELL] = 0


def correlations(first: Landmarks, second: Landmarks) -> Plane:
    """Correlation (n, m) of the common parts of two fields' surroundings; -1 where these are too small."""
    common = first.inside @ second.inside.T
    count = np.maximum(common, 1)
    one, other = first.patches @ second.inside.T, first.inside @ second.patches.T
    products = first.patches @ second.patches.T - one * other / count
    squares = (first.patches**2 @ second.inside.T - one**2 / count).clip(min=0)
    others = (first.inside @ (second.patches**2).T - other**2 / count).clip(min=0)
    found = products / np.sqrt(squares * others + 1e-3)
    return np.where(common >= _PART * _PATCH * _PATCH, found, -1).astype(np.float32)


def common_correlation(first: Plane, second: Plane, shift: tuple[int, int]) -> float:
    """Correlation of two planes where they overlap; -1 where the common area is too small.

    Args:
        first: (h, w).
        second: (k, v); its pixel (row, column) lies on (row, column) + ``shift`` of ``first``.
        shift: rows and columns.
    """
    parts = []
    for plane, sign in ((first, 1), (second, -1)):
        window = []
        for axis in range(2):
            start = max(0, sign * shift[axis])
            end = min(first.shape[axis], second.shape[axis] + shift[axis]) - max(0, shift[axis])
            window.append(slice(start, start + max(0, end)))
        parts.append(plane[tuple(window)])
    one, other = (part - part.mean() if part.size else part for part in parts)
    if one.size < _PATCH * _PATCH * _PART:
        return -1.0
    return float((one * other).sum() / np.sqrt((one**2).sum() * (other**2).sum() + 1e-3))


@dataclass(frozen=True, eq=False)
class _Known:
    """An earlier field."""

    name: str
    landmarks: Landmarks
    ids: Sequence[str | None]
    """`cell_id` of its leukocytes; None where they are not counted."""
    size: tuple[int, int]


@dataclass(frozen=True)
class Overlap:
    """An earlier field that shows a part of the same area."""

    field: str
    same: dict[int, str]
    """Leukocyte of the new field by its place -> `cell_id` on the earlier field."""
    shift: tuple[float, float]
    """x and y of the new field's upper left corner in pixels of the earlier field."""
    size: tuple[int, int]
    """Width and height of the earlier field, pixels."""

    def covers(self, centres: NDArray[np.float64]) -> NDArray[np.bool_]:
        """True for objects (n, 2: x, y of the new field) whose centre lies on the earlier field."""
        places = centres + np.array(self.shift)
        return np.asarray(((places >= 0) & (places < np.array(self.size))).all(axis=1))


class Doubles:
    """The last fields of a slide, to recognise their leukocytes on the next."""

    def __init__(self) -> None:
        self._known: deque[_Known] = deque(maxlen=REMEMBERED)

    def add(self, name: str, landmarks: Landmarks, ids: Sequence[str | None], size: tuple[int, int]) -> None:
        """Remember a field.

        Args:
            name: of the field.
            landmarks: of the field.
            ids: `cell_id` of each leukocyte; None where it is not counted.
            size: width and height, pixels.
        """
        self._known.append(_Known(name, landmarks, ids, size))

    def overlaps(self, new: Landmarks) -> Iterator[Overlap]:
        """The earlier fields that overlap a new one."""
        for known in self._known:
            shift = _shift(known.landmarks, new)
            if shift is None:
                continue
            places = (new.centres + np.array(shift))[:, None] - known.landmarks.centres
            apart = np.hypot(places[..., 0], places[..., 1])
            near = _SAME * _RED_CELL / known.landmarks.scale
            same = {}
            for place, distances in enumerate(apart):
                nearest = int(distances.argmin())
                cell_id = known.ids[nearest]
                if distances[nearest] <= near and cell_id is not None:
                    same[place] = cell_id
            yield Overlap(known.name, same, shift, known.size)


def _shift(known: Landmarks, new: Landmarks) -> tuple[float, float] | None:
    """x and y of the new field's corner in pixels of the known field; None where they do not overlap."""
    if not len(new.compared) or not len(known.compared) or abs(new.scale / known.scale - 1) > _LARGEST_CHANGE:
        return None
    alike = correlations(new, known)
    one, other = np.unravel_index(int(alike.argmax()), alike.shape)
    if alike[one, other] < _ALIKE:
        return None
    plane = new.plane
    if new.scale != known.scale:  # the red cells were measured anew, the camera is the same
        high, wide = (max(4, round(side * known.scale / new.scale)) for side in plane.shape)
        plane = np.asarray(Image.fromarray(plane).resize((wide, high), Image.Resampling.BILINEAR))
    apart = known.centres[known.compared[other]] - new.centres[new.compared[one]]
    column, row = (apart * known.scale).round().astype(int).tolist()
    if common_correlation(known.plane, plane, (row, column)) < _PROMISING:
        return None
    search = range(-_SEARCH, _SEARCH + 1)
    shifts = [(row + down, column + right) for down in search for right in search]
    best, shift = max((common_correlation(known.plane, plane, shift), shift) for shift in shifts)
    return None if best < _COMMON else (shift[1] / known.scale, shift[0] / known.scale)
