"""Photographs of fields to results: told from cells, whole, and the same however often the run was interrupted."""

from __future__ import annotations

import errno
import json
import re

import numpy as np
import polars as pl
import pytest
from PIL import Image
from typer.testing import CliRunner

from leukopy.bundle.detector import bundled_detectors
from leukopy.cli.main import app
from leukopy.core.errors import BundleError, InputError, OutputError
from leukopy.core.files import output_error
from leukopy.fields.red_cell_shapes import ShapedFinder, ShapeNamer
from leukopy.fields.tables import FIELD_SCHEMA, LOCATION_SCHEMA, OBJECT_SCHEMA
from leukopy.slides import field_slide, result_parts
from leukopy.slides.review_order import RANK_SCHEMA
from leukopy.synthesis import Scene, draw_cell, draw_field
from leukopy.workflows.analyze import AnalyzeSettings, analyze
from leukopy.workflows.slides_run import SlidesResult
from support.found import KnownFinder, save_field

MIX = {"SNE": 5, "LY": 3, "MO": 1}
DRAWN = [draw_field(MIX, seed=seed, size=(480, 640), scene=Scene(platelets=0.08, cut=False)) for seed in range(7)]
RESULTS = {
    "cells.csv", "cells.parquet", "differential.csv", "differential.json", "failures.csv", "report.html", "run.json",
    "fields.csv", "fields.parquet", "objects.parquet", "counts.csv", "counts.json", "boxes.coco.json", "qupath",
    "results.xlsx",
}  # fmt: skip


@pytest.fixture
def model(colour_model):
    """A small model, so that the time goes into the fields."""
    return str(colour_model.path)


@pytest.fixture
def fields(tmp_path, known_finder):
    """A folder of six fields and one that cannot be read."""
    for number, drawn in enumerate(DRAWN[:6]):
        save_field(tmp_path / "slide" / f"f{number}.png", drawn, known_finder)
    (tmp_path / "slide" / "f6.png").write_text("no picture")
    return tmp_path / "slide"


def test_a_folder_of_fields_becomes_all_results(fields, tmp_path):
    result = analyze(AnalyzeSettings(input=fields, zip=True), tmp_path / "out")
    out = result.folder
    assert {path.name for path in out.iterdir()} == RESULTS | {"results.zip"}
    cells, objects = pl.read_parquet(out / "cells.parquet"), pl.read_parquet(out / "objects.parquet")
    table = pl.read_parquet(out / "fields.parquet")
    assert objects.schema == OBJECT_SCHEMA
    assert table.schema == FIELD_SCHEMA
    assert [*LOCATION_SCHEMA, *RANK_SCHEMA] == cells.columns[-len(LOCATION_SCHEMA) - 1 :]
    assert len(cells) == table["cells"].sum() == result.cells == 54
    assert (result.failures, result.complete) == (1, False)
    assert table["left_out"].to_list() == [None] * 6 + ["unreadable: not an image"]
    assert pl.read_csv(out / "failures.csv")["cell_id"].to_list() == ["f6.png"]
    assert result.differential.leukocytes > 30
    assert result.counts.red_cells.count == objects.filter(kind="red_cell", counted=True).height > 50
    assert json.loads((out / "counts.json").read_text())["fields"] == 6
    page = result.report.read_text()
    assert page.count("data:image/webp;base64,") == 6
    assert "fields of view of one slide, as the pictures show" in page


def test_the_guess_is_recorded_and_repeated(fields, tmp_path, model):
    result = analyze(AnalyzeSettings(model=model, input=fields), tmp_path / "out")
    run = json.loads((result.folder / "run.json").read_text())
    assert (run["inputs"]["kind"], run["inputs"]["told_from"], run["inputs"]["count"]) == ("fields", "pictures", 7)
    assert run["detector"]["name"] == "truth"
    again = analyze(AnalyzeSettings.read(result.folder / "run.json"), tmp_path / "again")
    assert (again.folder / "cells.csv").read_bytes() == (result.folder / "cells.csv").read_bytes()


def test_the_user_decides(fields, tmp_path):
    result = analyze(AnalyzeSettings(input=fields, input_kind="cells"), tmp_path / "out")
    assert result.counts is None
    assert "fields of view, not cells" in result.differential.refused


