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
    declare,
    digest,
    display_order,
    find,
    fine_members,
    level_key,
    outside_classes,
)
from leukopy.taxonomy.label_tables import open_label_map, read_label_table
from leukopy.taxonomy.labels import LABEL_MAPS, LabelMap, label_key, label_map

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
    "declare",
    "describe",
    "digest",
    "display_order",
    "find",
    "fine_members",
    "label_key",
    "label_map",
    "level_key",
    "open_label_map",
    "outside_classes",
    "read_label_table",
]
