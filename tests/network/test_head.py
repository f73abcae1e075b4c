"""Another last layer in the same network: the logits are its own, all else is bit for bit what it was."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest

from leukopy.bundle import open_bundle
from leukopy.core.errors import BundleError
from leukopy.network.head import read_head, with_head
from leukopy.network.outputs import with_class_activation

IMAGES = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), dtype=np.uint8)


def run(content: bytes, *names: str) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return session.run(list(names), {"images": IMAGES})


@pytest.fixture(scope="module")
def network(colour_model) -> bytes:
    return with_class_activation(onnx.load(open_bundle(colour_model.path).model_path)).SerializeToString()


def test_the_head_that_is_read_gives_the_logits(network) -> None:
    weights, bias = read_head(network)
    embedding, logits = run(network, "embedding", "logits")
    np.testing.assert_allclose(embedding @ weights.T + bias, logits, atol=1e-4)


def test_another_head_changes_logits_and_class_activation_alone(network) -> None:
    rng = np.random.default_rng(1)
    head = rng.normal(size=(11, 3)).astype(np.float32), rng.normal(size=11).astype(np.float32)
    changed = with_head(network, head)
    onnx.checker.check_model(onnx.load_from_string(changed), full_check=True)
    for before, after in zip(run(network, "embedding", "feature_map"), run(changed, "embedding", "feature_map"),
                             strict=True):  # fmt: skip
        assert np.array_equal(before, after)
    embedding, logits, activation = run(changed, "embedding", "logits", "class_activation")
    np.testing.assert_allclose(logits, embedding @ head[0].T + head[1], atol=1e-4)
    np.testing.assert_allclose(activation.mean(axis=(2, 3)), logits, atol=1e-4)


def test_a_head_of_another_size_is_refused(network) -> None:
    with pytest.raises(BundleError, match="cannot replace one of"):
        with_head(network, (np.zeros((11, 4), np.float32), np.zeros(11, np.float32)))


def test_a_network_without_a_linear_head_is_refused(network) -> None:
    other = onnx.load_from_string(network)
    next(node for node in other.graph.node if "logits" in node.output).input[0] = "pooled"
    with pytest.raises(BundleError, match="not a linear function of its embedding"):
        read_head(other.SerializeToString())
