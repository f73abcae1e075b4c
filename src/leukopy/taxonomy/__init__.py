"""The classes of blood cells, their order, and the names that each public source gives them."""

from leukopy.taxonomy.attributes import ATTRIBUTE_CLASSES, ATTRIBUTES, Attribute, describe
from leukopy.taxonomy.classes import (
    BLASTS,
    COARSE,
    DISPLAY_ORDER,
    FINE,
    OUTSIDE,
    CellClass,
    Place,
    coarse_matrix,
    digest,
    find,
    fine_members,
    level_key,
)
from leukopy.taxonomy.labels import LABEL_MAPS, LabelMap, label_map

__all__ = [
    "ATTRIBUTES",
    "ATTRIBUTE_CLASSES",
    "BLASTS",
    "COARSE",
    "DISPLAY_ORDER",
    "FINE",
    "LABEL_MAPS",
    "OUTSIDE",
    "Attribute",
    "CellClass",
    "LabelMap",
    "Place",
    "coarse_matrix",
    "describe",
    "digest",
    "find",
    "fine_members",
    "label_map",
    "level_key",
]
