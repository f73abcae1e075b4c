"""A whole field of view."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from leukopy.core.errors import SettingsError
from leukopy.synthesis.appearance import PBC_LIKE, Appearance, expose
from leukopy.synthesis.paint import paint_cell
from leukopy.synthesis.redcells import RedCells
from leukopy.synthesis.slide import Slide, Truth

_TRIES = 2000


@dataclass(frozen=True)
class DrawnField:
    """A field and its truth."""

    image: NDArray[np.uint8]
    """(height, width, 3), RGB."""
    cells: list[Truth]
    """Every leukocyte, erythroblast and platelet, each wholly inside. Red cells are not listed."""
    um_per_px: float


def draw_field(
    counts: Mapping[str, int], *, seed: int, appearance: Appearance | None = None, size: tuple[int, int] = (1200, 1600)
) -> DrawnField:
    """Draw a field at the camera's own scale.

    Args:
        counts: fine class code -> number of cells. They do not touch; red cells lie round them.
        seed: the same seed, counts, appearance and size give the same pixels.
        appearance: the laboratory; PBC Barcelona's by default.
        size: height and width in pixels.

    Raises:
        SettingsError: a code is not a fine class, or the field has no room for all cells.
    """
    look = appearance or PBC_LIKE
    rng = np.random.default_rng(seed)
    slide = Slide(*size, look.um_per_px)
    cells = [(code, paint_cell(code, slide.um_per_px, rng)) for code, count in counts.items() for _ in range(count)]
    cells.sort(key=lambda cell: -cell[1].reach_px)  # large ones first, while there is room
    reaches = np.array([painted.reach_px for _, painted in cells])
    for (code, painted), (row, column) in zip(cells, _places(reaches, size, rng), strict=True):
        slide.lay(code, painted, row, column)
    amounts = slide.amounts(RedCells.random(look.pallor, rng), rng)
    return DrawnField(expose(amounts, look, look.um_per_px, rng), slide.truth(), look.um_per_px)


def _places(reaches: NDArray[np.float64], size: tuple[int, int], rng: np.random.Generator) -> NDArray[np.int64]:
    """Centres, (n, 2) rows and columns, at which discs of these radii in pixels are disjoint and inside."""
    places = np.empty((len(reaches), 2), dtype=np.int64)
    for number, reach in enumerate(reaches):
        darts = np.rint(rng.uniform(reach, np.maximum(np.array(size) - reach, reach), (_TRIES, 2))).astype(np.int64)
        apart = np.hypot(*(darts[:, None] - places[None, :number]).transpose(2, 0, 1))
        free = (apart > reach + reaches[:number]).all(axis=1) & (2 * reach <= min(size))
        if not free.any():
            raise SettingsError(
                f"a field of {size[0]} x {size[1]} pixels has no room for {len(reaches)} cells: "
                "ask for fewer cells, or for a larger field."
            )
        places[number] = darts[free.argmax()]
    return places
