"""Shares, grades and refusals of the shapes of red cells."""

from __future__ import annotations

import polars as pl
import pytest

from leukopy.bundle.card import ModelFile
from leukopy.bundle.red_cell_shapes import RedCellShapesCard, ShapeRule
from leukopy.evaluation.intervals import clopper_pearson
from leukopy.fields.shape_counts import LEAST_JUDGED, count_shapes
from leukopy.fields.tables import FIELD_SCHEMA, OBJECT_SCHEMA
from leukopy.taxonomy.objects import RED_CELL
from leukopy.taxonomy.red_cell_shapes import NORMAL, SHAPE_NAMES
from support.located import table


def _card(**rules: ShapeRule) -> RedCellShapesCard:
    plain = ShapeRule(least_probability=0.5, found=0.9, false=0.0, f1=0.9, graded=True)
    return RedCellShapesCard(
        kind="red_cell_shapes", name="n", title="t", description="d", shapes=SHAPE_NAMES, temperature=1, far=9,
        model=ModelFile(architecture="a", parameters=1, sha256="0" * 64), least_red_cell_px=24, least_focus=0.1,
        rules=dict.fromkeys(SHAPE_NAMES, plain) | rules,
    )  # fmt: skip


def _slide(
    cells: dict[str, int], *, unsure: dict[str, int] | None = None, touching: int = 0, fields: int = 1, **facts: object
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Fields that share cells evenly, each cell with a shape."""
    kinds = [(name, True) for name, count in cells.items() for _ in range(count)]
    kinds += [(name, False) for name, count in (unsure or {}).items() for _ in range(count)]
    rows = [
        {"field": f"f{number % fields}", "kind": RED_CELL, "cut": False, "touching": False, "counted": True,
         "shape": name, "shape_probability": 0.9 if sure else 0.4, "shape_sure": sure}
        for number, (name, sure) in enumerate(kinds)
    ] + [
        {"field": "f0", "kind": RED_CELL, "cut": False, "touching": True, "counted": True}
    ] * touching  # fmt: skip
    plain = {"red_cells": len(rows), "red_cell_px": 40.0, "focus": 0.3, "scale_source": "file", "um_per_px": 0.19}
    return table([{"field": f"f{number}", **plain, **facts} for number in range(fields)], FIELD_SCHEMA), table(
        rows, OBJECT_SCHEMA
    )


def test_shares_and_grades_leave_overlapping_cells_out():
    found = count_shapes(*_slide({"normal": 700, "elliptocyte": 300}, touching=50, fields=10), _card())
    shares = {share.name: share for share in found.shares}
    assert (found.judged, found.unsure, found.overlapping, found.refused) == (1000, 0, 50, "")
    assert shares["elliptocyte"].percent.value == pytest.approx(30)
    assert shares["elliptocyte"].grade == "3+"
    assert shares["teardrop"].count == 0
    assert shares["teardrop"].grade == "no grade"
    assert shares[NORMAL].grade == ""
    assert shares[NORMAL].note == "no abnormality that the ICSH grades"


def test_one_field_has_the_exact_limits():
    found = count_shapes(*_slide({"normal": 380, "target_cell": 20}), _card())
    (share,) = (share for share in found.shares if share.name == "target_cell")
    low, high = clopper_pearson(20, 400)
    assert share.percent.low == pytest.approx(100 * low)
    assert share.percent.high == pytest.approx(100 * high)
    assert share.grade == "no grade to 2+"  # 5 % lies between the limits


def test_unsure_cells_raise_the_upper_limit_alone():
    sure = count_shapes(*_slide({"normal": 900, "stomatocyte": 100}), _card()).shares
    some = count_shapes(*_slide({"normal": 900, "stomatocyte": 60}, unsure={"stomatocyte": 40}), _card())
    before, after = (next(s for s in shares if s.name == "stomatocyte") for shares in (sure, some.shares))
    assert after.percent.high == pytest.approx(before.percent.high)
    assert after.percent.low < before.percent.low
    assert (after.count, after.likely, some.unsure) == (60, 40, 40)


def test_what_normal_blood_shows_by_error_is_no_schistocyte():
    rule = ShapeRule(least_probability=0.5, found=0.7, false=0.02, f1=0.7, graded=True)
    (share,) = (
        share
        for share in count_shapes(*_slide({"normal": 980, "schistocyte": 20}), _card(schistocyte=rule)).shares
        if share.name == "schistocyte"
    )
    assert share.percent.low == 0
    assert share.grade == "no grade to 3+"


def test_a_shape_told_too_poorly_has_a_share_and_no_grade():
    rule = ShapeRule(least_probability=0.5, found=0.3, false=0.0, f1=0.3, graded=False)
    shares = count_shapes(*_slide({"normal": 500, "teardrop": 500}), _card(teardrop=rule)).shares
    (share,) = (share for share in shares if share.name == "teardrop")
    assert share.percent.value == pytest.approx(50)
    assert share.grade == ""
    assert "too poorly" in share.note


def test_size_is_graded_only_where_the_scale_is_known():
    for source, grade in (("file", "3+"), ("red cells", "")):
        shares = count_shapes(*_slide({"normal": 500, "macrocyte": 500}, scale_source=source), _card()).shares
        share = next(share for share in shares if share.name == "macrocyte")
        assert share.grade == grade
        assert (share.percent.value is None) == (source == "red cells")


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"red_cell_px": 14.0}, "red cells smaller than 24 pixels"),
        ({"focus": 0.05}, "out of focus"),
        ({"red_cell_px": None}, "too few red cells to measure their size"),
    ],
)
def test_unfit_fields_are_not_judged_and_the_reason_is_given(facts: dict[str, object], reason: str):
    found = count_shapes(*_slide({"normal": 500}, **facts), _card())
    assert found.left_out == {reason: 1}
    assert found.shares == ()
    assert reason in found.refused


def test_few_cells_and_unlike_cells_have_no_shares():
    few = count_shapes(*_slide({"normal": LEAST_JUDGED - 1}), _card())
    assert f"fewer than {LEAST_JUDGED}" in few.refused
    unlike = count_shapes(*_slide({"normal": 100}, unsure={"spherocyte": 300}), _card())
    assert "75 %" in unlike.refused
    empty = count_shapes(*_slide({}), _card())
    assert empty.judged == 0
    assert empty.refused
