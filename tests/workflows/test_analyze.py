"""The main job: results that are whole, right, and the same however often the run was interrupted."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

from leukopy.bundle import LaboratoryAppearance, Metric, SlideCheck, Thresholds, add_metrics, open_bundle, write_bundle
from leukopy.core.errors import BundleError, InputError, OutputError, SettingsError
from leukopy.imaging.appearance import APPEARANCE_FEATURES
from leukopy.inference import openvino
from leukopy.inference.rows import ATTRIBUTE_SCHEMA, CELL_SCHEMA, FAILURE_SCHEMA
from leukopy.slides import result_parts
from leukopy.slides.review_order import RANK_SCHEMA
from leukopy.workflows.analyze import AnalyzeSettings, analyze

CELLS = 400
RESULTS = {
    "cells.csv", "cells.parquet", "differential.csv", "differential.json", "failures.csv", "report.html", "run.json",
}  # fmt: skip


@pytest.fixture(scope="module")
def slide(colour_model, tmp_path_factory):
    """A folder of cells of which some are broken, and the class of each that is not, by its id."""
    folder = tmp_path_factory.mktemp("slides") / "slide <3>"
    codes = dict(zip((f"c{i:05d}.png" for i in range(CELLS)), colour_model.draw_folder(folder, CELLS), strict=True))
    for name in ("c00007.png", "c00200.png", "c00399.png"):
        (folder / name).write_text("no picture")
        del codes[name]
    return folder, codes


@pytest.fixture
def settings(slide, colour_model):
    return AnalyzeSettings(input=slide[0], model=str(colour_model.path))


@pytest.fixture(scope="module")
def whole(slide, colour_model, tmp_path_factory):
    """The result of a run that nothing interrupted."""
    out = tmp_path_factory.mktemp("whole") / "out"
    return analyze(AnalyzeSettings(input=slide[0], model=str(colour_model.path)), out)


def stop_after(cells):
    """Progress that presses Ctrl-C once ``cells`` are done."""

    def progress(stage, done, total):
        if done >= cells:
            raise KeyboardInterrupt

    return progress


def test_every_cell_is_a_row_with_its_class(whole, slide):
    folder, codes = slide
    cells = pl.read_parquet(whole.folder / "cells.parquet")
    assert cells.schema == pl.Schema(CELL_SCHEMA | RANK_SCHEMA)
    assert dict(cells.select("cell_id", "fine").iter_rows()) == codes
    assert cells["cell_id"].is_sorted()
    assert Path(cells["path"][0]) == folder / "c00000.png"
    assert pl.read_csv(whole.folder / "cells.csv")["cell_id"].to_list() == cells["cell_id"].to_list()
    assert (whole.record.pictures, whole.cells, whole.failures) == (CELLS, CELLS - 3, 3)


def test_a_refused_slide_shows_the_pictures_that_were_read(tmp_path):
    folder = tmp_path / "dark"
    folder.mkdir()
    for index in range(5):
        Image.fromarray(np.full((240, 240, 3), 5 + index, np.uint8)).save(folder / f"d{index}.png")
    result = analyze(AnalyzeSettings(input=folder, per_class=3), tmp_path / "out")
    assert result.differential.refused
    page = result.report.read_text()
    assert "5 pictures have no class and are not counted; 3 are shown." in page
    assert page.count("data:image/jpeg;base64,") == 3
    assert page.count("Dark: the lamp was off") == 3


def test_failed_images_are_rows_with_their_reason(whole):
    failures = pl.read_csv(whole.folder / "failures.csv")
    assert failures.columns == list(FAILURE_SCHEMA)
    assert failures["cell_id"].to_list() == ["c00007.png", "c00200.png", "c00399.png"]
    assert set(failures["reason"]) == {"not_an_image"}


def test_the_differential_is_that_of_the_cells(whole, slide):
    counts = Counter(slide[1].values())
    written = json.loads((whole.folder / "differential.json").read_text())
    assert {line["code"]: line["count"] for line in written["lines"] if not line["sums"]} == {
        code: count for code, count in counts.items() if code not in ("ERB", "PLT")
    }
    assert whole.differential.leukocytes == sum(counts.values()) - counts["ERB"] - counts["PLT"]
    assert whole.differential.outside["PLT"] == counts["PLT"]


def test_nothing_but_the_results_is_left(whole):
    assert {path.name for path in whole.folder.iterdir()} == RESULTS


def test_the_report_shows_the_slide(whole):
    page = whole.report.read_text()
    assert "slide &lt;3&gt;" in page
    assert page.count("data:image/jpeg;base64") >= 11 * 24
    assert "c00200.png" in page


def test_run_json_tells_what_was_done_and_repeats_it(whole, tmp_path):
    run = json.loads((whole.folder / "run.json").read_text())
    assert run["status"] == "finished"
    assert (run["slide"]["pictures"], run["slide"]["failures"], run["slide"]["trusted"]) == (CELLS, 3, CELLS - 3)
    assert run["provenance"]["packages"]["leukopy"]
    assert run["slide"]["survey"] == {
        "crop": None, "shift": {"times": 1.0, "more": 0.0}, "foreign_probability": 0.0, "class_cells": None,
        "cells_used": None, "outside_shift": [], "fields": False,
    }  # fmt: skip
    assert run["runtime"] == f"onnxruntime {run['provenance']['packages']['onnxruntime']}"
    again = analyze(AnalyzeSettings.read(whole.folder / "run.json"), tmp_path / "again")
    assert (tmp_path / "again" / "cells.parquet").read_bytes() == (whole.folder / "cells.parquet").read_bytes()
    assert again.differential == whole.differential


@pytest.mark.parametrize("stops", [[0], [1], [256], [CELLS], [1, 256, CELLS]])
def test_an_interrupted_run_ends_with_the_same_files(settings, whole, tmp_path, monkeypatch, stops):
    monkeypatch.setattr(result_parts, "PART_ROWS", 100)
    out = tmp_path / "out"
    for stop in stops:
        with pytest.raises(KeyboardInterrupt, match="cells are done and saved"):
            analyze(settings, out, resume=True, progress=stop_after(stop))
        assert json.loads((out / "run.json").read_text())["status"] == "unfinished"
    told = []
    result = analyze(settings, out, resume=True, progress=lambda _, done, total: told.append((done, total)))
    assert told[0][0] >= max(stops)  # what was done is not done again
    assert told[-1] == (CELLS, CELLS)
    assert result.differential == whole.differential
    for name in ("cells.parquet", "cells.csv", "failures.csv", "differential.csv", "differential.json"):
        assert (out / name).read_bytes() == (whole.folder / name).read_bytes(), name


def test_a_finished_run_is_resumed_without_work(settings, whole):
    before = (whole.folder / "report.html").stat().st_mtime_ns
    told = []
    result = analyze(settings, whole.folder, resume=True, progress=lambda *step: told.append(step))
    assert not told
    assert result == whole
    assert (whole.folder / "report.html").stat().st_mtime_ns == before


def test_a_run_is_not_resumed_on_another_runtime(settings, whole, monkeypatch):
    monkeypatch.setattr(openvino, "runtime", lambda device: "openvino 2026.4")
    with pytest.raises(OutputError, match=r"has runtime 'onnxruntime [\d.]+' \(now 'openvino 2026.4'\)"):
        analyze(settings, whole.folder, resume=True)


def test_a_run_is_resumed_only_with_the_card_that_it_began_with(settings, slide, build_bundle, tmp_path):
    bundle, out = open_bundle(build_bundle(tmp_path / "model")), tmp_path / "out"
    settings = settings.model_copy(update={"model": str(bundle.path)})
    with pytest.raises(KeyboardInterrupt):
        analyze(settings, out, progress=stop_after(256))
    appearance = LaboratoryAppearance(
        name="here", images=9, mean=(0,) * 8, covariance=tuple(map(tuple, np.eye(8).tolist()))
    )
    check = SlideCheck(
        measures=APPEARANCE_FEATURES, laboratories=(appearance,), classes={}, between=0.4, limit=20, method="for tests"
    )
    cards = {
        "a check of slides": bundle.card.model_copy(update={"slide_check": check}),
        "another threshold": bundle.card.model_copy(update={"thresholds": Thresholds(uncertain_below=0.9)}),
    }
    for what, card in cards.items():
        write_bundle(bundle.path, card, bundle.model_path.read_bytes())
        with pytest.raises(OutputError, match="Put back the earlier bundle"):
            analyze(settings, out, resume=True)
        assert list((out / "parts").iterdir()), f"{what}: what was done is kept"
    write_bundle(bundle.path, bundle.card, bundle.model_path.read_bytes())
    add_metrics(bundle, [Metric(name="accuracy", value=1, data="these cells")])  # as `leukopy evaluate` does
    assert analyze(settings, out, resume=True).record.pictures == CELLS


def test_only_the_same_run_is_resumed(settings, whole, build_bundle, slide, tmp_path):
    with pytest.raises(OutputError, match=r"cannot be resumed: the run there has per_class 24 \(now 5\)"):
        analyze(settings.model_copy(update={"per_class": 5}), whole.folder, resume=True)
    other = build_bundle(tmp_path / "other", sharpness=5.0)
    moved = Path(settings.model).parent / "moved"
    Path(settings.model).rename(moved)
    other.rename(settings.model)
    try:
        with pytest.raises(OutputError, match=r"another version of the bundle .* Put back the earlier bundle"):
            analyze(settings, whole.folder, resume=True)
    finally:
        Path(settings.model).rename(other)
        moved.rename(settings.model)
    extra = slide[0] / "later.png"
    extra.touch()
    try:
        with pytest.raises(OutputError, match="other inputs"):
            analyze(settings, whole.folder, resume=True)
    finally:
        extra.unlink()
    threads = analyze(settings.model_copy(update={"threads": 3}), whole.folder, resume=True)
    assert threads.cells == whole.cells


def test_results_are_not_replaced_by_accident(settings, whole, tmp_path):
    before = (whole.folder / "cells.parquet").read_bytes()
    with pytest.raises(OutputError, match="already holds results"):
        analyze(settings, whole.folder)
    with pytest.raises(InputError):
        analyze(settings.model_copy(update={"input": tmp_path / "nowhere"}), whole.folder, overwrite=True)
    with pytest.raises(BundleError):
        analyze(settings.model_copy(update={"model": "nowhere"}), whole.folder, overwrite=True)
    wrong = settings.model_copy(update={"reference": {"ranges": {"LY": [80, 20]}}})
    with pytest.raises(SettingsError, match="reference: ranges"):
        analyze(wrong, whole.folder, overwrite=True)
    assert (whole.folder / "cells.parquet").read_bytes() == before
    assert not list((whole.folder / "parts").glob("*"))


def test_another_commands_results_are_not_deleted(settings, tmp_path):
    (tmp_path / "run.json").write_text('{"settings": {}}')
    (tmp_path / "bundle").mkdir()
    with pytest.raises(OutputError, match="results of another command"):
        analyze(settings, tmp_path, overwrite=True)
    assert (tmp_path / "bundle").exists()


def test_overwrite_begins_anew(settings, tmp_path):
    analyze(settings, tmp_path / "out")
    fewer = analyze(settings.model_copy(update={"per_class": 1}), tmp_path / "out", overwrite=True)
    assert fewer.report.read_text().count("data:image/jpeg;base64") < 24


def test_a_slide_of_which_nothing_can_be_read(settings, tmp_path):
    (tmp_path / "in").mkdir()
    for name in ("a.png", "b.jpg"):
        (tmp_path / "in" / name).touch()
    result = analyze(settings.model_copy(update={"input": tmp_path / "in"}), tmp_path / "out")
    assert (result.cells, result.failures, result.differential.leukocytes) == (0, 2, 0)
    assert {path.name for path in result.folder.iterdir()} == RESULTS
    assert pl.read_parquet(result.folder / "cells.parquet").schema == pl.Schema(CELL_SCHEMA | RANK_SCHEMA)


def test_the_laboratorys_own_ranges(settings, tmp_path):
    own = {"name": "Here", "ranges": {"EO": [0, 50]}}
    result = analyze(settings.model_copy(update={"reference": own}), tmp_path / "out")
    assert result.differential.reference_name == "Here"
    assert {line.code: line.flag for line in result.differential.lines if line.reference} == {"EO": "N"}


def test_the_input_is_saved_so_that_it_is_found_from_anywhere(slide, monkeypatch):
    monkeypatch.chdir(slide[0].parent)
    assert AnalyzeSettings(input=Path(slide[0].name)).input == slide[0]


def test_cells_are_told_in_words_where_the_model_judges_attributes(judging_model, tmp_path, monkeypatch):
    """In rows, CSV and report; through an interruption; and where the first part holds failures only."""
    monkeypatch.setattr(result_parts, "PART_ROWS", 4)
    folder = tmp_path / "in"
    judging_model.draw_folder(folder, 11)
    for index in range(6):
        (folder / f"a{index}.png").write_text("no picture")
    settings = AnalyzeSettings(input=folder, model=str(judging_model.path))
    with pytest.raises(KeyboardInterrupt):
        analyze(settings, tmp_path / "out", progress=stop_after(1))
    result = analyze(settings, tmp_path / "out", resume=True)
    cells = pl.read_parquet(tmp_path / "out" / "cells.parquet")
    assert cells.schema == pl.Schema(CELL_SCHEMA | ATTRIBUTE_SCHEMA | RANK_SCHEMA)
    assert cells["why"].str.starts_with("round nucleus, no granules").sum() == 2  # the neutrophils; see judging_model
    assert pl.read_csv(tmp_path / "out" / "cells.csv").columns == cells.columns
    assert (result.cells, result.failures) == (11, 6)
    assert pl.read_csv(tmp_path / "out" / "failures.csv").columns == list(FAILURE_SCHEMA)
    assert "Round nucleus, no granules" in result.report.read_text()
