"""A bundle that is taught what it does not know: its classes stay, its threshold keeps what it says."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import polars as pl
import pytest
import yaml
from onnx import helper, numpy_helper
from PIL import Image
from typer.testing import CliRunner

import leukopy
from leukopy import taxonomy
from leukopy.bundle import open_bundle, write_bundle
from leukopy.cli.main import app
from leukopy.core.errors import BundleError, TrainingError
from leukopy.inference import file_activations
from leukopy.inference.reasons import NO_CELL
from leukopy.inference.rows import OOD_SCHEMA
from leukopy.slides import slide as slide_module
from leukopy.slides.ood_correction import baseline
from leukopy.training.attribute_heads import card_for
from leukopy.workflows.analyze import AnalyzeSettings, analyze
from leukopy.workflows.fit_ood import OpenSetSettings, fit_open_set
from leukopy.workflows.predict import PredictSettings, predict

PER_SPLIT = 88
LOOK = {"stages": ["look"]}
"""The convolution whose input is looked at."""


@pytest.fixture
def model(colour_model, tmp_path, monkeypatch) -> Path:
    """The colours, as if trained by a recipe on a manifest whose cells are a little off their class colour.

    A convolution reads the colours; what it makes of them, nothing reads.
    """
    monkeypatch.setenv("LEUKOPY_DATA", str(tmp_path))
    monkeypatch.setenv("LEUKOPY_CACHE", str(tmp_path / "cache"))
    rng = np.random.default_rng(0)
    rows = ["path,label,split"]
    for split in ("train", "val", "test"):
        for number in range(PER_SPLIT):
            code = taxonomy.FINE[number % 11].code
            path = colour_model.draw(tmp_path / "cells" / split / f"{number}.png", code)
            pixels = np.asarray(Image.open(path)) + rng.integers(-20, 21, 3)
            Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path)
            rows.append(f"{path.relative_to(tmp_path)},{code},{split}")
    (tmp_path / "cells" / "val" / "5.png").write_text("no picture")
    (tmp_path / "cells.csv").write_text("\n".join(rows))
    bundle = open_bundle(colour_model.path)
    network = onnx.load(bundle.model_path)
    network.graph.initializer.append(numpy_helper.from_array(np.ones((1, 3, 1, 1), np.float32), "look.weight"))
    network.graph.node.append(helper.make_node("Conv", ["channels", "look.weight"], ["looked"], name="look"))
    content = network.SerializeToString()
    recipe = {
        "name": "r", "title": "R", "description": "For tests.", "backbone": {"name": "lenet"},
        "preprocess": {"size": 32}, "sources": [{"dataset": "manifest", "root": "cells.csv", "share": 1}],
    }  # fmt: skip
    card = card_for(bundle.card.model_copy(update={"recipe": recipe}), content)
    return write_bundle(tmp_path / "model", card, content).path


@pytest.fixture
def fitted(model, tmp_path):
    return fit_open_set(OpenSetSettings(model=str(model), keep_rate=0.9, ood_score=LOOK), tmp_path / "run")


def test_the_threshold_keeps_its_share_and_the_card_says_so(fitted, tmp_path) -> None:
    card = open_bundle(fitted.bundle).card
    assert card.open_set is not None
    assert card.open_set.keep_rate == 0.9
    assert "validation split of manifest, 87 images" in card.open_set.fitted_on
    assert "They are 88, of manifest." in card.open_set.method
    paths = [str(path) for path in (tmp_path / "cells" / "val").iterdir() if path.name != "5.png"]
    ood_score, _ = file_activations(open_bundle(fitted.bundle), paths, "ood_score")
    assert (ood_score > card.open_set.threshold * 1.0001).sum() == 7  # all but ceil(88 x .9) of 87
    far, _ = file_activations(open_bundle(fitted.bundle), paths, "ood_score.far")
    assert card.open_set.baseline == pytest.approx(baseline(ood_score, far), rel=1e-2)
    assert 0 <= fitted.false["manifest"].value < 0.25
    assert card.open_set.metrics[0].value == fitted.false["manifest"].value
    assert json.loads((fitted.bundle.parent / "open_set.json").read_text())["threshold"] == card.open_set.threshold


def test_the_classes_stay_and_the_sets_come(fitted, model, tmp_path) -> None:
    paths = sorted((tmp_path / "cells" / "test").iterdir())
    before, after = (leukopy.load(str(bundle)).predict(paths).cells for bundle in (model, fitted.bundle))
    assert before.drop("flags").equals(after.select(before.columns).drop("flags"))
    assert "fine_set" in after.columns  # the card had no threshold for the sets
    assert "fine_set" not in before.columns


def test_what_is_like_no_class_comes_out_as_unidentified(fitted, colour_model, tmp_path) -> None:
    known = colour_model.draw(tmp_path / "known.png", "LY")
    Image.new("RGB", (64, 64), (127, 127, 127)).save(tmp_path / "grey.png")  # amid all class colours
    cells = leukopy.load(str(fitted.bundle)).predict([known, tmp_path / "grey.png", tmp_path / "gone.png"]).cells
    assert set(OOD_SCHEMA) <= set(cells.columns)
    first, grey = cells.rows(named=True)
    assert first["ood_score"] <= 1
    assert (first["flags"], first["unidentified_reason"]) == ("", None)
    assert grey["ood_score"] > 1
    assert grey["flags"].split(";")[0] == "unidentified"
    assert grey["unidentified_reason"] == NO_CELL
    assert grey["fine"] in {cell.code for cell in taxonomy.FINE}  # the best guess stays


@pytest.fixture
def elsewhere(tmp_path) -> Path:
    """The test cells as by another stain, which the model has not learnt."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    for path in (tmp_path / "cells" / "test").iterdir():
        pixels = np.asarray(Image.open(path)).astype(float)
        Image.fromarray((pixels * 0.4 + 70).astype(np.uint8)).save(folder / path.name)
    return folder


