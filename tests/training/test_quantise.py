"""A network in 8-bit integers answers as the one it was made from."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from leukopy.imaging.preprocess import Preprocess
from leukopy.models.cell_net import CellNet
from leukopy.training.export import _to_onnx
from leukopy.training.graph import with_class_activation
from leukopy.training.quantise import quantised

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (60, 1, 1, 3), dtype=np.uint8) + RNG.integers(0, 60, (60, 32, 32, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("network") / "model.onnx"
    _to_onnx(CellNet("tf_efficientnet_lite0", Preprocess(size=32), pretrained=False).eval(), 32, path)
    return with_class_activation(onnx.load(path)).SerializeToString()


@pytest.fixture(scope="module")
def rounded(network: bytes) -> bytes:
    return quantised(network, IMAGES[:40])


def run(content: bytes, name: str) -> np.ndarray:
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return session.run([name], {"images": IMAGES[40:]})[0]


def test_it_sees_nearly_the_same_in_pictures_that_it_was_not_set_up_with(network, rounded) -> None:
    exact, found = run(network, "embedding"), run(rounded, "embedding")
    lengths = np.linalg.norm(exact, axis=1) * np.linalg.norm(found, axis=1)
    assert ((exact * found).sum(axis=1) / lengths).min() > 0.98


def test_it_is_smaller_and_has_the_same_outputs(network, rounded) -> None:
    assert len(rounded) < 0.5 * len(network)
    names = [[output.name for output in onnx.load_from_string(content).graph.output] for content in (network, rounded)]
    assert names[0] == names[1]
    onnx.checker.check_model(onnx.load_from_string(rounded))


def test_the_head_stays_exact(rounded) -> None:
    np.testing.assert_allclose(run(rounded, "class_activation").mean(axis=(2, 3)), run(rounded, "logits"), atol=1e-3)


def test_pictures_are_read_as_the_integers_they_are(rounded) -> None:
    graph = onnx.load_from_string(rounded).graph
    assert not [node for node in graph.node if node.op_type in ("Cast", "Sub", "Div")]
    scale = next(constant for constant in graph.initializer if constant.name == "images.scale")
    assert onnx.numpy_helper.to_array(scale) == pytest.approx(1 / 128)
