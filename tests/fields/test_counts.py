from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from leukopy.fields.count_settings import CountSettings
from leukopy.fields.counts import count_objects
from leukopy.fields.tables import FIELD_SCHEMA, OBJECT_SCHEMA

_OIL = math.pi * 100**2
"""Area of the default oil field, µm²."""


def _fields(count, **columns):
    values = {
        "field": [f"f{number}.png" for number in range(count)], "width": 1000, "height": 500, "um_per_px": 0.1,
        "scale_source": "file", **columns,
    }  # fmt: skip
    return pl.DataFrame({
        name: value if isinstance(value := values.get(name), list) else [value] * count for name in FIELD_SCHEMA
    }, schema=FIELD_SCHEMA)  # fmt: skip


def _objects(counts, **columns):
    """``counts``: by field and kind."""
    rows = [
        {"field": field, "kind": kind, "cut": False, "touching": False, "counted": True, "diameter_um": 7.0, **columns}
        for field, kinds in counts.items()
        for kind, count in kinds.items()
        for _ in range(count)
    ]
    return pl.DataFrame([{name: row.get(name) for name in OBJECT_SCHEMA} for row in rows], schema=OBJECT_SCHEMA)


def _one(**kinds):
    return _objects({"f0.png": kinds})


def _limits(estimate):
    return estimate.low, estimate.high


def test_counts_of_one_field_have_the_exact_limits():
    found = count_objects(_fields(1), _one(leukocyte=4, red_cell=200, platelet=12))
    assert (found.fields, found.leukocytes, found.red_cells.count, found.platelets.count) == (1, 4, 200, 12)
    assert found.red_cells.per_field.value == 200
    low, high = stats.chi2.ppf(0.025, 400) / 2, stats.chi2.ppf(0.975, 402) / 2
    assert _limits(found.red_cells.per_field) == pytest.approx((low, high))
    share = stats.binomtest(4, 204).proportion_ci(0.95, method="exact")
    assert found.leukocytes_per_1000_red_cells.value == pytest.approx(20)
    assert _limits(found.leukocytes_per_1000_red_cells) == pytest.approx(
        (1000 * share.low / (1 - share.low), 1000 * share.high / (1 - share.high))
    )
    assert found.platelets.per_1000_red_cells.value == pytest.approx(60)
    assert found.red_cells.per_leukocyte.value == 50


def test_platelet_estimate_is_the_count_per_oil_field_times_the_factor():
    platelets = count_objects(_fields(1), _one(platelet=12)).platelets
    area = 1000 * 500 * 0.1**2
    assert platelets.oil_fields == pytest.approx(area / _OIL)
    assert platelets.estimate.value == pytest.approx(12 / area * _OIL * 15)
    assert _limits(platelets.estimate) == pytest.approx(
        [limit / area * _OIL * 15 for limit in (stats.chi2.ppf(0.025, 24) / 2, stats.chi2.ppf(0.975, 26) / 2)]
    )
    own = CountSettings(platelet_factor=20_000, oil_field_um=100)
    assert count_objects(_fields(1), _one(platelet=12), settings=own).platelets.estimate.value == pytest.approx(
        platelets.estimate.value * 20 / 15 / 4
    )


def test_clumps_leave_no_number_but_a_reason():
    found = count_objects(_fields(1), _one(platelet=12, red_cell=5, platelet_clump=2))
    assert (found.platelets.count, found.platelets.clumps) == (12, 2)
    for estimate in (found.platelets.per_field, found.platelets.per_1000_red_cells, found.platelets.estimate):
        assert estimate.value is None
    assert "2 platelet clumps are on the fields" in found.platelets.refused
    assert any("No platelet estimate: 2 platelet clumps" in note for note in found.notes)


def test_unknown_scale_leaves_no_estimate_but_the_other_numbers():
    found = count_objects(_fields(1, um_per_px=None, scale_source=None), _one(platelet=12))
    assert found.platelets.estimate.value is None
    assert found.platelets.per_field.value == 12
    assert "micrometres per pixel are unknown" in found.notes[-1]


def test_left_out_fields_are_in_no_count_and_named():
    fields = _fields(4, left_out=[None, "out of focus", "too crowded", "out of focus"])
    found = count_objects(fields, _objects({field: {"red_cell": 10, "platelet_clump": int(field > "f1")} for field in
                                            fields["field"]}))  # fmt: skip
    assert (found.fields, found.red_cells.count, found.platelets.clumps) == (1, 10, 0)
    assert found.left_out == {"out of focus": 2, "too crowded": 1}
    assert "Of 4 fields, 3 are left out of all counts: 2 out of focus; 1 too crowded." in found.notes


