from __future__ import annotations

import polars as pl

from leukopy.fields.tables import OBJECT_SCHEMA
from leukopy.reports.object_labels import all_labels, label_objects
from leukopy.taxonomy import FINE, OUTSIDE
from leukopy.taxonomy.objects import OBJECTS
from support.located import table


def test_a_label_for_every_kind_and_class_in_a_colour():
    codes = [label.code for label in all_labels().values()]
    assert len(codes) == len(set(codes))
    assert {*OBJECTS, *(cell.code for cell in (*FINE, *OUTSIDE))} <= set(codes)
    assert all(len(label.colour) == 7 and int(label.colour[1:], 16) >= 0 for label in all_labels().values())


def test_classified_leukocytes_have_their_class_others_their_kind():
    objects = table(
        [{"kind": "leukocyte", "cell_id": name, "detection_score": 0.9} for name in ("a", "b", "c", "d")]
        + [{"kind": "red_cell", "detection_score": 0.8}],
        OBJECT_SCHEMA,
    )
    cells = pl.DataFrame({
        "cell_id": ["a", "b", "c"], "fine": ["LY", "MO", None], "fine_confidence": [0.7, 0.6, None],
        "flags": ["uncertain", "unidentified", "no_cell"],
    })  # fmt: skip
    found = label_objects(objects, cells)
    assert found["label"].to_list() == ["LY", "UNIDENTIFIED", "leukocyte", "leukocyte", "red_cell"]
    assert found["probability"].round(3).to_list() == [0.7, 0.6, 0.9, 0.9, 0.8]
    assert set(found["label"]) <= set(all_labels())
    assert label_objects(objects)["label"].to_list() == objects["kind"].to_list()
