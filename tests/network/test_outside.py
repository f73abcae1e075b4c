"""The output for classes outside: a linear head on the maps, and a network that stays as it was."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest

from leukopy.network.head import read_head
from leukopy.network.outside import (
    OUTSIDE,
    outside_logits,
    read_rows,
    with_more_outside,
    with_outside,
    without_outside,
)
from leukopy.network.wide_head import WIDE, with_wide_embedding, with_wide_head
from leukopy.taxonomy import FINE
from support.colour_model import colour_network, with_stages

IMAGES = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), dtype=np.uint8)
WIDTH = 3 + 6 * 2 * 3


@pytest.fixture(scope="module")
def network() -> bytes:
    return with_stages(colour_network(32))


def head(seed: int, classes: int = 2) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    rows = len(FINE) + classes
    return rng.normal(size=(rows, WIDTH)).astype(np.float32), rng.normal(size=rows).astype(np.float32)


def run(content: bytes, *names: str) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return session.run(list(names), {"images": IMAGES})


def extended(network: bytes, own: tuple[np.ndarray, np.ndarray]) -> bytes:
    return with_outside(onnx.load_from_string(network), own).SerializeToString()


def test_the_logits_weigh_a_class_against_all_fine_classes_together() -> None:
    evidence = np.array([[*np.log(np.arange(1.0, 12)), 5.0, -2.0]])
    assert outside_logits(evidence)[0] == pytest.approx([5 - np.log(66), -2 - np.log(66)])
    assert np.isfinite(outside_logits(1000 * evidence)).all()


@pytest.mark.parametrize("classes", [1, 2, 4])
def test_the_network_gives_the_head_on_the_wide_embedding(network: bytes, classes: int) -> None:
    own = head(1, classes)
    content = extended(network, own)
    onnx.checker.check_model(onnx.load_from_string(content), full_check=True)
    (wide,) = run(with_wide_embedding(network)[0], WIDE)
    (found,) = run(content, OUTSIDE)
    assert found.shape == (len(IMAGES), classes)
    np.testing.assert_allclose(found, outside_logits(wide @ own[0].T + own[1]), atol=1e-4)
    for before, after in zip(run(network, "logits", "embedding"), run(content, "logits", "embedding"), strict=True):
        assert np.array_equal(before, after)


def test_a_second_fit_replaces_the_first(network: bytes) -> None:
    twice = with_outside(onnx.load_from_string(extended(network, head(1))), head(2)).SerializeToString()
    assert np.array_equal(run(twice, OUTSIDE)[0], run(extended(network, head(2)), OUTSIDE)[0])
    plain = without_outside(onnx.load_from_string(twice))
    assert [node.name for node in plain.graph.node] == [node.name for node in onnx.load_from_string(network).graph.node]


def test_it_stands_beside_a_wide_head(network: bytes) -> None:
    weights, bias = head(3, 0)
    wide = with_wide_head(network, (weights, bias))
    content = extended(wide, head(1))
    assert np.array_equal(run(content, "logits")[0], run(wide, "logits")[0])
    assert np.array_equal(run(content, OUTSIDE)[0], run(extended(network, head(1)), OUTSIDE)[0])


def test_further_classes_stand_after_those_that_are_kept(network: bytes) -> None:
    first, second = head(1, 3), head(2, 2)
    once = extended(network, first)
    content = with_more_outside(onnx.load_from_string(once), second, kept=[2, 0]).SerializeToString()
    onnx.checker.check_model(onnx.load_from_string(content), full_check=True)
    (before,), (added,), (found,) = run(once, OUTSIDE), run(extended(network, second), OUTSIDE), run(content, OUTSIDE)
    np.testing.assert_allclose(found, np.concatenate([before[:, [2, 0]], added], axis=1), atol=1e-4)
    again = with_more_outside(onnx.load_from_string(content), head(3, 1), kept=[0, 1, 3]).SerializeToString()
    (last,), (one,) = run(again, OUTSIDE), run(extended(network, head(3, 1)), OUTSIDE)
    np.testing.assert_allclose(last, np.concatenate([found[:, [0, 1, 3]], one], axis=1), atol=1e-4)
    plain = without_outside(onnx.load_from_string(again)).SerializeToString()
    assert [output.name for output in onnx.load_from_string(plain).graph.output if output.name == OUTSIDE] == []
    assert np.array_equal(run(plain, "logits")[0], run(network, "logits")[0])


def test_rows_are_read_back_on_the_scale_of_the_logits(network: bytes) -> None:
    weights, bias = read_head(network)
    rng = np.random.default_rng(4)
    rows = rng.normal(size=(2, 3)).astype(np.float32), rng.normal(size=2).astype(np.float32)
    own = (np.concatenate([weights, rows[0]]) / 1.7, np.concatenate([bias, rows[1]]) / 1.7)
    model = with_outside(onnx.load_from_string(network), own, stages=())
    found = read_rows(model, (weights, bias), 2)
    assert found is not None
    np.testing.assert_allclose(found[0], rows[0], rtol=1e-4)
    np.testing.assert_allclose(found[1], rows[1], rtol=1e-4)
    assert read_rows(model, (weights, bias), 1) is None
    apart = with_outside(onnx.load_from_string(network), head(1))
    assert read_rows(apart, (weights, bias), 2) is None  # fitted apart from the logits
