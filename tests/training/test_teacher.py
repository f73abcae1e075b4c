"""A network that learns from another one's answers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from leukopy.bundle import DatasetUse, is_learnt, open_bundle, read_learnt, write_learnt
from leukopy.core.errors import BundleError, SettingsError, TrainingError
from leukopy.core.files import file_digest, write_json
from leukopy.imaging.preprocess import Preprocess
from leukopy.models.checkpoints import load_net
from leukopy.taxonomy import FINE, fine_members
from leukopy.training.settings import Distillation
from leukopy.training.teacher import Teacher
from leukopy.workflows.train import train
from support.colour_model import class_colours
from support.training_run import recipe

pytestmark = pytest.mark.usefixtures("places")

CODES = ("LY", "EO", "PLT")


@pytest.fixture
def teacher(build_bundle, tmp_path) -> Path:
    """A teacher that knows classes by their colour, and learnt from a picture elsewhere."""
    folder = build_bundle(tmp_path / "teacher")
    elsewhere = DatasetUse(name="elsewhere", licence="CC0-1.0", citation="nobody", images=5)
    card = open_bundle(folder).card.model_copy(update={"trained_on": (elsewhere,)})
    write_json(folder / "card.json", card.model_dump(mode="json"))
    write_learnt(folder, ["ab" * 32])
    return folder


def _plain(side: int) -> torch.Tensor:
    """One picture of each of ``CODES``, uint8 (N, side, side, 3)."""
    colours = class_colours()[[fine_members(code)[0] for code in CODES]].astype(np.uint8)
    return torch.from_numpy(np.tile(colours[:, None, None], (1, side, side, 1)))


def test_a_pupil_believes_its_teacher_where_labels_are_wrong(teacher, colour_model, tmp_path):
    rows = []
    for place, code in enumerate(CODES * 8):
        path = colour_model.draw(tmp_path / f"{place}.png", code)
        wrong = CODES[(CODES.index(code) + 1) % len(CODES)]
        rows.append({"cell_id": str(place), "path": str(path), "label": wrong, "truth": code})
    table = pl.DataFrame(rows).with_columns(split=pl.Series(["train"] * 18 + ["val"] * 6))
    table.drop("truth").write_csv(tmp_path / "manifest.csv")
    settings = recipe(
        sources=[{"dataset": "manifest", "root": str(tmp_path / "manifest.csv"), "share": 1}],
        preprocess={"size": 48},
        optimisation={
            "epochs": 12,
            "batch_size": 6,
            "learning_rate": 0.005,
            "epoch": "last",
            "average": 0.5,
        },
        distillation={"teacher": str(teacher), "share": 1},
    )
    trained = train(settings, tmp_path / "run")
    net = load_net(tmp_path / "run")
    with torch.inference_mode():
        found = net(_plain(48)).logits.argmax(dim=1)
    assert [FINE[int(place)].code for place in found] == list(CODES)
    assert trained.card.provenance["teacher"].startswith(open_bundle(teacher).card.title)
    assert "elsewhere" in {use.name for use in trained.card.trained_on}
    learnt = read_learnt(trained.bundle)
    assert is_learnt(learnt, ["ab" * 32, file_digest(tmp_path / "0.png"), "cd" * 32]).tolist() == [True, True, False]


def test_teacher_and_pupil_see_cells_alike(teacher):
    """A disc as wide as half the pupil's picture: on the teacher's it is as much wider as it sees less around it."""
    card = open_bundle(teacher).card
    card = card.model_copy(update={"preprocess": card.preprocess.model_copy(update={"crop": 0.6})})
    write_json(teacher / "card.json", card.model_dump(mode="json"))
    side, size = 60, card.preprocess.size
    y, x = np.mgrid[:side, :side]
    disc = (np.hypot(y - 29.5, x - 29.5) < 15).astype(np.uint8) * 255
    images = torch.from_numpy(np.repeat(disc[None, :, :, None], 3, axis=3))
    for crop, width in ((1.0, 0.5 / 0.6), (0.75, 0.5 / 0.8), (0.5, 0.5)):  # a teacher that knows more sees it whole
        seen = Teacher(Distillation(teacher=str(teacher)), Preprocess(size=side, crop=crop)).view(images)
        assert seen.shape == (1, size, size, 3)
        assert float(seen.float().mean()) / 255 == pytest.approx(np.pi / 4 * width**2, abs=0.03)


def test_the_loss_is_least_at_the_teachers_answers(teacher):
    taught = Teacher(Distillation(teacher=str(teacher)), Preprocess(size=48))
    images = _plain(48)
    answers = torch.from_numpy(taught._engine.compute(taught.view(images).numpy())["logits"])
    own_classes = torch.randn(len(CODES), 2)
    assert float(taught.loss(images, torch.cat([answers + 3, own_classes], dim=1))) == pytest.approx(0, abs=1e-5)
    assert float(taught.loss(images, answers.roll(1, dims=0))) > 0.1


def test_a_teacher_that_cannot_teach_is_refused(teacher, tmp_path):
    with pytest.raises(BundleError, match="no model of this name"):
        Teacher(Distillation(teacher=str(tmp_path / "nowhere")), Preprocess())
    with pytest.raises(TrainingError, match="set white_balance and stain"):
        Teacher(Distillation(teacher=str(teacher)), Preprocess(white_balance=True))
    with pytest.raises(SettingsError, match="share"):
        recipe(distillation={"teacher": "default", "share": 0})
