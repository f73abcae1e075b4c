"""The counting rule: which cells no count holds, and why.

An image without a single cell has no class; a reader may give it one. A duplicate has the same bytes as an earlier
image of the slide, and is not counted whatever its class. An unidentified cell is unlike every class of the model.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

NotCounted = Literal["unidentified", "no_cell", "several_cells", "duplicate"]

UNIDENTIFIED = "UNIDENTIFIED"
"""The class code of an unidentified cell."""

NAMES: dict[NotCounted, tuple[str, str]] = {
    "unidentified": ("unidentified", "non identifiée"),
    "no_cell": ("no cell", "sans cellule"),
    "several_cells": ("several cells", "plusieurs cellules"),
    "duplicate": ("duplicate", "doublon"),
}
"""English and French name of each reason, in the order of pages and documents."""


def not_counted(code: str | None, flags: Collection[str]) -> NotCounted | None:
    """Why no count holds a cell; None: it is counted.

    Args:
        code: its class, by the reader or the model; None: none.
        flags: the model's.
    """
    if code is None:
        return "several_cells" if "several_cells" in flags and "no_cell" not in flags else "no_cell"
    if "duplicate" in flags:
        return "duplicate"
    return "unidentified" if code == UNIDENTIFIED else None
