"""Options under which ONNX Runtime gives the same answers on every processor."""

from __future__ import annotations

import onnxruntime

_EXACT = "session.x64quantprecision"
"""Processors without VNNI add products of 8-bit integers in 16 bits, which overflow: there the bundled classifier lost
accuracy and called most drawn lymphocytes unidentified. With this entry they add exactly, in a third more time
(`benchmarks/integers.py`). Others are not affected."""


def exact_options() -> onnxruntime.SessionOptions:
    """New options of a session whose integers are exact."""
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry(_EXACT, "1")
    return options
