"""Drawn blood cells whose truth is exact: every class, whole fields, every laboratory's look."""

from leukopy.synthesis.appearance import PBC_LIKE, Appearance, random_appearance
from leukopy.synthesis.cell import DrawnCell, draw_cell

__all__ = ["PBC_LIKE", "Appearance", "DrawnCell", "draw_cell", "random_appearance"]
