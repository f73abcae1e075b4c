"""A network in 8-bit integers answers as the one it was made from."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from leukopy.core.errors import SettingsError
from leukopy.imaging.preprocess import Preprocess
from leukopy.inference.sessions import open_in_openvino
from leukopy.models.cell_net import CellNet
from leukopy.network import quantise
from leukopy.network.outputs import inputs_of, with_attributes, with_class_activation, with_statistics
from leukopy.network.quantise import _mean_outputs, quantised
from leukopy.network.session import exact_options
from leukopy.training.export import _to_onnx

pytestmark = pytest.mark.slow

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
    session = onnxruntime.InferenceSession(content, exact_options(), providers=["CPUExecutionProvider"])
    return session.run([name], {"images": IMAGES[40:]})[0]


def test_it_sees_nearly_the_same_in_pictures_that_it_was_not_set_up_with(network, rounded) -> None:
    exact, found = run(network, "embedding"), run(rounded, "embedding")
    lengths = np.linalg.norm(exact, axis=1) * np.linalg.norm(found, axis=1)
    assert ((exact * found).sum(axis=1) / lengths).min() > 0.98


def test_biases_give_back_what_rounding_takes_from_the_means(network, rounded, monkeypatch) -> None:
    monkeypatch.setattr(quantise, "_keep_means", lambda *_: None)
    plain = quantised(network, IMAGES[:40])
    exact, before, after = (run(content, "embedding") for content in (network, plain, rounded))
    missed = [np.abs((found - exact).mean(axis=0)).mean() for found in (before, after)]
    assert missed[1] < 0.85 * missed[0]


def test_the_mean_of_what_a_layer_would_give_with_other_weights() -> None:
    """Literally: a kernel of ones over a plain picture counts the pixels that it covers, fewer at the edges."""
    from onnx import TensorProto, helper, numpy_helper

    nodes = [
        helper.make_node("Cast", ["images"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["floats"], ["channels"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["channels", "weight", "bias"], ["out"], name="layer", pads=[1, 1, 1, 1], group=3),
    ]
    taken = helper.make_tensor_value_info("images", TensorProto.UINT8, ["batch", 4, 4, 3])
    given = helper.make_tensor_value_info("out", TensorProto.FLOAT, ["batch", 3, 4, 4])
    constants = {"weight": np.zeros((3, 1, 3, 3), np.float32), "bias": np.full(3, 7, np.float32)}
    initialisers = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "one layer", [taken], [given], initialisers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    images = np.tile(np.array([1, 2, 5], np.uint8), (30, 4, 4, 1))  # more than one batch
    (means,) = _mean_outputs(model, {"layer": np.ones((3, 1, 3, 3), np.float32)}, images).values()
    np.testing.assert_allclose(means, np.array([1, 2, 5]) * (4 * 4 + 8 * 6 + 4 * 9) / 16)


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


def test_every_layer_of_the_backbone_is_computed_in_integers(rounded, tmp_path) -> None:
    options = exact_options()
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    options.log_severity_level = 4  # it warns that what it writes suits this machine only
    onnxruntime.InferenceSession(rounded, options, providers=["CPUExecutionProvider"])
    graph = onnx.load(tmp_path / "optimised.onnx").graph
    assert sum(node.op_type == "QLinearConv" for node in graph.node) == 49
    assert [node.op_type for node in graph.node if "Conv" in node.op_type and node.op_type != "QLinearConv"] == ["Conv"]
    assert next(node for node in graph.node if node.op_type == "Conv").name.startswith("class_activation")


def test_attributes_stay_in_floating_point(network) -> None:
    model = onnx.load_from_string(network)
    maps = inputs_of(model, ["blocks.2.0.conv_pw"])
    layer = (RNG.normal(size=(3, 2 * sum(maps.values()))).astype(np.float32), np.zeros(3, np.float32))
    exact = with_attributes(model, maps, [layer]).SerializeToString()
    found = quantised(exact, IMAGES[:40])
    before, after = run(exact, "attributes"), run(found, "attributes")
    assert np.corrcoef(before.ravel(), after.ravel())[0, 1] > 0.99
    names = [node.name for node in onnx.load_from_string(found).graph.node if node.op_type == "QuantizeLinear"]
    assert not [name for name in names if name.startswith("statistics")]


def test_what_a_layer_reads_is_found_by_the_same_name(network, rounded) -> None:
    stages = ["blocks.2.0.conv_pw", "blocks.4.0.conv_dw", "conv_head"]
    models = [onnx.load_from_string(content) for content in (network, rounded)]
    maps = [inputs_of(model, stages) for model in models]
    assert [list(found.values()) for found in maps] == [[24, 480, 320]] * 2
    exact, found = (
        run(with_statistics(model, own).SerializeToString(), "statistics")
        for model, own in zip(models, maps, strict=True)
    )
    assert np.corrcoef(exact.ravel(), found.ravel())[0, 1] > 0.99


def test_what_is_added_afterwards_leaves_every_bit_as_it_was(rounded) -> None:
    """A map that one more part reads could be computed otherwise: the integers are the same, whoever reads them."""
    model = onnx.load_from_string(rounded)
    maps = inputs_of(model, ["blocks.2.0.conv_pw", "blocks.3.0.conv_pw", "blocks.6.0.conv_pw"])
    layer = (RNG.normal(size=(3, 2 * sum(maps.values()))).astype(np.float32), np.zeros(3, np.float32))
    content = with_attributes(model, maps, [layer]).SerializeToString()
    for output in model.graph.output:
        assert np.array_equal(run(rounded, output.name), run(content, output.name)), output.name
    assert np.isfinite(run(content, "attributes")).all()


def test_openvino_comes_as_near_to_the_network_it_was_made_from(network, rounded, tmp_path) -> None:
    pytest.importorskip("openvino")
    (tmp_path / "model.onnx").write_bytes(rounded)
    try:
        openvino = open_in_openvino(tmp_path / "model.onnx", "0" * 64, ("embedding",), 8, 1)
    except SettingsError:
        pytest.skip("OpenVINO's 8-bit integers overflow on this processor")
    found, exact = openvino.run(["embedding"], {"images": IMAGES[40:]})[0], run(network, "embedding")
    assert found.shape == exact.shape
    lengths = np.linalg.norm(exact, axis=1) * np.linalg.norm(found, axis=1)
    assert ((exact * found).sum(axis=1) / lengths).min() > 0.98
