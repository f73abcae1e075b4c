"""Networks loaded in ONNX Runtime, on the requested device.

An accelerator is used if it opens the network and gives the outputs of the CPU within ``TOLERANCE`` on a test batch.
Otherwise the CPU is used, and the reason is told.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from leukopy.core.devices import Device
from leukopy.core.errors import BundleError, SettingsError
from leukopy.inference import openvino
from leukopy.network.session import exact_options

ORT_ERRORS = (
    ort_errors.Fail,
    ort_errors.InvalidArgument,
    ort_errors.InvalidGraph,
    ort_errors.InvalidProtobuf,
    ort_errors.NoSuchFile,
    ort_errors.NotImplemented,
    ort_errors.RuntimeException,
)
"""Errors of ONNX Runtime on a network that it cannot load or run."""

TOLERANCE = 0.02
"""Largest difference between the outputs of an accelerator and of the CPU, in units of the output's norm."""

_CPU = "CPUExecutionProvider"
_PROVIDERS = {"cuda": "CUDAExecutionProvider", "coreml": "CoreMLExecutionProvider", "directml": "DmlExecutionProvider"}
_PACKAGES = {"cuda": "onnxruntime-gpu", "coreml": "onnxruntime for macOS", "directml": "onnxruntime-directml"}
_AUTOMATIC = ("cuda", "directml")
"""Devices of ``auto``. CoreML is in every build for macOS, and its gain is not measured: it is used by name only."""
_TESTED, _PATCH = 4, 16
"""Pictures of the test batch, and the side of their patches of one colour, in pixels: noise moves the outputs less."""


class DeviceUse(NamedTuple):
    """Device of a network."""

    name: str = "cpu"
    note: str = ""
    """Sentence for the user; empty for the CPU without another request."""


class _OneAtATime:
    """A session for several threads whose provider takes one call at a time (DirectML)."""

    def __init__(self, session: Any) -> None:
        self._session, self._lock = session, Lock()

    def run(self, names: Sequence[str], feeds: Mapping[str, NDArray[np.generic]]) -> Any:
        """As the session's."""
        with self._lock:
            return self._session.run(names, feeds)


@lru_cache(maxsize=4)
def open_session(path: Path, sha256: str) -> Any:  # noqa: ARG001  (part of the key: a replaced file is opened again)
    """The network of a file on the CPU, loaded once: threads may share a session.

    Raises:
        BundleError: it is no network that can be run.
    """
    try:
        return _session(path, [_CPU])
    except ORT_ERRORS as error:
        raise BundleError(f"{path}: not a network that can be run. Export the bundle again.") from error


@lru_cache(maxsize=4)
def open_on_device(path: Path, sha256: str, asked: Device) -> tuple[Any, DeviceUse]:
    """The network of a file on the requested device, or on the CPU where that fails.

    Raises:
        BundleError: it is no network that can be run.
        SettingsError: the environment selects OpenVINO, and an accelerator is requested.
    """
    on_cpu = open_session(path, sha256)
    if openvino.asked_for():
        if asked in _PROVIDERS:
            raise SettingsError(f"device {asked}: does not go with {openvino.VARIABLE}=openvino. Unset one of the two.")
        return on_cpu, DeviceUse()
    wanted = _AUTOMATIC if asked == "auto" else (asked,) if asked in _PROVIDERS else ()
    available = onnxruntime.get_available_providers()
    present = [name for name in wanted if _PROVIDERS[name] in available]
    failure = ""
    for name in present:
        session, failure = _on(name, path, on_cpu)
        if session is not None:
            return session, DeviceUse(name, f"The network runs on {name}.")
    if asked in _PROVIDERS and not present:
        failure = f"{asked}: this ONNX Runtime has no such device. Install {_PACKAGES[asked]} in place of onnxruntime"
    return on_cpu, DeviceUse("cpu", f"{failure}; the network runs on the CPU." if failure else "")


def open_in_openvino(path: Path, sha256: str, outputs: tuple[str, ...], batch: int, threads: int) -> Any:
    """A network in OpenVINO, whose integers agree with those of ONNX Runtime.

    Raises:
        BundleError: OpenVINO cannot run the network.
        MissingExtraError: OpenVINO is not installed.
        SettingsError: its integers overflow on this processor. Computing them as floats is no way out: OpenVINO 2026.4
            then gives wrong results with two streams.
    """
    network = openvino.open_network(path, sha256, outputs, batch, threads)
    if network.has_integers and not _agree(network, open_session(path, sha256), outputs):
        raise SettingsError(
            f"{openvino.VARIABLE}=openvino: OpenVINO's 8-bit integers do not agree with ONNX Runtime's on this "
            "processor, so that its answers would be wrong. Unset it."
        )
    return network


def _on(name: str, path: Path, on_cpu: Any) -> tuple[Any, str]:
    """The session on an accelerator, or None and the reason."""
    try:
        session = _session(path, [_PROVIDERS[name], _CPU])
        if _PROVIDERS[name] not in session.get_providers():
            return None, f"{name}: its libraries cannot be loaded"
        if not _agree(session, on_cpu):
            return None, f"{name}: its outputs differ from those of the CPU"
    except (ValueError, *ORT_ERRORS):
        return None, f"{name}: cannot run this network"
    return (_OneAtATime(session) if name == "directml" else session), ""


def _agree(session: Any, on_cpu: Any, outputs: Sequence[str] | None = None) -> bool:
    """True where both give the same outputs (None: all) for a test batch, within ``TOLERANCE``."""
    (pictures,) = on_cpu.get_inputs()
    _, height, width, channels = pictures.shape
    few = (_TESTED, -(-height // _PATCH), -(-width // _PATCH), channels)
    patches = np.random.default_rng(0).integers(0, 256, few, dtype=np.uint8)
    batch = patches.repeat(_PATCH, axis=1).repeat(_PATCH, axis=2)[:, :height, :width]
    for found, expected in zip(*(each.run(outputs, {pictures.name: batch}) for each in (session, on_cpu)), strict=True):
        if not np.linalg.norm(found - expected) <= TOLERANCE * np.linalg.norm(expected):
            return False
    return True


def _session(path: Path, providers: list[str]) -> Any:
    options = exact_options()
    options.intra_op_num_threads = 1  # the workers are the threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # errors are raised; nothing is printed
    options.enable_mem_pattern = "DmlExecutionProvider" not in providers  # DirectML requires it off
    return onnxruntime.InferenceSession(path, options, providers=providers)
