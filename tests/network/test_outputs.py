"""What is added to an ONNX network is right, and changes nothing that was there."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest

from leukopy.bundle import open_bundle
from leukopy.core.errors import BundleError, TrainingError
from leukopy.network.head import linear_head, with_head
from leukopy.network.ood_reference import OodReference
from leukopy.network.outputs import (
    CENTRE,
    FAR,
    inputs_of,
    with_attributes,
    with_centre,
    with_class_activation,
    with_ood_score,
    with_statistics,
    without_attributes,
    without_ood_score,
)
from leukopy.training.export import averages_its_map
from leukopy.training.ood_score import OodSettings, far_of, fit_ood_reference, ood_score_of, parts_of, scaled

IMAGES = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), dtype=np.uint8)


def run(model: onnx.ModelProto, names: list[str], images: np.ndarray = IMAGES) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(names, {"images": images})


@pytest.fixture(scope="module")
def network(colour_model) -> onnx.ModelProto:
    return onnx.load(colour_model.path / "model.onnx")


def test_its_mean_over_the_positions_is_the_logits(network) -> None:
    extended = with_class_activation(network)
    onnx.checker.check_model(extended, full_check=True)
    (before,) = run(network, ["logits"])
    logits, activation = run(extended, ["logits", "class_activation"])
    assert np.array_equal(before, logits)
    assert activation.shape == (5, 11, 4, 4)
    np.testing.assert_allclose(activation.mean(axis=(2, 3)), logits, atol=1e-4)


def test_each_position_is_the_head_on_its_own_features(network) -> None:
    """Literally: cut one position out as a picture of its own, and classify it."""
    extended = with_class_activation(network)
    (activation,) = run(extended, ["class_activation"])
    corner = np.tile(IMAGES[:, 8:16, 24:32], (1, 4, 4, 1))  # the network pools squares of 8 px
    np.testing.assert_allclose(activation[:, :, 1, 3], run(network, ["logits"], corner)[0], atol=1e-4)


def test_adding_twice_is_adding_once(network) -> None:
    once = with_class_activation(network)
    assert with_class_activation(once) == once
    assert [output.name for output in network.graph.output] == ["logits", "embedding", "feature_map"]  # not changed


def test_a_head_that_is_not_linear_on_the_embedding(network) -> None:
    other = onnx.ModelProto()
    other.CopyFrom(network)
    next(node for node in other.graph.node if "logits" in node.output).input[0] = "pooled"
    with pytest.raises(BundleError, match="not a linear function of its embedding"):
        with_class_activation(other)


def test_whether_a_network_averages_its_map_is_measured(network, tmp_path) -> None:
    onnx.save(network, tmp_path / "averages.onnx")
    assert averages_its_map(tmp_path / "averages.onnx", IMAGES)
    other = onnx.ModelProto()
    other.CopyFrom(network)
    next(node for node in other.graph.node if node.op_type == "GlobalAveragePool").op_type = "GlobalMaxPool"
    onnx.save(other, tmp_path / "other.onnx")
    assert not averages_its_map(tmp_path / "other.onnx", IMAGES)


def test_statistics_are_mean_and_deviation_of_each_channel(network) -> None:
    extended = with_statistics(network, {"channels": 3, "feature_map": 3})
    onnx.checker.check_model(extended, full_check=True)
    statistics, feature_map = run(extended, ["statistics", "feature_map"])
    pixels = (IMAGES.astype(np.float32) - 127) / 128
    literal = [
        pixels.mean(axis=(1, 2)),
        pixels.std(axis=(1, 2)),
        feature_map.mean(axis=(2, 3)),
        feature_map.std(axis=(2, 3)),
    ]
    np.testing.assert_allclose(statistics, np.concatenate(literal, axis=1), atol=1e-4)
    flat = run(extended, ["statistics"], np.full((1, 32, 32, 3), 127, np.uint8))[0]
    assert np.isfinite(flat).all()  # a picture of one colour deviates nowhere


def test_attributes_are_the_layers_on_the_statistics(network) -> None:
    rng = np.random.default_rng(2)
    layers = [
        (rng.normal(size=shape).astype(np.float32), rng.normal(size=shape[0]).astype(np.float32))
        for shape in ((7, 6), (4, 7))
    ]
    extended = with_attributes(network, {"channels": 3}, layers)
    onnx.checker.check_model(extended, full_check=True)
    before, logits, attributes = *run(network, ["logits"]), *run(extended, ["logits", "attributes"])
    assert np.array_equal(before, logits)
    assert [output.name for output in extended.graph.output][-1] == "attributes"
    (statistics,) = run(with_statistics(network, {"channels": 3}), ["statistics"])
    (first, first_bias), (last, last_bias) = layers
    literal = np.maximum(statistics @ first.T + first_bias, 0) @ last.T + last_bias
    np.testing.assert_allclose(attributes, literal, rtol=1e-4, atol=1e-4)


def test_attributes_can_be_taken_out_again(network) -> None:
    network = with_class_activation(network)
    layer = (np.ones((4, 6), np.float32), np.zeros(4, np.float32))
    assert without_attributes(with_attributes(network, {"channels": 3}, [layer])) == network


def test_the_centre_is_what_maps_hold_of_the_middle(network) -> None:
    extended = with_centre(network, {"channels": 3, "feature_map": 3}, 0.2)
    onnx.checker.check_model(extended, full_check=True)
    (centre,) = run(extended, [CENTRE])
    pixels = (IMAGES.astype(np.float64) - 127) / 128
    literal = []
    for values in (pixels, pixels.reshape(5, 4, 8, 4, 8, 3).mean(axis=(2, 4))):  # the network pools squares of 8 px
        places = (np.arange(values.shape[1]) + 0.5) / values.shape[1] - 0.5
        along = np.exp(-(places**2) / (2 * 0.2**2)) * (np.abs(places) < 2 * 0.2)
        bell = np.outer(along, along)[None, :, :, None]
        mean = (values * bell).sum(axis=(1, 2)) / bell.sum()
        deviation = np.sqrt(((values - mean[:, None, None]) ** 2 * bell).sum(axis=(1, 2)) / bell.sum())
        both = np.concatenate([mean, deviation], axis=1)
        literal.append(both / np.linalg.norm(both, axis=1, keepdims=True))
    np.testing.assert_allclose(centre, np.concatenate(literal, axis=1), atol=1e-3)
    flat = run(extended, [CENTRE], np.full((1, 32, 32, 3), 127, np.uint8))[0]
    assert np.isfinite(flat).all()  # a picture of one colour deviates nowhere


def test_a_map_of_unknown_size_is_refused(network) -> None:
    with pytest.raises(TrainingError, match="does not state the size of its map 'embedding'"):
        with_centre(network, {"embedding": 3}, 0.2)


@pytest.fixture(scope="module")
def reference(network) -> OodReference:
    """Learnt from noise, three classes of it, by a network of colours."""
    rng = np.random.default_rng(4)
    centre, codes = rng.normal(size=(60, 6)).astype(np.float32), np.arange(60) % 3
    learnt = fit_ood_reference(centre + codes[:, None], codes, np.ones(60), linear_head(network), OodSettings())
    return scaled(learnt, rng.normal(size=(50, 3)) * [9, 0.2, 3], 0.9)


def test_ood_score_is_what_was_measured_and_changes_nothing_else(network, reference) -> None:
    network = with_attributes(
        with_class_activation(network), {"channels": 3}, [(np.ones((4, 6), "f4"), np.ones(4, "f4"))]
    )
    extended = with_ood_score(network, {"channels": 3}, 0.2, reference)
    onnx.checker.check_model(extended, full_check=True)
    names = [output.name for output in network.graph.output]
    assert [output.name for output in extended.graph.output] == [*names, "ood_score", FAR]
    for before, after in zip(run(network, names), run(extended, names), strict=True):
        assert np.array_equal(before, after)
    centre, embedding = run(with_centre(network, {"channels": 3}, 0.2), [CENTRE, "embedding"])
    ood_score, far = run(extended, ["ood_score", FAR])
    parts = parts_of(reference, centre, embedding)
    np.testing.assert_allclose(ood_score, ood_score_of(reference, parts), rtol=1e-3)
    np.testing.assert_allclose(far, far_of(reference, parts), rtol=1e-3)
    assert ood_score.shape == far.shape == (len(IMAGES),)


def test_ood_score_keeps_its_meaning_under_another_head_and_can_be_taken_out(network, reference) -> None:
    weights, bias = linear_head(network)
    extended = with_ood_score(network, {"channels": 3}, 0.2, reference)
    other = onnx.load_from_string(with_head(extended.SerializeToString(), (weights + 1, bias - 1)))
    assert np.array_equal(run(extended, ["ood_score"])[0], run(other, ["ood_score"])[0])
    assert not np.array_equal(run(extended, ["logits"])[0], run(other, ["logits"])[0])
    assert without_ood_score(extended) == network


def test_maps_are_found_by_the_convolution_that_reads_them() -> None:
    model = onnx.load(open_bundle("default").model_path)
    maps = inputs_of(model, ["blocks.2.0.conv_pw", "conv_head"])
    assert list(maps.values()) == [24, 320]
    with pytest.raises(TrainingError, match="has 0 convolutions named 'conv_tail'"):
        inputs_of(model, ["conv_tail"])
    with pytest.raises(TrainingError, match="not one"):
        inputs_of(model, ["0.conv_pw"])


def test_the_default_model_has_it() -> None:
    bundle = open_bundle("default")
    side = bundle.card.preprocess.size
    images = np.random.default_rng(1).integers(0, 256, (2, side, side, 3), dtype=np.uint8)
    logits, activation = run(onnx.load(bundle.model_path), ["logits", "class_activation"], images)
    np.testing.assert_allclose(activation.mean(axis=(2, 3)), logits, atol=1e-4)
