"""``leukopy predict``: rows on standard output, everything else on standard error."""

from __future__ import annotations

import subprocess
import sys
from io import StringIO
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from leukopy.cli.main import app


def test_rows_and_failures_are_kept_apart(colour_model, tmp_path):
    codes = colour_model.draw_folder(tmp_path, 12)
    (tmp_path / "c00003.png").write_text("no picture")
    result = CliRunner().invoke(app, ["predict", str(tmp_path), "--model", str(colour_model.path)])
    assert result.exit_code == 3
    assert pl.read_csv(StringIO(result.stdout))["fine"].to_list() == codes[:3] + codes[4:]
    few, first, second = result.stderr.splitlines()
    assert few.startswith("Fewer than 20 cells")
    assert "c00003.png: not an image" in first
    assert second == "1 of 12 images failed: see above."


def test_a_file_of_rows(colour_model, tmp_path):
    colour_model.draw_folder(tmp_path / "slide", 3)
    rows = tmp_path / "rows.parquet"
    options = ["--model", str(colour_model.path), "--out", str(rows)]
    result = CliRunner().invoke(app, ["predict", str(tmp_path / "slide"), *options])
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr.startswith("Fewer than 20 cells")
    assert len(pl.read_parquet(rows)) == 3


@pytest.fixture
def long_command(colour_model, tmp_path):
    cell = colour_model.draw(tmp_path / "cell.png", "LY")
    for index in range(2000):
        (tmp_path / f"{index}.png").hardlink_to(cell)
    (tmp_path / "cells.csv").write_text("path\n" + "".join(f"{index}.png\n" for index in range(2000)))
    code = "from leukopy.cli.main import main; main()"
    return [sys.executable, "-c", code, "predict", tmp_path / "cells.csv", "--model", colour_model.path]


def test_a_reader_that_leaves_early(long_command):
    """``leukopy predict … | head -1`` ends without a word."""
    with subprocess.Popen(long_command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout.readline().startswith(b"cell_id,path,slide,coarse")
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_behind_standard_output(long_command):
    with Path("/dev/full").open("wb") as full:
        result = subprocess.run(long_command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert result.returncode == 1
    assert result.stderr.startswith("leukopy: standard output: the disk is full.")
    assert result.stderr.count("\n") == 1
