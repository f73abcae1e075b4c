"""Workbook and archive of a run: on request, of each slide, and of a finished run too."""

from __future__ import annotations

import zipfile

import pytest

from leukopy.workflows import exports
from leukopy.workflows.analyze import AnalyzeSettings, analyze


@pytest.fixture(scope="module")
def cells(colour_model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("night")
    for name in ("a", "b"):
        colour_model.draw_folder(folder / name, 22)
    return folder


@pytest.fixture
def settings(cells, colour_model):
    return AnalyzeSettings(input=cells / "a", model=str(colour_model.path))


def _names(archive):
    with zipfile.ZipFile(archive) as opened:
        return set(opened.namelist())


def test_none_is_written_unasked(settings, tmp_path):
    analyze(settings, tmp_path / "out")
    assert not {"results.xlsx", "results.zip"} & {path.name for path in (tmp_path / "out").iterdir()}


def test_a_finished_run_gets_both_without_being_repeated(settings, tmp_path, monkeypatch):
    out = tmp_path / "out"
    analyze(settings, out)
    before = (out / "cells.parquet").stat().st_mtime_ns
    analyze(settings.model_copy(update={"xlsx": True, "zip": True}), out, resume=True)
    assert (out / "cells.parquet").stat().st_mtime_ns == before
    assert {"out/results.xlsx", "out/cells.parquet", "out/report.html", "out/run.json"} <= _names(out / "results.zip")
    assert not any("results.zip" in name or name.startswith("/") for name in _names(out / "results.zip"))


def test_each_slide_of_a_run_on_several_has_its_workbook(cells, settings, tmp_path):
    out = tmp_path / "out"
    analyze(
        settings.model_copy(update={"input": cells, "slides": True, "processes": 1, "xlsx": True, "zip": True}), out
    )
    books = {"out/results.xlsx", "out/slides/a/results.xlsx", "out/slides/b/results.xlsx"}
    assert books <= _names(out / "results.zip")


def test_results_on_fields_have_a_workbook_unasked(tmp_path, monkeypatch):
    written = []
    monkeypatch.setattr("leukopy.reports.workbook.write_workbook", written.append)
    for name in ("run.json", "slides/a/run.json", "slides/a/fields.parquet", "slides/b/run.json"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("{}")
    exports.export(tmp_path, workbook=False, archive=False)
    assert written == [tmp_path / "slides" / "a"]
