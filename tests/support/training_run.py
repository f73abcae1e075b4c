"""Recipes and runs of small networks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from leukopy.training.settings import TrainSettings

SIDE = 32


def recipe(**changes: object) -> TrainSettings:
    """A LeNet on the class folders in ``lab``."""
    from leukopy.training.settings import TrainSettings

    values: dict[str, object] = {
        "name": "test",
        "title": "Test",
        "description": "For tests.",
        "backbone": {"name": "lenet"},
        "preprocess": {"size": 48},
        "sources": [{"dataset": "folders", "root": "lab", "share": 1, "validation_share": 0.3}],
        "optimisation": {"epochs": 2, "batch_size": 8, "learning_rate": 1e-3},
    }
    return TrainSettings.build(values | changes)


def write_run(folder: Path) -> bytes:
    """A folder as `leukopy train` leaves it but for the bundle: a LeNet with its first weights; its ONNX network."""
    import torch

    from leukopy.core.files import write_json
    from leukopy.imaging.preprocess import Preprocess
    from leukopy.models.cell_net import CellNet
    from leukopy.training.export import _to_onnx

    settings = {"backbone": {"name": "lenet", "dropout": 0.1}, "preprocess": {"size": SIDE}}
    write_json(folder / "run.json", {"command": "train", "settings": settings})
    torch.manual_seed(0)
    net = CellNet("lenet", Preprocess(size=SIDE), pretrained=False).eval()
    (folder / "checkpoints").mkdir()
    weights = {f"net.{name}": value for name, value in net.state_dict().items()}
    torch.save({"state_dict": weights, "epoch": 3}, folder / "checkpoints" / "best.ckpt")
    _to_onnx(net, SIDE, folder / "model.onnx")
    return (folder / "model.onnx").read_bytes()