def test_without_a_detector_fields_are_refused_as_cells(tmp_path, monkeypatch, model):
    monkeypatch.setattr("leukopy.bundle.detector.bundled_detectors", list)
    monkeypatch.setattr("leukopy.bundle.field_bundles.bundled", lambda shelf: [])
    finder = KnownFinder()
    for number, drawn in enumerate(DRAWN[:6]):
        save_field(tmp_path / "slide" / f"f{number}.png", drawn, finder)
    result = analyze(AnalyzeSettings(input=tmp_path / "slide"), tmp_path / "out")
    assert "fields of view, not cells" in result.differential.refused
    with pytest.raises(BundleError, match="no detector of this name"):
        analyze(AnalyzeSettings(model=model, input=tmp_path / "slide", input_kind="fields"), tmp_path / "other")
    assert not (tmp_path / "other").exists()


def stop_after(done_fields):
    def progress(stage, done, total):
        if stage == "analysing fields" and done >= done_fields:
            raise KeyboardInterrupt

    return progress


@pytest.mark.parametrize("stops", [[0], [2], [7], [2, 4]])
def test_an_interrupted_run_ends_with_the_same_files(fields, tmp_path, monkeypatch, stops, model):
    monkeypatch.setattr(field_slide, "FIELDS_AT_ONCE", 2)
    monkeypatch.setattr(result_parts, "PART_ROWS", 30)
    settings = AnalyzeSettings(model=model, input=fields, fields_shown=3)
    whole = analyze(settings, tmp_path / "whole")
    for stop in stops:
        with pytest.raises(KeyboardInterrupt, match="of 7 fields are done and saved"):
            analyze(settings, tmp_path / "out", resume=True, progress=stop_after(stop))
    told = []
    result = analyze(settings, tmp_path / "out", resume=True, progress=lambda _, done, total: told.append(done))
    assert told[0] >= max(stops)
    for name in ("objects.parquet", "fields.csv", "counts.csv", "boxes.coco.json", "failures.csv", "differential.csv"):
        assert (result.folder / name).read_bytes() == (whole.folder / name).read_bytes(), name
    page, before = result.report.read_text(), whole.report.read_text()
    for kind in ("data:image/webp;base64,", "data:image/jpeg;base64,"):
        assert page.count(kind) == before.count(kind) > 0


def test_a_finished_run_is_resumed_without_work(fields, tmp_path, known_finder, model):
    whole = analyze(AnalyzeSettings(model=model, input=fields), tmp_path / "out")
    searches = known_finder.searches
    assert analyze(AnalyzeSettings(model=model, input=fields), tmp_path / "out", resume=True) == whole
    assert known_finder.searches == searches


def test_another_detector_does_not_resume(fields, tmp_path, monkeypatch, model):
    with pytest.raises(KeyboardInterrupt):
        analyze(AnalyzeSettings(model=model, input=fields), tmp_path / "out", progress=stop_after(0))
    monkeypatch.setattr("leukopy.workflows.fields_run.detector_facts", lambda card: {"name": "another"})
    with pytest.raises(OutputError, match="other detector"):
        analyze(AnalyzeSettings(model=model, input=fields), tmp_path / "out", resume=True)


def test_each_sub_folder_of_fields_is_a_slide(tmp_path, known_finder, model):
    for number, drawn in enumerate(DRAWN):
        save_field(tmp_path / "night" / f"s{number % 2}" / f"f{number}.png", drawn, known_finder)
    result = analyze(AnalyzeSettings(model=model, input=tmp_path / "night", slides=True, processes=1), tmp_path / "out")
    assert isinstance(result, SlidesResult)
    assert result.slides["slide"].to_list() == ["s0", "s1"]
    assert result.slides["pictures"].to_list() == [4, 3]
    for name in ("s0", "s1"):
        folder = tmp_path / "out" / "slides" / name
        assert {path.name for path in folder.iterdir()} == RESULTS
        assert set(pl.read_parquet(folder / "fields.parquet")["slide"]) == {name}


