"""A run's network comes back with its weights; a checkpoint that is none is refused, and nothing in it is executed."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from leukopy.core.errors import InputError, SettingsError
from leukopy.core.files import write_json
from leukopy.imaging.preprocess import Preprocess
from leukopy.models.cell_net import CellNet
from leukopy.models.checkpoints import fresh_net, load_net

SETTINGS = {"backbone": {"name": "lenet", "dropout": 0.3}, "preprocess": {"size": 32, "mean": (100, 110, 120)}}


@pytest.fixture
def trained() -> CellNet:
    return CellNet("lenet", Preprocess.build(SETTINGS["preprocess"]), pretrained=False)


@pytest.fixture
def run(tmp_path: Path, trained: CellNet) -> Path:
    """As `leukopy train` leaves it: the weights begin with ``net.``, beside values of other kinds."""
    write_json(tmp_path / "run.json", {"command": "train", "settings": SETTINGS})
    (tmp_path / "checkpoints").mkdir()
    state = {f"net.{name}": value for name, value in trained.state_dict().items()}
    save(tmp_path, {"state_dict": state, "epoch": 4, "optimizer_states": [{"lr": 0.1}]})
    return tmp_path


def save(run: Path, content: object) -> None:
    torch.save(content, run / "checkpoints" / "best.ckpt")


def test_the_network_answers_as_it_did(run: Path, trained: CellNet) -> None:
    pictures = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8))
    with torch.inference_mode():
        torch.testing.assert_close(load_net(run)(pictures).logits, trained.eval()(pictures).logits)


def test_a_fresh_one_does_not(run: Path, trained: CellNet) -> None:
    state = torch.random.get_rng_state()
    first, again, other = (fresh_net(run, seed).head.weight for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert not torch.equal(first, trained.head.weight)
    assert torch.equal(torch.random.get_rng_state(), state)  # nobody else's chance is changed


class Hostile:
    """Runs a command when it is unpickled carelessly."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_a_hostile_checkpoint_is_not_executed(run: Path, tmp_path: Path) -> None:
    save(run, {"state_dict": {}, "callbacks": Hostile(tmp_path / "harm")})
    with pytest.raises(InputError, match=r"best\.ckpt: is damaged, or holds more than weights"):
        load_net(run)
    (run / "checkpoints" / "best.ckpt").write_bytes(pickle.dumps(Hostile(tmp_path / "harm")))
    with pytest.raises(InputError, match=r"is damaged, or holds more than weights"):
        load_net(run)
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize("content", [b"", b"no checkpoint", b"PK\x03\x04"])
def test_a_damaged_checkpoint(run: Path, content: bytes) -> None:
    (run / "checkpoints" / "best.ckpt").write_bytes(content)
    with pytest.raises(InputError, match=r"is damaged"):
        load_net(run)


def test_a_truncated_checkpoint(run: Path) -> None:
    path = run / "checkpoints" / "best.ckpt"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InputError, match=r"is damaged"):
        load_net(run)


@pytest.mark.parametrize("content", [{"epoch": 1}, {"state_dict": [1]}, {"state_dict": {"net.a": 1}}, [1, 2]])
def test_a_foreign_checkpoint(run: Path, content: object) -> None:
    save(run, content)
    with pytest.raises(InputError, match=r"holds no weights of leukopy"):
        load_net(run)


def test_weights_of_another_size(run: Path) -> None:
    write_json(run / "run.json", {"command": "train", "settings": {**SETTINGS, "preprocess": {"size": 64}}})
    with pytest.raises(InputError, match=r"does not hold the weights of the network that run\.json describes"):
        load_net(run)


def test_no_checkpoint(run: Path) -> None:
    (run / "checkpoints" / "best.ckpt").unlink()
    with pytest.raises(InputError, match=r"there is no such checkpoint. Give the folder"):
        load_net(run)


@pytest.mark.parametrize(
    "record", [[], {"command": "analyze"}, {"command": "train"}, {"command": "train", "settings": {}}]
)
def test_a_folder_that_is_no_training(tmp_path: Path, record: object) -> None:
    write_json(tmp_path / "run.json", record)
    with pytest.raises(InputError, match=r"Give the folder of a run"):
        load_net(tmp_path)


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot be read"):
        load_net(tmp_path / "absent")


def test_a_backbone_that_is_not_known(run: Path) -> None:
    write_json(run / "run.json", {"command": "train", "settings": {**SETTINGS, "backbone": {"name": "resnet999"}}})
    with pytest.raises(SettingsError, match=r"resnet999"):
        load_net(run)
