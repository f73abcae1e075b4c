"""The exported detector gives what torch gives, at other sizes than the exporter's example."""

from pathlib import Path

import numpy as np
import torch

from leukopy.models.detector import FieldNet
from leukopy.training.detector.export import difference, to_onnx


def test_onnx_agrees_with_torch_and_not_with_another_network(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net, other = FieldNet(pretrained=False, width=16), FieldNet(pretrained=False, width=16)
    to_onnx(net, tmp_path / "model.onnx")
    images = np.random.default_rng(0).integers(0, 256, (3, 64, 96, 3), dtype=np.uint8)
    assert difference(net, tmp_path / "model.onnx", images) < 1e-3
    assert difference(other, tmp_path / "model.onnx", images) > 1e-3
