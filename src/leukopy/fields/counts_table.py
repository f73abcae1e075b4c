"""The counts of a slide's fields as one table: a row per figure."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from leukopy.evaluation.intervals import Estimate
from leukopy.fields.counts import FieldCounts, Platelets, RedCells
from leukopy.fields.shape_counts import RedCellShapes

COUNT_SCHEMA: dict[str, pl.DataType] = {
    "section": pl.String(),  # fields, leukocytes, red cells, red cell shapes, platelets
    "measure": pl.String(),
    "unit": pl.String(),
    "value": pl.Float64(),  # null where there is none; the note says why
    "low95": pl.Float64(),
    "high95": pl.Float64(),
    "note": pl.String(),
    "grade": pl.String(),  # of the ICSH, for shapes of red cells; null where there is none
}

ASSUMED = "the scale was measured on the red cells, which are taken as 7.5 µm wide"
NO_OBJECTS = "too few objects"

_Row = tuple[str, str, str, float | None, float | None, float | None, str | None, str | None]


def counts_table(counts: FieldCounts) -> pl.DataFrame:
    """Rows of ``COUNT_SCHEMA``."""
    rows = [
        _count("fields", "fields in use", counts.fields),
        *(_count("fields", f"left out: {reason}", count) for reason, count in counts.left_out.items()),
        _count("leukocytes", "leukocytes", counts.leukocytes),
        _row("leukocytes", "leukocytes", "per 1,000 red cells", counts.leukocytes_per_1000_red_cells, NO_OBJECTS),
        *_red_cells(counts.red_cells),
        *_shapes(counts.shapes),
        *_platelets(counts.platelets),
    ]
    return pl.DataFrame(rows, schema=COUNT_SCHEMA, orient="row")


def _red_cells(red: RedCells) -> Iterator[_Row]:
    section = "red cells"
    yield _count(section, "red cells", red.count)
    yield _row(section, "red cells", "per field", red.per_field, NO_OBJECTS)
    yield _row(section, "red cells", "per leukocyte", red.per_leukocyte, NO_OBJECTS)
    yield _count(section, "overlapping red cells", red.overlapping)
    yield _count(section, "red cells measured", red.measured)
    yield _row(section, "mean diameter", "µm", red.diameter_um, ASSUMED if red.assumed_scale else NO_OBJECTS)
    yield _row(section, "variation of diameter (CV)", "%", red.diameter_cv, NO_OBJECTS)


def _shapes(shapes: RedCellShapes | None) -> Iterator[_Row]:
    if shapes is None:
        return
    section = "red cell shapes"
    yield _count(section, "red cells judged", shapes.judged)
    yield _count(section, "of these without a sure shape", shapes.unsure)
    yield _count(section, "ungraded: overlapping", shapes.overlapping)
    yield _count(section, "ungraded: cut by the border", shapes.cut)
    for reason, count in shapes.left_out.items():
        yield _count(section, f"fields not judged: {reason}", count)
    if shapes.refused:
        yield section, "shapes", "%", None, None, None, shapes.refused, None
    for share in shapes.shares:
        percent = share.percent
        row = section, share.title, "%", percent.value, percent.low, percent.high
        yield *row, share.note or None, share.grade or None


def _platelets(platelets: Platelets) -> Iterator[_Row]:
    section, missing = "platelets", platelets.refused or NO_OBJECTS
    yield _count(section, "platelets", platelets.count)
    yield _count(section, "platelet clumps", platelets.clumps)
    yield _row(section, "platelets", "per field", platelets.per_field, missing)
    yield _row(section, "platelets", "per 1,000 red cells", platelets.per_1000_red_cells, missing)
    scale = "" if platelets.oil_fields is not None else "the micrometres per pixel are unknown"
    yield _row(section, "platelet estimate", "10⁹/L", platelets.estimate, platelets.refused or scale or NO_OBJECTS)


def _count(section: str, measure: str, count: int) -> _Row:
    return section, measure, "count", count, None, None, None, None


def _row(section: str, measure: str, unit: str, found: Estimate, missing: str) -> _Row:
    note = missing if found.value is None else None
    return section, measure, unit, found.value, found.low, found.high, note, None
