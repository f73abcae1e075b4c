"""Counts of the objects on a slide's fields, each with 95 % limits.

A field that was left out is in no count. The other limits are the wider of two: exact ones, for objects that lie at
random (Garwood 1936; Clopper and Pearson 1934), and those of the jackknife over fields, for objects that do not.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from leukopy.evaluation.intervals import Estimate, clopper_pearson, jackknife, poisson
from leukopy.fields.count_settings import CountSettings
from leukopy.fields.shape_counts import RedCellShapes
from leukopy.fields.tables import slices
from leukopy.imaging.content import NO_CELL
from leukopy.inference.rows import has_flag
from leukopy.taxonomy import COARSE, FINE, Place, outside_classes
from leukopy.taxonomy.objects import LEUKOCYTE, OBJECTS, PLATELET, PLATELET_CLUMP, RED_CELL, RED_CELL_UM

COUNTING_RULE = (
    "An object is counted where its centre lies inside the field, and once where fields overlap. Objects cut by the "
    "border follow this rule; they are neither measured nor graded."
)

USUAL_OIL_FIELDS = 10
"""Oil fields of the usual platelet estimate."""

_UNKNOWN = Estimate(None, None, None)
_BIN = 0.5
"""Width of a bin of diameters, µm."""
_SINGLE = ~pl.col("cut") & ~pl.col("touching") & pl.col("diameter_um").is_not_null()
"""Whole red cells that touch no other."""
_PIXELS = pl.col("width").cast(pl.Float64) * pl.col("height") * pl.col("counted_share").fill_null(1)
_AREA = _PIXELS * pl.col("um_per_px") ** 2
"""Area of a field in µm²."""
_Metric = Callable[[NDArray[np.float64]], NDArray[np.float64]]


@dataclass(frozen=True)
class RedCells:
    """Red cells of a slide."""

    count: int
    per_field: Estimate
    per_leukocyte: Estimate
    overlapping: int
    """Counted red cells whose box overlaps another one: neither measured nor, unless separated, graded."""
    measured: int
    """Whole red cells that touch no other."""
    diameter_um: Estimate
    """Mean diameter; unknown where the scale itself was measured on the red cells."""
    diameter_cv: Estimate
    """Coefficient of variation of the diameter, %."""
    histogram: tuple[tuple[float, int], ...]
    """Lower edge of each bin of 0.5 µm, and its red cells."""
    assumed_scale: bool
    """True where the scale of a field in use was measured on its red cells, which are taken as 7.5 µm wide."""


@dataclass(frozen=True)
class Platelets:
    """Platelets of a slide."""

    count: int
    clumps: int
    per_field: Estimate
    per_1000_red_cells: Estimate
    estimate: Estimate
    """10⁹ per litre of blood."""
    oil_fields: float | None
    """Area of the fields in oil fields; None where the scale is unknown."""
    refused: str
    """Reason for missing numbers; empty where there are some."""
    settings: CountSettings


@dataclass(frozen=True)
class FieldCounts:
    """All counts of a slide's fields."""

    fields: int
    """Fields in use."""
    left_out: dict[str, int]
    """Fields left out, by reason."""
    leukocytes: int
    """Located nucleated cells without erythroblasts; unidentified cells are among them."""
    leukocytes_per_1000_red_cells: Estimate
    red_cells: RedCells
    platelets: Platelets
    notes: tuple[str, ...]
    """Warnings for the reader of the counts."""
    shapes: RedCellShapes | None = None
    """Shapes of the red cells; None where none are named."""


def count_objects(
    fields: pl.DataFrame | pl.LazyFrame,
    objects: pl.DataFrame | pl.LazyFrame,
    cells: pl.DataFrame | pl.LazyFrame | None = None,
    settings: CountSettings | None = None,
) -> FieldCounts:
    """Count the objects of one slide, some rows of them at a time.

    Args:
        fields: rows of ``FIELD_SCHEMA``.
        objects: rows of ``OBJECT_SCHEMA``.
        cells: classified cells, with ``cell_id``, ``fine`` and ``flags``: erythroblasts, platelets and pictures without
            a cell among the located leukocytes are then no leukocytes, and large platelets are clumps. None: every
            located one is a leukocyte.
        settings: of the laboratory.
    """
    settings = settings or CountSettings()
    places = fields.lazy().select("field", "left_out", "overlaps", "scale_source", area=_AREA).collect()
    used = places.filter(pl.col("left_out").is_null())
    sums, bins = _sums(used, objects.lazy(), None if cells is None else _foreign(cells.lazy()))
    table = used.with_columns(alone=pl.col("overlaps").is_null()).join(
        sums, on="field", how="left", maintain_order="left"
    )
    table = table.with_columns(pl.col(sums.columns[1:]).fill_null(0))
    found = FieldCounts(
        fields=len(used),
        left_out=dict(_reasons(places)),
        leukocytes=int(table[LEUKOCYTE].sum()),
        leukocytes_per_1000_red_cells=_ratio(table, LEUKOCYTE, RED_CELL, 1000),
        red_cells=_red_cells(table, bins, _alone(table, objects.lazy())),
        platelets=_platelets(table, settings),
        notes=(),
    )
    return replace(found, notes=tuple(_notes(found)))


