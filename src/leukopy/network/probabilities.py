"""Logits to calibrated probabilities."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from leukopy.bundle import Calibration


def calibrated(calibration: Calibration, outputs: Mapping[str, NDArray[np.float32]]) -> NDArray[np.float32]:
    """Calibrated probabilities (N, F) of the fine classes.

    Args:
        calibration: of the model's card.
        outputs: of its network, as named by ``calibration.outputs``.
    """
    return softmax(outputs["logits"] / temperatures(calibration, outputs))


def temperatures(calibration: Calibration, outputs: Mapping[str, NDArray[np.float32]]) -> NDArray[np.float32]:
    """Temperatures of the logits: (1, 1), or (N, 1) where foreign cells have a higher temperature."""
    if calibration.foreign_temperature_factor is None:
        return np.full((1, 1), calibration.temperature, np.float32)
    warmer: NDArray[np.float32] = 1 + (np.float32(calibration.foreign_temperature_factor) - 1) * outputs[
        "foreign_probability"
    ].reshape(-1, 1)
    return np.asarray(calibration.temperature * warmer, np.float32)


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Probabilities over the last axis."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))
