"""What a few cells of a slide tell of all of it, before the first is classified."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TypeVar

import numpy as np

from leukopy.slides.class_means import OwnClasses
from leukopy.slides.ood_correction import NO_RISE, Rise
from leukopy.taxonomy import COARSE

SAMPLE = 128
"""Cells of a slide that are looked at, at most."""

UNUSUAL = 0.5
"""Of `Survey.elsewhere`: from here on the slide's own classes say as much as those learnt, and it is told."""

T = TypeVar("T")


@dataclass(frozen=True)
class Survey:
    """How the cells of a slide are to be looked at, and judged."""

    crop: float | None = None
    """Share of the short side of its pictures that the network gets; None: as its card says."""
    rise: Rise = NO_RISE
    """How much stranger its usual cell is than a known one."""
    classes: OwnClasses | None = None
    """How its classes look; None: as everywhere."""
    elsewhere: float = 0.0
    """How much its cells are unlike those of the laboratory that validated the model, 0 to 1."""

    @property
    def found_again(self) -> int | None:
        """From how many cells its classes were found again; None where that says little."""
        if self.classes is None or self.elsewhere < UNUSUAL:
            return None
        return round(float(self.classes.cells.sum()))

    @property
    def note(self) -> str:
        """What whoever reads the slide's figures must know; nothing where it is a usual one."""
        if self.found_again is None:
            return ""
        return (
            "Its cells are unlike those of the laboratory that validated the model: its classes were found again from "
            f"{self.found_again} cells of this slide, so that what is said of one depends on the others. Check more of "
            "them than usual."
        )

    def facts(self) -> dict[str, object]:
        """What of it is worth telling, for the record of a run."""
        seen = None
        if self.classes is not None:
            seen = {cell.code: round(float(count), 1) for cell, count in zip(COARSE, self.classes.cells, strict=True)}
        return {
            "crop": self.crop,
            "rise": asdict(self.rise),
            "elsewhere": round(self.elsewhere, 3),
            "cells_looked_at": seen,
            "found_again": self.found_again,
            "note": self.note,
        }


UNKNOWN = Survey()
"""Of a slide that nothing is known of: each cell is taken by itself."""


def sample_of(slide: Sequence[T], size: int = SAMPLE) -> list[T]:
    """Up to ``size`` of a slide's cells, evenly over the list: it may be sorted by class."""
    places = np.linspace(0, len(slide) - 1, min(size, len(slide))).round().astype(int)
    return [slide[place] for place in places]
