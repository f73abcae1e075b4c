"""Appearance of a picture, independent of its cell: colour of the light, strength of the stain, sharpness.

The features separate scanners, stains and cameras. They are measured on the pixels that the network gets, in some
20 microseconds.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

APPEARANCE_FEATURES = (
    "background_red", "background_green", "background_blue", "stain_red", "stain_green", "stain_blue",
    "fine_detail", "coarse_detail",
)  # fmt: skip
"""In the order of `measure_appearance`: optical density of the background; mean optical density above it; decadic
logarithm of the mean step of green between pixels 1 and 4 apart."""

_SAMPLES = 24
"""Points along a side at which colour is measured. More points hardly narrow the mean over a slide's cells."""
_BACKGROUND = 0.9
"""Share of the levels of a channel that are darker than its background."""
_LEAST_STEP = 0.05  # levels; keeps the logarithm of a plain picture finite
_DENSITY = -np.log10((np.arange(256, dtype=np.float32) + 1) / 256)  # plus one: black has a finite density


def measure_appearance(pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Measure pictures of one size.

    Args:
        pictures: uint8 (N, S, S, 3), RGB, as the network gets them.

    Returns:
        float32 (N, A), one number for each of ``APPEARANCE_FEATURES``. They depend on S.
    """
    step = max(1, pictures.shape[1] // _SAMPLES)
    points = pictures[:, step // 2 :: step, step // 2 :: step]
    count, rows, columns, _ = points.shape
    by_channel = points.transpose(0, 3, 1, 2).reshape(count, 3, rows * columns)
    levels = np.sort(by_channel, axis=2, kind="stable")  # bytes are sorted by counting
    background = _DENSITY[levels[:, :, int(_BACKGROUND * levels.shape[2])]]
    stain = _DENSITY[levels].mean(axis=2) - background
    green = pictures[:, step // 2 :: 2 * step, :, 1].astype(np.int16)
    details = [np.abs(green[:, :, apart:] - green[:, :, :-apart]).mean(axis=(1, 2)) for apart in (1, 4)]
    return np.column_stack([background, stain, np.log10(np.array(details).T + _LEAST_STEP)]).astype(np.float32)
