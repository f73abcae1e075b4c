"""Finds leukocytes, red cells, platelets and platelet clumps on a field.

The network sees red cells of one size. A field whose scale is unknown is first seen at several scales; the scale at
which red cells of the expected size fill most of the picture is kept, and corrected by their median diameter.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Self

import numpy as np
import scipy  # its parts load on first use
from numpy.typing import NDArray
from PIL import Image

from leukopy.bundle.detector import DetectorBundle, open_detector
from leukopy.evaluation.detection import Boxes, overlaps
from leukopy.fields.box_pairs import pairs
from leukopy.fields.detections import Detections
from leukopy.fields.field import Field
from leukopy.fields.optical_density import OpticalDensity
from leukopy.inference.sessions import open_session
from leukopy.taxonomy.objects import LEUKOCYTE, OBJECTS, PLATELET, PLATELET_CLUMP, RED_CELL, RED_CELL_UM

_TILE = 768
"""Largest side of a picture that the network sees at once, in pixels at its scale."""
_OVERLAP = 6
"""Width of the strip that neighbouring tiles share, in red cells: twice the largest leukocyte."""
_GUESSES = (14.0, 28.0, 56.0, 112.0, 224.0)
"""Diameters of a red cell, in pixels of the field, that are tried where the scale is unknown."""
_LOOK = 12
"""Side of the middle of the field that is seen at each guess, in red cells."""
_CONFIDENT = 0.5
"""Least score of the red cells that measure the scale."""
_LIKELY = (0.7, 1.45)
"""Ratio of a red cell's diameter to the guess, between which the guess is believed."""
_OTHERS = 0.15
"""What the area of leukocytes and platelets says of the scale, where that of red cells is 1: a few granules of a
leukocyte are soon taken for red cells. On validation pictures .3 and more do harm, since a leukocyte looks alike at two
scales (RBC-12)."""
_DARK = 0.45
"""Optical density in green light above which what looks like a red cell does not speak for a scale: it is grain of a
nucleus, seen from too near. Red cells of validation pictures have .36 at most."""
_LEAST_RED_CELLS = 3
"""Fewer whole red cells measure no scale."""
_NEAR = (0.65, 1.5)
"""Ratio of the measured to the assumed diameter at which a field is not seen again."""
_STATED = (0.6, 1.6)
"""Ratio of the measured to the stated diameter at which a stated scale holds: red cells differ between patients."""
_SAME = 0.5
"""Overlap (IoU) of two boxes above which they are one object."""
_REACH = 0.15
"""Share of their width by which platelets are widened to see whether they touch."""
_CLUMPED = 4
"""Platelets that touch, from which they are a clump."""
_INSIDE = 0.75
"""Share of a smaller box inside a larger one of its kind above which it is a part of the same object."""

_SMALL = 1.4
"""Diameter, in red cells, below which a leukocyte with a platelet inside is a red cell with a platelet on it. Of 409
marked leukocytes of validation pictures five have a platelet inside, and measure 1.7 red cells or more."""

_LEUKOCYTE, _RED, _PLATELET, _CLUMP = (OBJECTS.index(kind) for kind in (LEUKOCYTE, RED_CELL, PLATELET, PLATELET_CLUMP))

Kinds = NDArray[np.int64]
Scores = NDArray[np.float32]