def test_uncounted_objects_and_those_of_unknown_fields_do_not_count():
    objects = pl.concat([_one(red_cell=5), _objects({"f0.png": {"red_cell": 3}}, counted=False),
                         _objects({"other.png": {"red_cell": 7}})])  # fmt: skip
    assert count_objects(_fields(1), objects).red_cells.count == 5


def test_what_the_classifier_finds_no_leukocyte_is_none():
    objects = _one(leukocyte=6).with_columns(cell_id=pl.Series(["a", "b", "c", "d", "e", None]))
    cells = pl.DataFrame({
        "cell_id": ["a", "b", "c", "d", "e"],
        "fine": ["LY", "ERB", "PLT", None, "MO"],
        "flags": ["", "", "uncertain", "no_cell", "unidentified"],
    })  # fmt: skip
    assert count_objects(_fields(1), objects, cells).leukocytes == 3  # a, e, and the one without a row
    assert count_objects(_fields(1), objects).leukocytes == 6


@pytest.mark.parametrize(
    ("diameter", "flags", "clumps"),
    [(7.6, "unidentified", 1), (7.4, "", 0), (None, "", 0), (7.6, "uncertain", 0), (7.6, "no_cell", 0)],
)
def test_a_located_cell_named_platelet_is_a_clump_where_it_is_as_large_as_a_red_cell(diameter, flags, clumps):
    objects = _one(leukocyte=1, red_cell=50, platelet=4).with_columns(
        cell_id=pl.when(pl.col("kind") == "leukocyte").then(pl.lit("a")),
        diameter_um=pl.when(pl.col("kind") == "leukocyte").then(pl.lit(diameter, pl.Float32)).otherwise("diameter_um"),
    )
    cells = pl.DataFrame({"cell_id": ["a"], "fine": ["PLT"], "flags": [flags]})
    found = count_objects(_fields(1), objects, cells)
    assert (found.leukocytes, found.platelets.count, found.platelets.clumps) == (0, 4, clumps)
    assert bool(found.platelets.refused) == bool(clumps)
    assert (found.platelets.estimate.value is None) == bool(clumps)


def test_fields_that_differ_widen_the_limits():
    even = count_objects(_fields(6), _objects({f"f{n}.png": {"platelet": 10} for n in range(6)}))
    uneven = count_objects(_fields(6), _objects({f"f{n}.png": {"platelet": 30 * (n % 2)} for n in range(6)}))
    counts = np.array([0, 30, 0, 30, 0, 30])
    students = stats.t.interval(0.95, 5, 15, stats.sem(counts))
    assert uneven.platelets.per_field.high == pytest.approx(students[1])
    assert uneven.platelets.per_field.low == max(0, students[0])
    exact = stats.chi2.ppf(0.025, 120) / 12, stats.chi2.ppf(0.975, 122) / 12
    assert _limits(even.platelets.per_field) == pytest.approx(exact)


def test_a_field_that_shows_a_part_of_another_counts_in_ratios_alone():
    fields = _fields(2, overlaps=[None, "f0.png"])
    found = count_objects(fields, _objects({"f0.png": {"red_cell": 40, "platelet": 4}, "f1.png": {"red_cell": 10}}))
    assert found.red_cells.per_field.value == 40
    assert found.platelets.per_1000_red_cells.value == pytest.approx(80)
    assert found.platelets.oil_fields == pytest.approx(1000 * 500 * 0.01 / _OIL)


def test_the_margin_of_a_region_is_no_area():
    whole, core = (count_objects(_fields(1, counted_share=share), _one(platelet=5)) for share in (None, 0.8))
    assert core.platelets.estimate.value == pytest.approx(whole.platelets.estimate.value / 0.8)


