"""Classes outside fitted to a network: it stays, its figures are of cells unseen, doubtful labels are left out."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import polars as pl
import pytest
from PIL import Image
from typer.testing import CliRunner

import leukopy
from leukopy.bundle import Bundle, open_bundle, write_bundle
from leukopy.cli.main import app
from leukopy.core.errors import BundleError, TrainingError
from leukopy.inference import activations
from leukopy.taxonomy import FINE
from leukopy.training.attribute_heads import card_for
from leukopy.training.outside_head import OutsideSettings, list_outside_cells, patient_folds, sampling
from leukopy.training.sources import list_training_cells, member_matrix
from leukopy.workflows.fit_outside import FitOutsideSettings, fit_outside
from leukopy.workflows.fold_trainings import recipes_without_parts
from support.colour_model import OUTSIDE_COLOURS, ColourModel, class_colours, colour_network, with_stages
from support.training_run import recipe

pytestmark = pytest.mark.slow

PATIENTS, WRONG = 6, ("Patient_1/blast_0.png", "Patient_4/lymphocyte_3.png")
HEAD = {
    "sources": [
        {"dataset": "hopkins", "root": "cells/hopkins", "share": 0.6, "slides": "group"},
        {"dataset": "pbc", "root": "cells/pbc", "share": 0.3, "slides": "home", "cells": 20},
        {"dataset": "folders", "root": "cells/other", "share": 0.1},
    ],
    "folds": 3, "steps": 300, "learning_rate": 0.02, "views": 1, "dropout": 0,
    "augmentation": {"stain": 0, "light": 0, "mild": 1},
}  # fmt: skip
COLOURS = {cell.code: tuple(colour) for cell, colour in zip(FINE, class_colours(), strict=True)} | OUTSIDE_COLOURS


def draw(path: Path, code: str, rng: np.random.Generator) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.full((48, 48, 3), COLOURS[code]) + rng.integers(-12, 13, 3)
    pixels[0, 0] = rng.integers(0, 256, 3)  # no picture is a copy of another
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory):
    """Three laboratories: patients with blasts and smudge cells, a split one, and one that has no cells outside."""
    root, rng = tmp_path_factory.mktemp("data"), np.random.default_rng(0)
    rows = ["file,label,patient"]
    words = {"blast": "BLAST", "smudge": "SMUDGE", "lymphocyte": "LY", "monocyte": "MO", "plasma_cell": "PLT"}
    for patient in range(PATIENTS):
        for label, code in words.items():
            for number in range({"plasma_cell": 1}.get(label, 6)):
                file = f"Patient_{patient}/{label}_{number}.png"
                drawn = {"BLAST": "LY", "LY": "BLAST"}[code] if file in WRONG else code
                draw(root / "cells" / "hopkins" / file, drawn, rng)
                rows.append(f"{file},{label},Patient_{patient}")
    (root / "cells" / "hopkins" / "labels.csv").write_text("\n".join(rows))
    split = ["file,split"]
    for number in range(66):
        code = FINE[number % len(FINE)].code
        label = {"LY": "lymphocyte", "MO": "monocyte"}.get(code)
        if label:
            file = f"{label}/{code}_{number}.png"
            draw(root / "cells" / "pbc" / file, code, rng)
            split.append(f"{file},{('train', 'train', 'val', 'test')[number // 11 % 4]}")
    (root / "cells" / "pbc" / "labels.csv").write_text("\n".join(split))
    for number in range(12):
        draw(root / "cells" / "other" / "lymphocyte" / f"{number}.png", "LY", rng)
    (root / "cells" / "other" / "lymphocyte" / "broken.png").write_text("no picture")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LEUKOPY_DATA", str(root))
        yield root


@pytest.fixture(scope="module")
def model(place: Path, colour_model: ColourModel) -> Bundle:
    content = with_stages(colour_network(32))
    return write_bundle(place / "model", card_for(open_bundle(colour_model.path).card, content), content)


@pytest.fixture(scope="module")
def fitted(place: Path, model: Bundle):
    return fit_outside(FitOutsideSettings(model=str(model.path), head=HEAD), place / "run")


def test_the_bundle_answers_them_and_the_rest_of_the_network_stays(fitted, model: Bundle, place: Path) -> None:
    bundle = open_bundle(fitted.bundle)
    assert bundle.card.answers[len(FINE) :] == ("BLAST", "SMUDGE")
    pictures = np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3), dtype=np.uint8)
    before, after = (activations(one, pictures, ["logits", "embedding"]) for one in (model, bundle))
    assert all(np.array_equal(before[name], after[name]) for name in before)
    assert bundle.card.gives_outputs_of(model.card.model.sha256)
    assert bundle.card.gives_outputs_of(bundle.card.model.sha256)
    assert not model.card.gives_outputs_of(bundle.card.model.sha256)
    cells = place / "cells" / "hopkins" / "Patient_2"
    found = leukopy.load(str(bundle.path)).predict(sorted(cells.iterdir())).cells
    named = found.filter(~pl.col("cell_id").str.contains("plasma"))
    words = {"blast": "BLAST", "smudge": "SMUDGE", "lymphocyte": "LY", "monocyte": "MO"}
    truth = [words[Path(cell_id).name.split("_")[0]] for cell_id in named["cell_id"]]
    assert named["fine"].to_list() == truth


def test_doubtful_labels_are_left_out_and_counted(fitted, place: Path) -> None:
    table = pl.read_parquet(place / "run" / "cells.parquet")
    doubtful = table.filter("doubtful")["path"].to_list()
    assert sorted(str(Path(path).relative_to(place / "cells" / "hopkins")) for path in doubtful) == sorted(WRONG)
    assert fitted.doubtful == len(WRONG)
    assert "2 more left out for a doubtful label" in fitted.card.outside.fitted_on


def test_figures_are_of_cells_that_no_head_saw(fitted, place: Path) -> None:
    report = json.loads((place / "run" / "outside.json").read_text())
    assert report["unseen"] == {
        "hopkins": "patients left out in turn", "pbc": "validation split", "folders": "left out of the fit",
    }  # fmt: skip
    assert report["classes"]["BLAST"]["cells"] == 36
    assert report["classes"]["BLAST"]["recall"]["value"] == pytest.approx(35 / 36)  # one is drawn as a lymphocyte
    assert report["not_read"] == 1
    assert report["blast_share"]["patients"] == PATIENTS
    metrics = {metric.name: metric for metric in fitted.card.outside.metrics}
    assert metrics["recall, BLAST"].value == report["classes"]["BLAST"]["recall"]["value"]
    assert metrics["recall, BLAST"].data.endswith("patients left out in turn")


def test_no_test_split_is_read_and_other_classes_outside_teach_nothing(place: Path) -> None:
    how = OutsideSettings.build(HEAD)
    cells = list_outside_cells(how, place)
    assert set(cells.filter(source="pbc")["split"]) == {"train", "val"}
    members = member_matrix(cells["code"], how.classes)
    plasma = (cells["code"] == "PLASMA").to_numpy()
    assert plasma.sum() == PATIENTS
    assert not members[plasma].any()
    assert members[~plasma].any(axis=1).all()
    blast = members[(cells["code"] == "BLAST").to_numpy()]
    assert blast.sum() == len(blast)
    assert blast[:, len(FINE)].all()


def test_sources_are_drawn_by_their_shares_and_patients_stay_together(place: Path) -> None:
    how = OutsideSettings.build(HEAD)
    cells = list_outside_cells(how, place)
    chance = sampling(cells, how, np.ones(len(cells), bool))
    sums = {name: chance[(cells["source"] == name).to_numpy()].sum() for name in ("hopkins", "pbc", "folders")}
    assert sums == pytest.approx({"hopkins": 0.6, "pbc": 0.3, "folders": 0.1})
    folds = patient_folds(cells, cells["code"].is_in(how.classes).to_numpy(), 3, seed=0)
    table = cells.with_columns(fold=folds)
    assert set(table.filter(source="hopkins")["fold"]) == {0, 1, 2}
    assert table.filter(source="hopkins").group_by("group").agg(pl.col("fold").n_unique())["fold"].max() == 1
    assert set(table.filter(pl.col("source") != "hopkins")["fold"]) == {-1}


def test_the_command_tells_the_figures(place: Path, model: Bundle) -> None:
    config = place / "fit.yaml"
    config.write_text(json.dumps({"head": {**HEAD, "folds": 2, "steps": 20}}))
    words = ["model", "fit-outside", "--config", str(config), "--model", str(model.path), "--out", str(place / "cli")]
    printed = CliRunner().invoke(app, words)
    assert printed.exit_code == 0, printed.output
    assert "AUROC against known cells, BLAST" in printed.output
    assert str(place / "cli" / "bundle") in printed.output


@pytest.fixture
def learnt(model: Bundle, tmp_path: Path) -> Bundle:
    """The model, said to have learnt blasts itself."""
    content = model.model_path.read_bytes()
    return write_bundle(tmp_path / "learnt", card_for(model.card, content, recipe={"outside": ["BLAST"]}), content)


def test_a_network_that_saw_the_patients_is_measured_by_those_that_did_not(
    place: Path, model: Bundle, learnt: Bundle, fitted, tmp_path: Path
) -> None:
    """Two networks without a part of the patients are the model; the third is another."""
    weights = onnx.load(model.model_path)
    for tensor in weights.graph.initializer:
        if onnx.numpy_helper.to_array(tensor).ndim == 4:
            tensor.CopyFrom(onnx.numpy_helper.from_array(0 * onnx.numpy_helper.to_array(tensor), tensor.name))
    content = weights.SerializeToString()
    other = write_bundle(tmp_path / "other", card_for(model.card, content), content)
    folds = tuple(str(one.path) for one in (model, model, other))
    fit_outside(FitOutsideSettings(model=str(learnt.path), fold_models=folds, head=HEAD), tmp_path / "run")
    before, after = (pl.read_parquet(run / "cells.parquet") for run in (place / "run", tmp_path / "run"))
    same = (before["evidence"].to_numpy() == after["evidence"].to_numpy()).all(axis=1)
    assert same[(before["fold"] < 2).to_numpy()].all()
    assert not same[(before["fold"] == 2).to_numpy()].any()
    with pytest.raises(TrainingError, match="its 3 trainings without each part"):
        fit_outside(FitOutsideSettings(model=str(learnt.path), head=HEAD), tmp_path / "a")
    with pytest.raises(TrainingError, match="needs no fold_models"):
        fit_outside(FitOutsideSettings(model=str(model.path), fold_models=folds, head=HEAD), tmp_path / "b")


def test_recipes_without_parts_leave_each_patient_out_once(place: Path, tmp_path: Path) -> None:
    doubtful = tmp_path / "doubtful.csv"
    doubtful.write_text("cell_id\nhopkins/Patient_0/blast_0.png\n")
    sources = [
        {"dataset": "hopkins", "root": "cells/hopkins", "share": 0.5, "left_out": str(doubtful)},
        {"dataset": "pbc", "root": "cells/pbc", "share": 0.5},
    ]
    whole, how = recipe(sources=sources, outside=["BLAST", "SMUDGE"]), OutsideSettings.build(HEAD)
    parts = list(recipes_without_parts(whole, how, place, tmp_path, {"optimisation.epochs": 1}))
    assert [part.name for part in parts] == ["test_without0", "test_without1", "test_without2"]
    every, home = list_training_cells(whole, place, whole.outside), list_training_cells(whole, place)
    gone = []
    for part in parts:
        cells = list_training_cells(part, place, part.outside)
        assert "hopkins/Patient_0/blast_0.png" not in set(cells["cell_id"])
        assert cells.filter(source="pbc").height == home.filter(source="pbc").height
        assert part.optimisation.epochs == 1
        gone += sorted(set(every.filter(source="hopkins")["group"]) - set(cells["group"]))
    assert sorted(gone) == [f"Patient_{number}" for number in range(PATIENTS)]


def test_what_cannot_be_fitted_is_told(place: Path, model: Bundle, colour_model: ColourModel, tmp_path: Path) -> None:
    known = {**HEAD, "sources": HEAD["sources"][1:]}
    with pytest.raises(TrainingError, match="no cell of BLAST, SMUDGE in the sources"):
        fit_outside(FitOutsideSettings(model=str(model.path), head=known), tmp_path / "a")
    with pytest.raises(BundleError, match="0 convolutions named"):
        fit_outside(FitOutsideSettings(model=str(colour_model.path), head=HEAD), tmp_path / "b")
