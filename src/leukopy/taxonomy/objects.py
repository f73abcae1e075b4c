"""Objects that a detector finds on a field of view."""

from __future__ import annotations

LEUKOCYTE = "leukocyte"
"""A nucleated cell of any class, erythroblasts and blasts included; the classifier decides which."""
RED_CELL = "red_cell"
PLATELET = "platelet"
PLATELET_CLUMP = "platelet_clump"

OBJECTS: tuple[str, ...] = (LEUKOCYTE, RED_CELL, PLATELET, PLATELET_CLUMP)
"""Kinds of objects, in the order of a detector's outputs."""

RED_CELL_UM = 7.5
"""Usual diameter of a red cell on a smear, in micrometres (6.7 to 7.7; Bain, Blood Cells)."""