def test_diameter_and_its_variation_with_limits_over_fields():
    rng = np.random.default_rng(1)
    fields = _fields(5)
    objects = _objects({field: {"red_cell": 30} for field in fields["field"]})
    sizes = rng.normal(7.2, 0.5, 150) + np.repeat(rng.normal(0, 0.2, 5), 30)
    found = count_objects(fields, objects.with_columns(diameter_um=pl.Series(sizes, dtype=pl.Float32))).red_cells
    assert found.measured == 150
    assert found.diameter_um.value == pytest.approx(sizes.mean(), rel=1e-5)
    assert found.diameter_cv.value == pytest.approx(100 * stats.variation(sizes, ddof=1), rel=1e-4)
    means = sizes.reshape(5, 30).mean(axis=1)  # fields of equal size: the limits are those of their means
    assert _limits(found.diameter_um) == pytest.approx(
        stats.t.interval(0.95, 4, means.mean(), stats.sem(means)), rel=1e-5
    )
    assert found.diameter_cv.low < found.diameter_cv.value < found.diameter_cv.high
    assert sum(count for _, count in found.histogram) == 150
    assert all(count == ((sizes >= edge) & (sizes < edge + 0.5)).sum() for edge, count in found.histogram)


def test_cut_touching_and_unscaled_red_cells_are_not_measured():
    objects = _one(red_cell=5).with_columns(
        cut=pl.Series([True, False, False, False, False]),
        touching=pl.Series([False, True, True, False, False]),
        diameter_um=pl.Series([1.0, 2.0, 3.0, 7.0, 8.0], dtype=pl.Float32),
    )
    found = count_objects(_fields(1), objects).red_cells
    assert (found.count, found.overlapping, found.measured, found.diameter_um.value) == (5, 2, 2, 7.5)


def test_a_scale_taken_from_the_red_cells_says_nothing_of_their_mean():
    sizes = pl.Series(np.linspace(6, 9, 60), dtype=pl.Float32)
    found = count_objects(_fields(1, scale_source="red cells"), _one(red_cell=60).with_columns(diameter_um=sizes))
    assert found.red_cells.diameter_um.value is None
    assert found.red_cells.assumed_scale
    assert found.red_cells.diameter_cv.value == pytest.approx(100 * stats.variation(sizes.to_numpy(), ddof=1), rel=1e-4)


@pytest.mark.parametrize("count", [0, 3])
def test_nothing_found_has_no_ratios(count):
    found = count_objects(_fields(count), _objects({}))
    assert found.leukocytes_per_1000_red_cells.value is None
    assert found.red_cells.diameter_um.value is None
    assert found.red_cells.histogram == ()
    assert (found.platelets.per_field.value == 0) == bool(count)
    if count:
        assert _limits(found.platelets.per_field) == pytest.approx((0, 3.6889 / 3), abs=1e-4)


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), min_size=1, max_size=8))
def test_limits_hold_the_estimate_and_are_ordered(counts):
    objects = _objects(
        {f"f{n}.png": {"platelet": platelets, "red_cell": red} for n, (platelets, red) in enumerate(counts)}
    )
    found = count_objects(_fields(len(counts)), objects)
    platelets, red = (sum(column) for column in zip(*counts, strict=True))
    assert (found.platelets.count, found.red_cells.count) == (platelets, red)
    for estimate in (found.platelets.per_field, found.platelets.per_1000_red_cells, found.platelets.estimate,
                     found.red_cells.per_field, found.leukocytes_per_1000_red_cells):  # fmt: skip
        if estimate.value is not None:
            assert 0 <= estimate.low <= estimate.value * (1 + 1e-12)
            assert estimate.value <= estimate.high * (1 + 1e-12)
            assert math.isfinite(estimate.high)


def test_limits_hold_the_truth_on_most_drawn_slides():
    """Platelets per 1,000 red cells on ten fields that differ in more than chance."""
    rng, held = np.random.default_rng(5), 0
    for _ in range(200):
        thickness, density = rng.gamma(30, 1 / 30, 10), rng.gamma(12, 1 / 12, 10)
        red, platelets = rng.poisson(200 * thickness), rng.poisson(200 * thickness * 0.05 * density)
        objects = pl.DataFrame({
            "field": [f"f{n}.png" for n in range(10)] * 2,
            "kind": ["red_cell"] * 10 + ["platelet"] * 10,
            "times": [*red, *platelets],
        })  # fmt: skip
        objects = (
            objects.select(pl.all().exclude("times").repeat_by("times"))
            .explode("field", "kind")
            .with_columns(cut=False, touching=False, counted=True, diameter_um=7.0, cell_id=None)
        )
        low, high = _limits(count_objects(_fields(10), objects).platelets.per_1000_red_cells)
        held += low <= 50 <= high
    assert held >= 180