def _foreign(cells: pl.LazyFrame) -> pl.DataFrame:
    """The located cells that are no leukocytes, and which of them are surely named platelet."""
    others = [cell.code for cell in (*FINE, *COARSE, *outside_classes()) if cell.place is not Place.DIFFERENTIAL]
    named = cells.filter(pl.col("fine").is_in(others) | has_flag(NO_CELL))
    sure = (pl.col("fine") == "PLT") & ~has_flag(NO_CELL) & ~has_flag("uncertain")
    return named.select("cell_id", platelet=sure).collect()


def _without(counted: pl.DataFrame, foreign: pl.DataFrame) -> pl.DataFrame:
    """The objects without the located cells that are no leukocytes. A whole one that is named platelet, and as large as
    a red cell, is a clump: the detector takes clumps for leukocytes."""
    rows = counted.join(foreign, on="cell_id", how="left", maintain_order="left")
    clump = pl.col("platelet") & ~pl.col("cut") & (pl.col("diameter_um") >= RED_CELL_UM)
    rows = rows.with_columns(kind=pl.when(clump).then(pl.lit(PLATELET_CLUMP)).otherwise("kind"))
    return rows.filter(pl.col("platelet").is_null() | (pl.col("kind") == PLATELET_CLUMP))


def _sums(
    used: pl.DataFrame, objects: pl.LazyFrame, foreign: pl.DataFrame | None
) -> tuple[pl.DataFrame, dict[int, int]]:
    """Sums over the counted objects of each field in use, and the measured red cells by bin of diameter."""
    parts, bins = [], Counter[int]()
    for own in slices(objects):
        counted = own.filter("counted").join(used, on="field", how="semi", maintain_order="left")
        if foreign is not None:
            counted = _without(counted, foreign)
        single, diameter = pl.col("kind").eq(RED_CELL) & _SINGLE, pl.col("diameter_um").cast(pl.Float64)
        parts.append(
            counted.group_by("field", maintain_order=True).agg(
                *((pl.col("kind") == kind).sum().cast(pl.Int64).alias(kind) for kind in OBJECTS),
                overlapping=(pl.col("kind").eq(RED_CELL) & pl.col("touching")).sum().cast(pl.Int64),
                measured=single.sum().cast(pl.Int64),
                total=diameter.filter(single).sum(),
                square=(diameter**2).filter(single).sum(),
            )
        )
        sizes = counted.filter(single)["diameter_um"].to_numpy()
        bins.update(np.floor(sizes / _BIN).astype(int).tolist())
    return pl.concat(parts).group_by("field", maintain_order=True).sum(), dict(bins)


def _alone(table: pl.DataFrame, objects: pl.LazyFrame) -> pl.DataFrame | None:
    """The measured red cells of the only field with some; None where there are several fields."""
    measured = table.filter(pl.col("measured") > 0)["field"].to_list()
    if len(measured) != 1:
        return None
    own = objects.filter(pl.col("field") == measured[0], pl.col("kind") == RED_CELL, "counted", _SINGLE)
    diameter = pl.col("diameter_um").cast(pl.Float64)
    return own.select(measured=pl.lit(1.0), total=diameter, square=diameter**2).collect()


def _reasons(fields: pl.DataFrame) -> list[tuple[str, int]]:
    reasons = fields["left_out"].drop_nulls().value_counts().sort(["count", "left_out"], descending=[True, False])
    return [(str(reason), int(count)) for reason, count in reasons.iter_rows()]


def _red_cells(table: pl.DataFrame, bins: dict[int, int], alone: pl.DataFrame | None) -> RedCells:
    """The red cells; ``alone`` holds those of the only field with measured ones."""
    by_cells = pl.col("scale_source").eq("red cells").fill_null(False)
    absolute = table.filter(~by_cells & (pl.col("measured") > 0))
    return RedCells(
        count=int(table[RED_CELL].sum()),
        per_field=_mean(table, RED_CELL),
        per_leukocyte=_ratio(table, RED_CELL, LEUKOCYTE, 1),
        overlapping=int(table["overlapping"].sum()),
        measured=int(table["measured"].sum()),
        diameter_um=_diameter(
            absolute if alone is None or absolute.is_empty() else alone, lambda sums: sums[:, 1:2] / sums[:, :1]
        ),
        diameter_cv=_diameter(table.filter(pl.col("measured") > 0) if alone is None else alone, _cv),
        histogram=tuple((_BIN * place, bins.get(place, 0)) for place in range(min(bins), max(bins) + 1))
        if bins
        else (),
        assumed_scale=not table.filter(by_cells).is_empty(),
    )


