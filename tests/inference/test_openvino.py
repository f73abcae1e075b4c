"""OpenVINO answers as ONNX Runtime does, and only where it is asked to."""

from __future__ import annotations

import sys
from importlib import metadata

import numpy as np
import pytest

from leukopy.bundle import open_bundle
from leukopy.core.errors import MissingExtraError, SettingsError
from leukopy.inference import openvino, sessions
from leukopy.inference.engine import BATCH, Engine
from leukopy.synthesis import draw_cell


@pytest.fixture
def bundle(colour_model):
    openvino.open_network.cache_clear()
    return open_bundle(colour_model.path)


def test_it_is_used_where_the_environment_says_so(bundle, monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)  # as where it is not installed
    Engine(bundle.network)
    monkeypatch.setenv(openvino.VARIABLE, "onnxruntime")
    Engine(bundle.network)
    assert openvino.runtime() == f"onnxruntime {metadata.version('onnxruntime')}"
    monkeypatch.setenv(openvino.VARIABLE, "openvino")
    for use in (lambda: Engine(bundle.network), openvino.runtime):
        with pytest.raises(MissingExtraError, match=r"leukopy\[openvino\]"):
            use()


def test_an_unknown_runtime_is_refused(bundle, monkeypatch):
    monkeypatch.setenv(openvino.VARIABLE, "tensorrt")
    with pytest.raises(SettingsError, match="tensorrt: no such runtime"):
        Engine(bundle.network)


@pytest.mark.parametrize("count", [1, BATCH, 2 * BATCH + 3])
def test_its_answers_are_those_of_onnx_runtime(bundle, monkeypatch, count):
    pytest.importorskip("openvino")
    size = bundle.card.preprocess.size
    pixels = np.random.default_rng(0).integers(0, 256, (count, size, size, 3), dtype=np.uint8)
    names = ("logits", "feature_map")
    expected = Engine(bundle.network, outputs=names).compute(pixels)
    monkeypatch.setenv(openvino.VARIABLE, "openvino")
    assert openvino.runtime().startswith("openvino 20")
    found = Engine(bundle.network, outputs=names).compute(pixels)
    for name in names:
        assert found[name].dtype == np.float32
        scale = np.abs(expected[name]).max()
        np.testing.assert_allclose(found[name], expected[name], atol=0.02 * scale)  # bfloat16 keeps two to three digits


def test_the_integers_of_the_bundled_network_are_exact_or_refused(monkeypatch):
    """On a processor without VNNI they overflow; on some with it they differ too."""
    pytest.importorskip("openvino")
    network = open_bundle("default").network
    size = network.preprocess.size
    drawn = np.stack([draw_cell(code, seed=7, size=size).image for code in ("LY", "SNE", "MO", "PLT")])
    names = ("logits", "embedding", "ood_score")
    expected = Engine(network, outputs=names).compute(drawn)
    monkeypatch.setenv(openvino.VARIABLE, "openvino")
    try:
        found = Engine(network, outputs=names).compute(drawn)
    except SettingsError as refused:
        assert "so that its answers would be wrong" in str(refused)  # noqa: PT017
        return
    for name in names:
        assert np.linalg.norm(found[name] - expected[name]) < 0.03 * np.linalg.norm(expected[name]), name


def test_integers_that_do_not_agree_are_refused(monkeypatch):
    pytest.importorskip("openvino")
    network = open_bundle("default").network
    monkeypatch.setattr(sessions, "_agree", lambda *_: False)
    monkeypatch.setenv(openvino.VARIABLE, "openvino")
    with pytest.raises(SettingsError, match="so that its answers would be wrong"):
        Engine(network)


def test_a_network_in_floats_is_not_tested(bundle, monkeypatch):
    pytest.importorskip("openvino")
    monkeypatch.setattr(sessions, "_agree", lambda *_: False)
    monkeypatch.setenv(openvino.VARIABLE, "openvino")
    Engine(bundle.network)
