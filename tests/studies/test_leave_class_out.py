"""One class left out of the training, on drawn cells: what is trained, what is scored, and what is kept."""

from __future__ import annotations

import polars as pl
import pytest
import yaml
from PIL import Image
from typer.testing import CliRunner

from leukopy.bundle import open_bundle
from leukopy.cli.main import app
from leukopy.core.errors import SettingsError
from leukopy.studies.leave_class_out import leave_out, read_left_out
from leukopy.synthesis import draw_cell

COUNTS = {"train": 8, "val": 12, "test": 4}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three classes of drawn cells, one of them a sum, and a recipe that takes a second."""
    folder = tmp_path_factory.mktemp("data")
    lines, seed = ["path,label,split"], 0
    for split, count in COUNTS.items():
        for code in ("LY", "EO", "SNE") * count:
            seed += 1
            Image.fromarray(draw_cell(code, seed=seed, size=48).image).save(folder / f"{seed}.png")
            lines.append(f"{seed}.png,{code},{split}")
    (folder / "cells.csv").write_text("\n".join(lines))
    recipe = {
        "name": "t", "title": "T", "description": "For tests.", "backbone": {"name": "lenet"},
        "preprocess": {"size": 32}, "sources": [{"dataset": "manifest", "root": "cells.csv", "share": 1}],
        "optimisation": {"epochs": 9, "batch_size": 4},
    }  # fmt: skip
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    settings = {
        "name": "x", "title": "Left out", "recipe": "recipe.yaml", "changes": {"optimisation.epochs": 1},
        "classes": ["EO", "NEU"], "keep_rate": 0.9, "ood_score": {"stages": ["features.3"]},
    }  # fmt: skip
    (folder / "open_set.yaml").write_text(yaml.safe_dump(settings))
    return folder


@pytest.fixture(scope="module", autouse=True)
def _place(folder):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LEUKOPY_DATA", str(folder))
        patch.setenv("LEUKOPY_CACHE", str(folder / "cache"))
        yield


@pytest.fixture(scope="module")
def settings(folder):
    return read_left_out(folder / "open_set.yaml")


@pytest.fixture(scope="module")
def eosinophils(folder, settings):
    """What there is once eosinophils were left out."""
    return leave_out(settings, folder / "out", only=("EO",))


def test_a_class_is_left_out_of_the_training_and_scored(eosinophils, settings):
    assert settings.recipe["optimisation"]["epochs"] == 1
    (row,) = eosinophils.rows
    assert (row.code, row.score.unknown, row.score.known) == ("EO", 4, 8)
    assert "EO" not in row.taken_for
    assert sum(row.taken_for.values()) == 4
    assert set(row.others) == {"highest probability", "highest logit"}
    card = open_bundle(eosinophils.out / "EO" / "open" / "bundle").card
    assert card.recipe["without"] == ["EO"]
    assert card.trained_on[0].images == 16  # two classes of eight
    assert "24 images" in card.open_set.fitted_on  # of validation, two classes of twelve


def test_other_settings_are_refused(eosinophils, settings):
    other = settings.model_copy(update={"recipe": {**settings.recipe, "seed": 5}})
    with pytest.raises(SettingsError, match="trained with other settings"):
        leave_out(other, eosinophils.out, only=("EO",))
    with pytest.raises(SettingsError, match="--class BA: no class that is left out"):
        leave_out(settings, eosinophils.out, only=("BA",))
    with pytest.raises(SettingsError, match="left out once"):
        type(settings).build({**settings.model_dump(), "classes": ["EO", "EO"]})


def test_the_command_goes_on_and_keeps_what_is_finished(eosinophils, folder):
    out, (row,) = eosinophils.out, eosinophils.rows
    checkpoint = out / "EO" / "model" / "checkpoints" / "last.ckpt"
    trained = checkpoint.stat().st_mtime_ns
    result = CliRunner().invoke(app, ["study", "leave-out", str(folder / "open_set.yaml"), "--out", str(out)])
    assert result.exit_code == 0, result.output
    assert "Left out" in result.output
    assert checkpoint.stat().st_mtime_ns == trained
    table = pl.read_csv(out / "open_set.csv")
    assert table["left_out"].to_list() == ["EO", "NEU"]
    assert table["unknown"].to_list() == [4, 4]  # segmented neutrophils are all of the neutrophils here
    assert table["auroc"][0] == pytest.approx(row.score.auroc.value, abs=1e-4)
    assert "| **mean of 2** |" in (out / "summary.md").read_text()
    with Image.open(out / "open_set.png") as picture:
        assert picture.width > 500
