"""Settings that change the loss, the optimiser, the precision and the first weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from leukopy.core.errors import SettingsError, TrainingError
from leukopy.core.files import read_json
from leukopy.models.backbones import BACKBONES
from leukopy.training.lightning_module import CellModule, class_weights
from leukopy.training.settings import BackboneChoice, Loss
from leukopy.training.sources import member_matrix
from leukopy.workflows.train import train
from support.drawn import draw_classes
from support.training_run import recipe


@pytest.fixture
def laboratory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Class folders of drawn cells."""
    draw_classes(tmp_path / "lab", {"LY": 8, "EO": 8, "NEU": 8}, size=64)
    monkeypatch.setenv("LEUKOPY_DATA", str(tmp_path))
    monkeypatch.setenv("LEUKOPY_CACHE", str(tmp_path / "cache"))
    return tmp_path


def test_all_of_them_train_together(laboratory: Path) -> None:
    settings = recipe(
        loss={"class_weights": "balanced", "focal_gamma": 2, "mixup_alpha": 0.4},
        optimisation={"epochs": 2, "batch_size": 8, "optimiser": "sgd", "precision": "bf16", "class_balance": 0},
    )
    train(settings, laboratory / "run")
    run = read_json(laboratory / "run" / "run.json")
    assert run["minutes"] >= 0
    assert run["settings"]["loss"]["mixup_alpha"] == 0.4
    losses = pl.read_csv(laboratory / "run" / "curves" / "version_0" / "metrics.csv")["train/loss"].drop_nulls()
    assert losses.is_finite().all()


def test_first_weights_of_a_file_are_those_that_training_begins_with(laboratory: Path) -> None:
    lenet = BACKBONES["lenet"].build(48, False)
    torch.save(lenet.state_dict(), laboratory / "lenet.pth")
    settings = recipe(backbone={"name": "lenet", "weights": str(laboratory / "lenet.pth")})
    assert torch.equal(CellModule(settings).net.backbone.features[0].weight, lenet.features[0].weight)
    result = train(settings, laboratory / "run")
    assert result.card.model.pretrained is not None
    assert result.card.model.pretrained.startswith("the file lenet.pth, sha256 ")


def test_where_the_first_weights_come_from_is_said() -> None:
    assert BackboneChoice(name="vgg16").first_weights is None
    assert "vgg16.tv_in1k" in str(BackboneChoice(name="vgg16", pretrained=True).first_weights)
    with pytest.raises(TrainingError, match=r"no\.pth: there is no such file"):
        _ = BackboneChoice(name="vgg16", weights=Path("no.pth")).first_weights
    with pytest.raises(SettingsError, match="give one of pretrained, weights and run"):
        BackboneChoice.build({"name": "vgg16", "pretrained": True, "weights": "w.pth"})


def test_classes_weigh_what_the_recipe_says() -> None:
    members = member_matrix(pl.Series(["SNE"] * 3 + ["EO"]))
    assert class_weights(recipe(), members) is None
    balanced = class_weights(recipe(loss={"class_weights": "balanced"}), members)
    assert balanced is not None
    np.testing.assert_allclose(balanced[:3], [4 / 6, 0, 2], rtol=1e-6)
    given = class_weights(recipe(loss={"class_weights": {"IG": 3, "PMY": 5, "EO": 0.5}}), members)
    assert given is not None
    assert given.tolist() == [1, 1, 0.5, 1, 1, 1, 3, 3, 5, 1, 1]


@pytest.mark.parametrize("wrong", [{"BLAST": 1}, {"XX": 1}, {"EO": -1}, {"EO": float("inf")}, "heavy"])
def test_weights_of_no_class_are_refused(wrong: object) -> None:
    with pytest.raises(SettingsError, match="class_weights"):
        Loss.build({"class_weights": wrong})
