"""Shares and grades of the shapes of a slide's red cells.

Only whole red cells that are separate from the others are judged. The lower limit of a share rests on the cells that
surely have the shape, less those that a smear of normal cells would show; the upper one adds the cells that have it
likely. Both are the wider of exact limits (Clopper and Pearson 1934) and those of the jackknife over fields.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from leukopy.bundle.red_cell_shapes import RedCellShapesCard
from leukopy.evaluation.intervals import Estimate, clopper_pearson, jackknife
from leukopy.fields.tables import slices
from leukopy.taxonomy.objects import RED_CELL
from leukopy.taxonomy.red_cell_shapes import SHAPE_NAMES, SHAPES, SIZE_SHAPES, RedCellShape

LEAST_JUDGED = 200
"""Fewer judged red cells give no share."""
MOST_UNSURE = 0.6
"""Share of unsure cells above which the pictures are too unlike those that the network learnt from."""
NO_GRADE = "no grade"


@dataclass(frozen=True)
class ShapeShare:
    """One shape of a slide's red cells."""

    name: str
    """One of ``SHAPE_NAMES``."""
    title: str
    count: int
    """Cells that surely have it."""
    likely: int
    """Cells that have it likely, but not surely."""
    percent: Estimate
    """Of the judged cells; unknown for a size where the scale is unknown."""
    grade: str
    """ICSH grade, or the grades at both limits, as ``no grade to 2+``; empty where ``note`` says why."""
    note: str
    """Reason for the missing grade; empty with one."""


@dataclass(frozen=True)
class RedCellShapes:
    """Shapes of a slide's red cells."""

    judged: int
    """Whole red cells with a shape, sure or not, on fields that allow it."""
    unsure: int
    """Judged cells without a sure shape."""
    overlapping: int
    """Counted red cells on these fields that overlap another so far that no shape is named: ungraded."""
    cut: int
    """Counted red cells on these fields that the border cuts: ungraded."""
    fields: int
    """Fields whose cells are judged."""
    left_out: dict[str, int]
    """Fields in use whose cells are not judged, by reason."""
    refused: str
    """Reason why there are no shares; empty where there are some."""
    shares: tuple[ShapeShare, ...]
    """In the order of ``SHAPES``; empty where refused."""


def count_shapes(
    fields: pl.DataFrame | pl.LazyFrame, objects: pl.DataFrame | pl.LazyFrame, card: RedCellShapesCard
) -> RedCellShapes:
    """Count the shapes of the red cells of one slide, some rows at a time.

    Args:
        fields: rows of ``FIELD_SCHEMA``.
        objects: rows of ``OBJECT_SCHEMA``, with shapes.
        card: of the network that named them.
    """
    in_use = fields.lazy().filter(pl.col("left_out").is_null() & (pl.col("red_cells") > 0))
    used = in_use.select("field", "scale_source", why=_reason(card)).collect()
    fit = used.filter(pl.col("why").is_null())
    reasons = used["why"].drop_nulls().value_counts().sort(["count", "why"], descending=[True, False])
    left_out = {str(reason): int(count) for reason, count in reasons.iter_rows()}
    sums = _sums(fit, objects.lazy())
    judged, unsure = int(sums["judged"].sum()), int((sums["judged"] - sums["sure"]).sum())
    refused = _refusal(judged, unsure, left_out)
    sized = bool((fit["scale_source"] != "red cells").all())
    return RedCellShapes(
        judged=judged,
        unsure=unsure,
        overlapping=int(sums["overlapping"].sum()),
        cut=int(sums["cut"].sum()),
        fields=len(fit),
        left_out=left_out,
        refused=refused,
        shares=() if refused else tuple(_shares(sums, card, sized=sized)),
    )


