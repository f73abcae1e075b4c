"""What a cross-validation of patients looks like: ROC curves, calibration, and every patient's probability."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from io import BytesIO
from itertools import cycle
from typing import TypeVar

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.special import expit

from leukopy.patients.evaluation.crossval import PatientFigures

_INK, _QUIET, _FAINT = "#2b2435", "#8a8a8a", "#d9d4e3"
_COLOURS = ("#5a3d8a", "#d9663c", "#3f8fc4", "#b59a3c", "#4f8a5b", "#a0476f")
_LINES = tuple((colour, style) for style in ("-", "--") for colour in _COLOURS)
"""Colour and style of the first twelve curves; later ones begin anew."""
_REACTIVE, _TUMORAL = "#3f8fc4", "#5a3d8a"
_COLUMNS = 3
_TITLE_LENGTH = 42

Shown = TypeVar("Shown")


def roc_png(models: Mapping[str, PatientFigures]) -> bytes:
    """ROC curves, mean over repeats, with the point of each model's threshold (dot) and triage threshold (triangle).

    Args:
        models: figures by title.
    """
    figure = Figure(figsize=(8.6, 5), layout="constrained", dpi=150)
    axes = figure.add_subplot()
    axes.plot((0, 1), (0, 1), color=_FAINT, linewidth=1)
    drawn, labels = [], []
    for (title, found), (colour, style) in zip(models.items(), cycle(_LINES), strict=False):
        drawn += axes.plot(found.roc.false_positives, found.roc.sensitivity, style, color=colour, linewidth=1.4)
        labels.append(f"{found.auc.value:.3f}  {_shortened(title)}")
        for point, marker in ((found, "o"), (found.triage, "^")):
            if point.sensitivity.value is not None and point.specificity.value is not None:
                axes.plot(1 - point.specificity.value, point.sensitivity.value, marker, color=colour, markersize=6)
    axes.set(xlim=(-0.01, 1), ylim=(0, 1.01), xlabel="reactive patients called tumoral (1 – specificity)",
             ylabel="tumoral patients called so (sensitivity)", aspect="equal")  # fmt: skip
    legend = figure.legend(drawn, labels, title="AUC", loc="outside right center", frameon=False, fontsize=8,
                           title_fontsize=8, alignment="left")  # fmt: skip
    for text in legend.get_texts():
        text.set_parse_math(False)
    axes.spines[["top", "right"]].set_visible(False)
    return _png(figure)


def calibration_png(models: Mapping[str, PatientFigures]) -> bytes:
    """Observed against predicted share of tumoral patients, with exact 95 % limits, a panel for each model.

    Args:
        models: figures by title.
    """

    def draw(axes: Axes, found: PatientFigures) -> None:
        predicted = [part.predicted for part in found.calibration]
        observed = np.array([part.observed for part in found.calibration])
        limits = [observed - [part.low for part in found.calibration],
                  np.array([part.high for part in found.calibration]) - observed]  # fmt: skip
        axes.plot((0, 1), (0, 1), "--", color=_QUIET, linewidth=1)
        axes.errorbar(predicted, observed, np.abs(limits), fmt="o", color=_TUMORAL, ecolor="#a48bd0", markersize=4)
        for part in found.calibration:
            axes.annotate(str(part.patients), (part.predicted, part.low), (0, -2), textcoords="offset points",
                          ha="center", va="top", fontsize=6, color=_QUIET)  # fmt: skip
        axes.set(xlim=(-0.03, 1.03), ylim=(-0.08, 1.03), xlabel="predicted", ylabel="observed", aspect="equal")

    return _panels(models, draw, height=3.4)


def patients_png(models: Mapping[str, pl.DataFrame]) -> bytes:
    """The probability of each patient, averaged over repeats as log-odds, in a strip for each true label.

    Lines mark the thresholds, averaged over folds: full for balanced accuracy, dotted for triage. A ring marks a
    patient who is called wrongly in at least half of the repeats, by the thresholds of the folds.

    Args:
        models: rows of ``OOF_SCHEMA`` by title.
    """

    def draw(axes: Axes, oof: pl.DataFrame) -> None:
        called = pl.col("probability") >= pl.col("threshold")
        patients = oof.group_by("patient_id").agg(
            pl.col("label").first(), pl.col("logit").mean(), wrong=(called != (pl.col("label") == 1)).mean() >= 0.5
        )
        rng = np.random.default_rng(0)  # of the scatter across a strip, which means nothing
        for label, colour in ((0, _REACTIVE), (1, _TUMORAL)):
            rows = patients.filter(label=label).sort("logit", "patient_id")
            across = label + rng.uniform(-0.28, 0.28, rows.height)
            probability, wrong = expit(rows["logit"].to_numpy()), rows["wrong"].to_numpy()
            axes.scatter(probability, across, s=9, color=colour, alpha=0.75, linewidths=0)
            axes.scatter(probability[wrong], across[wrong], s=34, facecolors="none", edgecolors="#d9663c", linewidths=1)
        for name, style in (("threshold", "-"), ("triage_threshold", ":")):
            axes.axvline(float(np.mean(oof[name].to_numpy())), color=_INK, linewidth=1, linestyle=style)
        axes.set(xlim=(-0.02, 1.02), ylim=(-0.5, 1.5), xlabel="probability of tumoral")
        axes.set_yticks((0, 1), ("reactive", "tumoral"))

    return _panels(models, draw, height=2.4)


def _panels(models: Mapping[str, Shown], draw: Callable[[Axes, Shown], None], height: float) -> bytes:
    columns = min(_COLUMNS, len(models))
    rows = -(-len(models) // columns)
    figure = Figure(figsize=(3.6 * columns, height * rows), layout="constrained", dpi=150)
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, (title, shown) in zip(grid, models.items(), strict=False):
        draw(axes, shown)
        axes.set_title(_shortened(title), fontsize=9, parse_math=False)
        axes.spines[["top", "right"]].set_visible(False)
    for axes in grid[len(models) :]:
        axes.set_visible(False)
    return _png(figure)


def _shortened(title: str) -> str:
    line = " ".join(title.split())
    return line if len(line) <= _TITLE_LENGTH else f"{line[: _TITLE_LENGTH - 1]}…"


def _png(figure: Figure) -> bytes:
    stream = BytesIO()
    figure.savefig(stream, format="png", metadata={"Software": None})
    return stream.getvalue()
