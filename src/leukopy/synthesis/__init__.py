"""Drawn blood cells with exact truth: every class, whole fields, the appearance of any laboratory."""

from leukopy.synthesis.appearance import PBC_LIKE, Appearance, random_appearance
from leukopy.synthesis.blocks import BlockPainter
from leukopy.synthesis.canvas import ObjectTruth
from leukopy.synthesis.cell import DrawnCell, draw_cell
from leukopy.synthesis.field import DrawnField, draw_field, draw_filled_field, draw_random_field
from leukopy.synthesis.scene import Scene, random_scene
from leukopy.synthesis.sheet import contact_sheet
from leukopy.synthesis.slide import Truth
from leukopy.synthesis.whole_slide import WholeSlide, slide_scenes

__all__ = [
    "PBC_LIKE",
    "Appearance",
    "BlockPainter",
    "DrawnCell",
    "DrawnField",
    "ObjectTruth",
    "Scene",
    "Truth",
    "WholeSlide",
    "contact_sheet",
    "draw_cell",
    "draw_field",
    "draw_filled_field",
    "draw_random_field",
    "random_appearance",
    "random_scene",
    "slide_scenes",
]
