"""One field after detection: its objects with their flags, and its rows."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import polars as pl
from numpy.typing import NDArray

from leukopy.core.errors import ImageError
from leukopy.fields.detections import Detections, ShapeNames
from leukopy.fields.doubles import Landmarks
from leukopy.fields.field import FieldInput, ScaleSource
from leukopy.fields.quality import FieldQuality
from leukopy.fields.tables import FIELD_SCHEMA, OBJECT_SCHEMA
from leukopy.imaging.decode import Picture
from leukopy.inference.rows import CellInput, printable
from leukopy.taxonomy.objects import LEUKOCYTE, OBJECTS
from leukopy.taxonomy.red_cell_shapes import SHAPE_NAMES

_LEUKOCYTE = OBJECTS.index(LEUKOCYTE)


def _none() -> NDArray[np.bool_]:
    return np.empty(0, bool)


@dataclass(eq=False)
class LocatedField:
    """One field after detection, without its pixels."""

    source: FieldInput
    size: tuple[int, int] | None = None
    """Width and height in pixels; None where it cannot be read."""
    digest: str = ""
    um_per_px: float | None = None
    scale_source: ScaleSource | None = None
    scale_note: str = ""
    """Reason why a stated scale is not used; empty without one."""
    found: Detections = field(default_factory=Detections.none)
    cut: NDArray[np.bool_] = field(default_factory=_none)
    """(n,): the box ends at the border."""
    touching: NDArray[np.bool_] = field(default_factory=_none)
    """(n,): the box overlaps another of its kind."""
    counted: NDArray[np.bool_] = field(default_factory=_none)
    """(n,)."""
    centres: NDArray[np.float64] = field(default_factory=lambda: np.empty((0, 2)))
    """(n, 2): x and y of the whole objects, pixels."""
    same_as: dict[int, str] = field(default_factory=dict)
    """Leukocyte by its index -> ``cell_id`` of the same cell on an earlier field."""
    overlaps: str | None = None
    """An earlier field that shows a part of the same area."""
    left_out: str | None = None
    """Reason why nothing of it is counted."""
    quality: FieldQuality | None = None
    landmarks: Landmarks | None = None
    pictures: dict[int, Picture] = field(default_factory=dict)
    """Leukocyte by its index -> its picture."""
    failure: ImageError | None = None

    def cell_id(self, index: int) -> str:
        """Id of a leukocyte: its field, and its place among the objects of the field."""
        return f"{self.source.field_id}#cell={index + 1}"

    @property
    def leukocytes(self) -> NDArray[np.intp]:
        """Indices of all leukocytes, counted or not."""
        return np.flatnonzero(self.found.kinds == _LEUKOCYTE)

    @property
    def rows(self) -> list[int]:
        """Objects that become rows of the table of cells: the counted leukocytes, from the upper left on."""
        if self.left_out:
            return []
        chosen = self.leukocytes[self.counted[self.leukocytes]]
        order = np.lexsort((self.found.boxes[chosen, 0], self.found.boxes[chosen, 1]))
        return [int(index) for index in chosen[order]]

    @property
    def ids(self) -> list[str | None]:
        """``cell_id`` of each leukocyte, here or on an earlier field; None where it is not counted."""
        rows = set(self.rows)
        return [self.cell_id(index) if index in rows else self.same_as.get(index) for index in self.leukocytes.tolist()]

    def cells(self) -> list[tuple[CellInput, Picture | ImageError]]:
        """Its cells with their pictures; an unreadable field is one input that fails."""
        source = self.source
        if self.failure is not None:
            return [(CellInput(source.field_id, source.path, source.slide, source.field_id), self.failure)]
        found: list[tuple[CellInput, Picture | ImageError]] = []
        for index in self.rows:
            left, top, width, height = (int(value) for value in self.found.boxes[index].round())
            box = (left, top, width, height)
            cell = CellInput(self.cell_id(index), source.path, source.slide, source.field_id, box)
            found.append((cell, self.pictures[index]))
        return found

    def leave_out(self, reason: str) -> None:
        """Count nothing of the field."""
        self.left_out, self.counted, self.pictures = reason, np.zeros(len(self.found), bool), {}

    @property
    def shapes(self) -> ShapeNames:
        """Shapes of all objects; none where none are named."""
        return self.found.shapes or ShapeNames.none(len(self.found))

    def _shape_counts(self) -> dict[str, int]:
        """Its columns of ``FIELD_SCHEMA`` on shapes."""
        names = self.shapes
        judged = self.counted & (names.shapes >= 0)
        counts = np.bincount(names.shapes[judged & names.sure], minlength=len(SHAPE_NAMES)).tolist()
        own = {f"shape_{name}": count for name, count in zip(SHAPE_NAMES, counts, strict=True)}
        return {"red_cells_judged": int(judged.sum()), **own}

    def field_row(self) -> pl.DataFrame:
        """Its row of ``FIELD_SCHEMA``."""
        source, region = self.source, self.source.region
        width, height = self.size or (None, None)
        kinds = np.bincount(self.found.kinds[self.counted], minlength=len(OBJECTS)).tolist()
        row: dict[str, object] = {
            "slide": source.slide or None,
            "field": source.field_id,
            "path": printable(source.path),
            "page": source.page,
            "width": width,
            "height": height,
            "digest": self.digest or None,
            "um_per_px": self.um_per_px,
            "scale_source": self.scale_source,
            "scale_note": self.scale_note or None,
            "red_cell_px": self.found.red_cell_px,
            **{f"{kind}s": count for kind, count in zip(OBJECTS, kinds, strict=True)},
            "cells": len(self.rows),
            **self._shape_counts(),
            "overlaps": self.overlaps,
            "left_out": self.left_out,
        }
        if region is not None:
            row |= {f"slide_{name}": value for name, value in zip(("x", "y", "width", "height"), region, strict=True)}
            if source.core is not None:
                row["counted_share"] = source.core.width * source.core.height / (region.width * region.height)
        if self.quality is not None:
            row |= {name: None if np.isnan(value) else value for name, value in self.quality._asdict().items()}
        return pl.DataFrame([{name: row.get(name) for name in FIELD_SCHEMA}], schema=FIELD_SCHEMA)

    def objects(self) -> pl.DataFrame:
        """Its rows of ``OBJECT_SCHEMA``; none where it is left out."""
        count = 0 if self.left_out else len(self.found)
        boxes, rows, names = self.found.boxes[:count], set(self.rows), self.shapes
        judged = [place >= 0 for place in names.shapes[:count].tolist()]
        sizes = None if self.um_per_px is None else boxes[:, 2:].mean(axis=1) * self.um_per_px
        return pl.DataFrame(
            {
                "slide": [self.source.slide or None] * count,
                "field": [self.source.field_id] * count,
                "kind": [OBJECTS[kind] for kind in self.found.kinds[:count]],
                "box_x": boxes[:, 0],
                "box_y": boxes[:, 1],
                "box_width": boxes[:, 2],
                "box_height": boxes[:, 3],
                "diameter_um": [None] * count if sizes is None else sizes,
                "detection_score": self.found.scores[:count],
                "cut": self.cut[:count],
                "touching": self.touching[:count],
                "counted": self.counted[:count],
                "same_as": [self.same_as.get(index) for index in range(count)],
                "cell_id": [self.cell_id(index) if index in rows else None for index in range(count)],
                "shape": [SHAPE_NAMES[place] if place >= 0 else None for place in names.shapes[:count].tolist()],
                "shape_probability": [
                    chance if seen else None
                    for chance, seen in zip(names.probabilities[:count].tolist(), judged, strict=True)
                ],
                "shape_sure": [
                    sure if seen else None for sure, seen in zip(names.sure[:count].tolist(), judged, strict=True)
                ],
            },
            schema=OBJECT_SCHEMA,
        )
