from __future__ import annotations

import polars as pl
import pytest

from leukopy.evaluation.classification import Confusion
from leukopy.reports.examples import LABEL_SCHEMA, confused, doubtful_labels, level_rows
from leukopy.taxonomy import COARSE, FINE


@pytest.fixture
def rows(make_cells):
    """Cells with the truth that the model names, but for two neutrophils; each a file of its own."""
    cells = make_cells({"SNE": 6, "EO": 4, "PLT": 2})
    truth = ["BNE", "IG", *cells["fine"][2:].to_list()]
    return cells.with_columns(
        truth=pl.Series(truth), source=pl.lit("here"), digest=pl.format("{}", pl.int_range(pl.len()))
    )


def test_each_level_reads_the_labels_that_go_so_far(rows):
    coarse, fine = level_rows(rows, COARSE), level_rows(rows, FINE)
    assert coarse["given"].to_list()[:3] == ["NEU", "IG", "NEU"]
    assert coarse["predicted"].to_list()[:3] == ["NEU"] * 3
    assert fine["given"].to_list()[:2] == ["BNE", "SNE"]  # IG says nothing of the fine class
    assert fine.columns[-11:] == [f"p_{cell.code}" for cell in FINE]
    assert coarse.columns[-8:] == [f"p_{cell.code}" for cell in COARSE]


def test_the_most_confident_errors_come_first(rows):
    level = level_rows(rows.with_columns(truth=pl.lit("BNE")), FINE)
    shown = confused(level, Confusion("BNE", "SNE", 6, 0.5), 2)
    assert shown["cell_id"].to_list() == ["slide/SNE_005.png", "slide/SNE_004.png"]
    assert confused(level, Confusion("BNE", "SNE", 6, 0.5), 0).is_empty()


def test_identical_files_with_two_labels_contradict_each_other(rows):
    twins = rows.with_columns(digest=pl.when(pl.col("cell_id").str.contains("SNE_000|EO_000|EO_001"))
                              .then(pl.lit("same")).otherwise("digest"))  # fmt: skip
    found, note = doubtful_labels(twins, [COARSE, FINE])
    assert note is None
    assert dict(found.schema) == LABEL_SCHEMA
    for level, code in (("coarse", "NEU"), ("fine", "BNE")):
        part = found.filter(pl.col("contradicted_by").str.contains("copy"), level=level)
        table = {row["cell_id"]: (row["given"], row["copies"], row["copies_given"]) for row in part.to_dicts()}
        assert table == {
            "slide/SNE_000.png": (code, "slide/EO_000.png;slide/EO_001.png", "EO;EO"),
            "slide/EO_000.png": ("EO", "slide/SNE_000.png;slide/EO_001.png", f"{code};EO"),
            "slide/EO_001.png": ("EO", "slide/SNE_000.png;slide/EO_000.png", f"{code};EO"),
        }


def test_copies_that_agree_are_no_doubt(rows):
    twins = rows.with_columns(digest=pl.lit("same"), truth=pl.lit("EO"))
    assert doubtful_labels(twins, [COARSE, FINE])[0].is_empty()


def test_the_worst_label_comes_first(rows):
    pytest.importorskip("cleanlab")
    found, _ = doubtful_labels(rows.with_columns(truth=pl.lit("EO")).vstack(rows), [FINE])
    quality = found["quality"].to_list()
    assert quality
    assert quality == sorted(quality)
