"""`leukopy draw cells`: a slide on disk, and its truth."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image
from typer.testing import CliRunner

from leukopy.cli.main import app
from leukopy.core.errors import OutputError, SettingsError
from leukopy.datasets import read_manifest
from leukopy.taxonomy import FINE
from leukopy.workflows.draw import ADULT_MIX, DrawSettings, draw

CODES = [cell.code for cell in FINE]


@pytest.fixture(scope="module")
def slide(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("drawn") / "slide"
    draw(DrawSettings(cells=24, seed=5, size=96), out)
    return out


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def test_truth_has_a_row_for_every_picture_and_is_a_manifest(slide):
    truth = pl.read_csv(slide / "truth.csv")
    assert truth["cell_id"].to_list() == sorted(path.name for path in (slide / "cells").iterdir())
    manifest = read_manifest(slide / "truth.csv")
    assert manifest["code"].to_list() == truth["label"].to_list()
    assert all(Path(path).is_file() for path in manifest["path"])
    assert manifest["group"].n_unique() == 1


def test_boxes_and_areas_are_those_of_the_pictures(slide):
    for row in pl.read_csv(slide / "truth.csv").iter_rows(named=True):
        image = pixels(slide / row["path"])
        assert image.shape == (96, 96, 3)
        assert 0 <= row["left"] < row["right"] <= 96
        box_um2 = (row["right"] - row["left"]) * (row["bottom"] - row["top"]) * row["um_per_px"] ** 2
        assert 0.5 * box_um2 < row["cell_area_um2"] <= box_um2
        assert (row["nucleus_area_um2"] == 0) == (row["label"] == "PLT")
        inside = image[row["top"] : row["bottom"], row["left"] : row["right"], 1]
        assert np.percentile(inside, 25) < 150, "something stained lies in the box"


def test_names_and_order_do_not_tell_the_class(slide):
    labels = pl.read_csv(slide / "truth.csv")["label"].to_list()
    assert labels != sorted(labels, key=CODES.index)
    assert all(path.stem.startswith("cell_") for path in (slide / "cells").iterdir())


def test_default_mix_is_an_adults():
    leukocytes = {code: weight for code, weight in ADULT_MIX.items() if code not in ("ERB", "PLT")}
    assert sum(leukocytes.values()) == 100
    assert set(ADULT_MIX) == set(CODES)


def test_cells_are_shared_out_to_the_last(tmp_path):
    result = draw(DrawSettings(cells=7, size=48, mix={"LY": 2, "SNE": 1}), tmp_path / "slide")
    assert {code: count for code, count in result.counts.items() if count} == {"SNE": 2, "LY": 5}
    assert list(result.counts) == CODES


def test_per_class_draws_every_class(tmp_path):
    result = draw(DrawSettings(per_class=1, size=48, appearance="random"), tmp_path / "slide")
    assert result.counts == dict.fromkeys(CODES, 1)
    assert sorted(pl.read_csv(result.truth)["label"].to_list()) == sorted(CODES)
    assert (tmp_path / "slide" / "sheet.png").is_file()


def test_same_settings_same_slide_another_seed_another(tmp_path):
    made = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        draw(DrawSettings(cells=6, size=48, seed=seed), tmp_path / name)
        made.append([(tmp_path / name / "cells" / f"cell_000{number}.png").read_bytes() for number in range(1, 7)])
    assert made[0] == made[1]
    assert not set(made[0]) & set(made[2])


@pytest.mark.parametrize(
    ("mix", "words"), [({"NEU": 1}, "NEU cannot be drawn"), ({"LY": 0}, "above 0"), ({"LY": -1, "SNE": 2}, "negative")]
)
def test_a_wrong_mix_is_refused_before_anything_is_written(tmp_path, mix, words):
    with pytest.raises(SettingsError, match=words):
        draw(DrawSettings(mix=mix), tmp_path / "slide")
    assert not (tmp_path / "slide").exists()


def test_a_slide_is_only_replaced_when_asked(tmp_path):
    settings = DrawSettings(cells=1, size=48)
    draw(settings, tmp_path)
    with pytest.raises(OutputError, match="--overwrite"):
        draw(settings, tmp_path)
    draw(DrawSettings(cells=2, size=48), tmp_path, overwrite=True)
    assert len(list((tmp_path / "cells").iterdir())) == 2


def test_an_interrupted_slide_is_resumed_to_the_same_end(tmp_path):
    def stop(stage, done, total):
        if done == 2:
            raise KeyboardInterrupt

    settings = DrawSettings(cells=5, size=48)
    draw(settings, tmp_path / "whole")
    out = tmp_path / "slide"
    with pytest.raises(KeyboardInterrupt):
        draw(settings, out, progress=stop)
    assert json.loads((out / "run.json").read_text())["status"] == "unfinished"
    assert not (out / "truth.csv").exists()
    with pytest.raises(OutputError, match=r"cells 5 \(now 6\)"):
        draw(DrawSettings(cells=6, size=48), out, resume=True)
    kept = (out / "cells" / "cell_0001.png").stat().st_mtime_ns
    draw(settings, out, resume=True)
    assert (out / "cells" / "cell_0001.png").stat().st_mtime_ns == kept
    assert (out / "truth.csv").read_bytes() == (tmp_path / "whole" / "truth.csv").read_bytes()
    for path in (out / "cells").iterdir():
        assert path.read_bytes() == (tmp_path / "whole" / "cells" / path.name).read_bytes()


def test_run_json_says_how_to_draw_it_again(slide):
    run = json.loads((slide / "run.json").read_text())
    assert run["status"] == "finished"
    assert sum(run["counts"].values()) == 24
    assert DrawSettings.read(slide / "run.json").seed == 5


def test_results_of_another_command_are_left_alone(tmp_path):
    (tmp_path / "run.json").write_text('{"command": "analyze"}')
    with pytest.raises(OutputError, match="another command"):
        draw(DrawSettings(cells=1, size=48), tmp_path, overwrite=True)
    assert (tmp_path / "run.json").exists()


def test_command_line_says_what_it_drew_and_draws_it_again_from_its_run(tmp_path):
    first, again = tmp_path / "slide", tmp_path / "again"
    result = CliRunner().invoke(app, ["draw", "cells", "--out", str(first), "--cells", "3", "--seed", "2"])
    assert result.exit_code == 0, result.output
    assert "leukopy analyze" in result.output
    assert len(pl.read_csv(first / "truth.csv")) == 3
    result = CliRunner().invoke(app, ["draw", "cells", "--out", str(again), "--config", str(first / "run.json")])
    assert result.exit_code == 0, result.output
    assert (again / "truth.csv").read_bytes() == (first / "truth.csv").read_bytes()


@pytest.mark.parametrize("options", [["--cells", "-1"], ["--per-class", "0"], ["--seed", "-3"], ["--appearance", "x"]])
def test_command_line_refuses_what_makes_no_sense(tmp_path, options):
    result = CliRunner().invoke(app, ["draw", "cells", "--out", str(tmp_path / "slide"), *options])
    assert result.exit_code == 2
    assert options[0] in result.output
    assert not (tmp_path / "slide").exists()
