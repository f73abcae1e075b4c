"""A whole field of view."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from leukopy.core.errors import SettingsError
from leukopy.synthesis.appearance import PBC_LIKE, Appearance, expose
from leukopy.synthesis.morphology import morphology
from leukopy.synthesis.redcells import RedCells
from leukopy.synthesis.slide import Slide, Truth

_TRIES = 2000
_GAP_UM = 1.0


@dataclass(frozen=True)
class DrawnField:
    """A field and its truth."""

    image: NDArray[np.uint8]
    """(height, width, 3), RGB."""
    cells: list[Truth]
    """Every leukocyte, erythroblast and platelet; all lie wholly inside. Red cells are not listed."""
    um_per_px: float


def draw_field(
    counts: Mapping[str, int], *, seed: int, appearance: Appearance | None = None, size: tuple[int, int] = (1200, 1600)
) -> DrawnField:
    """Draw a field at the camera's own scale.

    Args:
        counts: fine class code -> number of cells. They do not touch one another; red cells lie round them.
        seed: the same seed, counts, appearance and size give the same pixels.
        appearance: the laboratory; PBC Barcelona's look by default.
        size: height and width in pixels.

    Raises:
        SettingsError: a code is none of the 11 fine ones, or the field has no room for all cells.
    """
    look = appearance or PBC_LIKE
    rng = np.random.default_rng(seed)
    slide = Slide(*size, look.um_per_px)
    codes = [code for code, count in counts.items() for _ in range(count)]
    codes.sort(key=lambda code: -morphology(code).diameter_um[1])  # large ones first, while there is room
    for code, (row_um, column_um) in zip(codes, _places(codes, slide, rng), strict=True):
        slide.lay(code, row_um, column_um, rng)
    amounts = slide.amounts(RedCells.random(look.pallor, rng), rng)
    return DrawnField(expose(amounts, look, look.um_per_px, rng), slide.truth(), look.um_per_px)


def _places(codes: list[str], slide: Slide, rng: np.random.Generator) -> NDArray[np.float64]:
    """Centres, row and column in micrometres, at which the cells keep apart and inside."""
    size_um = np.array([slide.height, slide.width]) * slide.um_per_px
    reaches = np.array([Slide.reach_um(code) for code in codes])
    places = np.empty((len(codes), 2))
    for number, reach in enumerate(reaches):
        darts = rng.uniform(reach, np.maximum(size_um - reach, reach), (_TRIES, 2))
        apart = np.hypot(*(darts[:, None] - places[None, :number]).transpose(2, 0, 1))
        free = (apart > reach + reaches[:number] + _GAP_UM).all(axis=1) & (size_um >= 2 * reach).all()
        if not free.any():
            raise SettingsError(
                f"a field of {slide.height} x {slide.width} pixels has no room for {len(codes)} cells: "
                "ask for fewer cells, or for a larger field."
            )
        places[number] = darts[free.argmax()]
    return places
