"""Devices that run a network, as settings name them."""

from __future__ import annotations

from typing import Literal

Device = Literal["auto", "cpu", "cuda", "coreml", "directml"]
"""``auto``: an accelerator for which its build of ONNX Runtime is installed (CUDA, DirectML), else the CPU."""
