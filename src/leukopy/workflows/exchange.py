"""Results to labelling programs as pre-labels, and the corrections made there back as tables."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from leukopy.core.errors import InputError
from leukopy.core.files import write_json, write_text

if TYPE_CHECKING:
    import polars as pl

OVERLAP = 0.5
"""Least overlap (IoU) of a person's box with the model's box of the same object."""


@dataclass(frozen=True)
class Corrections:
    """A person's labels beside those of the model."""

    table: pl.DataFrame
    """One row per object: ``picture``, ``cell_id``, ``path``, ``code`` (of the person; null: removed), ``model_code``
    (null: added), ``change`` (same, class, added, removed), ``left``, ``top``, ``right``, ``bottom`` in pixels."""

    def count(self, change: str) -> int:
        """Number of rows with a change."""
        return self.table.filter(change=change).height


def export_prelabels(results: Path, out: Path) -> int:
    """Write the results of `analyze` on one slide as tasks of Label Studio.

    Args:
        results: the folder that ``leukopy analyze --out`` wrote.
        out: receives ``tasks.json`` and ``interface.xml``.

    Returns:
        The number of tasks, one per picture.

    Raises:
        InputError: ``results`` holds no results of photographs or cells.
        OutputError: ``out`` cannot be written.
    """
    from leukopy.reports.labelling import label_studio_config, label_studio_tasks

    boxes, pictures = _model_boxes(results)
    sizes = {row["picture"]: (row["width"], row["height"]) for row in pictures.iter_rows(named=True)}
    paths = dict(pictures.select("picture", "path").iter_rows())
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / "tasks.json", label_studio_tasks(boxes, sizes, paths))
    write_text(out / "interface.xml", label_studio_config(fields=boxes["left"].null_count() < len(boxes)))
    return len(paths)


def read_labels(results: Path, labels: Path) -> Corrections:
    """Compare the labels of people, from Label Studio, CVAT or QuPath, with the results that they started from.

    Objects of pictures that the export does not hold are left out.

    Raises:
        InputError: ``labels`` is no such export, or names a picture that the results do not hold.
    """
    import polars as pl

    from leukopy.reports.labelling import read_corrections

    boxes, pictures = _model_boxes(results)
    known = pictures["picture"].to_list()
    given = read_corrections(labels, known, fields=boxes["left"].null_count() < len(boxes))
    if unknown := sorted(set(given["picture"]) - set(known)):
        raise InputError(f"{labels}: picture {unknown[0]} is not among the results of {results}. Name their folder.")
    rows = [
        row
        for picture in given["picture"].unique(maintain_order=True)
        for row in _matched(given.filter(picture=picture), boxes.filter(picture=picture))
    ]
    schema = {
        "picture": pl.String(), "cell_id": pl.String(), "code": pl.String(), "model_code": pl.String(),
        "change": pl.String(), "left": pl.Float64(), "top": pl.Float64(), "right": pl.Float64(), "bottom": pl.Float64(),
    }  # fmt: skip
    table = pl.DataFrame(rows, schema=schema, orient="row")
    return Corrections(table.join(pictures.select("picture", "path"), on="picture", how="left", maintain_order="left"))


def _matched(given: pl.DataFrame, found: pl.DataFrame) -> list[tuple[object, ...]]:
    """The rows of one picture: each person's box with the model's box that it overlaps most, each of these once."""
    sides = ("left", "top", "right", "bottom")
    rows: list[tuple[object, ...]] = []
    model = found.to_dicts()
    overlap = _overlaps(given, found)
    free = set(range(len(model)))
    for number, person in enumerate(given.iter_rows(named=True)):
        best = max(free, key=lambda at: overlap[number][at], default=None)
        own = None if best is None or overlap[number][best] < OVERLAP else model[best]
        if own is not None and best is not None:
            free.discard(best)
        change = "added" if own is None else "same" if own["code"] == person["code"] else "class"
        cell = (own["cell_id"], person["code"], own["code"]) if own else (None, person["code"], None)
        rows.append((person["picture"], *cell, change, *(person[side] for side in sides)))
    for at in sorted(free):
        own = model[at]
        rows.append((own["picture"], own["cell_id"], None, own["code"], "removed", *(own[side] for side in sides)))
    return rows


def _overlaps(given: pl.DataFrame, found: pl.DataFrame) -> list[list[float]]:
    """IoU of each person's box with each box of the model; 1 where the picture is one cell."""
    import numpy as np
    import polars as pl

    from leukopy.evaluation.detection import overlaps

    if found["left"].null_count() == len(found):
        return [[1.0] * len(found) for _ in range(len(given))]
    boxes = [
        table.select("left", "top", pl.col("right") - pl.col("left"), pl.col("bottom") - pl.col("top"))
        .to_numpy()
        .astype(np.float32)
        for table in (given, found)
    ]
    shares: list[list[float]] = overlaps(boxes[0], boxes[1])[0].tolist()
    return shares


def _model_boxes(results: Path) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The model's objects (``BOX_SCHEMA`` with ``cell_id`` and ``score``), and the pictures with path and size.

    Raises:
        InputError: no results, or those of a whole slide, whose regions are no files.
    """
    import polars as pl

    from leukopy.fields.tables import FIELDS_FILE, OBJECTS_FILE
    from leukopy.reports.object_labels import label_objects

    if not (results / "cells.parquet").is_file():
        raise InputError(f"{results}: holds no cells.parquet. Name the folder of one slide that leukopy analyze wrote.")
    cells = pl.read_parquet(results / "cells.parquet")
    if not (results / FIELDS_FILE).is_file():
        rows = cells.filter(pl.col("fine").is_not_null()).select(
            "cell_id", picture="cell_id", code="fine", score="fine_confidence"
        )
        sides = [pl.lit(None, pl.Float64()).alias(side) for side in ("left", "top", "right", "bottom")]
        return rows.with_columns(*sides), cells.select("path", "width", "height", picture="cell_id")
    fields = pl.read_parquet(results / FIELDS_FILE).filter(pl.col("width").is_not_null())
    if fields["slide_x"].null_count() < len(fields):
        raise InputError(f"{results}: shows regions of a whole slide, which are no files. Use qupath/*.geojson.")
    objects = label_objects(pl.read_parquet(results / OBJECTS_FILE), cells)
    boxes = objects.select(
        "cell_id", picture="field", code="label", score="probability",
        left=pl.col("box_x").cast(pl.Float64), top=pl.col("box_y").cast(pl.Float64),
        right=(pl.col("box_x") + pl.col("box_width")).cast(pl.Float64),
        bottom=(pl.col("box_y") + pl.col("box_height")).cast(pl.Float64),
    )  # fmt: skip
    return boxes, fields.select("path", "width", "height", picture="field")
