"""A network runs on the requested device, or on the CPU, with the reason. The choice is tested without accelerators."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from PIL import Image

from leukopy.bundle import open_bundle
from leukopy.core.errors import SettingsError
from leukopy.core.files import read_json
from leukopy.inference import openvino, sessions
from leukopy.inference.engine import Engine
from leukopy.inference.sessions import TOLERANCE
from leukopy.synthesis import draw_cell
from leukopy.workflows.analyze import AnalyzeSettings, analyze
from leukopy.workflows.predict import PredictSettings, predict

CPU = "CPUExecutionProvider"
Machine = Callable[..., None]


class Accelerated:
    """A session on a pretended accelerator: the CPU's, with outputs changed by a factor."""

    def __init__(self, session: Any, providers: list[str], factor: float) -> None:
        self._session, self._providers, self._factor = session, providers, factor

    def get_providers(self) -> list[str]:
        return self._providers

    def run(self, names: list[str] | None, feeds: dict[str, Any]) -> list[Any]:
        return [self._factor * values for values in self._session.run(names, feeds)]


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    """Pretend a machine: its providers; those whose libraries load; the factor of an accelerator's outputs."""
    real = onnxruntime.InferenceSession

    def pretend(*available: str, loaded: bool = True, factor: float = 1.0, fails: bool = False) -> None:
        def session(path: Path, options: Any, providers: list[str]) -> Any:
            if providers == [CPU]:
                return real(path, options, providers=providers)
            if fails:
                raise sessions.ort_errors.Fail("no memory")
            used = providers if loaded else [CPU]
            return Accelerated(real(path, options, providers=[CPU]), used, factor)

        monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [*available, CPU])
        monkeypatch.setattr(onnxruntime, "InferenceSession", session)
        sessions.open_on_device.cache_clear()

    yield pretend
    sessions.open_on_device.cache_clear()


def used(device: str) -> tuple[str, str]:
    return Engine(open_bundle("default").network, 1, device=device).device


def test_integers_are_exact_on_every_processor() -> None:
    """Without VNNI, sums of 8-bit products overflow unless the session prevents it: logits were wrong by 2 and more."""
    network = open_bundle("default").network
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL  # each integer as a float
    exact = onnxruntime.InferenceSession(network.path, options, providers=[CPU])
    side = exact.get_inputs()[0].shape[1]
    drawn = [
        draw_cell(code, seed=seed, size=side).image for seed, code in enumerate(("LY", "SNE", "MO", "EO", "PLT") * 2)
    ]
    pictures = {"images": np.stack(drawn)}
    (expected,), (found,) = (
        session.run(["logits"], pictures) for session in (exact, sessions.open_session(network.path, network.sha256))
    )
    assert np.abs(found - expected).max() < 0.5
    assert np.abs(found - expected).mean() < 0.05


def test_without_an_accelerator_the_cpu_is_used_in_silence_unless_one_was_asked_for(machine: Machine) -> None:
    machine()
    assert used("auto") == used("cpu") == ("cpu", "")
    for name in ("cuda", "coreml", "directml"):
        found, note = used(name)
        assert found == "cpu"
        assert name in note
        assert "Install" in note
        assert note.endswith("the network runs on the CPU.")


def test_an_accelerator_is_used_and_told(machine: Machine) -> None:
    machine("CUDAExecutionProvider", "CoreMLExecutionProvider")
    assert used("auto") == used("cuda") == ("cuda", "The network runs on cuda.")
    assert used("coreml").name == "coreml"
    assert used("cpu") == ("cpu", "")
    machine("CoreMLExecutionProvider")
    assert used("auto") == ("cpu", "")  # CoreML by name only


def test_directml_takes_one_call_at_a_time(machine: Machine) -> None:
    machine("DmlExecutionProvider")
    engine = Engine(open_bundle("default").network, 2, device="auto")
    assert engine.device.name == "directml"
    pixels = np.zeros((2, engine._spec.size, engine._spec.size, 3), np.uint8)
    np.testing.assert_array_equal(
        engine.compute(pixels)["logits"], Engine(open_bundle("default").network).compute(pixels)["logits"]
    )


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ({"loaded": False}, "libraries cannot be loaded"),
        ({"factor": 1 + 2 * TOLERANCE}, "outputs differ"),
        ({"factor": float("nan")}, "outputs differ"),
        ({"fails": True}, "cannot run this network"),
    ],
)
@pytest.mark.parametrize("asked", ["auto", "cuda"])
def test_an_accelerator_that_fails_gives_way_to_the_cpu(
    machine: Machine, asked: str, how: dict[str, Any], reason: str
) -> None:
    machine("CUDAExecutionProvider", **how)
    found, note = used(asked)
    assert found == "cpu"
    assert note.startswith("cuda: ")
    assert reason in note


def test_an_accelerator_within_the_tolerance_is_taken(machine: Machine) -> None:
    machine("CUDAExecutionProvider", factor=1 + TOLERANCE / 2)
    assert used("auto").name == "cuda"


def test_openvino_goes_with_no_accelerator(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine("CUDAExecutionProvider")
    monkeypatch.setenv(openvino.VARIABLE, "openvino")
    with pytest.raises(SettingsError, match="cuda: does not go with LEUKOPY_RUNTIME=openvino"):
        used("cuda")


def test_a_run_records_its_device_and_tells_it(machine: Machine, tmp_path: Path) -> None:
    machine("CUDAExecutionProvider")
    cell = tmp_path / "cell.png"
    Image.fromarray(draw_cell("LY", seed=1, size=240).image).save(cell)
    result = analyze(AnalyzeSettings(input=cell), tmp_path / "out")
    assert read_json(tmp_path / "out" / "run.json")["runtime"].endswith(" on cuda")
    assert "The network runs on cuda." in result.differential.notes
    told = predict(PredictSettings(input=cell, device="directml"), tmp_path / "rows.csv")
    assert any("directml" in note and "runs on the CPU" in note for note in told.notes)
