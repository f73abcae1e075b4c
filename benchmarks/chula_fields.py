"""Chulalongkorn's fields end to end: are the marked leukocytes found, and rightly classified?

    LEUKOPY_DATA=... python benchmarks/chula_fields.py
    LEUKOPY_DATA=... python benchmarks/chula_fields.py runs/leave_one_out/not-chula/seed0/model/bundle

The detector never saw this laboratory. The shipped classifier did: its training holds crops of these very cells, so
that the share of right classes is optimistic. The second command takes the same recipe trained without this laboratory.
The same cells are classified once where the detector found them, and once where the labels mark them: the difference is
the cost of finding them. A cell is found where a located leukocyte overlaps its box by half (IoU). Cells cut by the
border are left out. All fields are analysed as one slide; limits are over fields.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
from PIL import Image

import leukopy
from leukopy.core.paths import data_folder
from leukopy.datasets.boxes import chula
from leukopy.evaluation.detection import cut_by_border, overlaps
from leukopy.evaluation.intervals import jackknife
from leukopy.fields.detections import Detections
from leukopy.fields.detector import Detector
from leukopy.fields.field import Field
from leukopy.inference.rows import is_unidentified
from leukopy.slides.field_slide import FieldPredictions
from leukopy.taxonomy import find
from leukopy.taxonomy.objects import LEUKOCYTE, OBJECTS
from results_file import write

CLASSES = ("neutrophil", "eosinophil", "basophil", "lymphocyte", "monocyte")
"""In the order of the source's ``classes.txt``."""


class Cell(NamedTuple):
    """One marked leukocyte."""

    field: str
    box: tuple[float, float, float, float]
    label: str


class Marked:
    """A detector that finds the marked leukocytes, at the scale that another measures."""

    def __init__(self, cells: list[Cell], detector: Detector) -> None:
        self._cells, self._detector = cells, detector

    def find(self, field: Field, usual_red_cell_px: float | None = None) -> Detections:
        seen = self._detector.find(field, usual_red_cell_px)
        own = np.array([cell.box for cell in self._cells if cell.field == field.source.path], np.float32).reshape(-1, 4)
        others = seen.kinds != OBJECTS.index(LEUKOCYTE)
        return Detections(
            np.concatenate([own, seen.boxes[others]]),
            np.concatenate([np.full(len(own), OBJECTS.index(LEUKOCYTE)), seen.kinds[others]]),
            np.concatenate([np.ones(len(own), np.float32), seen.scores[others]]),
            seen.red_cell_px,
        )


def marked_cells(data: Path) -> Iterator[Cell]:
    """The whole leukocytes of all fields, with their classes."""
    for picture in chula(data):
        path = data / picture.file
        lines = (path.parents[1] / "labels" / f"{path.stem}.txt").read_text("utf-8").splitlines()
        boxes = [(box.left, box.top, box.width, box.height) for box in picture.boxes]
        with Image.open(path) as opened:
            cut = cut_by_border(np.array(boxes, np.float32).reshape(-1, 4), opened.size)
        for line, box, at_border in zip(lines, boxes, cut, strict=True):
            if not at_border:
                yield Cell(str(path), box, CLASSES[int(line.split()[0])])


def outcomes(cells: list[Cell], found: FieldPredictions) -> pl.DataFrame:
    """Per marked cell: was it found, which class was it given, is this the right one?

    A cell that an earlier, overlapping field shows has the answer of its row there.
    """
    answers = found.cells.select(
        row="cell_id", answer=pl.when(is_unidentified()).then(pl.lit("unidentified")).otherwise(pl.col("coarse"))
    )
    columns = ("box_x", "box_y", "box_width", "box_height")
    places = found.objects.filter(kind=LEUKOCYTE).with_columns(row=pl.coalesce("cell_id", "same_as"))
    places = places.join(answers, on="row", how="left", maintain_order="left")
    rows = []
    for cell in cells:
        own = places.filter(pl.col("field") == cell.field)
        shared = overlaps(np.array([cell.box], np.float32), own.select(columns).to_numpy().astype(np.float32))[0][0]
        best = int(shared.argmax()) if len(shared) else -1
        there = bool(best >= 0 and shared[best] >= 0.5)
        answer = own["answer"][best] if there else None
        name = "" if answer is None else answer if answer == "unidentified" else find(answer).name
        row = own["row"][best] if there else None
        seen = there and own["same_as"][best] is not None
        rows.append({
            "field": cell.field, "label": cell.label, "found": there, "answer": name, "row": row, "seen earlier": seen,
        })  # fmt: skip
    return pl.DataFrame(rows).with_columns(right=pl.col("answer") == pl.col("label"))


def same_label(table: pl.DataFrame) -> dict[str, int]:
    """Marked cells that are taken for one on an earlier field, and those of them with the same label as that one."""
    first = table.filter(~pl.col("seen earlier")).select("row", earlier="label")
    pairs = table.filter("seen earlier").join(first, on="row", how="inner")
    return {"cells": len(pairs), "same label": int((pairs["label"] == pairs["earlier"]).sum())}


def share(table: pl.DataFrame, column: str) -> dict[str, float]:
    """Share of the cells with limits over fields."""
    sums = table.group_by("field", maintain_order=True).agg(pl.col(column).sum(), pl.len()).drop("field").to_numpy()
    low, high = jackknife(sums.astype(np.float64), lambda totals: totals[:, :1] / totals[:, 1:])
    value = float(sums[:, 0].sum() / sums[:, 1].sum())
    return {
        "value": round(value, 4),
        "low": round(max(0.0, float(low[0])), 4),
        "high": round(min(1.0, float(high[0])), 4),
    }


def main(model: str = "default", result: str = "chula_fields") -> None:
    cells = list(marked_cells(data_folder()))
    paths = sorted({cell.field for cell in cells})
    classifier, detector = leukopy.load(model), leukopy.load_detector()
    figures: dict[str, object] = {"fields": len(paths), "cells": len(cells)}
    for name, finder in (("found by the detector", detector), ("marked by the labels", Marked(cells, detector))):
        found = classifier.fields(paths, finder)
        table = outcomes(cells, found)
        classified = table.filter("found")
        figures[name] = {
            "found": share(table, "found"),
            "found and rightly classified": share(table, "right"),
            "rightly classified of those found": share(classified, "right"),
            "by class": {
                label: {"cells": len(own), "found": int(own["found"].sum()), "right": int(own["right"].sum())}
                for label in CLASSES
                if len(own := table.filter(label=label))
            },
            "answers for the wrong ones": dict(
                Counter(classified.filter(~pl.col("right"))["answer"].to_list()).most_common()
            ),
            "rows beside those of the marked": len(found.cells) - table["row"].n_unique(),
            "taken for a cell on an earlier field": same_label(table),
        }
    print(figures)
    write(result, figures)


if __name__ == "__main__":
    main(*((sys.argv[1], "chula_fields_unseen") if sys.argv[1:] else ()))
