"""A grid of training settings on the folds of a cohort whose cells tell the label: tumoral is green, reactive black."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import StratifiedKFold

from leukopy.core.errors import InputError, OutputError, SettingsError, TrainingError
from leukopy.inference.rows import CellInput
from leukopy.patients.data import open_cohort
from leukopy.patients.inference.bags import cell_features, describe_network, make_bags
from leukopy.patients.training import networks as training
from leukopy.patients.training.networks.ablation import AblateSettings
from leukopy.patients.workflows.ablate import ablate, read_ablation
from support.files import CONFIGS

RECIPES = CONFIGS / "patients"
PICTURES = {
    "backbone": {"name": "lenet"},
    "preprocess": {"size": 32, "crop": 0.5, "mean": (0, 0, 0), "std": (255, 255, 255)},
}


@pytest.fixture(scope="module")
def ward(colour_model, tmp_path_factory):
    """Eight patients of 2 to 9 cells, ages that tell nothing, and a ninth without a label."""
    folder = tmp_path_factory.mktemp("cohorts") / "ward"
    rows = ["patient_id,label,age,lymphocytes"]
    for number in range(9):
        for cell in range(2 + number):
            colour_model.draw(folder / f"P{number}" / f"c{cell}.png", ("SNE", "LY")[number % 2])
        rows.append(f"P{number},{number % 2 if number < 8 else ''},60,10")
    (folder / "patients.csv").write_text("\n".join(rows))
    return folder


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LEUKOPY_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def settings(ward, colour_model):
    return AblateSettings.build(
        {
            "path": str(ward),
            "model": str(colour_model.path),
            "net": {"hidden": None, "epochs": 3},
            "learning_rates": [0.3, 1e-5],
            "decays": [0.9],
            "folds": 2,
            "seed": 3,
        }
    )


@pytest.fixture
def recorded(monkeypatch):
    """Fits that only note whom they were given, and answer that everybody is tumoral."""
    seen = []

    def fit(net, train, watch, seed, progress):
        seen.append((train, watch))
        logits = np.zeros((net.epochs, len(watch)))
        return training.BagFit(None, logits, np.zeros(net.epochs))

    monkeypatch.setattr(training, "fit_bags", fit)
    return seen


def curves(out):
    return pl.read_csv(out / "ablation.csv")


def test_patients_held_back_are_neither_trained_on_nor_scored(settings, tmp_path, recorded):
    ablate(settings.model_copy(update={"inner_share": 0.5}), tmp_path / "run")
    for train, looked_at in recorded:
        names = [[bag.patient_id for bag in bags] for bags in (train, looked_at)]
        assert (len(names[0]), len(names[1])) == (2, 2 + 4)
        assert sorted(names[0] + names[1]) == [f"P{number}" for number in range(8)]
        assert sorted(bag.label for bag in train) == [0, 1]
    assert curves(tmp_path / "run")["inner_balanced_accuracy"].unique().to_list() == [0.5]


def test_each_setting_has_a_curve_on_each_fold(settings, tmp_path):
    result = ablate(settings, tmp_path / "out")
    assert [row.setting for row in result.figures] == list(settings.grid())
    table = curves(tmp_path / "out")
    assert table["setting"].unique(maintain_order=True).to_list() == list(settings.grid())
    assert table.height == 4 * 2 * 3
    last = {row.setting: row.mean_at_last for row in result.figures}
    assert last["Adam 3e-1 decay .9"] == 1
    assert last["SGD 1e-5 decay .9"] < 1  # too slow to learn anything in three epochs
    written = (tmp_path / "out" / "ablation.md").read_text()
    assert "8 patients, 2 folds" in written
    assert (tmp_path / "out" / "ablation.png").stat().st_size > 1000
    assert json.loads((tmp_path / "out" / "run.json").read_text())["patients"] == 8


def test_a_curve_is_that_of_a_fit_by_hand(settings, tmp_path):
    ablate(settings, tmp_path / "out")
    cohort = open_cohort(settings.path)
    owned = cohort.cells.partition_by("patient_id", maintain_order=True)
    inputs = [[CellInput(*row) for row in own.select("cell_id", "path").iter_rows()] for own in owned]
    found = cell_features(describe_network(settings.model), inputs)
    values = np.concatenate([features.values for features in found])
    bags = make_bags(cohort.patients, cohort.cells, values)[:8]
    labels = [bag.label for bag in bags]
    for name, net in settings.grid().items():
        folds = StratifiedKFold(2, shuffle=True, random_state=3).split(labels, labels)
        for fold, (train, watch) in enumerate(folds, start=1):
            fit = training.fit_bags(net, [bags[row] for row in train], [bags[row] for row in watch], 3)
            truth = [labels[row] for row in watch]
            expected = [balanced_accuracy_score(truth, logits >= 0) for logits in fit.logits]
            found = curves(tmp_path / "out").filter(setting=name, fold=fold)["balanced_accuracy"]
            assert found.to_list() == pytest.approx(expected)


def test_an_interrupted_run_is_resumed_to_the_same_curves(settings, tmp_path):
    def stop(stage, done, total):
        if (stage, done) == ("fits", 3):
            raise KeyboardInterrupt

    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt, match="--resume"):
        ablate(settings, out, progress=stop)
    kept = {path: path.stat().st_mtime_ns for path in (out / "fits").iterdir()}
    assert len(kept) == 3
    with pytest.raises(OutputError, match="--resume"):
        ablate(settings, out)
    ablate(settings, out, resume=True)
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    ablate(settings, tmp_path / "whole")
    assert (out / "ablation.csv").read_bytes() == (tmp_path / "whole" / "ablation.csv").read_bytes()


def test_a_resumed_grid_may_grow_but_is_of_the_same_fits(settings, recorded, tmp_path):
    one = settings.model_copy(update={"optimisers": ("sgd",)})
    ablate(one, tmp_path / "out")
    assert len(recorded) == 4
    ablate(settings, tmp_path / "out", resume=True)
    assert len(recorded) == 8
    assert len(read_ablation(tmp_path / "out" / "run.json", {}).grid()) == 4
    with pytest.raises(OutputError, match="seed"):
        ablate(settings.model_copy(update={"seed": 4}), tmp_path / "out", resume=True)


def test_patients_of_another_cohort_are_not_mixed_in(settings, recorded, ward, tmp_path):
    shutil.copytree(ward, tmp_path / "ward")
    moved = settings.model_copy(update={"path": tmp_path / "ward"})
    ablate(moved, tmp_path / "out")
    (tmp_path / "ward" / "P3" / "c0.png").unlink()
    with pytest.raises(OutputError, match="other inputs"):
        ablate(moved, tmp_path / "out", resume=True)


def test_folds_hold_each_labelled_patient_once(settings, recorded, tmp_path):
    result = ablate(settings, tmp_path / "out")
    assert {row.mean_at_last for row in result.figures} == {0.5}  # all are said to be tumoral
    first = [{bag.patient_id for bag in watch} for _, watch in recorded[:: len(settings.grid())]]
    assert sorted(first[0] | first[1]) == [f"P{number}" for number in range(8)]
    for train, watch in recorded:
        assert not {bag.patient_id for bag in train} & {bag.patient_id for bag in watch}
        assert sum(bag.label for bag in watch) == 2


def test_pictures_are_read_as_they_are_prepared_and_validation_is_thinned(settings, recorded, tmp_path):
    values = settings.model_dump() | {"watched_cells": 4, "net": {"epochs": 1, "pictures": PICTURES}}
    ablate(AblateSettings.build(values), tmp_path / "out")
    train, watch = recorded[0]
    assert {bag.patient_id: len(bag.cells) for bag in train} == {
        bag.patient_id: 2 + int(bag.patient_id[1]) for bag in train
    }
    assert {len(bag.cells) for bag in watch} <= {2, 3, 4}
    assert any(len(bag.cells) == 4 for bag in watch)
    for bag in (*train, *watch):
        assert bag.cells.dtype == np.uint8
        assert bag.cells.shape[1:] == (32, 32, 3)
        assert (bag.cells.mean(axis=(0, 1, 2))[1] > 100) == bag.label
    assert "lenet on pictures of 32 px" in (tmp_path / "out" / "ablation.md").read_text()


def test_a_network_is_trained_from_pictures(settings, tmp_path):
    changes = {"net": {"epochs": 2, "pictures": PICTURES}, "optimisers": ["adam"], "learning_rates": [1e-3]}
    result = ablate(AblateSettings.build(settings.model_dump() | changes), tmp_path / "out")
    assert result.figures[0].last_epoch == 2
    losses = [json.loads(path.read_text())["loss"] for path in (tmp_path / "out" / "fits").iterdir()]
    assert all(loss[1] < loss[0] for loss in losses)


@pytest.mark.parametrize("net", [{"epochs": 1}, {"epochs": 1, "pictures": PICTURES}], ids=["features", "pictures"])
def test_unreadable_images_are_listed_and_left_out(settings, recorded, ward, tmp_path, net):
    shutil.copytree(ward, tmp_path / "ward")
    (tmp_path / "ward" / "P2" / "c1.png").write_text("no picture")
    for path in (tmp_path / "ward" / "P0").iterdir():
        path.write_bytes(b"")
    changes = {"path": tmp_path / "ward", "net": net}
    result = ablate(AblateSettings.build(settings.model_dump() | changes), tmp_path / "out")
    written = pl.read_csv(tmp_path / "out" / "failures.csv")
    assert written.columns == ["cell_id", "reason", "message"]
    assert written.select("cell_id", "reason").rows() == [
        ("P0/c0.png", "empty_file"), ("P0/c1.png", "empty_file"), ("P2/c1.png", "not_an_image"),
    ]  # fmt: skip
    assert result.failures.height == 3
    train, watch = recorded[0]
    sizes = {bag.patient_id: len(bag.cells) for bag in (*train, *watch)}
    assert sizes == {f"P{number}": 2 + number - (number == 2) for number in range(1, 8)}


def test_too_few_patients_for_the_folds(settings, tmp_path):
    with pytest.raises(InputError, match="4 patients are labelled reactive, too few for 5 folds"):
        ablate(settings.model_copy(update={"folds": 5}), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_fit_that_diverges_is_named_and_those_before_it_are_kept(settings, tmp_path):
    wild = settings.model_copy(update={"optimisers": ("adam",), "learning_rates": (0.3, 1e38)})
    with pytest.raises(TrainingError, match=r"Adam 1e38 decay \.9, fold 1: mean: the loss of epoch"):
        ablate(wild, tmp_path / "out")
    assert [path.name for path in (tmp_path / "out" / "fits").iterdir()] == ["adam-3e-1-decay-.9-fold-1.json"]


def test_relative_paths_lie_below_the_data_folder(settings, recorded, ward, tmp_path, monkeypatch):
    monkeypatch.setenv("LEUKOPY_DATA", str(ward.parent))
    ablate(settings.model_copy(update={"path": Path("ward")}), tmp_path / "out")
    assert len(recorded) == 8
    assert str(ward) not in "".join(
        (tmp_path / "out" / name).read_text() for name in ("run.json", "ablation.md", "ablation.csv")
    )


def test_shipped_recipes_are_what_they_say():
    seed, grid = (read_ablation(RECIPES / name, {}) for name in ("seed_resnet18.yaml", "ablation.yaml"))
    assert list(seed.grid()) == ["SGD 1e-4 decay .95"]
    assert seed.net.pictures is not None
    assert seed.net.pictures.backbone.first_weights is None
    assert len(grid.grid()) == 8
    assert grid.net.pictures is None
    for recipe in (seed, grid):
        assert (recipe.net.net, recipe.net.hidden, recipe.net.epochs, recipe.folds) == ("mean", None, 20, 5)
    with pytest.raises(SettingsError, match=r"ablation\.yaml: net\.epoch:"):
        read_ablation(RECIPES / "ablation.yaml", {"net.epoch": 3})
