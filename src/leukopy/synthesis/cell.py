"""One cell among red cells, as cropped by an analyser."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from leukopy.synthesis.appearance import PBC_LIKE, Appearance, expose
from leukopy.synthesis.morphology import Morphology
from leukopy.synthesis.paint import paint_cell
from leukopy.synthesis.redcells import RedCells
from leukopy.synthesis.slide import Slide

CROP_PX = 360
"""Width of a crop at the camera's own scale, as in PBC Barcelona."""

_BYSTANDERS = ("SNE", "SNE", "SNE", "LY", "LY", "MO")


@dataclass(frozen=True)
class DrawnCell:
    """A crop and its truth."""

    image: NDArray[np.uint8]
    """(size, size, 3), RGB."""
    code: str
    """Fine class code."""
    nucleus_mask: NDArray[np.bool_]
    """(size, size), inside ``cell_mask``; empty for a platelet."""
    cell_mask: NDArray[np.bool_]
    """(size, size), of the centred cell alone."""
    box: tuple[int, int, int, int]
    """Left, top, right, bottom of the cell in pixels; right and bottom are exclusive."""
    um_per_px: float


def draw_cell(
    code: str,
    *,
    seed: int,
    appearance: Appearance | None = None,
    size: int = CROP_PX,
    morphology: Morphology | None = None,
) -> DrawnCell:
    """Draw a cell centred among red cells.

    Args:
        code: a fine class code.
        seed: the same seed, code, appearance and size give the same pixels.
        appearance: the laboratory; PBC Barcelona's by default.
        size: pixels of the square crop. The visible part of the smear does not depend on it.
        morphology: of this cell; its class's by default.

    Raises:
        SettingsError: the code is not a fine class.
    """
    look = appearance or PBC_LIKE
    rng = np.random.default_rng(seed)
    um_per_px = look.um_per_px * CROP_PX / size
    slide = Slide(size, size, um_per_px)
    row, column = np.rint(size / 2 + rng.normal(0, 0.35 / um_per_px, 2)).astype(int)
    slide.lay(code, paint_cell(code, um_per_px, rng, morphology), row, column)
    _lay_bystanders(slide, rng)
    amounts = slide.amounts(RedCells.random(look.pallor, rng), rng)
    truth = slide.truth()[0]
    left, top, right, bottom = truth.box
    masks = np.zeros((2, size, size), dtype=bool)
    masks[:, top:bottom, left:right] = truth.nucleus_mask, truth.cell_mask
    return DrawnCell(expose(amounts, look, um_per_px, rng), code, masks[0], masks[1], truth.box, um_per_px)


def _lay_bystanders(slide: Slide, rng: np.random.Generator) -> None:
    """Add some platelets, and occasionally a leukocyte cut by the border, clear of the cell in the middle."""
    side_um = slide.width * slide.um_per_px
    others = [("PLT", rng.uniform(10.5, max(0.7 * side_um, 11))) for _ in range(rng.poisson(0.8))]
    if rng.random() < 0.06 and side_um > 30:
        others.append((str(rng.choice(_BYSTANDERS)), rng.uniform(0.56, 0.66) * side_um))
    for code, away_um in others:
        angle, away = rng.uniform(0, 2 * np.pi), away_um / slide.um_per_px
        row, column = (round(slide.width / 2 + away * part) for part in (np.sin(angle), np.cos(angle)))
        slide.lay(code, paint_cell(code, slide.um_per_px, rng), row, column)
