"""Drawn fields with their truth as the tables of a detector, and classified cells for their leukocytes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import polars as pl

from leukopy.fields.field import Field, FieldInput
from leukopy.fields.tables import FIELD_SCHEMA, OBJECT_SCHEMA
from leukopy.synthesis import ObjectTruth, Scene, draw_field
from leukopy.taxonomy.objects import LEUKOCYTE, OBJECTS
from support.classified import classified_cells

MIX = {"SNE": 3, "LY": 2, "MO": 1, "EO": 1, "ERB": 1}
SCENE = Scene(platelets=0.05, apart=0.9, coverage=0.55, red_spread=0.07)


class Located(NamedTuple):
    """The fields of one slide, and all that was found on them."""

    pictures: list[Field]
    fields: pl.DataFrame
    objects: pl.DataFrame
    cells: pl.DataFrame


def table(rows: Sequence[dict[str, Any]], schema: dict[str, pl.DataType]) -> pl.DataFrame:
    """Rows with null for every column that they do not name."""
    return pl.DataFrame([{name: row.get(name) for name in schema} for row in rows], schema=schema)


def located_fields(count: int, *, size: tuple[int, int] = (480, 640), scene: Scene = SCENE, seed: int = 1) -> Located:
    """Drawn fields; their truth stands for the detector's findings, the true class for the classifier's."""
    pictures: list[Field] = []
    fields: list[dict[str, Any]] = []
    objects: list[dict[str, Any]] = []
    codes: list[str] = []
    for number in range(count):
        drawn = draw_field(MIX, seed=seed + number, size=size, scene=scene)
        name = f"field_{number + 1:04}.png"
        pictures.append(
            Field(FieldInput(name, f"/slides/{name}"), drawn.image, f"{number:064}", drawn.um_per_px, "file")
        )
        own = [_object(name, index, one, size) for index, one in enumerate(drawn.objects)]
        codes += [one.code for one in drawn.objects if one.kind == LEUKOCYTE]
        objects += own
        counted = Counter(f"{row['kind']}s" for row in own if row["counted"])
        fields.append({
            "field": name, "path": f"/slides/{name}", "width": size[1], "height": size[0], "digest": f"{number:064}",
            "um_per_px": drawn.um_per_px, "scale_source": "file", "focus": 0.31, "crowding": 0.2, "light": 240.0,
            "light_range": 0.04, **{f"{kind}s": counted[f"{kind}s"] for kind in OBJECTS},
        })  # fmt: skip
    ids = [row["cell_id"] for row in objects if row["cell_id"]]
    classified = [classified_cells({code: 1}).with_columns(cell_id=pl.lit(name)) for name, code in
                  zip(ids, codes, strict=True)]  # fmt: skip
    return Located(pictures, table(fields, FIELD_SCHEMA), table(objects, OBJECT_SCHEMA), pl.concat(classified))


def _object(field: str, index: int, one: ObjectTruth, size: tuple[int, int]) -> dict[str, Any]:
    centre = one.left + one.width / 2, one.top + one.height / 2
    return {
        "field": field, "kind": one.kind, "box_x": one.left, "box_y": one.top, "box_width": one.width,
        "box_height": one.height, "diameter_um": one.diameter_um, "detection_score": 0.93, "cut": one.cut,
        "touching": one.overlapping, "counted": centre[0] < size[1] and centre[1] < size[0],
        "cell_id": f"{field}#{index}" if one.kind == LEUKOCYTE else None,
    }  # fmt: skip
