"""A laboratory's own labels and own classes through train, evaluate and analyze."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from leukopy.bundle import open_bundle, read_learnt
from leukopy.core.errors import InputError, TrainingError, UnknownLabelError
from leukopy.taxonomy import FINE, find
from leukopy.training.data import CellData
from leukopy.workflows.adapt import AdaptSettings, adapt
from leukopy.workflows.analyze import AnalyzeSettings, analyze
from leukopy.workflows.evaluate import EvaluateSettings, evaluate
from leukopy.workflows.train import MANIFEST_FILE, train
from support.drawn import draw_classes
from support.training_run import recipe

TABLE = """label;code;name;french;place
linfocito;lymphocyte;;;
Plaqueta;PLT;;;
hairy_cell;HAIRY;hairy cell;tricholeucocyte;
tricoleucocito;HAIRY;;;
"""
LOOKS = {"linfocito": "LY", "plaqueta": "PLT", "hairy_cell": "EO"}
"""Folder -> class of leukopy that its cells are drawn as."""


def settings(**source: object):
    source = {"dataset": "folders", "root": "mine", "share": 1, "validation_share": 0.2, "test_share": 0.2} | source
    return recipe(
        sources=[source],
        preprocess={"size": 48},
        optimisation={"epochs": 30, "batch_size": 8, "learning_rate": 0.003},
    )


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("own")
    for folder, code in LOOKS.items():
        draw_classes(root / "drawn", {code: 14}, size=64)
        (root / "mine").mkdir(exist_ok=True)
        (root / "drawn" / code).rename(root / "mine" / folder)
    (root / "labels.csv").write_text(TABLE, "utf-8")
    return root


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("run")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LEUKOPY_DATA", str(data))
        patch.setenv("LEUKOPY_CACHE", str(out / "cache"))
        train(settings(label_map="labels.csv"), out / "run")
    return out / "run"


def test_a_training_learns_own_classes_and_writes_its_manifest(run: Path) -> None:
    bundle = open_bundle(run / "bundle")
    assert bundle.card.outside is not None
    assert bundle.card.outside.classes == ("HAIRY",)
    assert find("HAIRY").french == "tricholeucocyte"
    manifest = pl.read_csv(run / MANIFEST_FILE)
    assert set(manifest["code"]) == {"LY", "PLT", "HAIRY"}
    assert set(manifest["split"]) == {"train", "val", "test"}
    learnt = read_learnt(bundle.path)
    assert learnt is not None
    assert len(learnt) == manifest.filter(split="train").height


def test_an_evaluation_scores_own_classes_on_the_split_of_the_training(run: Path, tmp_path: Path) -> None:
    chosen = EvaluateSettings(data=str(run / MANIFEST_FILE), model=str(run / "bundle"), replicates=100)
    found = evaluate(chosen, tmp_path / "test").evaluation
    assert found.split == "test"
    assert found.counts["learnt"] == found.counts["outside"] == 0
    support = {score.code: score.support for score in found.coarse.classification.classes}
    listed = pl.read_csv(run / MANIFEST_FILE).filter(split="test")
    assert support["HAIRY"] == listed.filter(code="HAIRY").height > 0
    assert found.coarse.classification.accuracy.value > 0.8  # the three kinds of drawn cells are easily told apart
    assert found.fine is not None
    assert [cell.code for cell in found.fine.classes] == [*(cell.code for cell in FINE), "HAIRY"]
    for page in ("report.html", "summary.md"):
        assert "hairy cell" in (tmp_path / "test" / page).read_text("utf-8").lower()


def test_images_that_the_model_learnt_from_are_left_out(run: Path, tmp_path: Path) -> None:
    """The folder itself is given, by the names in the card alone, but for two folders of other names."""
    data = {"data": str(run / MANIFEST_FILE), "model": str(run / "bundle"), "replicates": 100}
    listed = pl.read_csv(run / MANIFEST_FILE)
    train_images = listed.filter(split="train").height
    found = evaluate(EvaluateSettings(**data, split="all"), tmp_path / "all").evaluation
    assert found.counts["learnt"] == train_images
    assert found.counts["scored"] == len(listed) - train_images
    whole = evaluate(EvaluateSettings(**data, split="all", with_learnt=True), tmp_path / "whole").evaluation
    assert whole.counts["scored"] == len(listed)
    with pytest.raises(InputError, match="learnt from all"):
        evaluate(EvaluateSettings(**data, split="train"), tmp_path / "train")


def test_a_folder_is_evaluated_with_a_table_of_labels(run: Path, data: Path, tmp_path: Path) -> None:
    chosen = {"data": "folders", "root": data / "mine", "model": str(run / "bundle"), "replicates": 100}
    with pytest.raises(UnknownLabelError, match="linfocito"):
        evaluate(EvaluateSettings(**chosen), tmp_path / "none")
    table = str(data / "labels.csv")
    found = evaluate(EvaluateSettings(**chosen, label_map=table), tmp_path / "whole").evaluation
    assert found.split == "all"
    assert found.counts["scored"] + found.counts["learnt"] == 42


def test_a_differential_counts_own_classes(run: Path, data: Path, tmp_path: Path) -> None:
    """42 cells, all counted as one slide: hairy cells are leukocytes and share the 100 % with lymphocytes."""
    result = analyze(AnalyzeSettings(input=data / "mine", model=str(run / "bundle")), tmp_path / "out")
    lines = {line.code: line for line in result.differential.lines}
    assert lines["HAIRY"].count >= 10
    assert lines["HAIRY"].name == "hairy cell"
    assert lines["HAIRY"].count + lines["LY"].count == pytest.approx(28, abs=5)
    assert "hairy cell" in (tmp_path / "out" / "differential.csv").read_text("utf-8")
    assert "airy cell" in (tmp_path / "out" / "report.html").read_text("utf-8")


@pytest.mark.usefixtures("run")
def test_a_class_without_training_images_is_found_before_the_first_epoch(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LEUKOPY_CACHE", str(tmp_path))
    table = tmp_path / "labels.csv"
    table.write_text(TABLE + "sideroblast;SIDERO;sideroblast;;outside\n", "utf-8")
    with pytest.raises(TrainingError, match="no training image of SIDERO"):
        CellData(settings(label_map=str(table)), data, tmp_path, lambda *_: None)


def test_an_adaptation_refits_own_classes(run: Path, tmp_path: Path) -> None:
    """The manifest of the training is taken as it is: its test split is held out."""
    given = AdaptSettings(labels=run / MANIFEST_FILE, model=str(run / "bundle"), variants=1)
    result = adapt(given, tmp_path / "run")
    assert "test split" in result.held_out
    support = {score.code: score.support for score in result.after.classes.classes}
    assert support["HAIRY"] > 0
    assert result.after.classes.accuracy.value >= result.before.classes.accuracy.value - 0.1
    outside = open_bundle(result.bundle).card.outside
    assert outside is not None
    assert outside.classes == ("HAIRY",)
    learnt = read_learnt(result.bundle)
    assert learnt is not None
    assert len(learnt) == pl.read_csv(run / MANIFEST_FILE).filter(pl.col("split") != "test").height
