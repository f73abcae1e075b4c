"""A head that reads the maps inside a network: right logits, class activations that keep them as mean, and back."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper, numpy_helper

from leukopy.bundle import open_bundle
from leukopy.core.errors import BundleError
from leukopy.network.head import read_head
from leukopy.network.outputs import inputs_of, with_class_activation, with_statistics
from leukopy.network.wide_head import WIDE, has_stages, with_wide_embedding, with_wide_head, without_wide_head

IMAGES = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), dtype=np.uint8)
STAGES = ("first.conv", "second.conv")


@pytest.fixture(scope="module")
def network(colour_model) -> bytes:
    """The colour network with two convolutions before its pooling, each from 3 channels to 3."""
    model = with_class_activation(onnx.load(open_bundle(colour_model.path).model_path))
    at, pool = next((at, node) for at, node in enumerate(model.graph.node) if node.op_type == "AveragePool")
    rng = np.random.default_rng(1)
    for index, stage in enumerate(STAGES):
        weights = rng.normal(size=(3, 3, 1, 1)).astype(np.float32)
        model.graph.initializer.append(numpy_helper.from_array(weights, f"net.{stage}.weight"))
        made = helper.make_node("Conv", [pool.input[0], f"net.{stage}.weight"], [f"map{index}"], name=stage)
        model.graph.node.insert(at + index, made)
        pool.input[0] = made.output[0]
    return model.SerializeToString()


@pytest.fixture(scope="module")
def head() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(2)
    return rng.normal(size=(11, 15)).astype(np.float32), rng.normal(size=11).astype(np.float32)


def run(content: bytes, *names: str) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return session.run(list(names), {"images": IMAGES})


def test_the_wide_embedding_is_the_embedding_and_the_statistics_of_the_maps(network) -> None:
    content, width = with_wide_embedding(network, STAGES)
    model = onnx.load_from_string(network)
    (statistics,) = run(with_statistics(model, inputs_of(model, STAGES)).SerializeToString(), "statistics")
    embedding, wide = run(content, "embedding", WIDE)
    assert width == wide.shape[1] == 3 + 2 * 2 * 3
    np.testing.assert_allclose(wide, np.concatenate([embedding, statistics], axis=1), atol=1e-5)


def test_the_logits_are_those_of_the_wide_head_and_the_mean_of_the_class_activations(network, head) -> None:
    changed = with_wide_head(network, head, STAGES)
    onnx.checker.check_model(onnx.load_from_string(changed), full_check=True)
    (wide,) = run(with_wide_embedding(network, STAGES)[0], WIDE)
    logits, activation = run(changed, "logits", "class_activation")
    np.testing.assert_allclose(logits, wide @ head[0].T + head[1], atol=1e-4)
    np.testing.assert_allclose(activation.mean(axis=(2, 3)), logits, atol=1e-4)
    for before, after in zip(run(network, "embedding", "feature_map"), run(changed, "embedding", "feature_map"),
                             strict=True):  # fmt: skip
        assert np.array_equal(before, after)


def test_what_was_added_is_taken_out_again_and_the_whole_head_is_told(network, head) -> None:
    plain, found = without_wide_head(with_wide_head(network, head, STAGES))
    assert all(np.array_equal(part, own) for part, own in zip(found, head, strict=True))
    assert np.array_equal(read_head(plain)[0], head[0][:, :3])
    assert [output.name for output in onnx.load_from_string(plain).graph.output] == [
        output.name for output in onnx.load_from_string(network).graph.output
    ]
    again = with_wide_head(plain, found, STAGES)
    assert np.array_equal(run(again, "logits")[0], run(with_wide_head(network, head, STAGES), "logits")[0])


def test_a_network_without_a_wide_head_comes_back_with_its_own(network) -> None:
    plain, (weights, _) = without_wide_head(network)
    assert weights.shape == (11, 3)
    assert np.array_equal(run(plain, "logits")[0], run(network, "logits")[0])


def test_a_network_without_the_stages_is_told(network) -> None:
    assert has_stages(network, STAGES)
    assert not has_stages(network)
    with pytest.raises(BundleError, match=r"0 convolutions named 'third\.conv'"):
        with_wide_embedding(network, ("first.conv", "third.conv"))
