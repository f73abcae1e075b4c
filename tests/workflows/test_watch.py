"""A watched folder: slides grow with their pictures, and nothing is read half-written."""

from __future__ import annotations

import json

import polars as pl
import pytest
from pydantic import ValidationError
from typer.testing import CliRunner

from leukopy.cli.main import app
from leukopy.core.errors import InputError, OutputError
from leukopy.synthesis import Scene, draw_field
from leukopy.workflows import watch as module
from leukopy.workflows.analyze import AnalyzeSettings
from leukopy.workflows.watch import WatchSettings, watch
from support.found import save_field


class Camera:
    """Saves pictures while the watch waits: each step is called in turn, then Ctrl-C is pressed."""

    def __init__(self, *steps):
        self.steps = list(steps)

    def __call__(self, seconds):
        if not self.steps:
            raise KeyboardInterrupt
        self.steps.pop(0)()


def nothing():
    pass


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "camera").mkdir()
    return tmp_path / "camera"


@pytest.fixture
def settings(folder, colour_model):
    return WatchSettings(input=folder, model=str(colour_model.path), every_s=1, settle_s=1, per_class=2)


def cells_of(out, slide):
    return pl.read_parquet(out / "slides" / slide / "cells.parquet")["cell_id"].to_list()


def test_each_slide_grows_with_its_pictures(settings, folder, colour_model, tmp_path):
    draw = colour_model.draw
    seen, told = [], []

    def look():
        seen.append(cells_of(tmp_path / "out", "s1"))

    camera = Camera(
        lambda: draw(folder / "s1" / "a.png", "LY"), nothing, nothing, look,
        lambda: (draw(folder / "s1" / "b.png", "SNE"), draw(folder / "s2" / "c.png", "MO")), nothing, nothing, look,
    )  # fmt: skip
    result = watch(settings, tmp_path / "out", wait=camera, said=told.append)
    assert seen == [["s1/a.png"], ["s1/a.png", "s1/b.png"]]
    assert list(result.slides) == ["s1", "s2"]
    table = pl.read_csv(tmp_path / "out" / "slides.csv")
    assert table.select("slide", "pictures", "status").rows() == [("s1", 2, "analysed"), ("s2", 1, "analysed")]
    assert [line.partition(". ")[0] for line in told[:3]] == [
        "s1: pictures 1; leukocytes 1 of 1 cells", "s1: pictures 2; leukocytes 2 of 2 cells",
        "s2: pictures 1; leukocytes 1 of 1 cells",
    ]  # fmt: skip
    assert (tmp_path / "out" / "slides.html").exists()
    assert sorted(path.name for path in (tmp_path / "out" / "slides").iterdir()) == ["s1", "s2"]
    assert json.loads((tmp_path / "out" / "run.json").read_text())["status"] == "finished"


def test_a_growing_file_is_not_read(settings, folder, colour_model, tmp_path):
    colour_model.draw(tmp_path / "whole.png", "LY")
    content = (tmp_path / "whole.png").read_bytes()
    out, exists = tmp_path / "out", []

    def write(size):
        (folder / "a.png").write_bytes(content[:size])

    growing = [lambda size=size: write(size) for size in range(10, 60, 10)]
    camera = Camera(*growing, lambda: exists.append((out / "slides").exists()), lambda: write(None), nothing, nothing)
    result = watch(WatchSettings(**{**dict(settings), "settle_s": 2}), out, wait=camera)
    assert exists == [False]
    assert result.slides["camera"].failures == 0
    assert cells_of(out, "camera") == ["a.png"]


def test_a_picture_that_changes_is_read_again(settings, folder, colour_model, tmp_path):
    (folder / "a.png").write_text("no picture")
    failed = []
    camera = Camera(nothing, lambda: failed.append((tmp_path / "out/slides/camera/failures.csv").read_text()),
                    lambda: colour_model.draw(folder / "a.png", "LY"), nothing, nothing)  # fmt: skip
    result = watch(settings, tmp_path / "out", wait=camera)
    assert "not_an_image" in failed[0]
    assert result.slides["camera"].failures == 0