class Detector:
    """A detector on the CPU; threads may share it."""

    def __init__(self, bundle: DetectorBundle, *, least: float | None = None) -> None:
        """
        Args:
            bundle: opened.
            least: least score of all kinds, to measure the detector; None: the card's thresholds.
        """
        self.card = bundle.card
        self._session = open_session(bundle.model_path, bundle.card.model.sha256)
        self._least = np.array([least or bundle.card.thresholds[kind] for kind in OBJECTS], np.float32)

    @classmethod
    def open(cls, name: str | Path = "default") -> Self:
        """Open a detector that ships with the package, or a bundle's folder.

        Raises:
            BundleError: as `open_detector`, or it is no network that can be run.
        """
        return cls(open_detector(name))

    def find(self, field: Field, usual_red_cell_px: float | None = None) -> Detections:
        """Objects of a field.

        The scale of the slide is tried first, and the scale is measured where the red cells that are found contradict
        it. A stated scale (a red cell is taken as ``RED_CELL_UM`` across) holds where red cells do not contradict it.

        Args:
            field: with its pixels.
            usual_red_cell_px: diameter of a red cell on other fields of the slide, in pixels.
        """
        stated = RED_CELL_UM / field.um_per_px if field.um_per_px else None
        usual = usual_red_cell_px or self.measure_scale(field.pixels)
        if stated and (usual is None or _STATED[0] <= usual / stated <= _STATED[1]):
            return self._find(field.pixels, stated)
        if usual is None:
            return Detections.none()
        found = self._find(field.pixels, usual)
        if _is_near(found.red_cell_px, usual):
            return found
        if usual_red_cell_px:
            return self.find_on(field.pixels)
        return self._find(field.pixels, found.red_cell_px) if found.red_cell_px else found

    def find_on(self, pixels: NDArray[np.uint8], red_cell_px: float | None = None) -> Detections:
        """Objects of a picture.

        Args:
            pixels: (height, width, 3), RGB.
            red_cell_px: assumed diameter of a red cell, in pixels; None: measured.
        """
        assumed = red_cell_px or self.measure_scale(pixels)
        if assumed is None:
            return Detections.none()
        found = self._find(pixels, assumed)
        if red_cell_px is None and found.red_cell_px and not _is_near(found.red_cell_px, assumed):
            found = self._find(pixels, found.red_cell_px)
        return found

    def measure_scale(self, pixels: NDArray[np.uint8]) -> float | None:
        """Diameter of a red cell in pixels, roughly, from the middle of a picture (height, width, 3).

        It is that of the scales at which red cells, and with less weight other objects, fill most of the picture; None
        without any object.
        """
        best, diameter = 0.0, None
        density = OpticalDensity(pixels)
        for guess in _GUESSES:
            left, top, right, bottom = _middle(pixels.shape, _LOOK * guess)
            middle = pixels[top:bottom, left:right]
            if min(middle.shape[:2]) < guess:
                continue
            boxes, kinds, scores = self._see(middle, self.card.red_cell_px / guess)
            ratios = boxes[:, 2:].mean(axis=1) / guess
            red = (kinds == _RED) & (scores >= _CONFIDENT) & (ratios > _LIKELY[0]) & (ratios < _LIKELY[1])
            red[red] = density.of(boxes[red] + np.array([left, top, 0, 0], np.float32))[:, 1] < _DARK
            others = (kinds != _RED) & (scores >= _CONFIDENT)
            seen = boxes[:, 2:].prod(axis=1) * scores**4 / (middle.shape[0] * middle.shape[1])
            filled = float(seen[red].sum() + _OTHERS * seen[others].sum())
            if filled > best:
                sizes = _whole_sizes(boxes[red], middle.shape)
                best, diameter = filled, float(np.median(sizes)) if len(sizes) else guess
        return diameter

    def _find(self, pixels: NDArray[np.uint8], assumed: float) -> Detections:
        """Objects of a picture whose red cells measure about ``assumed`` pixels."""
        parts = []
        for left, top, right, bottom, core in _tiles(pixels, _TILE * assumed / self.card.red_cell_px, assumed):
            boxes, kinds, scores = self._see(pixels[top:bottom, left:right], self.card.red_cell_px / assumed)
            boxes = boxes + np.array([left, top, 0, 0], np.float32)
            centres = boxes[:, :2] + boxes[:, 2:] / 2
            inside = ((centres >= core[:2]) & (centres < core[2:])).all(axis=1) & (scores >= self._least[kinds])
            parts.append((boxes[inside], kinds[inside], scores[inside]))
        boxes, kinds, scores = (np.concatenate(part) for part in zip(*parts, strict=True))
        kinds = self._named(boxes, kinds, scores, _SMALL * assumed)
        boxes, kinds, scores = _with_clumps(
            *self._without_doubles(boxes, kinds, scores), self.card.thresholds[PLATELET]
        )
        order = np.argsort(-scores, kind="stable")
        sizes = _whole_sizes(boxes[(kinds == _RED) & (scores >= _CONFIDENT)], pixels.shape)
        red_cell_px = float(np.median(sizes)) if len(sizes) >= _LEAST_RED_CELLS else None
        return Detections(boxes[order], kinds[order], scores[order], red_cell_px)

    def _named(self, boxes: Boxes, kinds: Kinds, scores: Scores, small: float) -> Kinds:
        """The kinds, where a ``small`` leukocyte with a platelet inside is a red cell: it resembles an erythroblast."""
        others = np.flatnonzero((kinds == _LEUKOCYTE) & (boxes[:, 2:].mean(axis=1) < small))
        platelets = boxes[(kinds == _PLATELET) & (scores >= self.card.thresholds[PLATELET])]
        _, inside = overlaps(platelets, boxes[others])
        renamed = kinds.copy()
        renamed[others[(inside > _INSIDE).any(axis=0)]] = _RED
        return renamed

    def _without_doubles(self, boxes: Boxes, kinds: Kinds, scores: Scores) -> tuple[Boxes, Kinds, Scores]:
        """A nucleated cell also resembles a red cell: the leukocyte stays. A red cell stays once."""
        sure = boxes[(kinds == _LEUKOCYTE) & (scores >= self.card.thresholds[LEUKOCYTE])]
        shared, _ = overlaps(boxes, sure)
        kept = (kinds == _LEUKOCYTE) | (shared <= _SAME).all(axis=1)
        boxes, kinds, scores = boxes[kept], kinds[kept], scores[kept]
        once = np.concatenate([np.flatnonzero(kinds != _RED), _once(boxes, scores, np.flatnonzero(kinds == _RED))])
        return boxes[once], kinds[once], scores[once]

    def _see(self, pixels: NDArray[np.uint8], scale: float) -> tuple[Boxes, Kinds, Scores]:
        """Boxes in pixels of the given picture, kinds and scores of its objects, each object once."""
        height, width = pixels.shape[:2]
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        small = _scaled(pixels, size)
        high, wide = (-(-side // self.card.multiple) * self.card.multiple for side in small.shape[:2])
        high, wide = max(high, 2 * self.card.multiple), max(wide, 2 * self.card.multiple)
        padded = np.pad(small, ((0, high - small.shape[0]), (0, wide - small.shape[1]), (0, 0)), mode="edge")
        heat, sides = self._session.run(["scores", "sides"], {"images": padded[None]})
        # the network's own clumps, learnt from drawn fields alone, are too poor to serve
        least = np.minimum(self._least, _CONFIDENT)[:_CLUMP, None, None]
        kinds, rows, columns = np.nonzero(heat[0, :_CLUMP] >= least)
        scores = heat[0, kinds, rows, columns]
        left, top, right, bottom = sides[0, kinds, :, rows, columns].T
        x, y = (columns + 0.5) * self.card.stride, (rows + 0.5) * self.card.stride
        boxes = np.stack([x - left, y - top, left + right, top + bottom], axis=1).astype(np.float32)
        boxes *= np.array([width / size[0], height / size[1]] * 2, np.float32)
        boxes = _clipped(boxes, width, height)
        inside = (x < size[0]) & (y < size[1]) & (boxes[:, 2:] > 0).all(axis=1)
        boxes, kinds, scores = boxes[inside], kinds[inside], scores[inside]
        kept = np.concatenate([_once(boxes, scores, np.flatnonzero(kinds == kind)) for kind in range(_CLUMP)])
        return boxes[kept], kinds[kept], scores[kept]


def _is_near(measured: float | None, assumed: float) -> bool:
    return measured is not None and _NEAR[0] <= measured / assumed <= _NEAR[1]


def _with_clumps(boxes: Boxes, kinds: Kinds, scores: Scores, least: float) -> tuple[Boxes, Kinds, Scores]:
    """Replace groups of touching platelets of score ``least`` or more by one clump each, whose score is their mean."""
    platelets = np.flatnonzero((kinds == _PLATELET) & (scores >= least))
    own = boxes[platelets]
    first, last = own[:, :2] - _REACH * own[:, 2:], own[:, :2] + (1 + _REACH) * own[:, 2:]
    touching = ((first[:, None] < last) & (first < last[:, None])).all(axis=2)
    count, groups = scipy.sparse.csgraph.connected_components(touching, directed=False)
    gone = np.zeros(len(boxes), bool)
    for group in np.flatnonzero(np.bincount(groups, minlength=count) >= _CLUMPED):
        members = platelets[groups == group]
        gone[members] = True
        start, end = boxes[members, :2].min(axis=0), (boxes[members, :2] + boxes[members, 2:]).max(axis=0)
        boxes = np.vstack([boxes, np.concatenate([start, end - start])])
        kinds, scores = np.append(kinds, _CLUMP), np.append(scores, scores[members].mean())
    kept = ~np.pad(gone, (0, len(boxes) - len(gone)))
    return boxes[kept], kinds[kept], scores[kept]


def _scaled(pixels: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    picture = Image.fromarray(np.ascontiguousarray(pixels))
    return np.asarray(picture.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0))


def _middle(shape: tuple[int, ...], side: float) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of the middle of a picture, at most ``side`` high and wide."""
    height, width = shape[:2]
    top, left = (max(0, round((length - side) / 2)) for length in (height, width))
    return left, top, width - left, height - top


def _tiles(
    pixels: NDArray[np.uint8], side: float, red_cell_px: float
) -> Iterator[tuple[int, int, int, int, NDArray[np.float32]]]:
    """Tiles (left, top, right, bottom) of a picture, and the core (4,) of each: the cores share no pixel."""
    height, width = pixels.shape[:2]
    edge = _OVERLAP * red_cell_px / 2
    for top, bottom, north, south in _steps(height, side, edge):
        for left, right, west, east in _steps(width, side, edge):
            yield left, top, right, bottom, np.array([west, north, east, south], np.float32)


def _steps(length: int, side: float, edge: float) -> Iterator[tuple[int, int, float, float]]:
    """First and last pixel of tiles along one axis, and of their cores."""
    count = 1 if length <= side else int(np.ceil((length - 2 * edge) / (side - 2 * edge)))
    step = length / count
    for place in range(count):
        low = -np.inf if place == 0 else place * step
        high = np.inf if place == count - 1 else (place + 1) * step
        yield int(max(0, place * step - edge)), int(min(length, np.ceil((place + 1) * step + edge))), low, high


def _clipped(boxes: NDArray[np.float32], width: int, height: int) -> NDArray[np.float32]:
    """The parts of boxes (n, 4) inside a picture."""
    ends = np.array([width, height], np.float32)
    first = boxes[:, :2].clip(0, ends)
    return np.concatenate([first, (boxes[:, :2] + boxes[:, 2:]).clip(0, ends) - first], axis=1)


def _whole_sizes(boxes: NDArray[np.float32], shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Mean of width and height of the boxes (n, 4) that do not end at the border of a picture."""
    ends = np.array([shape[1], shape[0]]) - 1.5
    whole = (boxes[:, :2] > 1).all(axis=1) & (boxes[:, :2] + boxes[:, 2:] < ends).all(axis=1)
    return np.asarray(boxes[whole, 2:].mean(axis=1))


def _once(boxes: NDArray[np.float32], scores: NDArray[np.float32], chosen: NDArray[np.int64]) -> NDArray[np.int64]:
    """Indices of the chosen boxes, without those that repeat a box of higher score."""
    order = chosen[np.argsort(-scores[chosen], kind="stable")]
    own = boxes[order]
    areas = own[:, 2:].prod(axis=1)
    later, earlier, shared = pairs(own)
    joined = areas[later] + areas[earlier] - shared
    repeats = (shared > _SAME * joined) | (shared > _INSIDE * np.minimum(areas[later], areas[earlier]))
    later, earlier = later[repeats], earlier[repeats]
    kept = np.ones(len(order), bool)
    for place in np.argsort(earlier, kind="stable").tolist():
        if kept[earlier[place]]:
            kept[later[place]] = False
    return order[kept]
