"""Objects that a detector finds on a field of view."""

from __future__ import annotations

LEUKOCYTE = "leukocyte"
"""A nucleated cell of any class, erythroblasts and blasts included; the classifier decides which."""
RED_CELL = "red_cell"
PLATELET = "platelet"
PLATELET_CLUMP = "platelet_clump"

OBJECTS: tuple[str, ...] = (LEUKOCYTE, RED_CELL, PLATELET, PLATELET_CLUMP)
"""Kinds of objects, in the order of a detector's outputs."""
