"""Blasts from the picture to every result: rows, counts, pages, tables, terminal, station."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from leukopy.bundle import open_bundle, write_bundle
from leukopy.cli.main import app
from leukopy.core.errors import BundleError, SettingsError
from leukopy.inference.rows import cell_schema
from leukopy.reports.model_card import model_card
from leukopy.review.analysis_result import read_tables
from leukopy.slides.review_order import RANK_SCHEMA
from leukopy.workflows.analyze import AnalyzeSettings, analyze
from leukopy.workflows.predict import PredictSettings, predict
from support.colour_model import draw_outside


@pytest.fixture(scope="module")
def slide(outside_model, tmp_path_factory) -> Path:
    """88 known cells, of them 8 platelets and 8 erythroblasts, beside 8 blasts and 4 smudge cells."""
    folder = tmp_path_factory.mktemp("slides") / "slide"
    outside_model.draw_folder(folder, 88)
    draw_outside(folder, "BLAST", 8)
    draw_outside(folder, "SMUDGE", 4)
    return folder


@pytest.fixture(scope="module")
def result(slide, outside_model, tmp_path_factory):
    out = tmp_path_factory.mktemp("out") / "out"
    return analyze(AnalyzeSettings(input=slide, model=str(outside_model.path)), out)


def test_blasts_are_in_the_100_percent_and_smudge_cells_beside_it(result) -> None:
    lines = {line.code: line for line in (*result.differential.lines, *result.differential.beside)}
    assert (lines["BLAST"].count, lines["SMUDGE"].count, lines["LY"].count) == (8, 4, 8)
    assert result.differential.leukocytes == 80
    assert (lines["BLAST"].percent, lines["SMUDGE"].percent) == (10, 5)
    table = pl.read_csv(result.folder / "differential.csv")
    assert table.filter(code="BLAST")["value"].to_list() == [10]
    stored = json.loads((result.folder / "differential.json").read_text())
    assert (stored["alarm"]["raised"], stored["alarm"]["blasts"]) == (True, 8)


def test_the_alarm_comes_before_all_other_notes(result) -> None:
    message = result.differential.notes[0]
    assert message.startswith("Blasts: 8 of 80 leukocytes (10.0 %")
    page = result.report.read_text()
    assert page.count("8 of 80 leukocytes") == 1
    assert page.index("8 of 80 leukocytes") < page.index('id="attention"')


def test_rows_bear_the_probabilities_of_the_classes_outside(result, slide, outside_model, tmp_path) -> None:
    cells = pl.read_parquet(result.folder / "cells.parquet")
    assert cells.schema == pl.Schema(cell_schema(open_bundle(outside_model.path).card) | RANK_SCHEMA)
    predict(PredictSettings(input=slide, model=str(outside_model.path)), tmp_path / "rows.parquet")
    assert pl.read_parquet(tmp_path / "rows.parquet")["fine"].equals(cells["fine"])
    rows, _ = read_tables(result.folder)  # as the station takes a finished run
    assert rows["fine"].equals(cells["fine"])


def test_healthy_classes_are_those_of_a_model_without(slide, outside_model, tmp_path) -> None:
    settings = AnalyzeSettings(input=slide, model=str(outside_model.path), classes="healthy")
    found = analyze(settings, tmp_path / "out")
    assert found.differential.alarm is None
    assert "BLAST" not in {line.code for line in found.differential.lines}
    assert not any(name in ("p_BLAST", "p_SMUDGE") for name in pl.read_parquet_schema(found.folder / "cells.parquet"))


def test_the_thresholds_are_the_laboratorys(slide, outside_model, tmp_path) -> None:
    settings = AnalyzeSettings(input=slide, model=str(outside_model.path), blast_probability=1, blast_share=50)
    found = analyze(settings, tmp_path / "out").differential
    assert found.alarm is not None
    assert found.alarm.raised is False
    assert "below the threshold of the alarm: 8 of 80" in " ".join(found.notes)
    with pytest.raises(SettingsError, match="blast_share"):
        AnalyzeSettings.build({"input": slide, "blast_share": 100})


def test_a_slide_without_blasts_is_not_told_to_be_free_of_them(outside_model, tmp_path) -> None:
    outside_model.draw_folder(tmp_path / "slide", 66)
    found = analyze(AnalyzeSettings(input=tmp_path / "slide", model=str(outside_model.path)), tmp_path / "out")
    assert found.differential.alarm is not None
    assert found.differential.alarm.blasts == 0
    assert "does not exclude them" in found.report.read_text()
    assert 'id="alarm"' not in found.report.read_text()


def test_slides_with_blasts_stand_first(slide, outside_model, tmp_path) -> None:
    (tmp_path / "night").mkdir()
    outside_model.draw_folder(tmp_path / "night" / "a", 66)
    (tmp_path / "night" / "b").symlink_to(slide)
    settings = AnalyzeSettings(input=tmp_path / "night", slides=True, model=str(outside_model.path))
    found = analyze(settings, tmp_path / "out")
    first = found.slides.sort("attention", descending=True).row(0, named=True)
    assert (first["slide"], first["blast_alarm"], first["BLAST_count"], first["SMUDGE_count"]) == ("b", True, 8, 4)
    assert found.slides.filter(slide="a")["blast_alarm"].to_list() == [False]
    assert '<span class="status">blasts</span>' in found.page.read_text()


def test_the_terminal_tells_blasts_once(slide, outside_model, tmp_path) -> None:
    words = ["analyze", str(slide), "--model", str(outside_model.path), "--out", str(tmp_path / "out")]
    printed = CliRunner().invoke(app, words).stdout
    assert printed.count("8 of 80 leukocytes") == 1
    assert printed.index("8 of 80 leukocytes") < printed.index("Differential count")


def test_the_card_tells_of_them(outside_model) -> None:
    page = model_card(open_bundle(outside_model.path).card)
    assert "## Classes outside" in page
    assert "auroc, BLAST" in page


def test_classes_that_this_leukopy_does_not_hold_are_refused(outside_model, tmp_path) -> None:
    bundle = open_bundle(outside_model.path)
    outside = bundle.card.outside.model_copy(update={"classes": ("BLAST", "HAIRY")})
    card = bundle.card.model_copy(update={"outside": outside})
    with pytest.raises(BundleError, match="does not hold \\(HAIRY\\)"):
        open_bundle(write_bundle(tmp_path, card, bundle.model_path.read_bytes()).path)
