"""A slide is held against each known laboratory by the mean look of its cells."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from leukopy.bundle import LaboratoryAppearance, SlideCheck
from leukopy.imaging.appearance import APPEARANCE_FEATURES
from leukopy.inference.rows import APPEARANCE_SCHEMA
from leukopy.slides import notes
from leukopy.slides.laboratory_check import (
    ENOUGH_CELLS,
    AppearanceSum,
    SlideDistance,
    class_free,
    nearest_laboratory,
    with_laboratory,
)

SIZE = len(APPEARANCE_FEATURES)


def laboratory(name: str, mean: float, deviation: float) -> LaboratoryAppearance:
    covariance = tuple(tuple(row) for row in (deviation**2 * np.eye(SIZE)).tolist())
    return LaboratoryAppearance(name=name, images=100, mean=(mean,) * SIZE, covariance=covariance)


CHECK = SlideCheck(
    measures=APPEARANCE_FEATURES,
    laboratories=(laboratory("near", 0, 1), laboratory("far", 10, 2)),
    classes={"LY": (1.0,) * SIZE, "EO": (-1.0,) * SIZE},
    between=0.4,
    limit=20,
    method="for tests",
)


def slide(value: float, cells: int) -> AppearanceSum:
    return AppearanceSum(np.full(SIZE, value * cells), cells)


def distance(appearance: AppearanceSum) -> float:
    found = nearest_laboratory(appearance, CHECK)
    assert found is not None
    return found.distance


def test_the_distance_is_that_of_the_formula() -> None:
    found = nearest_laboratory(slide(3, 25), CHECK)
    # Nine times eight squared deviations, against 20 x (0.4 + 1 / 25).
    assert found == SlideDistance(round((72 / (20 * 0.44)) ** 0.5, 2), "near", 25)


def test_the_nearest_laboratory_counts_in_its_own_deviations() -> None:
    found = nearest_laboratory(slide(6, 1000), CHECK)  # 6 deviations from one, 4 / 2 = 2 from the other
    assert found is not None
    assert found.nearest == "far"
    assert found.distance == pytest.approx((8 * 4 / (20 * 0.401)) ** 0.5, abs=0.01)


def test_more_cells_make_a_distance_surer_but_not_without_bound() -> None:
    few, more, many = (distance(slide(3, cells)) for cells in (20, 200, 20_000))
    assert few < more < many < 1.07 * few


def test_nothing_is_said_of_few_cells_or_without_a_check() -> None:
    assert nearest_laboratory(slide(3, ENOUGH_CELLS - 1), CHECK) is None
    assert nearest_laboratory(slide(3, ENOUGH_CELLS), CHECK) is not None
    assert nearest_laboratory(slide(3, 1000), None) is None
    assert nearest_laboratory(AppearanceSum(), CHECK) is None


def test_only_a_foreign_slide_has_a_note() -> None:
    assert notes.foreign_slide(SlideDistance(1.0, "near", 50)) == ""
    note = notes.foreign_slide(SlideDistance(3.14, "PBC Barcelona", 50))
    assert "distance 3.1 (usual: 1 at most), nearest laboratory PBC Barcelona" in note


def test_what_a_class_does_to_the_look_is_taken_out() -> None:
    appearance = np.full((3, SIZE), 5, np.float32)
    free = class_free(appearance, ["LY", "EO", "MO"], CHECK)
    assert free.schema == pl.Schema(APPEARANCE_SCHEMA)
    assert free.to_numpy()[:, 0].tolist() == [4, 6, 5]  # of MO, the check knows nothing
    assert class_free(np.empty((0, SIZE), np.float32), [], CHECK).schema == pl.Schema(APPEARANCE_SCHEMA)


def test_sums_grow_table_by_table() -> None:
    appearance = np.arange(5 * SIZE, dtype=np.float32).reshape(5, SIZE)
    whole, parts = AppearanceSum(), AppearanceSum()
    whole.add(class_free(appearance, ["LY"] * 5, CHECK))
    for rows in (slice(0, 2), slice(2, 5)):
        parts.add(class_free(appearance[rows], ["LY"] * len(appearance[rows]), CHECK))
    parts.add(None)
    assert parts.cells == whole.cells == 5
    assert np.array_equal(parts.total, whole.total)
    assert whole.total[0] == pytest.approx(appearance[:, 0].sum() - 5)


def test_a_laboratory_is_known_from_a_few_of_its_cells_on() -> None:
    rng = np.random.default_rng(0)
    appearance = rng.normal(-20, 1, (ENOUGH_CELLS, SIZE)).astype(np.float32)
    assert distance(slide(-20, 50)) > 5
    first = with_laboratory(CHECK, "new", appearance, ["MO"] * ENOUGH_CELLS)
    found = nearest_laboratory(slide(-20, 50), first)
    assert found is not None
    assert found.nearest == "new"
    assert found.distance < 1
    again = with_laboratory(first, "new", appearance, ["LY"] * ENOUGH_CELLS)  # known anew, not twice
    assert [one.name for one in again.laboratories] == ["near", "far", "new"]
    assert np.subtract(first.laboratories[-1].mean, again.laboratories[-1].mean) == pytest.approx(np.ones(SIZE))
    assert nearest_laboratory(slide(0, 50), again) == nearest_laboratory(slide(0, 50), CHECK)
