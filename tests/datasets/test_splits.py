"""A split keeps groups and duplicates whole, gives each class its shares, and depends on nothing but its seed."""

from __future__ import annotations

from random import Random

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leukopy.core.errors import SettingsError
from leukopy.datasets import clusters, split

SHARES = (0.7, 0.1, 0.2)
NAMES = ("train", "val", "test")


@st.composite
def cohorts(draw: st.DrawFn) -> tuple[pl.DataFrame, pl.DataFrame]:
    """A manifest with some groups, and some pairs of duplicates among its rows."""
    count = draw(st.integers(1, 60))
    row = st.tuples(
        st.sampled_from(["lab A", "lab B"]),
        st.sampled_from(["SNE", "EO", "BA", None]),
        st.sampled_from([None, *"1234567"]),
    )
    rows = draw(st.lists(row, min_size=count, max_size=count))
    manifest = pl.DataFrame(rows, schema={"source": pl.String, "code": pl.String, "group": pl.String}, orient="row")
    manifest = manifest.with_columns(cell_id=pl.format("cell {}", pl.int_range(pl.len())))
    number = st.integers(0, count - 1)
    pairs = (
        draw(st.lists(st.tuples(number, number).filter(lambda pair: pair[0] < pair[1]), max_size=8))
        if count > 1
        else []
    )
    return manifest, pl.DataFrame(pairs, schema={"a": pl.Int64, "b": pl.Int64}, orient="row")


@given(cohorts(), st.integers(0, 5))
def test_no_group_and_no_cell_stands_on_two_sides(cohort: tuple[pl.DataFrame, pl.DataFrame], seed: int) -> None:
    manifest, duplicates = cohort
    done = split(manifest, SHARES, seed=seed, duplicates=duplicates)
    assert done["split"].is_in(NAMES).all()
    groups = done.filter(pl.col("group").is_not_null()).group_by("source", "group").agg(pl.col("split").n_unique())
    assert (groups["split"] == 1).all()
    cell = pl.Series("cell", clusters(len(done), duplicates.to_numpy()))
    assert (done.with_columns(cell).group_by("cell").agg(pl.col("split").n_unique())["split"] == 1).all()


@given(cohorts(), st.randoms(use_true_random=False))
def test_the_order_of_the_rows_does_not_matter(cohort: tuple[pl.DataFrame, pl.DataFrame], random: Random) -> None:
    manifest, duplicates = cohort
    order = list(range(len(manifest)))
    random.shuffle(order)
    place = {row: position for position, row in enumerate(order)}
    moved = pl.DataFrame(
        [(place[a], place[b]) for a, b in duplicates.rows()], schema={"a": pl.Int64, "b": pl.Int64}, orient="row"
    )
    first = split(manifest, SHARES, duplicates=duplicates)
    second = split(manifest[order], SHARES, duplicates=moved)
    assert first.sort("cell_id").equals(second.sort("cell_id"))


def single_cells(**classes: int) -> pl.DataFrame:
    codes = [code for code, count in classes.items() for _ in range(count)]
    return pl.DataFrame({"source": "lab", "code": codes}).with_columns(
        group=pl.lit(None, pl.String), cell_id=pl.format("cell {}", pl.int_range(pl.len()))
    )


@given(st.integers(0, 300), st.integers(0, 40), st.integers(1, 9), st.integers(0, 10**6))
def test_single_cells_are_shared_out_exactly(many: int, some: int, few: int, seed: int) -> None:
    done = split(single_cells(SNE=many, EO=some, BA=few), SHARES, seed=seed)
    for (code,), rows in done.group_by("code"):
        for name, share in zip(NAMES, SHARES, strict=True):
            assert abs(len(rows.filter(split=name)) - share * len(rows)) < 2, (code, name)


@pytest.mark.parametrize("seed", range(5))
def test_small_groups_are_shared_out_within_five_points(seed: int) -> None:
    cells = single_cells(SNE=600, EO=200, BA=60).sample(fraction=1, shuffle=True, seed=seed)
    cells = cells.with_columns(group=pl.format("slide {}", pl.int_range(pl.len()) // 6))
    done = split(cells, SHARES, seed=seed)
    for _, rows in done.group_by("code"):
        for name, share in zip(NAMES, SHARES, strict=True):
            assert abs(len(rows.filter(split=name)) / len(rows) - share) < 0.05


def test_another_seed_gives_another_split_and_the_same_seed_the_same() -> None:
    cells = single_cells(SNE=100)
    assert split(cells, SHARES, seed=1).equals(split(cells, SHARES, seed=1))
    assert not split(cells, SHARES, seed=1).equals(split(cells, SHARES, seed=2))


def test_the_rows_keep_their_order_and_an_earlier_split_is_replaced() -> None:
    cells = single_cells(SNE=10, EO=10).with_columns(split=pl.lit("test"))
    done = split(cells, (1.0, 0.0, 0.0))
    assert done["cell_id"].equals(cells["cell_id"])
    assert done["split"].unique().to_list() == ["train"]


def test_a_split_of_no_share_stays_empty_even_when_groups_overfill_the_others() -> None:
    cells = single_cells(SNE=9).with_columns(group=pl.Series(["1"] * 5 + ["2"] * 4))
    assert set(split(cells, (0.5, 0.0, 0.5))["split"]) == {"train", "test"}


@pytest.mark.parametrize("shares", [(0.7, 0.1, 0.1), (1.2, -0.1, -0.1)])
def test_shares_that_are_none_are_refused(shares: tuple[float, float, float]) -> None:
    with pytest.raises(SettingsError, match="sum to 100"):
        split(single_cells(SNE=3), shares)
