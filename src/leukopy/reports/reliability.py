"""Reliability diagrams: confidence against accuracy."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from leukopy.core.files import atomic_path
from leukopy.evaluation.levels import Level


def write_reliability(path: Path, levels: Sequence[Level]) -> None:
    """Draw one diagram per level: accuracy of each confidence bin as a bar, the diagonal as perfect calibration.

    Below each, how many images fall into a bin, on a logarithmic scale.

    Raises:
        OutputError: it cannot be written.
    """
    figure = Figure(figsize=(4.4 * len(levels), 5), layout="constrained", dpi=150)
    rows = figure.subplots(2, len(levels), sharex=True, squeeze=False, height_ratios=(3, 1))
    for (upper, lower), level in zip(rows.T, levels, strict=True):
        bins = level.calibration.reliability
        left, width = bins.edges[:-1], np.diff(bins.edges)
        upper.plot((0, 1), (0, 1), color="#8a8a8a", linewidth=1, linestyle="--", label="perfect")
        upper.bar(left, np.nan_to_num(bins.accuracy), width, align="edge", color="#a48bd0", edgecolor="white")
        upper.plot(bins.confidence, bins.accuracy, "o", color="#2b2435", markersize=3, label="mean of a bin")
        upper.set(xlim=(0, 1), ylim=(0, 1), ylabel="accuracy")
        upper.set_title(f"{level.name}: calibration error {level.calibration.ece.value:.2%}", fontsize=10)
        upper.legend(loc="upper left", frameon=False, fontsize=8)
        lower.bar(left, bins.images, width, align="edge", color="#d9d4e3", edgecolor="white", log=True)
        lower.set(xlabel="confidence", ylabel="images")
        for axes in (upper, lower):
            axes.spines[["top", "right"]].set_visible(False)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", metadata={"Software": None})
