"""Traits: the embedding where the known cells of each class scatter alike."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import polars as pl
import pytest
from onnx import TensorProto, helper

from leukopy.bundle import Card, open_bundle
from leukopy.core.errors import SettingsError, TrainingError
from leukopy.taxonomy import COARSE, FINE
from leukopy.training.class_means import CELLS, fit_traits, known_cells, with_traits
from leukopy.training.settings import TrainSettings


def network(size: int) -> onnx.ModelProto:
    """Its embedding is its input."""
    images, embedding = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", size]) for name in ("images", "embedding")
    )
    same = helper.make_node("Identity", ["images"], ["embedding"])
    graph = helper.make_graph([same], "net", [images], [embedding])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


CODES = [cell.code for cell in FINE] * 40


def embeddings(size: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    middles = rng.normal(0, 5, (len(FINE), size))
    scatter = rng.normal(0, 1, (len(CODES), size)) * np.linspace(4, 0.2, size)
    return (middles[np.arange(len(CODES)) % len(FINE)] + scatter).astype(np.float32)


def test_along_the_main_axes_known_cells_scatter_alike() -> None:
    cells = embeddings(12)
    traits = fit_traits(cells, CODES)
    found = traits(cells)
    coarse = np.array([next(i for i, own in enumerate(COARSE) if own.code == (c.coarse or c.code)) for c in FINE])
    classes = np.tile(coarse, 40)
    around = found - traits.means[classes]
    assert traits.means[0] == pytest.approx(found[classes == 0].mean(axis=0))
    assert traits.spread == pytest.approx((around**2).sum(axis=1).mean())
    middles = np.stack([cells[classes == index].mean(axis=0) for index in range(len(COARSE))])
    before, after = (np.linalg.eigvalsh(np.cov(rows.T, bias=True)) for rows in (cells - middles[classes], around))
    assert after == pytest.approx(before / (before + before.mean() / 2), rel=1e-3)


def test_the_network_gives_what_was_fitted() -> None:
    cells = embeddings(3)
    traits = fit_traits(cells, CODES)
    session = onnxruntime.InferenceSession(with_traits(network(3), traits).SerializeToString())
    same, found, means = session.run(["embedding", "traits", "class_traits"], {"images": cells})
    assert np.array_equal(same, cells)
    assert found == pytest.approx(traits(cells), abs=1e-4)
    assert means == pytest.approx(traits.means, abs=1e-5)


def test_a_class_that_the_laboratory_does_not_show_is_named() -> None:
    codes = ["LY" if code == "BA" else code for code in CODES]
    with pytest.raises(TrainingError, match="fewer than two training cells of BA"):
        fit_traits(embeddings(4), codes)


def test_only_the_laboratories_that_validate_are_learnt_from() -> None:
    rows = [("home", "LY")] * (CELLS + 5) + [("home", "NEU")] * 3 + [("away", "LY")] * 4
    found = known_cells(pl.DataFrame(rows, schema=["source", "code"], orient="row"), ["home"], seed=0)
    assert dict(found["code"].value_counts().iter_rows()) == {"LY": CELLS, "NEU": 3}
    assert found["source"].unique().to_list() == ["home"]


def test_without_cells_from_elsewhere_there_is_nothing_to_find() -> None:
    values = {
        "name": "x", "title": "x", "description": "x", "sources": [{"dataset": "pbc", "root": "cells/pbc", "share": 1}],
        "backbone": {"name": "lenet"}, "preprocess": {"size": 48, "crop": 0.8},
        "slide_classes": {"weight": 0.01, "foreign_temperature_factor": 2},
    }  # fmt: skip
    with pytest.raises(SettingsError, match="set foreign_temperature_factor above 1"):
        TrainSettings.build(values, where="x")
    assert TrainSettings.build(values | {"foreign_temperature_factor": 1.5}, where="x").slide_classes is not None


def test_a_card_needs_to_tell_which_cells_they_are_for() -> None:
    card = open_bundle("default").card.model_dump(mode="json")
    card["calibration"]["foreign_temperature_factor"] = None
    with pytest.raises(SettingsError, match="slide_classes: needs"):
        Card.build(card, where="x")