def _cv(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Coefficient of variation in % from sums (R, 3) of 1, diameter and its square."""
    count, total, squares = sums.T
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = total / count
        deviation = np.sqrt(np.maximum(squares - count * mean**2, 0) / (count - 1))
        return np.asarray(100 * deviation / mean)[:, None]


def _diameter(units: pl.DataFrame, metric: _Metric) -> Estimate:
    """A score of the diameters from the sums of each unit; its limits are over units."""
    sums = units.select(pl.col("measured", "total", "square").cast(pl.Float64)).to_numpy()
    if not len(sums) or sums[:, 0].sum() < 2:
        return _UNKNOWN
    value = metric(sums.sum(axis=0, keepdims=True))[0, 0]
    low, high = jackknife(sums, metric)
    return Estimate.of(value, max(low[0], 0.0), high[0])


def _platelets(table: pl.DataFrame, settings: CountSettings) -> Platelets:
    count, clumps = int(table[PLATELET].sum()), int(table[PLATELET_CLUMP].sum())
    scaled = table.filter(pl.col("alone") & pl.col("area").is_not_null())
    oil_fields = float(scaled["area"].sum()) / settings.oil_field_area if len(scaled) else None
    refused = ""
    if clumps:
        seen = "1 platelet clump is" if clumps == 1 else f"{clumps} platelet clumps are"
        refused = f"{seen} on the fields: any number would be too low. Take a new sample, in citrate where EDTA clumps."
    given = not refused
    return Platelets(
        count=count,
        clumps=clumps,
        per_field=_mean(table, PLATELET) if given else _UNKNOWN,
        per_1000_red_cells=_ratio(table, PLATELET, RED_CELL, 1000) if given else _UNKNOWN,
        estimate=_concentration(scaled, settings) if given else _UNKNOWN,
        oil_fields=oil_fields,
        refused=refused,
        settings=settings,
    )


def _concentration(scaled: pl.DataFrame, settings: CountSettings) -> Estimate:
    """Platelets in 10⁹/L from the area that the fields cover."""
    if not len(scaled):
        return _UNKNOWN
    units = scaled.select(pl.col(PLATELET).cast(pl.Float64), area=pl.col("area") / settings.oil_field_area).to_numpy()
    count, area = units.sum(axis=0)
    exact = tuple(limit / area for limit in poisson(int(count)))
    factor = settings.platelet_factor / 1000
    return _wider(count / area, exact, units, factor)


def _mean(table: pl.DataFrame, kind: str) -> Estimate:
    """Objects per field; a field that shows a part of an earlier one is left aside."""
    counts = table.filter("alone")[kind].to_numpy().astype(np.float64)
    if not len(counts):
        return _UNKNOWN
    exact = tuple(limit / len(counts) for limit in poisson(int(counts.sum())))
    return _wider(float(counts.mean()), exact, np.stack([counts, np.ones(len(counts))], axis=1))


def _ratio(table: pl.DataFrame, kind: str, to: str, scale: float) -> Estimate:
    """``scale`` times the objects of one kind per object of another."""
    units = table.select(pl.col(kind, to).cast(pl.Float64)).to_numpy()
    count, total = units.sum(axis=0) if len(units) else (0, 0)
    if not total:
        return _UNKNOWN
    exact = tuple(share / (1 - share) for share in clopper_pearson(int(count), int(count + total)))
    return _wider(count / total, exact, units, scale)


def _wider(value: float, exact: Sequence[float], units: NDArray[np.float64], scale: float = 1) -> Estimate:
    """The wider of exact limits and those of the jackknife over ``units``, (N, 2): parts and wholes."""
    with np.errstate(invalid="ignore", divide="ignore"):
        over = jackknife(units, lambda sums: sums[:, :1] / sums[:, 1:])
    low, high = (float(limit[0]) for limit in over)
    wide = (low, high) if math.isfinite(low) and math.isfinite(high) else exact
    return Estimate.of(scale * value, scale * max(0.0, min(exact[0], wide[0])), scale * max(exact[1], wide[1]))


def _notes(found: FieldCounts) -> list[str]:
    notes = []
    left_out = sum(found.left_out.values())
    if left_out:
        why = "; ".join(f"{count} {reason}" for reason, count in found.left_out.items())
        verb = "is" if left_out == 1 else "are"
        notes.append(f"Of {found.fields + left_out} fields, {left_out} {verb} left out of all counts: {why}.")
    if found.fields and not found.red_cells.count:
        notes.append("No red cell was found on the fields: there are no ratios to red cells.")
    platelets = found.platelets
    if platelets.refused:
        notes.append(f"No platelet estimate: {platelets.refused}")
    elif found.fields and platelets.oil_fields is None:
        notes.append("No platelet estimate: the micrometres per pixel are unknown. Give them in a table.")
    return notes
