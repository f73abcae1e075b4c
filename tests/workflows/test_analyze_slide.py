"""A whole slide to results: the monolayer alone, until enough leukocytes, each counted once."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from leukopy.cli.main import app
from leukopy.core.errors import InputError
from leukopy.fields.detections import Detections
from leukopy.fields.field import Field
from leukopy.slides import field_slide, result_parts
from leukopy.taxonomy.objects import OBJECTS
from leukopy.workflows.analyze import AnalyzeSettings, analyze
from leukopy.workflows.draw_slide import DrawSlideSettings, draw_slide
from leukopy.workflows.slide_run import SlideResult
from support.slides import levels_of, write_slide

pytestmark = pytest.mark.slow

UM_PER_PX = 0.4


@pytest.fixture(scope="module")
def drawn(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("drawn") / "slide"
    settings = DrawSlideSettings(width=8192, height=4096, um_per_px=UM_PER_PX, variants=1, leukocytes=8, seed=3)
    draw_slide(settings, out)
    return out


@pytest.fixture(scope="module")
def truth(drawn) -> pl.DataFrame:
    return pl.read_csv(drawn / "objects.csv")


class TruthFinder:
    """A detector that knows the objects of a drawn slide, by the region of the field."""

    def __init__(self, truth: pl.DataFrame) -> None:
        self._boxes = truth.select("left", "top", "width", "height").to_numpy().astype(np.float32)
        self._kinds = np.array([OBJECTS.index(kind) for kind in truth["kind"]], np.int64)
        self.searches = 0

    def find(self, field: Field, usual_red_cell_px: float | None = None) -> Detections:
        self.searches += 1
        region = field.source.region
        assert region is not None
        near = self._boxes[:, :2] - np.array(region[:2], np.float32)
        inside = ((near >= 0) & (near + self._boxes[:, 2:] <= np.array(region[2:]))).all(axis=1)
        boxes = np.concatenate([near, self._boxes[:, 2:]], axis=1)[inside]
        return Detections(boxes, self._kinds[inside], np.full(len(boxes), 0.9, np.float32), 7.5 / UM_PER_PX)


@pytest.fixture
def finder(truth, monkeypatch) -> TruthFinder:
    found = TruthFinder(truth)
    card = SimpleNamespace(name="truth", model=SimpleNamespace(sha256="0" * 64), thresholds={})
    monkeypatch.setattr("leukopy.bundle.detector.bundled_detectors", lambda: ["default"])
    monkeypatch.setattr("leukopy.bundle.detector.open_detector", lambda name: SimpleNamespace(card=card))
    monkeypatch.setattr("leukopy.workflows.fields_run.open_finder", lambda *names: found)
    return found


@pytest.fixture
def settings(drawn, finder, colour_model) -> AnalyzeSettings:
    return AnalyzeSettings(model=str(colour_model.path), input=drawn / "slide.tif", leukocytes=100_000, fields_shown=2)


def inside(truth: pl.DataFrame, squares: pl.DataFrame, kind: str) -> int:
    """Objects of a kind whose centre lies in one of the squares."""
    found = truth.filter(kind=kind).select(
        x=pl.col("left") + pl.col("width") / 2, y=pl.col("top") + pl.col("height") / 2
    )
    return sum(
        found.filter(pl.col("x") >= x, pl.col("x") < x + width, pl.col("y") >= y, pl.col("y") < y + height).height
        for x, y, width, height in squares.select("slide_x", "slide_y", "slide_width", "slide_height").rows()
    )


def test_each_object_of_the_monolayer_is_counted_once(settings, truth, tmp_path):
    result = analyze(settings, tmp_path / "out")
    assert isinstance(result, SlideResult)
    squares = pl.read_csv(result.folder / "squares.csv")
    chosen = squares.filter(verdict="chosen")
    assert chosen["analysed"].all()
    assert not squares.filter(pl.col("verdict") != "chosen")["analysed"].any()
    assert result.counts is not None
    assert result.counts.fields == len(chosen)
    cells = pl.read_parquet(result.folder / "cells.parquet")
    assert len(cells) == inside(truth, chosen, "leukocyte") > 20
    assert result.counts.red_cells.count == inside(truth, chosen, "red_cell") > 1000
    assert result.counts.platelets.count == inside(truth, chosen, "platelet")
    assert result.complete
    assert any("fewer than the 100,000 wanted" in note for note in result.differential.notes)


def test_the_search_ends_with_enough_leukocytes(settings, finder, tmp_path):
    result = analyze(settings.model_copy(update={"leukocytes": 12}), tmp_path / "out")
    fields = pl.read_parquet(result.folder / "fields.parquet")
    assert fields["cells"].sum() >= 12
    assert fields["cells"].head(len(fields) - 1).sum() < 12
    squares = pl.read_csv(result.folder / "squares.csv")
    assert squares["analysed"].sum() == len(fields) < squares.filter(verdict="chosen").height
    run = json.loads((result.folder / "run.json").read_text())
    assert (run["inputs"]["kind"], run["inputs"]["told_from"]) == ("slide", "pictures")
    assert run["inputs"]["scale_source"] == "file"
    assert run["inputs"]["squares"]["chosen"] == squares.filter(verdict="chosen").height
    assert (result.folder / "overview.png").stat().st_size > 10_000
    page = result.report.read_text()
    assert "data:image/png;base64," in page
    assert re.search(r"framed in dark green: analysed \(\d+\)", page)
    assert "until 12 leukocytes are found" in page
    assert not any("wanted" in note for note in result.differential.notes)


def test_an_interrupted_slide_ends_with_the_same_files(settings, tmp_path, monkeypatch):
    monkeypatch.setattr(field_slide, "FIELDS_AT_ONCE", 2)
    monkeypatch.setattr(result_parts, "PART_ROWS", 30)
    settings = settings.model_copy(update={"leukocytes": 30})
    whole = analyze(settings, tmp_path / "whole")

    def stop(stage, done, total):
        if stage == "analysing fields" and done >= 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt, match="fields are done and saved"):
        analyze(settings, tmp_path / "out", progress=stop)
    result = analyze(settings, tmp_path / "out", resume=True)
    for name in ("objects.parquet", "fields.csv", "counts.csv", "squares.csv", "overview.png", "differential.csv"):
        assert (result.folder / name).read_bytes() == (whole.folder / name).read_bytes(), name


def test_a_signal_in_the_search_keeps_what_is_done(settings, finder, tmp_path, monkeypatch):
    """Ctrl-C as the system sends it, to the command."""
    monkeypatch.setattr(field_slide, "FIELDS_AT_ONCE", 2)
    monkeypatch.setattr(field_slide, "SAMPLE", 10)
    whole = analyze(settings, tmp_path / "whole")
    command = ["analyze", str(settings.input), "--leukocytes", "100000", "--model", settings.model]
    command += ["--fields-shown", "2", "--out", str(tmp_path / "out")]
    find, last, searches = finder.find, finder.searches - 2, count(1)  # several threads search: each has its number

    def interrupt(field, usual=None):
        found = find(field, usual)
        if next(searches) == last:
            signal.raise_signal(signal.SIGINT)
        return found

    monkeypatch.setattr(finder, "find", interrupt)
    assert isinstance(CliRunner().invoke(app, command).exception, KeyboardInterrupt | SystemExit)
    assert list((tmp_path / "out" / "parts").iterdir())
    assert not (tmp_path / "out" / "report.html").exists()
    monkeypatch.setattr(finder, "find", find)
    found = CliRunner().invoke(app, [*command, "--resume"])
    assert found.exit_code == 0, found.output
    for name in ("objects.parquet", "fields.csv", "counts.csv", "differential.csv"):
        assert (tmp_path / "out" / name).read_bytes() == (whole.folder / name).read_bytes(), name


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 120 kilobytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=120k", "tmpfs", str(folder)]
    if os.name == "nt" or os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("only the superuser mounts a small disk")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_full_disk_is_said_and_the_slide_resumes_on_a_larger_one(settings, small_disk, tmp_path, monkeypatch):
    monkeypatch.setattr(result_parts, "PART_ROWS", 30)
    whole = analyze(settings, tmp_path / "whole")
    command = ["analyze", str(settings.input), "--leukocytes", "100000", "--fields-shown", "2"]
    command += ["--model", settings.model, "--out", str(small_disk / "out")]
    found = CliRunner().invoke(app, command)
    assert found.exit_code == 1, found.output
    assert "the disk is full" in found.output
    subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
    found = CliRunner().invoke(app, [*command, "--resume"])
    assert found.exit_code == 0, found.output
    for name in ("objects.parquet", "fields.csv", "counts.csv", "differential.csv"):
        assert (small_disk / "out" / name).read_bytes() == (whole.folder / name).read_bytes(), name


def test_ctrl_c_while_the_slide_is_looked_at_writes_nothing(settings, tmp_path):
    def stop(stage, done, total):
        if stage == "looking at the slide" and done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        analyze(settings, tmp_path / "out", progress=stop)
    assert not (tmp_path / "out").exists()


def test_a_slide_without_a_monolayer_says_why(settings, tmp_path):
    glass = np.full((1500, 2000, 3), 240, np.uint8)
    path = write_slide(tmp_path / "glass.tif", levels_of(glass))
    with pytest.raises(InputError, match=r"shows no monolayer \(.* squares glass without cells\)"):
        analyze(settings.model_copy(update={"input": path, "input_kind": "slide"}), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_scale_of_the_user_serves_where_the_file_states_none(settings, tmp_path, drawn):
    import tifffile

    with tifffile.TiffFile(drawn / "slide.tif") as tif:
        path = write_slide(tmp_path / "bare.tif", [page.asarray() for page in tif.pages], None)
    result = analyze(settings.model_copy(update={"input": path, "um_per_px": 0.4, "leukocytes": 5}), tmp_path / "out")
    assert set(pl.read_parquet(result.folder / "fields.parquet")["scale_source"]) == {"table"}


def test_the_command_takes_a_slide(settings, tmp_path, drawn):
    found = CliRunner().invoke(
        app,
        ["analyze", str(drawn / "slide.tif"), "--as", "slide", "--leukocytes", "5", "--model", settings.model,
         "--out", str(tmp_path / "out")],
    )  # fmt: skip
    assert found.exit_code == 0, found.output
    assert "red cells" in found.output
    photograph = CliRunner().invoke(
        app, ["analyze", str(drawn / "run.json"), "--as", "slide", "--out", str(tmp_path / "other")]
    )
    assert photograph.exit_code == 1
    assert "not a whole slide by its name" in photograph.output
