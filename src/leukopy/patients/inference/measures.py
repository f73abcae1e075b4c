"""Size, shape, colour and stain of cells, as patients' models read them: in all processes that the machine allows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from leukopy.core.errors import ImageError
from leukopy.core.progress import Progress, silent
from leukopy.imaging.decode import read_cell
from leukopy.imaging.measures import FEATURES, measure_cell
from leukopy.imaging.preprocess import Preprocess
from leukopy.inference.workers import in_batches

_SPEC = Preprocess(size=128)
"""The whole picture: how large a cell is in it is part of the answer."""

_LOGARITHMS = {"nucleus_area": (0.1, 100), "cell_area": (0.1, 100), "nucleus_to_cytoplasm": (0.01, 50)}
"""Areas and their ratio are read as logarithms, since they vary by factors; below and above these they are clipped."""

MORPHOLOGY_FEATURES: tuple[str, ...] = tuple(
    f"{feature.title}, log" if feature.name in _LOGARITHMS else feature.title for feature in FEATURES
)
"""The numbers of a cell, in words."""


def cell_measures(paths: Sequence[str], progress: Progress = silent) -> NDArray[np.float32]:
    """Measure image files.

    Args:
        paths: N image files.
        progress: told how many are done.

    Returns:
        Shape (N, len(MORPHOLOGY_FEATURES)); not-a-number where there is no cell, no nucleus, or no picture.
    """
    values = np.full((len(paths), len(FEATURES)), np.nan, np.float32)
    done = 0
    for rows, found in in_batches(_measure, paths, range(len(paths))):
        values[list(rows)] = found
        done += len(rows)
        progress("measuring", done, len(paths))
    for column, feature in enumerate(FEATURES):
        if feature.name in _LOGARITHMS:
            values[:, column] = np.log(values[:, column].clip(*_LOGARITHMS[feature.name]))
    return values


def _measure(paths: Sequence[str]) -> list[NDArray[np.float32]]:
    return [_measure_one(Path(path)) for path in paths]


def _measure_one(path: Path) -> NDArray[np.float32]:
    try:
        return measure_cell(read_cell(path, _SPEC).pixels)
    except ImageError:  # the network that reads the same picture says why
        return np.full(len(FEATURES), np.nan, np.float32)
