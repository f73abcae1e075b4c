"""A generator of cells, from its recipe to the judged pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image
from typer.testing import CliRunner

from leukopy.cli.main import app
from leukopy.core.errors import InputError, OutputError, SettingsError, TrainingError
from leukopy.core.files import read_json
from leukopy.datasets import open_dataset
from leukopy.studies.generate import generate, read_generator
from leukopy.training.generator import GENERATOR_FILE, GeneratorSettings, load_generator
from leukopy.workflows.recipes import read
from support.drawn import draw_classes
from support.files import CONFIGS

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Class folders of drawn cells."""
    draw_classes(tmp_path / "data" / "lab", dict.fromkeys(("LY", "EO", "PLT", "NEU"), 10), size=80)
    monkeypatch.setenv("LEUKOPY_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("LEUKOPY_CACHE", str(tmp_path / "cache"))


def recipe(**changes: object) -> GeneratorSettings:
    values: dict[str, object] = {
        "kind": "generator",
        "name": "test",
        "title": "Test",
        "description": "For tests.",
        "preprocess": {"size": 32},
        "sources": [
            {"dataset": "folders", "root": "lab", "share": 0.5, "validation_share": 0.3},
            {"dataset": "drawn", "share": 0.5, "images": 22},
        ],
        "width": 16,
        "optimisation": {"epochs": 1, "batch_size": 8, "average": 0.5, "epoch": "last"},
        "made": {"per_class": 3, "least": 2, "steps": 2, "moved": 2},
    }
    return GeneratorSettings.build(values | changes)


def test_pictures_are_made_judged_and_taken_by_a_training(tmp_path: Path) -> None:
    out = tmp_path / "out"
    report = generate(recipe(), out)
    made = report.made["made"]
    assert set(made.laboratories) == {"folders", "drawn"}
    assert made.of("folders", "LY").sum() == 3
    assert set(report.made["moved"].laboratories) == {"drawn"}
    listed = open_dataset("manifest", out / "made.csv")
    assert len(listed) == len(made) + len(report.made["moved"])
    assert sorted(listed["code"].unique()) == sorted(set(made.codes))
    row = listed.filter(pl.col("slide") == "made folders").row(0, named=True)
    with Image.open(row["path"]) as first:
        assert np.array_equal(np.asarray(first), made.pixels[made.laboratories == "folders"][0])
    figures = read_json(out / "generated.json")
    assert "esearch use only" in figures["use"]
    assert {(look["kind"], look["laboratory"]) for look in figures["looks"]} == {
        ("made", "folders"), ("made", "drawn"), ("moved", "drawn")
    }  # fmt: skip
    assert {source["name"] for source in figures["trained_on"]} >= {"drawn by leukopy"}
    assert all(look["copies"]["ratio"] > 0 for look in figures["looks"])
    assert [row["kind"] for row in figures["fitted"]] == ["made", "real"]
    assert figures["fitted"][0]["pictures"] == figures["fitted"][1]["pictures"]
    assert "Research use only" in (out / "generated.md").read_text()
    key = pl.read_csv(out / "blinded_key.csv")
    assert key["kind"].value_counts()["count"].n_unique() == 1  # as many real as made ones
    for name in ("sheet_folders.png", "closest.png", "blinded.png"):
        with Image.open(out / name) as sheet:
            assert sheet.size[0] > 100


def test_a_run_resumes_without_training_again(tmp_path: Path) -> None:
    out = tmp_path / "out"
    generate(recipe(), out)
    first = (out / GENERATOR_FILE).read_bytes()
    pictures = (out / "made" / "made_000001.png").read_bytes()
    generate(recipe(), out, resume=True)
    assert (out / GENERATOR_FILE).read_bytes() == first
    assert (out / "made" / "made_000001.png").read_bytes() == pictures
    with pytest.raises(OutputError, match="already holds results"):
        generate(recipe(), out)
    with pytest.raises(OutputError, match="width 16 \\(now 32\\)"):
        generate(recipe(width=32), out, resume=True)
    with pytest.raises(InputError, match="not the weights of this generator"):
        load_generator(recipe(width=32), out)


def test_what_cannot_be_made_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="no class has 1000 training pictures"):
        generate(recipe(made={"least": 1000}), tmp_path / "out")
    with pytest.raises(SettingsError, match="outside"):
        recipe(outside=["BLAST"])
    with pytest.raises(SettingsError, match="size"):
        recipe(preprocess={"size": 50})


def test_the_command_prints_the_figures(tmp_path: Path) -> None:
    path = tmp_path / "recipe.json"
    path.write_text(recipe().model_dump_json())
    found = CliRunner().invoke(
        app, ["study", "generate", str(path), "--out", str(tmp_path / "out"), "--set", "made.moved=0"]
    )
    assert found.exit_code == 0, found.output
    assert "Classifier fitted to" in found.output
    assert (tmp_path / "out" / "made.csv").is_file()
    assert not (tmp_path / "out" / "moved").exists()


def test_its_recipe_trains_no_classifier() -> None:
    path = CONFIGS / "generator.yaml"
    assert read_generator(path, {"made.moved": 5}).made.moved == 5
    with pytest.raises(SettingsError, match="leukopy study generate"):
        read(path, {})
