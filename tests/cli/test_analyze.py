"""``leukopy analyze``: the count on standard output, what to look at next on standard error."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from leukopy.cli.main import app
from leukopy.core.provenance import RESEARCH_USE_ONLY


@pytest.fixture
def run(colour_model, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    colour_model.draw_folder(tmp_path / "slide", 110)

    def run(*options):
        return CliRunner().invoke(app, ["analyze", *map(str, options)])

    return run


def test_the_count_is_printed(run, colour_model, tmp_path):
    out = tmp_path / "out"
    result = run(tmp_path / "slide", "--out", out, "--model", colour_model.path)
    assert result.exit_code == 0, result.output
    rows = {cells[1].strip(): cells[2:4] for line in result.stdout.splitlines() if len(cells := line.split("│")) > 4}
    assert [cell.strip() for cell in rows["lymphocyte"]] == ["10", "11.1"]
    assert [cell.strip() for cell in rows["neutrophil"]] == ["20", "22.2"]
    assert [cell.strip() for cell in rows["platelet"]] == ["10", ""]
    assert "90 leukocytes" in result.stdout
    assert RESEARCH_USE_ONLY in result.stdout
    assert result.stderr == f"Report: {out / 'report.html'}\n"


def test_every_option_reaches_the_run(run, colour_model, tmp_path):
    (tmp_path / "ranges.yaml").write_text("name: Here\nranges: {LY: [0, 5]}\n")
    result = run(
        tmp_path / "slide", "--out", tmp_path / "out", "--model", colour_model.path, "--title", "Slide 3",
        "--per-class", 2, "--reference", tmp_path / "ranges.yaml", "--threads", 1, "--device", "cpu", "--processes", 2,
        "--as", "cells", "--detector", "mine", "--red-cell-shapes", "none", "--pages", "planes",
        "--focus", "fused", "--fields-shown", 3, "--platelet-factor", 20_000, "--oil-field-um", 180,
        "--leukocytes", 100, "--um-per-px", 0.2,
        "--no-slides", "--xlsx", "--zip", "--classes", "healthy", "--blast-probability", 0.8, "--blast-share", 2,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    saved = json.loads((tmp_path / "out" / "run.json").read_text())["settings"]
    assert saved == {
        "input": str(tmp_path / "slide"),
        "model": str(colour_model.path),
        "slides": False,
        "xlsx": True,
        "zip": True,
        "threads": 1,
        "device": "cpu",
        "processes": 2,
        "title": "Slide 3",
        "per_class": 2,
        "input_kind": "cells",
        "detector": "mine",
        "red_cell_shapes": "none",
        "pages": "planes",
        "focus": "fused",
        "fields_shown": 3,
        "leukocytes": 100,
        "um_per_px": 0.2,
        "counts": {"platelet_factor": 20_000, "oil_field_um": 180},
        "reference": {"name": "Here", "ranges": {"LY": [0, 5]}},
        "classes": "healthy",
        "blast_probability": 0.8,
        "blast_share": 2.0,
    }
    assert "0 to 5" in result.stdout
    assert {"results.xlsx", "results.zip"} <= {path.name for path in (tmp_path / "out").iterdir()}


def test_config_repeats_a_run_and_options_change_it(run, colour_model, tmp_path):
    run(tmp_path / "slide", "--out", tmp_path / "one", "--model", colour_model.path, "--per-class", 2)
    again = run("--config", tmp_path / "one" / "run.json", "--out", tmp_path / "two", "--title", "Again")
    assert again.exit_code == 0, again.output
    saved = json.loads((tmp_path / "two" / "run.json").read_text())["settings"]
    assert (saved["per_class"], saved["title"], saved["input"]) == (2, "Again", str(tmp_path / "slide"))
