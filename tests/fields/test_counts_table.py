from __future__ import annotations

from dataclasses import replace

import pytest

from leukopy.evaluation.intervals import Estimate
from leukopy.fields.counts import count_objects
from leukopy.fields.counts_table import ASSUMED, COUNT_SCHEMA, counts_table
from leukopy.fields.shape_counts import RedCellShapes, ShapeShare
from leukopy.fields.tables import FIELD_SCHEMA, OBJECT_SCHEMA
from support.located import located_fields, table


def _row(found, section, measure, unit):
    rows = found.filter(section=section, measure=measure, unit=unit)
    assert len(rows) == 1
    return rows.row(0, named=True)


@pytest.fixture(scope="module")
def located():
    return located_fields(2)


def test_a_row_for_every_figure_with_its_limits(located):
    counts = count_objects(located.fields, located.objects, located.cells)
    found = counts_table(counts)
    assert dict(found.schema) == COUNT_SCHEMA
    red = _row(found, "red cells", "red cells", "per field")
    assert (red["value"], red["low95"], red["high95"]) == tuple(vars(counts.red_cells.per_field).values())
    assert _row(found, "leukocytes", "leukocytes", "count")["value"] == 14  # 2 of 16 are erythroblasts
    assert _row(found, "platelets", "platelet estimate", "10⁹/L")["value"] == counts.platelets.estimate.value
    assert found["note"].null_count() == len(found)


def test_a_missing_number_has_a_reason():
    fields = table(
        [{"field": "a", "width": 9, "height": 9, "um_per_px": 0.1, "scale_source": "red cells"}], FIELD_SCHEMA
    )
    clump = table([{"field": "a", "kind": "platelet_clump", "counted": True}], OBJECT_SCHEMA)
    found = counts_table(count_objects(fields, clump))
    assert _row(found, "red cells", "mean diameter", "µm")["note"] == ASSUMED
    assert "clump is on the fields" in _row(found, "platelets", "platelet estimate", "10⁹/L")["note"]
    assert _row(found, "leukocytes", "leukocytes", "per 1,000 red cells")["note"] == "too few objects"


def test_shapes_have_a_grade_or_a_reason(located):
    graded = ShapeShare("teardrop", "teardrop cell", 60, 4, Estimate(6.0, 5.2, 7.1), "2+", "")
    named = ShapeShare("normal", "normal", 900, 10, Estimate(90.0, 85.0, 94.0), "", "no abnormality")
    shapes = RedCellShapes(1000, 36, 210, 17, 3, {"out of focus": 2}, "", (named, graded))
    counts = replace(count_objects(located.fields, located.objects, located.cells), shapes=shapes)
    found = counts_table(counts)
    row = _row(found, "red cell shapes", "teardrop cell", "%")
    assert (row["value"], row["low95"], row["high95"], row["grade"], row["note"]) == (6.0, 5.2, 7.1, "2+", None)
    row = _row(found, "red cell shapes", "normal", "%")
    assert (row["grade"], row["note"]) == (None, "no abnormality")
    assert _row(found, "red cell shapes", "ungraded: overlapping", "count")["value"] == 210
    assert _row(found, "red cell shapes", "fields not judged: out of focus", "count")["value"] == 2
    refused = replace(shapes, refused="too few", shares=())
    assert _row(counts_table(replace(counts, shapes=refused)), "red cell shapes", "shapes", "%")["note"] == "too few"
