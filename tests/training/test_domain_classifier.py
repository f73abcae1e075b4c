"""Cells from elsewhere are told from those of the laboratory that validated, and have a higher temperature."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import polars as pl
import pytest
from onnx import TensorProto, helper

from leukopy.bundle import Calibration
from leukopy.core.errors import TrainingError
from leukopy.network.probabilities import calibrated, softmax
from leukopy.training.domain_classifier import CELLS, cells_to_tell, fit_boundary, with_foreign_probability


def network() -> onnx.ModelProto:
    """Its embedding is its input."""
    shape = ["batch", 3]
    graph = helper.make_graph(
        [helper.make_node("Identity", ["images"], ["embedding"])], "net",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, shape)],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def test_the_network_tells_what_the_boundary_says() -> None:
    rng = np.random.default_rng(0)
    here, there = rng.normal([5, 1, 0], 0.3, (60, 3)), rng.normal([1, 5, 0], 0.3, (20, 3))
    embeddings = np.concatenate([here, there]).astype(np.float32)
    foreign_temperature_factor = np.arange(80) >= 60
    weights, bias = boundary = fit_boundary(embeddings, foreign_temperature_factor)
    session = onnxruntime.InferenceSession(with_foreign_probability(network(), boundary).SerializeToString())
    (found,) = session.run(["foreign_probability"], {"images": embeddings})
    assert found.shape == (80,)
    assert ((found > 0.5) == foreign_temperature_factor).all()
    direction = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    assert found == pytest.approx(1 / (1 + np.exp(-direction @ weights - bias)), abs=1e-5)
    (nothing,) = session.run(["foreign_probability"], {"images": np.zeros((1, 3), np.float32)})
    assert np.isfinite(nothing).all()


def test_one_side_alone_tells_nothing() -> None:
    with pytest.raises(TrainingError, match="no second laboratory"):
        fit_boundary(np.ones((4, 3), np.float32), np.zeros(4, bool))


def test_drawn_cells_and_laboratories_of_one_class_are_no_example() -> None:
    rows = [("big", code) for code in ("LY", "SNE") for _ in range(CELLS)]
    rows += [("small", "LY"), ("small", "IG"), ("one", "SNE"), ("one", "BNE"), ("drawn", "EO"), ("drawn", "BA")]
    chosen = cells_to_tell(pl.DataFrame(rows, schema=["source", "code"], orient="row"), seed=0)
    assert dict(chosen["source"].value_counts().iter_rows()) == {"big": CELLS, "small": 2}
    assert chosen.filter(source="big")["code"].n_unique() == 2


def test_probabilities_are_less_sure_elsewhere_and_the_class_is_the_same() -> None:
    logits = np.array([[4, 1] + [0] * 9, [4, 1] + [0] * 9], np.float32)
    outputs = {"logits": logits, "foreign_probability": np.array([0, 1], np.float32)}
    here, there = calibrated(Calibration(temperature=0.8, fitted_on="x", foreign_temperature_factor=2.0), outputs)
    assert here == pytest.approx(softmax(logits / 0.8)[0])
    assert there == pytest.approx(softmax(logits / 1.6)[1])
    plain = calibrated(Calibration(temperature=0.8, fitted_on="x"), {"logits": logits})
    assert plain[0] == pytest.approx(here)