def test_started_again_it_takes_up_what_has_arrived(settings, folder, colour_model, tmp_path, monkeypatch):
    colour_model.draw(folder / "s1" / "a.png", "LY")
    colour_model.draw(folder / "s2" / "b.png", "LY")
    watch(settings, tmp_path / "out", wait=Camera(nothing, nothing))
    colour_model.draw(folder / "s2" / "c.png", "LY")
    placed = []
    run_slide = module.run_slide
    monkeypatch.setattr(module, "run_slide", lambda job, classifier, out, **how: (
        placed.append((out.name, how["resume"])), run_slide(job, classifier, out, **how))[1])  # fmt: skip
    result = watch(settings, tmp_path / "out", wait=Camera(nothing, nothing))
    assert placed == [("s1", True), (".s2.next", False)]
    assert {name: one.cells for name, one in result.slides.items()} == {"s1": 1, "s2": 2}


def test_ctrl_c_keeps_earlier_results_and_resumes(settings, folder, colour_model, tmp_path):
    colour_model.draw(folder / "a.png", "LY")
    watch(settings, tmp_path / "out", wait=Camera(nothing, nothing))
    colour_model.draw(folder / "b.png", "LY")

    def stop(stage, done, total):
        raise KeyboardInterrupt

    watch(settings, tmp_path / "out", wait=Camera(nothing, nothing), progress=stop)
    assert cells_of(tmp_path / "out", "camera") == ["a.png"]
    watch(settings, tmp_path / "out", wait=Camera(nothing, nothing))
    assert cells_of(tmp_path / "out", "camera") == ["a.png", "b.png"]
    assert [path.name for path in (tmp_path / "out" / "slides").iterdir()] == ["camera"]


def test_fields_are_told_and_counted(settings, folder, known_finder, tmp_path):
    for number in range(2):
        drawn = draw_field({"LY": 3}, seed=number, size=(480, 640), scene=Scene(cut=False))
        save_field(folder / "s1" / f"f{number}.png", drawn, known_finder)
    result = watch(settings, tmp_path / "out", wait=Camera(nothing, nothing))
    assert result.slides["s1"].counts.fields == 2
    assert cells_of(tmp_path / "out", "s1")[0].startswith("s1/f0.png#cell=")
    run = json.loads((tmp_path / "out" / "slides" / "s1" / "run.json").read_text())
    assert AnalyzeSettings.build(run["settings"], where="run.json").input == folder / "s1"


def test_a_slide_that_fails_does_not_end_the_watch(settings, folder, colour_model, tmp_path, monkeypatch):
    def tell(settings, cells, where):
        if where.name == "s1":
            raise InputError("s1: holds cells and fields of view.")
        return "cells"

    monkeypatch.setattr(module, "tell_kind", tell)
    for name in ("s1", "s2"):
        colour_model.draw(folder / name / "a.png", "LY")
    result = watch(settings, tmp_path / "out", wait=Camera(nothing, nothing))
    assert result.slides["s1"] == "s1: holds cells and fields of view."
    assert pl.read_csv(tmp_path / "out" / "slides.csv")["status"].to_list() == ["failed", "analysed"]


def test_a_quiet_folder_ends_the_watch(settings, folder, colour_model, tmp_path):
    colour_model.draw(folder / "a.png", "LY")
    waits = []
    watch(WatchSettings(**{**dict(settings), "quiet_s": 5}), tmp_path / "out", wait=waits.append)
    assert len(waits) == 6  # one until the picture is settled, five of quiet


def test_results_inside_the_folder_are_refused(settings, folder, tmp_path):
    with pytest.raises(InputError, match="lies in the watched folder"):
        watch(settings, folder / "out")
    with pytest.raises(InputError, match="is no folder"):
        watch(WatchSettings(**{**dict(settings), "input": tmp_path / "absent"}), tmp_path / "out")


def test_other_settings_do_not_mix(settings, tmp_path):
    watch(settings, tmp_path / "out", wait=Camera())
    with pytest.raises(OutputError, match="per_class"):
        watch(WatchSettings(**{**dict(settings), "per_class": 3}), tmp_path / "out", wait=Camera())
    watch(WatchSettings(**{**dict(settings), "every_s": 3}), tmp_path / "out", wait=Camera())


def test_the_command_ends_when_the_folder_is_quiet(folder, colour_model, tmp_path):
    colour_model.draw(folder / "a.png", "LY")
    options = ["--model", str(colour_model.path), "--every", "0.01", "--settle", "0.01", "--quiet", "0.02"]
    found = CliRunner().invoke(app, ["watch", str(folder), "--out", str(tmp_path / "out"), *options])
    assert found.exit_code == 0, found.output
    assert "camera: pictures 1; leukocytes 1 of 1 cells." in found.output


def test_a_whole_slide_is_not_watched(tmp_path):
    with pytest.raises(ValidationError, match="leukopy analyze"):
        WatchSettings(input=tmp_path, input_kind="slide")
