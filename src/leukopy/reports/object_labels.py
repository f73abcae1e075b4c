"""Name, colour and probability of located objects, as pages and exported boxes show them."""

from __future__ import annotations

from typing import NamedTuple

import polars as pl

from leukopy.inference.rows import is_unidentified
from leukopy.taxonomy import FINE, OUTSIDE, find, outside_classes
from leukopy.taxonomy.objects import LEUKOCYTE, OBJECTS, PLATELET, PLATELET_CLUMP, RED_CELL


class Label(NamedTuple):
    """A label of objects: a class of leukocytes or a kind."""

    code: str
    name: str
    colour: str
    """Hexadecimal RGB."""


_KINDS = {
    LEUKOCYTE: Label(LEUKOCYTE, "nucleated cell without a class", "#6e6e6e"),
    RED_CELL: Label(RED_CELL, "red cell", "#d05a6e"),
    PLATELET: Label(PLATELET, "platelet", find("PLT").colour),
    PLATELET_CLUMP: Label(PLATELET_CLUMP, "platelet clump", "#8a5a00"),
}
# A located leukocyte that the classifier calls a platelet keeps its own label: the detector counted it as a leukocyte.
_AS_PLATELET = Label("PLT", "nucleated cell classified as platelet", find("PLT").colour)

CELL_COLUMNS = ("cell_id", "fine", "fine_confidence", "flags")
"""Columns of classified cells that name them."""


def all_labels() -> dict[str, Label]:
    """All labels by code, in a fixed order; those of a laboratory's own classes are the last."""
    own = (cell for cell in outside_classes() if cell not in OUTSIDE)
    classes = [Label(cell.code, cell.name, cell.colour) for cell in (*FINE, *OUTSIDE) if cell.code != "PLT"]
    kinds = (_KINDS[kind] for kind in OBJECTS)
    found = (*kinds, *classes, _AS_PLATELET, *(Label(cell.code, cell.name, cell.colour) for cell in own))
    return {label.code: label for label in found}


def label_objects(objects: pl.DataFrame, cells: pl.DataFrame | None = None) -> pl.DataFrame:
    """The objects with the columns ``label``, a code of `all_labels`, and ``probability``.

    A classified leukocyte has the fine class and its probability, others their kind and the detector's score.

    Args:
        objects: rows of ``OBJECT_SCHEMA``.
        cells: classified cells, with ``cell_id``, ``fine``, ``fine_confidence`` and ``flags``.
    """
    if cells is None:
        return objects.with_columns(label=pl.col("kind"), probability=pl.col("detection_score"))
    classes = cells.select(
        "cell_id",
        label=pl.when(is_unidentified()).then(pl.lit("UNIDENTIFIED")).otherwise("fine"),
        probability="fine_confidence",
    ).filter(pl.col("label").is_not_null())
    return objects.join(classes, on="cell_id", how="left", maintain_order="left").with_columns(
        label=pl.coalesce("label", "kind"), probability=pl.coalesce("probability", "detection_score")
    )