def test_in_an_unknown_laboratory_a_cell_is_strange_among_its_slide(fitted, elsewhere) -> None:
    classifier = leukopy.load(str(fitted.bundle))
    paths = sorted(elsewhere.iterdir())
    alone = pl.concat([classifier.predict([path]).cells for path in paths])
    together = classifier.predict(paths).cells
    bundle = open_bundle(fitted.bundle)
    uncorrected, _ = file_activations(bundle, [str(path) for path in paths], "ood_score")
    assert (uncorrected > bundle.card.open_set.threshold).mean() > 0.9
    assert (alone["ood_score"] <= 1).all()  # there is nothing to stand out from
    assert 0 < (together["ood_score"] > 1).mean() < 0.35
    assert together["flags"].str.contains("unidentified").equals(together["ood_score"] > 1)
    assert together["unidentified_reason"].is_not_null().equals(together["ood_score"] > 1)
    assert together.select("fine", "digest").equals(alone.select("fine", "digest"))
    np.testing.assert_allclose(together["confidence"], alone["confidence"], atol=1e-6)


def test_a_known_laboratory_is_judged_as_ever(fitted, tmp_path) -> None:
    bundle = open_bundle(fitted.bundle)
    paths = sorted((tmp_path / "cells" / "test").iterdir())
    card = bundle.card.model_copy(update={"open_set": bundle.card.open_set.model_copy(update={"baseline": None})})
    older = write_bundle(tmp_path / "older", card, bundle.model_path.read_bytes())
    own, absolute = (leukopy.load(str(path)).predict(paths).cells for path in (bundle.path, older.path))
    assert own["flags"].equals(absolute["flags"])
    np.testing.assert_allclose(own["ood_score"], absolute["ood_score"], atol=0.2)


def test_an_interrupted_slide_is_judged_by_all_its_cells(fitted, elsewhere, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(slide_module, "ROWS", 16)
    settings = AnalyzeSettings(input=elsewhere, model=str(fitted.bundle), threads=1)

    def stop(stage, done, total) -> None:
        if done >= 48:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        analyze(settings, tmp_path / "stopped", progress=stop)
    analyze(settings, tmp_path / "stopped", resume=True)
    analyze(settings, tmp_path / "whole")
    predict(PredictSettings(input=elsewhere, model=str(fitted.bundle)), tmp_path / "rows.parquet")
    stopped, whole, rows = (
        pl.read_parquet(path)
        for path in (tmp_path / "stopped" / "cells.parquet", tmp_path / "whole" / "cells.parquet",
                     tmp_path / "rows.parquet")
    )  # fmt: skip
    assert stopped.equals(whole)
    assert rows.equals(whole.drop("review_rank"))
    assert (whole["ood_score"] > 1).mean() < 0.35


def test_a_picture_that_cannot_be_read_is_told(fitted) -> None:
    assert fitted.failures == 1
    failures = pl.read_csv(fitted.bundle.parent / "failures.csv")
    assert failures["cell_id"][0].endswith("val/5.png")


def test_fitting_again_replaces_what_was_there(fitted, tmp_path) -> None:
    again = fit_open_set(OpenSetSettings(model=str(fitted.bundle), keep_rate=0.9, ood_score=LOOK), tmp_path / "again")
    assert again.card == fitted.card
    assert (again.bundle / "model.onnx").read_bytes() == (fitted.bundle / "model.onnx").read_bytes()


def test_what_cannot_be_fitted_is_refused(model, colour_model, tmp_path) -> None:
    with pytest.raises(BundleError, match="holds no recipe of a network"):
        fit_open_set(OpenSetSettings(model=str(colour_model.path)), tmp_path / "a")
    with pytest.raises(TrainingError, match="87 known cells are too few"):
        fit_open_set(OpenSetSettings(model=str(model), keep_rate=0.999, ood_score=LOOK), tmp_path / "b")
    with pytest.raises(TrainingError, match="0 convolutions named 'blocks"):
        fit_open_set(OpenSetSettings(model=str(model)), tmp_path / "c")


def test_the_command(model, tmp_path) -> None:
    settings = tmp_path / "settings.yaml"
    settings.write_text(yaml.safe_dump({"model": str(model), "ood_score": LOOK}))
    result = CliRunner().invoke(app, ["model", "fit-ood", "--config", str(settings), "--out", str(tmp_path / "run")])
    assert result.exit_code == 3, result.output  # one picture is broken
    assert "Known test cells of manifest flagged unidentified" in result.output
    assert open_bundle(tmp_path / "run" / "bundle").card.open_set is not None