def test_cells_beside_fields_are_said_and_not_guessed(fields, tmp_path, model):
    for number in range(3):
        Image.fromarray(draw_cell("LY", seed=number, size=240).image).save(fields / f"z{number}.png")
    with pytest.raises(
        InputError, match=r"holds cells and fields of view.*f0\.png.*z0\.png.*--as cells or --as fields"
    ):
        analyze(AnalyzeSettings(model=model, input=fields), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_stated_scale_that_the_red_cells_contradict_is_said(tmp_path, known_finder, model):
    path = tmp_path / "slide" / "f0.png"
    save_field(path, DRAWN[0], known_finder)
    (tmp_path / "list.csv").write_text(f"path,um_per_px\n{path},5\n")
    result = analyze(AnalyzeSettings(model=model, input=tmp_path / "list.csv", input_kind="fields"), tmp_path / "out")
    (note,) = (note for note in result.differential.notes if "scale stated" in note)
    assert "the table states 5 µm per pixel" in note


def test_the_command_says_what_it_found(fields, tmp_path, model):
    found = CliRunner().invoke(
        app, ["analyze", str(fields), "--out", str(tmp_path / "out"), "--as", "fields", "--model", model]
    )
    assert found.exit_code == 3, found.output
    assert "6 fields: " in found.output
    assert "1 of 7 fields failed" in found.output


def test_fields_without_a_cell_have_a_report(tmp_path, known_finder, model):
    (tmp_path / "slide").mkdir()
    rng = np.random.default_rng(0)
    for number in range(2):
        pixels = rng.normal(225, 3, (480, 640, 3)).clip(0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(tmp_path / "slide" / f"e{number}.png")
    result = analyze(AnalyzeSettings(model=model, input=tmp_path / "slide", input_kind="fields"), tmp_path / "out")
    assert result.differential.leukocytes == 0
    assert result.counts.fields + sum(result.counts.left_out.values()) == 2
    assert result.report.exists()


def test_a_detector_ships_or_none_is_listed():
    assert bundled_detectors() in ([], ["default"])


def test_a_full_disk_is_said_and_the_run_resumes(fields, tmp_path, monkeypatch, model):
    settings = AnalyzeSettings(model=model, input=fields)
    whole = analyze(settings, tmp_path / "whole")
    write = result_parts._write

    def full(path, rows):
        if path.name.startswith("part-"):  # the other tables of the part are written before
            raise output_error(path, OSError(errno.ENOSPC, "No space left on device"))
        write(path, rows)

    monkeypatch.setattr(result_parts, "_write", full)
    with pytest.raises(OutputError, match="the disk is full"):
        analyze(settings, tmp_path / "out")
    monkeypatch.setattr(result_parts, "_write", write)
    result = analyze(settings, tmp_path / "out", resume=True)
    for name in ("cells.parquet", "objects.parquet", "fields.csv", "counts.csv"):
        assert (result.folder / name).read_bytes() == (whole.folder / name).read_bytes(), name


def test_an_interrupted_run_names_the_same_shapes(tmp_path, model, known_finder, monkeypatch):
    """The network that ships names shapes on drawn fields; the report shows the same examples after a resume."""
    namer = ShapeNamer.open()
    monkeypatch.setattr("leukopy.fields.shape_counts.LEAST_JUDGED", 20)
    monkeypatch.setattr("leukopy.workflows.fields_run.open_finder", lambda *names: ShapedFinder(known_finder, namer))
    monkeypatch.setattr(field_slide, "FIELDS_AT_ONCE", 1)
    for number, drawn in enumerate(DRAWN[:6]):
        save_field(tmp_path / "slide" / f"f{number}.png", drawn, known_finder)
    settings = AnalyzeSettings(input=tmp_path / "slide", model=model, input_kind="fields")
    whole = analyze(settings, tmp_path / "whole")
    shapes = whole.counts.shapes
    assert shapes.shares
    assert shapes.judged == pl.read_parquet(tmp_path / "whole/fields.parquet")["red_cells_judged"].sum() > 0

    def stop(task, done, total):
        if task == "analysing fields" and done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        analyze(settings, tmp_path / "out", progress=stop)
    resumed = analyze(settings, tmp_path / "out", resume=True)
    assert resumed.counts.shapes == shapes
    for file in ("counts.csv", "fields.csv"):
        assert (tmp_path / "out" / file).read_text() == (tmp_path / "whole" / file).read_text()
    pictures = [re.findall(r"data:image/webp;base64,[^\"]+", (tmp_path / name / "report.html").read_text())
                for name in ("whole", "out")]  # fmt: skip
    assert pictures[0] == pictures[1]
    none = analyze(settings.model_copy(update={"red_cell_shapes": "none"}), tmp_path / "none")
    assert none.counts.shapes is None
    assert "red cell shapes" not in (tmp_path / "none/counts.csv").read_text()
