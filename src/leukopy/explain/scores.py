"""Scores of each heat map, their table, and their averages over images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from leukopy.bundle import Bundle
from leukopy.evaluation.intervals import Estimate
from leukopy.explain.faithfulness import (
    Probability,
    area_under,
    average,
    centre_heat,
    deletion,
    heat_share,
    insertion,
    random_heat,
)
from leukopy.explain.heat import Heat, Pictures
from leukopy.inference import activations
from leukopy.network.probabilities import calibrated

BASELINES: tuple[str, ...] = ("centre", "random")
"""Baselines of every heat map: the middle of the picture, where the cell of a crop is, and chance."""

EXPLANATION_SCHEMA: dict[str, pl.DataType] = {
    "cell_id": pl.String(),
    "path": pl.String(),
    "coarse": pl.String(),  # as in the rows of `analyze`
    "fine": pl.String(),
    "confidence": pl.Float32(),  # calibrated probability of coarse
    "fine_confidence": pl.Float32(),
    "flags": pl.String(),
    "why": pl.String(),  # attributes of the cell in words; null without attribute heads
    "target": pl.String(),  # the fine class that is explained
    "probability": pl.Float32(),  # its calibrated probability
    "method": pl.String(),  # a method, or a baseline
    "deletion": pl.Float32(),  # area under the curve, 0 to 1; low is good; null where not measured
    "insertion": pl.Float32(),  # high is good
    "inside_cell": pl.Float32(),  # share of the heat; null without heat or without a cell found
    "inside_nucleus": pl.Float32(),
    "cell_area": pl.Float32(),  # share of the picture; null where none was found
    "nucleus_area": pl.Float32(),
    "neighbours_agree": pl.Float32(),  # share of the nearest training cells that are of fine; null without index
}
"""The columns of ``explanations.parquet``: a row per image and method."""

_FIGURES = ("deletion", "insertion", "inside_cell", "inside_nucleus", "cell_area", "nucleus_area")


@dataclass(frozen=True, eq=False)
class Case:
    """A prepared cell and the class that is explained in it."""

    picture: NDArray[np.uint8]
    """(S, S, 3), as the network takes it."""
    cell: NDArray[np.float32]
    """(S, S), how much of each pixel belongs to the cell; all zero where none was found."""
    nucleus: NDArray[np.float32]
    target: int
    """Index into ``taxonomy.FINE``."""


@dataclass(frozen=True)
class Figures:
    """The averages of one method, or baseline, over the images."""

    method: str
    images: int
    deletion: Estimate
    insertion: Estimate
    inside_cell: Estimate
    inside_nucleus: Estimate
    cell_area: Estimate
    nucleus_area: Estimate
    gains: Mapping[str, tuple[Estimate, Estimate]]
    """Baseline -> by how much deletion falls and insertion rises against it, image by image; above 0 is better."""
    sanity: Estimate | None
    """Rank correlation with the maps of a network with random weights; None where it was not measured."""


def class_probability(bundle: Bundle, target: int) -> Probability:
    """The calibrated probability that a bundle gives to one fine class."""

    def probability(pictures: Pictures) -> NDArray[np.float32]:
        calibration = bundle.card.calibration
        return calibrated(calibration, activations(bundle, pictures, calibration.outputs))[:, target]

    return probability


def measure(bundle: Bundle, case: Case, heat: Heat, steps: int) -> dict[str, float | None]:
    """Faithfulness and shares of one heat map (S, S), by the names of `EXPLANATION_SCHEMA`.

    Args:
        bundle: the network.
        case: the cell.
        heat: of it.
        steps: of deletion and insertion; 0: they are not measured.
    """
    found: dict[str, float | None] = dict.fromkeys(_FIGURES)
    if steps:
        probability = class_probability(bundle, case.target)
        grey = bundle.card.preprocess.mean
        found["deletion"] = area_under(deletion(case.picture, heat, probability, grey, steps))
        found["insertion"] = area_under(insertion(case.picture, heat, probability, steps))
    for name, mask in (("cell", case.cell), ("nucleus", case.nucleus)):
        if case.cell.any():  # a platelet has no nucleus: the share of the heat in it is 0
            share = heat_share(heat, mask)
            found[f"inside_{name}"] = None if np.isnan(share) else share
            found[f"{name}_area"] = float(mask.mean())
    return found


def baseline(name: str, side: int, grid: int, seed: int) -> Heat:
    """The heat map (side, side) of one of `BASELINES`; ``grid`` is the fineness of the network's feature map."""
    return centre_heat(side) if name == "centre" else random_heat(side, grid, seed)


def figures(rows: pl.DataFrame, sanity: Mapping[str, NDArray[np.float64]]) -> list[Figures]:
    """Averages with bootstrap intervals, the methods and baselines in the order of their rows.

    Args:
        rows: of `EXPLANATION_SCHEMA`.
        sanity: method -> rank correlation of each image that it was measured on.
    """
    by_method = {str(name): rows.filter(method=name) for name in rows["method"].unique(maintain_order=True)}
    return [
        Figures(
            method=name,
            images=len(own),
            **{column: average(_values(own, column)) for column in _FIGURES},
            gains={
                other: (
                    average(_values(by_method[other], "deletion") - _values(own, "deletion")),
                    average(_values(own, "insertion") - _values(by_method[other], "insertion")),
                )
                for other in BASELINES
                if other in by_method and name not in BASELINES
            },
            sanity=average(sanity[name]) if name in sanity else None,
        )
        for name, own in by_method.items()
    ]


def _values(rows: pl.DataFrame, column: str) -> NDArray[np.float64]:
    return rows[column].cast(pl.Float64).fill_null(float("nan")).to_numpy()


def in_words(found: Figures) -> Sequence[str]:
    """Averages of one method in words, a sentence each; empty for a baseline."""
    if found.method in BASELINES:
        return []
    sentences = []
    for other, (falls, rises) in found.gains.items():
        if falls.value is None or rises.value is None:
            continue
        than = "the middle of the picture" if other == "centre" else "chance"
        sentences.append(f"Against {than}: deletion {_verdict(falls)}, insertion {_verdict(rises)}.")
    if found.inside_cell.value is not None and found.inside_nucleus.value is not None:
        sentences.append(
            f"{percent(found.inside_cell.value)} of the heat lies in the cell, which is "
            f"{percent(found.cell_area.value)} of the picture; {percent(found.inside_nucleus.value)} in the nucleus "
            f"({percent(found.nucleus_area.value)})."
        )
    if found.sanity is not None and found.sanity.value is not None:
        sentences.append(
            f"Rank correlation with the maps of a network with random weights: {found.sanity.value:.2f} "
            f"({found.sanity.low:.2f} to {found.sanity.high:.2f}); near 0, the maps depend on the training."
        )
    return sentences


def percent(share: float | None) -> str:
    """``57 %``."""
    return "–" if share is None else f"{100 * share:.0f} %"


def _verdict(gain: Estimate) -> str:
    if gain.low is None or gain.high is None:
        return "unknown"
    sure = "better" if gain.low > 0 else "worse" if gain.high < 0 else "not surely different"
    return f"{sure} ({gain.value:+.3f}, {gain.low:+.3f} to {gain.high:+.3f})"
