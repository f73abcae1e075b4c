from __future__ import annotations

import json

import polars as pl
import pytest

from leukopy.core.provenance import RESEARCH_USE_ONLY
from leukopy.slides.differential import ReferenceRanges, differential
from leukopy.slides.differential_files import count_cells, write_differential
from support.classified import classified_cells


def test_cells_are_counted_by_fine_class():
    found = count_cells(classified_cells({"SNE": 60, "LY": 40, "ERB": 3, "PLT": 7}).lazy())
    assert {line.code: line.count for line in (*found.lines, *found.beside) if line.count} == {
        "SNE": 60, "NEU": 60, "LY": 40, "ERB": 3,
    }  # fmt: skip
    assert found.outside == {"PLT": 7}
    assert found.cells == 110


def test_uncertain_is_counted_as_a_word_among_flags():
    cells = classified_cells({"LY": 4}).with_columns(flags=pl.Series(["uncertain", "odd;uncertain", "uncertainty", ""]))
    assert count_cells(cells.lazy()).uncertain == 2


def test_unidentified_cells_are_in_no_class():
    cells = classified_cells({"SNE": 6, "LY": 4})
    odd = pl.Series(["unidentified;uncertain", *[""] * 5, "unidentified", "uncertain", "", ""])
    found = count_cells(cells.with_columns(flags=odd).lazy())
    assert (found.cells, found.leukocytes, found.uncertain) == (10, 8, 1)
    assert found.outside == {"PLT": 0, "UNIDENTIFIED": 2}
    rest = count_cells(cells.filter(odd != "unidentified", odd != "unidentified;uncertain").lazy())
    assert [line.expected for line in found.lines] == pytest.approx([line.expected for line in rest.lines])
    assert "2 cells are unidentified: they are counted in no class" in found.notes[-1]


def test_expected_shares_come_from_the_probabilities():
    cells = classified_cells({"SNE": 50, "LY": 50})
    found = {line.code: line for line in count_cells(cells.lazy()).lines}
    leukocytes = cells.select(pl.sum_horizontal(pl.col("^p_(SNE|BNE|EO|BA|LY|MO|MMY|MY|PMY)$"))).to_series().sum()
    assert found["LY"].expected == pytest.approx(100 * cells["p_LY"].sum() / leukocytes)
    assert found["NEU"].expected == pytest.approx(found["SNE"].expected + found["BNE"].expected)


def test_no_cells_no_differential():
    assert "no differential" in count_cells(classified_cells({}).lazy()).notes[0]


def test_both_files_hold_every_line(tmp_path):
    found = differential({"SNE": 50, "BNE": 5, "LY": 45, "ERB": 2, "PLT": 9}, ranges=ReferenceRanges())
    write_differential(tmp_path, found)
    table = {row["code"]: row for row in pl.read_csv(tmp_path / "differential.csv").iter_rows(named=True)}
    assert list(table) == ["SNE", "BNE", "NEU", "EO", "BA", "LY", "MO", "MMY", "MY", "PMY", "IG", "ERB", "PLT"]
    assert table["NEU"]["sum_of"] == "SNE+BNE"
    assert (table["LY"]["value"], table["LY"]["reference_high"], table["LY"]["flag"]) == (45.0, 40.0, "H")
    assert table["LY"]["beyond_error"] is False
    assert (table["ERB"]["unit"], table["ERB"]["value"]) == ("per 100 leukocytes", 2.0)
    assert (table["PLT"]["unit"], table["PLT"]["count"], table["PLT"]["value"]) == ("cells", 9, None)
    stored = json.loads((tmp_path / "differential.json").read_text())
    assert stored["notice"] == RESEARCH_USE_ONLY
    assert stored["leukocytes"] == 100
    assert [line["code"] for line in stored["lines"]] == list(table)[:11]
    assert stored["lines"][5]["low"] == pytest.approx(table["LY"]["low95"], abs=1e-3)


def test_a_slide_without_leukocytes_is_written_too(tmp_path):
    write_differential(tmp_path, differential({"PLT": 3}))
    assert pl.read_csv(tmp_path / "differential.csv")["value"].null_count() == 13
