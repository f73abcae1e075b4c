"""Drawn fields with platelet clumps and with focus planes, by the command and the shipped models."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import tifffile
from PIL import Image
from scipy import ndimage
from typer.testing import CliRunner

from leukopy.cli.main import app
from leukopy.synthesis import Scene, draw_field

pytestmark = pytest.mark.slow


def run(path: Path, out: Path, *options: str) -> None:
    found = CliRunner().invoke(app, ["analyze", str(path), "--as", "fields", "--out", str(out), *options])
    assert found.exit_code in (0, 3), found.output  # 3: blurred cells are trusted in no class


@pytest.mark.parametrize("clumps", [0, 1])
def test_clumps_leave_no_platelet_number_but_the_reason(tmp_path, clumps):
    (tmp_path / "fields").mkdir()
    for seed in range(6):
        scene = Scene(clumps=clumps, platelets=0.05, cut=False)
        drawn = draw_field({"SNE": 4, "LY": 3}, seed=seed, size=(700, 900), scene=scene)
        Image.fromarray(drawn.image).save(tmp_path / "fields" / f"{seed}.png")
    run(tmp_path / "fields", tmp_path / "out")
    platelets = json.loads((tmp_path / "out" / "counts.json").read_text())["platelets"]
    assert bool(platelets["clumps"]) == bool(clumps)
    table = pl.read_csv(tmp_path / "out" / "counts.csv")
    estimate = table.filter(measure="platelet estimate").row(0, named=True)
    page = (tmp_path / "out" / "report.html").read_text()
    if clumps:
        assert estimate["value"] is None
        assert "any number would be too low" in " ".join(str(value) for value in estimate.values())
        assert "No platelet estimate:" in page
    else:
        assert estimate["value"] > 0
        assert "any number would be too low" not in page


@pytest.mark.parametrize("focus", ["sharpest", "fused"])
def test_focus_planes_of_a_file_are_one_field(tmp_path, focus):
    """The left half is in focus on one plane, the right half on the other; a third plane is blurred as a whole."""
    drawn = draw_field({"SNE": 4, "LY": 3}, seed=2, size=(480, 640), scene=Scene(cut=False))
    sharp, blurred = drawn.image, ndimage.gaussian_filter(drawn.image, (9, 9, 0))
    left, right = sharp.copy(), sharp.copy()
    left[:, 380:], right[:, :260] = blurred[:, 380:], blurred[:, :260]
    (tmp_path / "fields").mkdir()
    planes = np.stack([blurred, left, right])
    tifffile.imwrite(tmp_path / "fields" / "stack.tif", planes, photometric="rgb")
    run(tmp_path / "fields", tmp_path / "out", "--pages", "planes", "--focus", focus)
    fields = pl.read_parquet(tmp_path / "out" / "fields.parquet")
    assert fields["field"].to_list() == ["stack.tif"]
    run(tmp_path / "fields", tmp_path / "pages", "--pages", "fields")
    pages = pl.read_parquet(tmp_path / "pages" / "fields.parquet")
    assert pages["field"].to_list() == [f"stack.tif#page={page}" for page in (1, 2, 3)]
    found = fields["leukocytes"].item()
    if focus == "sharpest":
        assert fields["focus"].item() == pytest.approx(pages["focus"].max())
    else:
        assert fields["focus"].item() > pages["focus"].max()
        assert found == 7
