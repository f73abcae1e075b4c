"""A bundle that learns how its laboratories look: its answers stay, and slides unlike them are told in every result."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image
from typer.testing import CliRunner

import leukopy
from leukopy import taxonomy
from leukopy.bundle import open_bundle, write_bundle
from leukopy.cli.main import app
from leukopy.core.errors import BundleError, InputError
from leukopy.inference.rows import APPEARANCE_SCHEMA
from leukopy.reports.model_card import model_card
from leukopy.slides import result_parts as parts
from leukopy.workflows.adapt import AdaptSettings, adapt
from leukopy.workflows.analyze import AnalyzeSettings, analyze
from leukopy.workflows.fit_slide_check import FitSlideCheckSettings, fit_slide_check
from leukopy.workflows.predict import PredictSettings, predict

NOTE = "This slide looks unlike the training data"


def draw(folder: Path, colour_model, count: int, light: float = 1.0, classes: int = 11) -> list[str]:
    """Cells a little off their class colour, on a bright border whose light is ``light``; returns their codes."""
    rng = np.random.default_rng(count)
    codes = [taxonomy.FINE[number % classes].code for number in range(count)]
    for number, code in enumerate(codes):
        path = colour_model.draw(folder / f"{number:03d}.png", code)
        pixels = np.asarray(Image.open(path)) + rng.integers(-15, 16, 3)
        pixels[:12] = 240 + rng.integers(-4, 5, 3)
        Image.fromarray((light * pixels).clip(0, 255).astype(np.uint8)).save(path)
    return codes


@pytest.fixture(scope="module")
def laboratory(tmp_path_factory, colour_model):
    """A folder with the training cells, a model whose recipe names them, and the model with its check."""
    folder = tmp_path_factory.mktemp("laboratory")
    codes = draw(folder / "cells", colour_model, 220)
    (folder / "cells" / "005.png").write_text("no picture")
    rows = [f"cells/{number:03d}.png,{code},{'val' if number < 11 else 'train'}" for number, code in enumerate(codes)]
    rows[5] = rows[5].replace("val", "train")
    (folder / "cells.csv").write_text("\n".join(["path,label,split", *rows]))
    bundle = open_bundle(colour_model.path)
    recipe = {
        "name": "r", "title": "R", "description": "For tests.", "backbone": {"name": "lenet"},
        "preprocess": {"size": 32}, "sources": [
            {"dataset": "manifest", "root": "cells.csv", "share": 0.9}, {"dataset": "drawn", "share": 0.1, "images": 22}
        ],
    }  # fmt: skip
    card = bundle.card.model_copy(update={"recipe": recipe})
    model = write_bundle(folder / "model", card, bundle.model_path.read_bytes()).path
    (model / "neighbours.npz").write_bytes(b"an index")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LEUKOPY_DATA", str(folder))
        patch.setenv("LEUKOPY_CACHE", str(folder / "cache"))
        yield folder, model, fit_slide_check(FitSlideCheckSettings(model=str(model)), folder / "run")


@pytest.fixture(scope="module")
def slides(tmp_path_factory, colour_model) -> Path:
    """``usual``, ``dim`` and ``few`` cells; ``one_class`` of them."""
    folder = tmp_path_factory.mktemp("slides")
    draw(folder / "usual", colour_model, 44)
    draw(folder / "dim", colour_model, 45, light=0.6)
    draw(folder / "few", colour_model, 19, light=0.6)
    draw(folder / "one_class", colour_model, 30, classes=1)
    return folder


def analysed(slides: Path, name: str, laboratory, out: Path):
    return analyze(AnalyzeSettings(input=slides / name, model=str(laboratory[2].bundle), threads=1), out)


def test_the_card_says_how_the_laboratory_looks_and_the_network_stays(laboratory) -> None:
    _, model, result = laboratory
    check = open_bundle(result.bundle).card.slide_check
    assert check is not None
    assert [(one.name, one.images) for one in check.laboratories] == [("Your own table of images", 209)]  # none drawn
    assert set(check.classes) == {cell.code for cell in taxonomy.COARSE}
    assert (result.bundle / "model.onnx").read_bytes() == (model / "model.onnx").read_bytes()
    assert (result.bundle / "neighbours.npz").read_bytes() == b"an index"
    assert result.failures == 1
    assert pl.read_csv(result.bundle.parent / "failures.csv")["cell_id"][0].endswith("005.png")
    assert "Out-of-distribution slides" in model_card(result.card)


def test_classes_and_probabilities_are_as_before(laboratory, slides) -> None:
    paths = sorted((slides / "usual").iterdir())
    before, after = (leukopy.load(str(model)).predict(paths) for model in (laboratory[1], laboratory[2].bundle))
    assert before.cells.equals(after.cells)
    assert before.appearance is None
    assert after.appearance is not None
    assert after.appearance.schema == pl.Schema(APPEARANCE_SCHEMA)
    assert len(after.appearance) == len(paths)
    nothing = leukopy.load(str(laboratory[2].bundle)).predict([slides / "gone.png"])
    assert nothing.appearance is not None
    assert nothing.appearance.is_empty()


def test_an_unusual_slide_is_told_in_every_result(laboratory, slides, tmp_path) -> None:
    result = analysed(slides, "dim", laboratory, tmp_path / "out")
    assert result.record.distance is not None
    assert result.record.distance.distance > 1
    assert result.record.distance.nearest == "Your own table of images"
    run = json.loads((tmp_path / "out" / "run.json").read_text())
    distance = result.record.distance
    assert run["slide"]["distance"] == {"distance": distance.distance, "nearest": distance.nearest, "cells": 45}
    assert json.loads((tmp_path / "out" / "differential.json").read_text())["notes"][0].startswith(NOTE)
    assert NOTE in result.report.read_text()
    assert not set(APPEARANCE_SCHEMA) & set(pl.read_parquet(tmp_path / "out" / "cells.parquet").columns)
    again = analyze(AnalyzeSettings.read(tmp_path / "out" / "run.json"), tmp_path / "out", resume=True)
    assert again == result


@pytest.mark.parametrize("name", ["usual", "one_class"])
def test_a_usual_slide_is_not_remarked_on_whatever_its_classes(laboratory, slides, tmp_path, name) -> None:
    result = analysed(slides, name, laboratory, tmp_path / "out")
    assert result.record.distance is not None
    assert result.record.distance.distance < 1
    assert NOTE not in result.report.read_text()


def test_of_few_cells_or_by_an_older_bundle_nothing_is_said(laboratory, slides, tmp_path) -> None:
    assert analysed(slides, "few", laboratory, tmp_path / "few").record.distance is None
    older = analyze(AnalyzeSettings(input=slides / "dim", model=str(laboratory[1])), tmp_path / "older")
    assert older.record.distance is None
    assert json.loads((tmp_path / "older" / "run.json").read_text())["slide"]["distance"] is None


def test_an_interrupted_run_says_the_same(laboratory, slides, tmp_path, monkeypatch) -> None:
    whole = analysed(slides, "dim", laboratory, tmp_path / "whole")
    monkeypatch.setattr(parts, "PART_ROWS", 16)
    monkeypatch.setattr("leukopy.slides.slide.ROWS", 16)

    def stop(stage: str, done: int, total: int) -> None:
        if done >= 16:
            raise KeyboardInterrupt

    settings = AnalyzeSettings(input=slides / "dim", model=str(laboratory[2].bundle), threads=1)
    with pytest.raises(KeyboardInterrupt):
        analyze(settings, tmp_path / "out", progress=stop)
    result = analyze(settings, tmp_path / "out", resume=True)
    assert result.record == whole.record
    assert result.differential == whole.differential


def test_predict_says_it_too(laboratory, slides, tmp_path) -> None:
    bundle = str(laboratory[2].bundle)
    found = predict(PredictSettings(input=slides / "dim", model=bundle), tmp_path / "rows.csv")
    assert found.slides[""] == analysed(slides, "dim", laboratory, tmp_path / "out").record
    assert not set(APPEARANCE_SCHEMA) & set(pl.read_csv(tmp_path / "rows.csv").columns)
    shown = CliRunner().invoke(app, ["predict", str(slides / "dim"), "--model", bundle])
    assert NOTE in shown.stderr
    assert NOTE not in shown.stdout
    assert NOTE not in CliRunner().invoke(app, ["predict", str(slides / "usual"), "--model", bundle]).stderr


def test_a_model_adapted_to_a_laboratory_knows_its_slides(laboratory, colour_model, slides, tmp_path) -> None:
    codes = draw(tmp_path / "cells", colour_model, 46, light=0.6)
    lines = [f"cells/{number:03d}.png,{code},slide {number // 11}" for number, code in enumerate(codes)]
    (tmp_path / "corrected.csv").write_text("\n".join(["path,code,group", *lines]))
    settings = AdaptSettings(labels=tmp_path / "corrected.csv", model=str(laboratory[2].bundle), variants=0)
    adapted = adapt(settings, tmp_path / "adapted").bundle
    found = (
        predict(PredictSettings(input=slides / "dim", model=str(adapted)), tmp_path / "rows.csv").slides[""].distance
    )
    assert found is not None
    assert found.nearest == "the laboratory of corrected.csv"
    assert found.distance < 1


def test_fitting_again_gives_the_same_card(laboratory, tmp_path) -> None:
    again = fit_slide_check(FitSlideCheckSettings(model=str(laboratory[2].bundle)), tmp_path / "again")
    assert again.card == laboratory[2].card


def test_what_cannot_be_fitted_or_used_is_refused(laboratory, colour_model, tmp_path) -> None:
    with pytest.raises(BundleError, match="holds no recipe of a network"):
        fit_slide_check(FitSlideCheckSettings(model=str(colour_model.path)), tmp_path / "a")
    card = laboratory[2].card
    other = card.slide_check.model_copy(update={"measures": ("mood",)})
    network = (laboratory[1] / "model.onnx").read_bytes()
    write_bundle(tmp_path / "other", card.model_copy(update={"slide_check": other}), network)
    with pytest.raises(BundleError, match="other measures \\(mood\\)"):
        open_bundle(tmp_path / "other")


def test_pictures_that_are_gone_are_told(laboratory, tmp_path, monkeypatch) -> None:
    (tmp_path / "cells.csv").write_text("path,label,split\nx.png,LY,train\ny.png,LY,val\n")
    monkeypatch.setenv("LEUKOPY_DATA", str(tmp_path))
    with pytest.raises(InputError, match="none of the images of the recipe can be read"):
        fit_slide_check(FitSlideCheckSettings(model=str(laboratory[1])), tmp_path / "run")


def test_the_command(laboratory, tmp_path) -> None:
    words = [
        "model",
        "fit-slide-check",
        "--model",
        str(laboratory[1]),
        "--out",
        str(tmp_path / "run"),
        "--images",
        "100",
    ]
    result = CliRunner().invoke(app, words)
    assert result.exit_code in {0, 3}, result.output  # the broken picture may be among the hundred
    check = open_bundle(tmp_path / "run" / "bundle").card.slide_check
    assert check is not None
    assert check.laboratories[0].images in {99, 100}
