"""Every sentence about a slide for its readers, once."""

from __future__ import annotations

from leukopy.slides.laboratory_check import SlideDistance

FIELDS = (
    "No differential: these pictures are fields of view, not cells. Analyse them with `leukopy analyze --as fields`, "
    "or cut each cell out, centred in a square of three to four red cells' width, and analyse these crops."
)
"""Reason and remedy for a slide of whole fields without a differential."""


def foreign_slide(distance: SlideDistance) -> str:
    """Warning that a slide looks unlike the training data; empty for a known laboratory."""
    if not distance.foreign:
        return ""
    return (
        f"This slide looks unlike the training data: distance {distance.distance:.1f} (usual: 1 at most), nearest "
        f"laboratory {distance.nearest}. Expect lower accuracy. `leukopy adapt` with 20 corrected cells of each class "
        "helps."
    )


def re_estimated(cells: int | None) -> str:
    """Note that class means were re-estimated from the slide."""
    if cells is None:
        return ""
    return (
        "The cells look unlike the reference laboratory of the model. The class means were re-estimated from "
        f"{cells} cells of this slide, so that the class of one cell depends on the others. Check more of them."
    )


def without_class(no_cell: int, several_cells: int, pictures: int) -> str:
    """Note on pictures without a single cell."""
    found = [
        f"{count} {words}" for count, words in ((no_cell, "without a cell"), (several_cells, "with several")) if count
    ]
    if not found:
        return ""
    return f"Of {pictures} pictures, {' and '.join(found)} have no class and are in no count."


def copies(count: int) -> str:
    """Note on pictures that are copies of others."""
    if not count:
        return ""
    pictures = "1 picture is a copy of another" if count == 1 else f"{count} pictures are copies of others"
    return f"{pictures} of this slide and in no count."


def few_cells(pictures: int, enough: int) -> str:
    """Note that a slide is too small to be surveyed."""
    if pictures >= enough or not pictures:
        return ""
    return (
        f"Fewer than {enough} cells: magnification, laboratory and class means of the slide are unknown. A cell is "
        "unidentified only where it stands out among the others."
    )
