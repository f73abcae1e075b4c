"""OpenVINO in place of ONNX Runtime, where ``LEUKOPY_RUNTIME=openvino`` selects it.

On processors with matrix units it needs two thirds of the time for a network in 8-bit integers. On those without VNNI
its integers overflow: `sessions.open_in_openvino` refuses it there. A network in floating point is computed in bfloat16
where the processor can, in less than half the time; the results then differ in the third digit. It takes a second
longer to start.
"""

from __future__ import annotations

import importlib
import os
import threading
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leukopy.core.errors import BundleError, MissingExtraError, SettingsError

VARIABLE = "LEUKOPY_RUNTIME"
RUNTIMES = ("onnxruntime", "openvino")


def asked_for() -> bool:
    """True where the environment selects OpenVINO.

    Raises:
        SettingsError: it selects none of ``RUNTIMES``.
    """
    runtime = os.environ.get(VARIABLE) or RUNTIMES[0]
    if runtime not in RUNTIMES:
        raise SettingsError(f"{VARIABLE}={runtime}: no such runtime. Set one of {', '.join(RUNTIMES)}, or unset it.")
    return runtime == "openvino"


def runtime(device: str = "cpu") -> str:
    """Name and version of the runtime, for a run's record: ``onnxruntime 1.31.0``, ``onnxruntime 1.31.0 on cuda``.

    Args:
        device: in use.

    Raises:
        SettingsError: as `asked_for`.
        MissingExtraError: OpenVINO is selected and not installed.
    """
    module: Any = _openvino() if asked_for() else importlib.import_module("onnxruntime")
    return f"{module.__name__} {module.__version__}" + (f" on {device}" if device != "cpu" else "")


def _openvino() -> Any:
    try:
        return importlib.import_module("openvino")
    except ImportError as error:
        raise MissingExtraError(f"{VARIABLE}=openvino", "openvino") from error


class OpenVinoNetwork:
    """A network with the interface of an ONNX Runtime session, for several threads at once."""

    def __init__(self, path: Path, outputs: Sequence[str], batch: int, threads: int) -> None:
        """Compile the part of a network behind its requested outputs.

        Args:
            path: path of a ``model.onnx``.
            outputs: names of the requested outputs.
            batch: pictures in one run; smaller batches are padded. The size is fixed: with a varying batch, OpenVINO
                2026.4 gives wrong results for networks in 8-bit integers.
            threads: number of threads that call `run` at once.

        Raises:
            MissingExtraError: OpenVINO is not installed.
            BundleError: it cannot read the network.
        """
        openvino = _openvino()
        self._path, self._batch = path, batch
        self._of_thread = threading.local()
        core = openvino.Core()
        settings: dict[str, Any] = {
            "NUM_STREAMS": threads,
            "INFERENCE_NUM_THREADS": threads,
            "ENABLE_CPU_PINNING": False,
        }
        try:
            model = core.read_model(path)
            self.has_integers = any(part.get_type_name() == "FakeQuantize" for part in model.get_ops())
            if self.has_integers:  # bfloat16 between them moves the embedding by a further 1 %
                settings["INFERENCE_PRECISION_HINT"] = "f32"
            for result in model.get_results():
                if not result.input(0).get_source_output().get_names() & set(outputs):
                    model.remove_result(result)
            model.reshape([batch, *list(model.input("images").partial_shape)[1:]])
            self._compiled = core.compile_model(model, "CPU", settings)
        except RuntimeError as error:
            raise BundleError(f"{path}: OpenVINO cannot run this network. Unset {VARIABLE}.") from error

    def run(self, names: Sequence[str], feeds: Mapping[str, NDArray[np.uint8]]) -> list[NDArray[np.float32]]:
        """The outputs of these names for ``feeds["images"]``, uint8 (N, S, S, 3), N at least 1.

        Raises:
            BundleError: the network fails to run.
        """
        images = feeds["images"]
        parts = [self._run(names, images[start : start + self._batch]) for start in range(0, len(images), self._batch)]
        return [np.concatenate(values) for values in zip(*parts, strict=True)]

    def _run(self, names: Sequence[str], images: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        if not hasattr(self._of_thread, "request"):
            self._of_thread.request = self._compiled.create_infer_request()
        filled = np.zeros((self._batch, *images.shape[1:]), np.uint8)
        filled[: len(images)] = images
        try:
            found = self._of_thread.request.infer({"images": filled}, share_inputs=True)
        except RuntimeError as error:
            raise BundleError(f"{self._path}: the network fails to run. Unset {VARIABLE}.") from error
        return [np.array(found[name][: len(images)], np.float32) for name in names]


@lru_cache(maxsize=4)
def open_network(
    path: Path,
    sha256: str,  # noqa: ARG001  (part of the cache's key: a replaced file is opened again)
    outputs: tuple[str, ...],
    batch: int,
    threads: int,
) -> OpenVinoNetwork:
    """An `OpenVinoNetwork`, compiled once."""
    return OpenVinoNetwork(path, outputs, batch, threads)