def _sums(fit: pl.DataFrame, objects: pl.LazyFrame) -> pl.DataFrame:
    """Counted red cells of each field: judged, sure, sure and likeliest of each shape, overlapping, cut."""
    seen, sure = pl.col("shape").is_not_null(), pl.col("shape_sure").fill_null(False)
    columns = {"judged": seen, "sure": seen & sure, "overlapping": ~seen & ~pl.col("cut"), "cut": pl.col("cut")}
    for name in SHAPE_NAMES:
        mine = pl.col("shape").eq_missing(name)
        columns |= {f"sure {name}": mine & sure, f"all {name}": mine}
    parts = [
        own.filter((pl.col("kind") == RED_CELL) & pl.col("counted"))
        .join(fit, on="field", how="semi", maintain_order="left")
        .group_by("field", maintain_order=True)
        .agg(condition.sum().cast(pl.Int64).alias(name) for name, condition in columns.items())
        for own in slices(objects)
    ]
    return pl.concat(parts).group_by("field", maintain_order=True).sum()


def _reason(card: RedCellShapesCard) -> pl.Expr:
    """The reason why the shapes on a field are not judged; null for the others."""
    return (
        pl.when(pl.col("red_cell_px").is_null())
        .then(pl.lit("too few red cells to measure their size"))
        .when(pl.col("red_cell_px") < card.least_red_cell_px)
        .then(pl.lit(f"red cells smaller than {card.least_red_cell_px:g} pixels"))
        .when(pl.col("focus") < card.least_focus)
        .then(pl.lit("out of focus"))
    )


def _refusal(judged: int, unsure: int, left_out: dict[str, int]) -> str:
    if judged < LEAST_JUDGED:
        why = "; ".join(f"{count} of the fields: {reason}" for reason, count in left_out.items())
        return (
            f"{judged} separate whole red cells can be judged, fewer than {LEAST_JUDGED}"
            + (f" ({why})" if why else "")
            + ". Add sharp fields of the monolayer."
        )
    if unsure > MOST_UNSURE * judged:
        return (
            f"{100 * unsure / judged:.0f} % of the {judged:,} judged red cells resemble no shape surely: the pictures "
            "differ from those that the network learnt from."
        )
    return ""


def _shares(table: pl.DataFrame, card: RedCellShapesCard, *, sized: bool) -> Iterator[ShapeShare]:
    for shape in SHAPES:
        sums = table.select(f"sure {shape.name}", f"all {shape.name}", "judged").to_numpy().astype(np.float64)
        sums = sums[sums[:, 2] > 0]
        sure, likely, judged = (int(value) for value in sums.sum(axis=0))
        false = card.rules[shape.name].false if shape.grading else 0.0
        low, high = max(0.0, _limits(sums[:, [0, 2]])[0] - false), _limits(sums[:, [1, 2]])[1]
        percent = Estimate(100 * sure / judged, 100 * min(low, sure / judged), 100 * high)
        if shape.name in SIZE_SHAPES and not sized:
            percent = Estimate(None, None, None)
        note = _note(shape, card, sized=sized)
        grade = "" if note else _grade(shape, percent)
        yield ShapeShare(shape.name, shape.title, sure, likely - sure, percent, grade, note)


def _limits(units: NDArray[np.float64]) -> tuple[float, float]:
    """The wider 95 % limits of the share of cells, from the fields (N, 2): cells of a kind, and all."""
    count, total = (int(value) for value in units.sum(axis=0))
    exact = clopper_pearson(count, total)
    with np.errstate(invalid="ignore", divide="ignore"):
        low, high = (float(limit[0]) for limit in jackknife(units, lambda sums: sums[:, :1] / sums[:, 1:]))
    if not (np.isfinite(low) and np.isfinite(high)):
        return exact
    return max(0.0, min(exact[0], low)), min(1.0, max(exact[1], high))


def _note(shape: RedCellShape, card: RedCellShapesCard, *, sized: bool) -> str:
    if shape.grading is None:
        return "no abnormality that the ICSH grades"
    if shape.name in SIZE_SHAPES and not sized:
        return "size is judged only where the micrometres per pixel are known"
    if not card.rules[shape.name].graded:
        return "told from other shapes too poorly to be graded"
    return ""


def _grade(shape: RedCellShape, percent: Estimate) -> str:
    """The ICSH grade of a share; the grades of both limits where they differ."""
    assert shape.grading is not None
    low, high = (shape.grading.grade(value or 0.0) or NO_GRADE for value in (percent.low, percent.high))
    return low if low == high else f"{low} to {high}"
