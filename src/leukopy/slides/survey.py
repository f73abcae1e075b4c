"""What a few cells of a slide tell of all of it, before the first is classified."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TypeVar

import numpy as np

from leukopy.slides.class_means import SlideClassMeans
from leukopy.slides.laboratory_check import ENOUGH_CELLS
from leukopy.slides.ood_correction import NO_SHIFT, Shift
from leukopy.taxonomy import COARSE

SAMPLE = 128
"""Cells of a slide that are looked at, at most."""

UNUSUAL = 0.5
"""`SlideSurvey.foreign_probability` from which the re-estimated class means weigh as much as the learnt ones."""

T = TypeVar("T")


@dataclass(frozen=True)
class SlideSurvey:
    """How the cells of a slide are to be looked at, and judged."""

    crop: float | None = None
    """Share of the short side of its pictures that the network gets; None: as its card says."""
    shift: Shift = NO_SHIFT
    """How much stranger its usual cell is than a known one."""
    classes: SlideClassMeans | None = None
    """How its classes look; None: as everywhere."""
    foreign_probability: float = 0.0
    """How much its cells are unlike those of the laboratory that validated the model, 0 to 1."""

    @property
    def cells_used(self) -> int | None:
        """From how many cells its classes were found again; None where that says little."""
        if self.classes is None or self.foreign_probability < UNUSUAL:
            return None
        return round(float(self.classes.cells.sum()))

    @property
    def note(self) -> str:
        """What whoever reads the slide's figures must know; nothing where it is a usual one."""
        if self.cells_used is None:
            return ""
        return (
            "Its cells are unlike those of the laboratory that validated the model: its classes were found again from "
            f"{self.cells_used} cells of this slide, so that what is said of one depends on the others. Check more of "
            "them than usual."
        )

    def facts(self) -> dict[str, object]:
        """What of it is worth telling, for the record of a run."""
        seen = None
        if self.classes is not None:
            seen = {cell.code: round(float(count), 1) for cell, count in zip(COARSE, self.classes.cells, strict=True)}
        return {
            "crop": self.crop,
            "shift": asdict(self.shift),
            "foreign_probability": round(self.foreign_probability, 3),
            "cells_looked_at": seen,
            "cells_used": self.cells_used,
            "note": self.note,
        }


def note_of_few(cells: int) -> str:
    """What a reader must know of a slide with too few cells for the checks of a slide."""
    return (
        f"Only {cells} cell{'s' if cells != 1 else ''}, fewer than {ENOUGH_CELLS}: magnification, laboratory and class "
        "means of the slide are not checked. A cell is flagged unidentified only where it stands out among these."
    )


NO_SURVEY = SlideSurvey()
"""Of a slide that nothing is known of: each cell is taken by itself."""


def sample_of(slide: Sequence[T], size: int = SAMPLE) -> list[T]:
    """Up to ``size`` of a slide's cells, evenly over the list: it may be sorted by class."""
    places = np.linspace(0, len(slide) - 1, min(size, len(slide))).round().astype(int)
    return [slide[place] for place in places]
