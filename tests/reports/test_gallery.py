from __future__ import annotations

from io import BytesIO
from pathlib import Path

import polars as pl
from PIL import Image

from leukopy.inference.rows import CELL_SCHEMA
from leukopy.reports import gallery


def test_least_certain_cells_come_first_in_display_order(make_cells):
    cells = make_cells({"PLT": 5, "EO": 2, "SNE": 9}).sample(fraction=1, shuffle=True, seed=0)
    chosen = gallery.choose(cells.lazy(), per_class=3)
    assert chosen["cell_id"].to_list() == [
        *(f"slide/SNE_00{number}.png" for number in range(3)),
        *(f"slide/EO_00{number}.png" for number in range(2)),
        *(f"slide/PLT_00{number}.png" for number in range(3)),
    ]
    assert chosen.schema == CELL_SCHEMA


def test_unidentified_cells_are_a_group_of_their_own_at_the_end(make_cells):
    cells = make_cells({"PLT": 2, "SNE": 3}).with_columns(flags=pl.Series(["", "unidentified", "unidentified", "", ""]))
    assert list(gallery.totals(cells.lazy()).items()) == [("SNE", 2), ("PLT", 1), ("UNIDENTIFIED", 2)]
    chosen = gallery.choose(cells.lazy())
    assert chosen["fine"].to_list() == ["SNE", "SNE", "PLT", "SNE", "PLT"]
    assert chosen["flags"].to_list() == ["", "", "", "unidentified", "unidentified"]


def test_ties_are_settled_by_name(make_cells):
    cells = make_cells({"LY": 8}).with_columns(fine_confidence=pl.lit(0.9, pl.Float32)).reverse()
    chosen = gallery.choose(cells.lazy(), per_class=2)
    assert chosen["cell_id"].to_list() == ["slide/LY_000.png", "slide/LY_001.png"]


def test_totals_count_every_cell_in_display_order(make_cells):
    assert list(gallery.totals(make_cells({"PLT": 5, "SNE": 9}).lazy()).items()) == [("SNE", 9), ("PLT", 5)]


def test_no_cell_gives_an_empty_gallery(make_cells):
    assert gallery.choose(make_cells({}).lazy(), 4).schema == CELL_SCHEMA
    assert gallery.totals(make_cells({}).lazy()) == {}


def test_cells_are_chosen_from_a_file_larger_than_the_gallery(make_cells, tmp_path):
    cells = make_cells({"SNE": 50, "LY": 50})
    file = tmp_path / "cells.parquet"
    pl.concat([cells.with_columns(cell_id=pl.col("cell_id") + f"#{copy}") for copy in range(20)]).write_parquet(file)
    chosen = gallery.choose(pl.scan_parquet(file), per_class=24)
    assert chosen.height == 48
    assert set(chosen["cell_id"].str.split("#").list.first()) == {
        f"slide/{code}_{number:03}.png" for code in ("SNE", "LY") for number in range(2)
    }


def test_thumbnails_are_square_jpegs_of_the_right_picture(slide):
    found = gallery.Thumbnails().of(slide)
    assert set(found) == set(slide["cell_id"])
    for number, cell_id in enumerate(slide["cell_id"]):
        picture = Image.open(BytesIO(found[cell_id]))
        assert (picture.format, picture.size) == ("JPEG", (gallery.THUMBNAIL, gallery.THUMBNAIL))
        assert abs(picture.getpixel((90, 90))[0] - 20 * number) < 6


def test_a_picture_that_went_away_is_left_out(slide):
    Path(slide["path"][0]).unlink()
    Path(slide["path"][1]).write_text("no longer a picture")
    assert set(gallery.Thumbnails().of(slide)) == set(slide["cell_id"][2:])
