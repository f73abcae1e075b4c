"""Order of the review: what makes a cell come first, and which rows have no place."""

from __future__ import annotations

import polars as pl
import pytest

from leukopy.inference.rows import CELL_SCHEMA
from leukopy.slides.review_order import REVIEW_RANK, review_ranks
from support.classified import classified_cells

USUAL = {"SNE": 60, "LY": 30, "MO": 8}


def ranked(cells: pl.DataFrame) -> pl.DataFrame:
    return cells.with_columns(review_ranks(cells.lazy())).sort(REVIEW_RANK, nulls_last=True)


def sure(code: str, name: str, **others: object) -> pl.DataFrame:
    """One cell of a class, with a probability of .97."""
    cells = classified_cells({code: 1})
    off = [name for name in cells.columns if name.startswith("p_")]
    rest = cells.with_columns(pl.lit(0.003, pl.Float32).alias(column) for column in off)
    return rest.with_columns(
        pl.lit(0.97, pl.Float32).alias(f"p_{code}"),
        cell_id=pl.lit(name),
        flags=pl.lit(""),
        **{key: pl.lit(value) for key, value in others.items()},
    )


def test_every_counted_cell_has_one_place():
    cells = classified_cells(USUAL)
    ranks = review_ranks(cells.lazy())
    assert ranks.name == REVIEW_RANK
    assert sorted(ranks) == list(range(1, len(cells) + 1))


def test_within_a_class_the_less_certain_comes_first():
    cells = ranked(classified_cells(USUAL)).filter(pl.col("fine") == "LY")
    assert cells["fine_confidence"].is_sorted()


def test_excluded_rows_have_no_place():
    cells = classified_cells(USUAL).with_columns(
        flags=pl.when(pl.int_range(pl.len()) == 3).then(pl.lit("duplicate"))
        .when(pl.int_range(pl.len()) == 5).then(pl.lit("no_cell"))
        .otherwise("flags")
    )  # fmt: skip
    ranks = review_ranks(cells.lazy())
    assert [row for row, rank in enumerate(ranks) if rank is None] == [3, 5]
    assert ranks.max() == len(cells) - 2


@pytest.mark.parametrize("code", ["BNE", "BA", "PMY", "ERB"])
def test_a_rare_class_comes_before_equally_certain_cells_of_a_common_one(code):
    cells = pl.concat([classified_cells(USUAL), sure("SNE", "common"), sure(code, "rare")])
    order = ranked(cells)["cell_id"].to_list()
    assert order.index("rare") < order.index("common")


def test_an_unidentified_cell_comes_before_all_sure_ones():
    strange = sure("LY", "strange").with_columns(flags=pl.lit("unidentified"))
    assert ranked(pl.concat([classified_cells(USUAL), strange]))["cell_id"][0] == "strange"


def test_a_single_blast_comes_first_and_one_of_many_does_not():
    usual = classified_cells(USUAL).with_columns(pl.lit(0.0, pl.Float32).alias("p_BLAST"))

    def blasts(count: int) -> pl.DataFrame:
        some = pl.concat([sure("LY", f"blast {number}") for number in range(count)])
        return some.with_columns(
            pl.lit(0.003, pl.Float32).alias("p_LY"), pl.lit(0.97, pl.Float32).alias("p_BLAST"),
            fine=pl.lit("BLAST"), coarse=pl.lit("BLAST"),
        )  # fmt: skip

    def places(count: int) -> list[int]:
        cells = ranked(pl.concat([usual, blasts(count)]))
        return cells.filter(pl.col("fine") == "BLAST")[REVIEW_RANK].to_list()

    assert places(1)[0] <= 15
    assert min(places(100)) > 15


def test_granules_that_contradict_the_class_come_first():
    cells = pl.concat([
        sure("SNE", f"{word} {share}", attr_granularity=word, attr_granularity_p=share)
        for word, share in (("yes", 0.99), ("no", 0.9), ("yes", 0.6))
    ] + [sure("ERB", "without", attr_granularity=None, attr_granularity_p=None)], how="vertical_relaxed")  # fmt: skip
    order = [name for name in ranked(cells)["cell_id"] if name != "without"]
    assert order == ["no 0.9", "yes 0.6", "yes 0.99"]


def test_each_slide_has_its_own_order():
    slides = {"a": classified_cells(USUAL), "b": classified_cells({"BA": 50})}
    cells = pl.concat([own.with_columns(slide=pl.lit(name)) for name, own in slides.items()])
    found = cells.with_columns(review_ranks(cells.lazy()))
    for (_,), own in found.group_by("slide"):
        alone = review_ranks(own.drop(REVIEW_RANK).lazy())
        assert own[REVIEW_RANK].to_list() == alone.to_list()
        assert sorted(alone) == list(range(1, len(own) + 1))


def test_columns_of_the_station_are_enough():
    cells = classified_cells(USUAL)
    few = cells.select("fine", "flags", pl.col("^p_.*$").exclude("p_NEU", "p_IG"))
    assert review_ranks(few.lazy()).to_list() == review_ranks(cells.lazy()).to_list()


def test_not_a_number_is_looked_at_first_and_no_rows_have_no_order():
    cells = classified_cells(USUAL).with_columns(
        pl.when(pl.int_range(pl.len()) == 4).then(float("nan")).otherwise(column).cast(pl.Float32).alias(column)
        for column in ("p_SNE",)
    )
    assert review_ranks(cells.lazy())[4] == 1
    assert review_ranks(pl.LazyFrame(schema=CELL_SCHEMA)).to_list() == []
