"""The counting rule: which cells no count holds, and why.

A duplicate has the same bytes as an earlier image of the slide, and is never counted. An image without a single cell
has no class; with a class given by a reader it is counted. An unidentified cell is unlike every class of the model.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

from leukopy.imaging.content import SEVERAL_CELLS
from leukopy.inference.rows import DUPLICATE

NotCounted = Literal["unidentified", "no_cell", "several_cells", "duplicate", "void"]

VOID = "void"
"""The flag of an image that a reader made void."""

UNIDENTIFIED = "UNIDENTIFIED"
"""The class code of an unidentified cell."""

NAMES: dict[NotCounted, tuple[str, str]] = {
    "unidentified": ("unidentified", "non identifiée"),
    "no_cell": ("no cell", "sans cellule"),
    "several_cells": ("several cells", "plusieurs cellules"),
    "duplicate": ("duplicate", "doublon"),
    "void": ("void", "annulée"),
}
"""English and French name of each reason, in the order of pages and documents."""


def not_counted(code: str | None, flags: Collection[str]) -> NotCounted | None:
    """Why no count holds a cell; None: it is counted.

    Args:
        code: its class, by the reader or the model; None: none.
        flags: the model's.
    """
    if VOID in flags:
        return "void"
    if DUPLICATE in flags:
        return "duplicate"
    if code is None:
        return "several_cells" if SEVERAL_CELLS in flags else "no_cell"
    return "unidentified" if code == UNIDENTIFIED else None
