"""Shapes of the single red cells on a field, named by a small network."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
import scipy  # its parts load on first use
from numpy.typing import NDArray

from leukopy.bundle.red_cell_shapes import RedCellShapesBundle, bundled_red_cell_shapes, open_red_cell_shapes
from leukopy.fields.box_pairs import overlapping
from leukopy.fields.detections import Detections, ShapeNames
from leukopy.fields.detector import Detector
from leukopy.fields.field import Field
from leukopy.fields.locate import Finder, border_sides, is_plausible
from leukopy.fields.red_cell_crops import cut_red_cells
from leukopy.inference.sessions import open_session
from leukopy.taxonomy.objects import OBJECTS, RED_CELL, RED_CELL_UM
from leukopy.taxonomy.red_cell_shapes import NORMAL, SHAPE_NAMES, SIZE_SHAPES

NONE = "none"
"""Name that asks for no shapes."""
_APART = 0.15
"""Share of the smaller box up to which two red cells that overlap are separate: named as accurately as others."""
_AT_ONCE = 16
"""Cells of one call of the network: their maps stay in the processor's cache."""
_RED = OBJECTS.index(RED_CELL)
_NORMAL = SHAPE_NAMES.index(NORMAL)
_SIZES = [SHAPE_NAMES.index(name) for name in SIZE_SHAPES]


class Readings(NamedTuple):
    """Shapes of n cells, before any decision."""

    probabilities: NDArray[np.float64]
    """(n, len(SHAPES))."""
    far: NDArray[np.bool_]
    """(n,): unlike the cells that the network learnt from."""


class ShapeNamer:
    """A network for shapes of red cells on the CPU; threads may share it."""

    def __init__(self, bundle: RedCellShapesBundle) -> None:
        self.card = bundle.card
        self._session = open_session(bundle.model_path, bundle.card.model.sha256)
        self._least = np.array([bundle.card.rules[name].least_probability for name in SHAPE_NAMES])

    @classmethod
    def open(cls, name: str | Path = "default") -> Self:
        """Open a bundle that ships with the package, or a bundle's folder.

        Raises:
            BundleError: as `open_red_cell_shapes`, or it is no network that can be run.
        """
        return cls(open_red_cell_shapes(name))

    def read(
        self, pixels: NDArray[np.uint8], centres: NDArray[np.float64], red_cell_px: float, *, sized: bool = True
    ) -> Readings:
        """Read the shapes of cells.

        Args:
            pixels: (height, width, 3), RGB.
            centres: (n, 2), x and y in pixels.
            red_cell_px: pixels of 7.5 µm; of a usual red cell where the scale is unknown.
            sized: the scale is known. False: macrocytes and microcytes count as normal.
        """
        cells = cut_red_cells(pixels, centres, red_cell_px)
        parts = [cells[start : start + _AT_ONCE] for start in range(0, len(cells), _AT_ONCE)]
        outputs = [self._session.run(["logits", "distance"], {"images": part}) for part in parts]
        if not outputs:
            return Readings(np.empty((0, len(SHAPE_NAMES))), np.empty(0, bool))
        logits, distances = (np.concatenate(output) for output in zip(*outputs, strict=True))
        found: NDArray[np.float64] = scipy.special.softmax(logits.astype(np.float64) / self.card.temperature, axis=1)
        if not sized:
            found[:, _NORMAL] += found[:, _SIZES].sum(axis=1)
            found[:, _SIZES] = 0
        return Readings(found, distances > self.card.far)

    def name(self, readings: Readings, total: int, places: NDArray[np.intp]) -> ShapeNames:
        """The decisions on the cells at ``places`` among ``total`` objects."""
        best = readings.probabilities.argmax(axis=1)
        highest = readings.probabilities.max(axis=1, initial=0)
        names = ShapeNames.none(total)
        names.shapes[places], names.probabilities[places] = best, highest
        names.sure[places] = ~readings.far & (highest >= self._least[best])
        return names


class ShapedFinder:
    """A detector that names the shapes of the red cells too."""

    def __init__(self, finder: Finder, namer: ShapeNamer) -> None:
        self._finder, self._namer = finder, namer

    def find(self, field: Field, usual_red_cell_px: float | None = None) -> Detections:
        """Objects of a field; its separate whole red cells have a shape where the field has the pixels for it."""
        found = self._finder.find(field, usual_red_cell_px)
        red_cell_px, sized = found.red_cell_px or usual_red_cell_px, False
        if field.um_per_px and (not found.red_cell_px or is_plausible(field.um_per_px, found.red_cell_px)):
            red_cell_px, sized = RED_CELL_UM / field.um_per_px, True
        if red_cell_px is None or red_cell_px < self._namer.card.least_red_cell_px:
            return found
        height, width = field.pixels.shape[:2]
        cut = np.asarray(border_sides(found.boxes, width, height).any(axis=1))
        places = np.flatnonzero(found.kinds == _RED)
        places = places[~cut[places] & ~overlapping(found.boxes[places], _APART)]
        boxes = found.boxes[places].astype(np.float64)
        centres = boxes[:, :2] + boxes[:, 2:] / 2
        readings = self._namer.read(field.pixels, centres, red_cell_px, sized=sized)
        return replace(found, shapes=self._namer.name(readings, len(found), places))


def open_finder(detector: str | Path, shapes: str | Path = "default") -> Finder:
    """A detector that names the shapes of red cells.

    Args:
        detector: a bundled one, or the folder of a bundle.
        shapes: a bundled network, the folder of a bundle, or ``none``.

    Raises:
        BundleError: a bundle is absent, broken or made for something else.
    """
    plain = Detector.open(detector)
    return ShapedFinder(plain, ShapeNamer.open(shapes)) if names_shapes(shapes) else plain


def names_shapes(shapes: str | Path) -> bool:
    """True where shapes are asked for and, if no folder is named, a network ships with the package."""
    return str(shapes) != NONE and (str(shapes) != "default" or bool(bundled_red_cell_shapes()))
