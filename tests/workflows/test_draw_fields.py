"""`leukopy draw fields`: pictures of fields, and a table of their objects."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image
from typer.testing import CliRunner

from leukopy.cli.main import app
from leukopy.core.errors import SettingsError
from leukopy.taxonomy import FINE
from leukopy.taxonomy.objects import OBJECTS
from leukopy.workflows.draw_fields import DrawFieldsSettings, draw_fields

CODES = [cell.code for cell in FINE]
SETTINGS = DrawFieldsSettings(fields=3, cells=3, size=(400, 500), um_per_px=0.15, seed=4)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("drawn") / "fields"
    draw_fields(SETTINGS, out)
    return out


def test_fields_are_listed_object_by_object(drawn):
    table = pl.read_csv(drawn / "fields.csv")
    assert table["field"].unique().sort().to_list() == sorted(path.name for path in (drawn / "fields").iterdir())
    assert set(table["kind"]) <= set(OBJECTS) | {"distractor"}
    assert set(table.filter(pl.col("kind") == "leukocyte")["class"]) <= set(CODES)
    red_cells = table.filter(pl.col("kind") == "red_cell")
    assert red_cells.group_by("field").len()["len"].min() > 10
    assert red_cells.filter(~pl.col("cut"))["diameter_um"].median() == pytest.approx(7.5, rel=0.1)
    assert (table["left"] >= 0).all()
    assert (table["left"] + table["width"] <= 500).all()
    assert (table["top"] + table["height"] <= 400).all()
    counts = json.loads((drawn / "run.json").read_text())["objects"]
    assert counts["red_cell"] == red_cells.height


def test_boxes_are_those_of_the_pictures(drawn):
    table = pl.read_csv(drawn / "fields.csv").filter((pl.col("kind") == "leukocyte") & ~pl.col("cut"))
    assert table.height > 2
    for row in table.iter_rows(named=True):
        with Image.open(drawn / "fields" / row["field"]) as image:
            green = np.asarray(image.convert("RGB"))[..., 1]
        inside = green[row["top"] : row["top"] + row["height"], row["left"] : row["left"] + row["width"]]
        assert np.percentile(inside, 10) < 90, "a nucleus lies in the box"


def test_same_settings_same_fields(drawn, tmp_path):
    draw_fields(SETTINGS, tmp_path)
    assert (tmp_path / "fields.csv").read_bytes() == (drawn / "fields.csv").read_bytes()
    for path in (tmp_path / "fields").iterdir():
        assert path.read_bytes() == (drawn / "fields" / path.name).read_bytes()


def test_an_interrupted_run_is_resumed_to_the_same_end(drawn, tmp_path):
    def stop(stage, done, total):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        draw_fields(SETTINGS, tmp_path, progress=stop)
    assert not (tmp_path / "fields.csv").exists()
    draw_fields(SETTINGS, tmp_path, resume=True)
    assert (tmp_path / "fields.csv").read_bytes() == (drawn / "fields.csv").read_bytes()


def test_a_wrong_mix_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(SettingsError, match="NEU cannot be drawn"):
        draw_fields(DrawFieldsSettings(mix={"NEU": 1}), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_command_line_draws_fields_in_any_state(tmp_path):
    command = f"draw fields --out {tmp_path} --fields 2 --size 200 260 --conditions random --appearance random"
    result = CliRunner().invoke(app, command.split())
    assert result.exit_code == 0, result.output
    assert "red_cell" in result.output
    assert len(list((tmp_path / "fields").iterdir())) == 2
