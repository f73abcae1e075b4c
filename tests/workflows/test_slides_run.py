"""Many slides in one run: each for itself, every one a row, resumed without a difference."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from leukopy.cli.main import app
from leukopy.core.errors import InputError, ManifestError, OutputError
from leukopy.slides.slides_table import SLIDE_SCHEMA
from leukopy.workflows import slides_run as module
from leukopy.workflows.analyze import AnalyzeSettings, analyze
from leukopy.workflows.slides_run import SlidesResult, folder_names

NAMES = ("a", "b", "c")
CELLS = 30


@pytest.fixture
def night(colour_model, tmp_path) -> Path:
    """Three slides; the second has two broken pictures and a copy, a fourth folder is empty."""
    folder = tmp_path / "night"
    for number, name in enumerate(NAMES):
        for index in range(CELLS):
            colour_model.draw(folder / name / f"{name}{index:02}.png", ("SNE", "LY", "MO")[(number + index) % 3])
    (folder / "b" / "b00.png").write_text("no picture")
    (folder / "b" / "b01.png").write_bytes(b"")
    shutil.copy(folder / "b" / "b02.png", folder / "b" / "b02 (1).png")
    (folder / "empty").mkdir()
    return folder


def run(night: Path, colour_model, out: Path, **how) -> SlidesResult:
    settings = {"slides": True, "processes": 1} | how.pop("settings", {})
    built = AnalyzeSettings.build({"input": night, "model": str(colour_model.path), "per_class": 2, **settings})
    result = analyze(built, out, **how)
    assert isinstance(result, SlidesResult)
    return result


def test_every_slide_is_a_row_and_has_a_folder_of_its_own(night, colour_model, tmp_path):
    found = run(night, colour_model, tmp_path / "out")
    assert found.slides.schema == pl.Schema(SLIDE_SCHEMA)
    assert found.slides["slide"].to_list() == [*NAMES, "empty"]
    assert found.slides["status"].to_list() == ["analysed"] * 3 + ["failed"]
    assert found.slides["failures"].to_list() == [0, 2, 0, None]
    assert found.slides["duplicates"].to_list() == [0, 1, 0, None]
    assert found.slides["leukocytes"].to_list() == [CELLS, CELLS - 2, CELLS, None]
    assert found.slides["LY_percent"][0] == pytest.approx(100 / 3)
    assert found.slides["NEU_count"][0] == found.slides["SNE_count"][0] == 10
    assert "holds no readable image" in found.slides["message"][3]
    for name in NAMES:
        folder = tmp_path / "out" / found.slides.filter(slide=name)["folder"][0]
        rows = pl.read_parquet(folder / "cells.parquet")
        assert set(rows["slide"]) == {name}
        assert (folder / "report.html").exists()
    assert (found.failures, found.failed, found.complete) == (2, 1, False)
    assert pl.read_csv(tmp_path / "out" / "slides.csv")["slide"].to_list() == [*NAMES, "empty"]


def test_a_slide_is_what_it_is_alone(night, colour_model, tmp_path):
    run(night, colour_model, tmp_path / "out")
    alone = analyze(AnalyzeSettings(input=night / "c", model=str(colour_model.path)), tmp_path / "alone")
    among = pl.read_parquet(tmp_path / "out" / "slides" / "c" / "cells.parquet")
    differing = ("cell_id", "slide")
    assert among.drop(differing).equals(pl.read_parquet(alone.folder / "cells.parquet").drop(differing))


@pytest.mark.slow
def test_processes_change_nothing(night, colour_model, tmp_path):
    one = run(night, colour_model, tmp_path / "one")
    two = run(night, colour_model, tmp_path / "two", settings={"processes": 2})
    assert one.slides.equals(two.slides)


def test_processes_write_below_the_current_folder_of_each_run(night, colour_model, tmp_path, monkeypatch):
    """Worker processes live on between runs, and keep the folder of the first one."""
    for place in ("first", "second"):
        (tmp_path / place).mkdir()
        monkeypatch.chdir(tmp_path / place)
        run(night, colour_model, Path("out"), settings={"processes": 2})
        found = sorted((tmp_path / place).glob("out/slides/*/cells.parquet"))
        assert [path.parent.name for path in found] == list(NAMES), place


def test_an_interrupted_run_ends_with_the_same_table(night, colour_model, tmp_path):
    whole = run(night, colour_model, tmp_path / "whole")

    def stop(stage: str, done: int, total: int | None) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt, match="2 of 4 slides are done and saved"):
        run(night, colour_model, tmp_path / "out", progress=stop)
    first = tmp_path / "out" / "slides" / "a" / "report.html"
    written = first.stat().st_mtime_ns
    resumed = run(night, colour_model, tmp_path / "out", resume=True)
    assert resumed.slides.equals(whole.slides)
    assert first.stat().st_mtime_ns == written  # finished slides are kept
    with pytest.raises(OutputError, match="already holds results"):
        run(night, colour_model, tmp_path / "out")


def test_only_failed_slides_are_analysed_again(night, colour_model, tmp_path):
    run(night, colour_model, tmp_path / "out")
    kept = tmp_path / "out" / "slides" / "a" / "report.html"
    written = kept.stat().st_mtime_ns
    for name in ("b00.png", "b01.png"):
        colour_model.draw(night / "b" / name, "LY")
    again = run(night, colour_model, tmp_path / "out", retry_failed=True)
    assert again.slides["failures"].to_list() == [0, 0, 0, None]
    assert again.slides["leukocytes"].to_list() == [CELLS] * 3 + [None]
    assert kept.stat().st_mtime_ns == written


def test_an_unexpected_error_in_one_slide_ends_no_other(night, colour_model, tmp_path, monkeypatch):
    work = module.run_slide

    def broken(job, *arguments, **named):
        if job.title == "b":
            raise ZeroDivisionError("by nothing")
        return work(job, *arguments, **named)

    monkeypatch.setattr(module, "run_slide", broken)
    found = run(night, colour_model, tmp_path / "out")
    assert found.slides["status"].to_list() == ["analysed", "failed", "analysed", "failed"]
    assert "ZeroDivisionError: by nothing" in found.slides["message"][1]


def test_pictures_on_two_slides_are_told(night, colour_model, tmp_path):
    shutil.copy(night / "a" / "a05.png", night / "c" / "from_a.png")
    found = run(night, colour_model, tmp_path / "out")
    assert found.slides["shared"].to_list() == [1, 0, 1, 0]
    assert "1 picture is on another slide of this run too." in found.slides["notes"][0]


def test_a_manifest_names_slides(night, colour_model, tmp_path):
    lines = ["path,slide"]
    lines += [f"night/{name}/{name}{index:02}.png,slide {name}" for index in range(2, CELLS) for name in NAMES]
    manifest = tmp_path / "night.csv"
    manifest.write_text("\n".join(lines) + "\n")
    found = run(manifest, colour_model, tmp_path / "out", settings={"slides": False})
    assert found.slides["slide"].to_list() == ["slide a", "slide b", "slide c"]
    assert found.slides["pictures"].to_list() == [CELLS - 2] * 3
    manifest.write_text("\n".join([*lines[:3], "night/c/c02.png,", *lines[4:]]) + "\n")
    with pytest.raises(ManifestError, match=r"1 of 84 rows name no slide, the first is .*c02\.png"):
        run(manifest, colour_model, tmp_path / "other")


def test_images_beside_the_folders_are_refused(night, colour_model, tmp_path):
    colour_model.draw(night / "loose.png", "LY")
    with pytest.raises(InputError, match=r"1 images lie beside the folders of the slides, the first is loose\.png"):
        run(night, colour_model, tmp_path / "out")


def test_folder_names_are_safe_and_unique():
    names = ["a", "A", "x/y", "../up", "é", "a", "con", "slide 1"]
    found = folder_names(names)
    assert len(set(map(str.casefold, found))) == len(set(names))
    assert all(name.replace("-", "").replace("_", "").isalnum() for name in found)
    assert folder_names(["slide7"]) == ["slide7"]


def test_the_page_lists_slides_that_stand_out_first(night, colour_model, tmp_path):
    page = run(night, colour_model, tmp_path / "out").page.read_text()
    assert page.index(">empty<") < page.index(">b<") < page.index(">a<")
    assert 'href="slides/b/report.html"' in page
    assert "script-src 'sha256-" in page
    assert "Research use only" in page


def test_the_command_tells_of_the_slides_and_exits_with_3(night, colour_model, tmp_path):
    options = ["--slides", "--processes", "1", "--model", str(colour_model.path), "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(app, ["analyze", str(night), *options])
    assert result.exit_code == 3, result.output
    assert "4 slides" in result.stdout
    assert "2 images could not be read; 1 slides have no differential." in result.stderr
    assert json.loads((tmp_path / "out" / "run.json").read_text())["status"] == "finished"
