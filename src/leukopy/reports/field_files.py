"""Counts and boxes of fields as files: tables, COCO JSON for detectors, GeoJSON for QuPath."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from typing import Any

import polars as pl

from leukopy.core.files import atomic_path, write_json, write_text
from leukopy.core.provenance import RESEARCH_USE_ONLY
from leukopy.fields.counts import COUNTING_RULE, FieldCounts
from leukopy.fields.counts_table import counts_table
from leukopy.fields.tables import slices
from leukopy.reports.object_labels import CELL_COLUMNS, all_labels, label_objects
from leukopy.taxonomy.objects import LEUKOCYTE

COUNTS_FILE, COCO_FILE, QUPATH_FOLDER = "counts.csv", "boxes.coco.json", "qupath"

Table = pl.DataFrame | pl.LazyFrame
_Picture = tuple[str, int | None, str]
"""Path, page, and name of the file of its boxes."""

_NAMESPACE = uuid.UUID("6f4c1c1e-0f5c-5f0e-9d53-7b8a3f0f2a11")
_UNSAFE = re.compile(r'[\x00-\x1f/\\:*?"<>|]+')


def write_field_results(
    folder: Path, fields: pl.DataFrame, objects: Table, cells: Table | None, counts: FieldCounts
) -> None:
    """Write ``fields.csv``, ``counts.csv``, ``counts.json``, ``boxes.coco.json`` and the folder ``qupath``.

    Args:
        folder: of the results of one slide.
        fields: rows of ``FIELD_SCHEMA``.
        objects: rows of ``OBJECT_SCHEMA``, of which some are read at a time.
        cells: its classified cells, likewise.
        counts: as `fields.counts.count_objects` returns them.

    Raises:
        OutputError: the disk is full, or not permitted.
    """
    write_text(folder / "fields.csv", fields.write_csv(float_precision=6))
    write_text(folder / COUNTS_FILE, counts_table(counts).write_csv(float_precision=4))
    write_json(folder / "counts.json", {"notice": RESEARCH_USE_ONLY, "rule": COUNTING_RULE, **_plain(asdict(counts))})
    write_coco(folder / COCO_FILE, fields, objects, cells)
    write_geojson(folder / QUPATH_FOLDER, fields, objects, cells)


def _labelled(objects: Table, cells: Table | None) -> Iterator[pl.DataFrame]:
    """The objects with their labels, some at a time."""
    for own in slices(objects.lazy()):
        known = None if cells is None else cells.lazy().join(own.lazy().select("cell_id"), on="cell_id", how="semi")
        yield label_objects(own, None if known is None else known.select(CELL_COLUMNS).collect())


def _plain(counts: dict[str, Any]) -> dict[str, Any]:
    counts["platelets"]["settings"] = counts["platelets"]["settings"].model_dump()
    return counts


def write_coco(path: Path, fields: pl.DataFrame, objects: Table, cells: Table | None = None) -> None:
    """Write boxes in the format of COCO's detection task (cocodataset.org).

    ``file_name`` is the field's id. Boxes end at the border of their field. Beside COCO's own keys an annotation has
    ``score``, and ``counted`` as in ``OBJECT_SCHEMA``.
    """
    kinds = {LEUKOCYTE, "red_cell", "platelet", "platelet_clump"}
    labels = all_labels()
    numbers = {code: number for number, code in enumerate(labels, start=1)}
    categories = [
        {"id": numbers[label.code], "name": label.name, "code": label.code,
         "supercategory": "blood" if label.code in kinds else LEUKOCYTE}
        for label in labels.values()
    ]  # fmt: skip
    read = fields.filter(pl.col("width").is_not_null())
    places = read.select("field", "width", "height").with_row_index("image", offset=1)
    images = places.select("image", "field", "width", "height").iter_rows()
    columns = ("image", "label", "left", "top", "right", "bottom", "probability", "counted")
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8") as stream:
        head = {
            "info": {"description": f"Boxes found by leukopy. {RESEARCH_USE_ONLY}"},
            "licenses": [],
            "categories": categories,
            "images": [{"id": number, "file_name": name, "width": width, "height": height}
                       for number, name, width, height in images],
        }  # fmt: skip
        stream.write(json.dumps(head, ensure_ascii=False)[:-1] + ', "annotations": [')
        rows = (row for part in _labelled(objects, cells) for row in _clipped(part, places).select(columns).iter_rows())
        for number, row in enumerate(rows, start=1):
            stream.write((",\n" if number > 1 else "\n") + json.dumps(_annotation(number, numbers, *row)))
        stream.write("\n]}\n")


def _clipped(labelled: pl.DataFrame, places: pl.DataFrame) -> pl.DataFrame:
    """Objects with the number of their image, and the sides of their boxes inside it."""
    return labelled.join(places, on="field", how="inner", maintain_order="left").with_columns(
        left=pl.col("box_x").clip(0, pl.col("width")),
        top=pl.col("box_y").clip(0, pl.col("height")),
        right=(pl.col("box_x") + pl.col("box_width")).clip(0, pl.col("width")),
        bottom=(pl.col("box_y") + pl.col("box_height")).clip(0, pl.col("height")),
    )


def _annotation(number: int, categories: Mapping[str, int], *row: Any) -> dict[str, Any]:
    image, label, left, top, right, bottom, probability, counted = row
    width, height = right - left, bottom - top
    return {
        "id": number, "image_id": image, "category_id": categories[label],
        "bbox": [round(value, 2) for value in (left, top, width, height)], "area": round(width * height, 2),
        "iscrowd": 0, "segmentation": [], "score": round(probability, 4), "counted": counted,
    }  # fmt: skip


def write_geojson(folder: Path, fields: pl.DataFrame, objects: Table, cells: Table | None = None) -> None:
    """Write boxes as detections for QuPath: one file per picture, in pixels of the picture.

    The regions of a whole slide share one file, in pixels of its full resolution; it holds counted objects alone.
    The objects of a picture stand together in ``objects``.
    """
    taken: set[str] = set()
    rows = (row for part in _labelled(objects, cells) for row in _features(_placed(part, fields)))
    for (_, page, name), own in groupby(rows, key=lambda row: row[0]):
        file = folder / f"{_free(name, page, taken)}.geojson"
        with atomic_path(file) as temporary, temporary.open("w", encoding="utf-8") as stream:
            stream.write('{"type": "FeatureCollection", "features": [')
            for number, (_, field, feature) in enumerate(own):
                feature["id"] = str(uuid.uuid5(_NAMESPACE, f"{field} {number}"))
                stream.write((",\n" if number else "\n") + json.dumps(feature, ensure_ascii=False))
            stream.write("\n]}\n")


def _placed(labelled: pl.DataFrame, fields: pl.DataFrame) -> pl.DataFrame:
    """The objects to write, with the columns of their fields."""
    rows = labelled.drop("slide").join(fields, on="field", maintain_order="left")
    return rows.filter(pl.col("counted") | pl.col("slide_x").is_null())


def _free(name: str, page: int | None, taken: set[str]) -> str:
    """A file name for a picture that no other has."""
    base = _UNSAFE.sub("_", name).strip(" .")[-120:] or "picture"
    if page is not None and f"page={page}" not in base:
        base = f"{base} page {page}"
    free, number = base, 2
    while free.lower() in taken:
        free, number = f"{base} ({number})", number + 1
    taken.add(free.lower())
    return free


def _features(rows: pl.DataFrame) -> Iterator[tuple[_Picture, str, dict[str, Any]]]:
    """The picture, the field and the feature of each object."""
    across = (pl.col("slide_width") / pl.col("width")).fill_null(1)
    down = (pl.col("slide_height") / pl.col("height")).fill_null(1)
    left = pl.col("slide_x").fill_null(0) + pl.col("box_x") * across
    top = pl.col("slide_y").fill_null(0) + pl.col("box_y") * down
    columns = rows.select(
        "path", "page", pl.col("slide_x").is_not_null(), "field", "label", "probability", left.alias("left"),
        top.alias("top"), (left + pl.col("box_width") * across).alias("right"),
        (top + pl.col("box_height") * down).alias("bottom"), "diameter_um",
    )  # fmt: skip
    labels = all_labels()
    for path, page, whole, field, code, probability, *sides, diameter in columns.iter_rows():
        x, y, right, bottom = (round(side, 2) for side in sides)
        ring = [[x, y], [right, y], [right, bottom], [x, bottom], [x, y]]
        label = labels[code]
        measures = {"probability": probability, "diameter µm": diameter}
        feature = {
            "type": "Feature",
            "id": "",
            "geometry": {"type": "Polygon", "coordinates": [ring]},
            "properties": {
                "objectType": "detection",
                "classification": {
                    "name": label.name.capitalize(),
                    "color": [int(label.colour[start : start + 2], 16) for start in (1, 3, 5)],
                },
                "measurements": {name: round(value, 4) for name, value in measures.items() if value is not None},
            },
        }
        yield (path, page, Path(path).name if whole else field), field, feature
