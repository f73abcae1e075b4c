"""Flags of a patient's result: one sentence each for the person who reads it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from leukopy.patients.card import Bag, OperatingPoint, PatientCard

LYMPHOCYTE = "LY"

FEW_CELLS = 10
"""With fewer cells than this a patient is flagged."""

NOT_LYMPHOCYTES = 0.5
"""Share of cells that the cell model calls something else, above which a patient is flagged. (The model takes many
tumoral lymphocytes for other classes: from a fifth on, every second patient of the lymphocytosis cohort would be.)"""

DISAGREEING = 0.1
"""Share of the ensemble's members with another decision, above which a patient is flagged."""


@dataclass(frozen=True)
class Flag:
    """Something that whoever reads a result must know."""

    word: str
    """``clinical_missing``, ``outside_training``, ``few_cells``, ``not_lymphocytes`` or ``close_to_threshold``."""
    message: str
    """One sentence."""


def input_flags(bag: Bag, card: PatientCard, others: float | None) -> Iterator[Flag]:
    """What is unusual in what the model was given."""
    named = [
        (name, unit, float(value), known)
        for (name, unit), value, known in zip(
            (("age", "years"), ("lymphocyte count", "× 10⁹/L")), bag.clinical, (card.ages, card.counts), strict=True
        )
    ]
    if missing := [name for name, _, value, _ in named if np.isnan(value)]:
        yield Flag("clinical_missing", f"Unknown: {' and '.join(missing)}; the model goes by the rest.")
    for name, unit, value, (least, most) in named:
        if value < least or value > most:
            yield Flag(
                "outside_training",
                f"The {name}, {value:g} {unit}, lies outside the training's, {least:g} to {most:g} {unit}.",
            )
    if len(bag.cells) < FEW_CELLS:
        cells = "only one cell was" if len(bag.cells) == 1 else f"only {len(bag.cells)} cells were"
        yield Flag("few_cells", f"{cells.capitalize()} read: with so few the result depends on which they are.")
    if others is not None and others > NOT_LYMPHOCYTES:
        yield Flag(
            "not_lymphocytes",
            f"The cell model calls {round(100 * others)} % of the cells no lymphocytes: look whether they are, since "
            "this model was trained on images of lymphocytes, normal and not.",
        )


def doubts(
    members: NDArray[np.float64], interval: tuple[float | None, float | None], point: OperatingPoint
) -> Iterator[Flag]:
    """Why the decision might as well be the other one."""
    tumoral = expit(members.mean()) >= point.threshold
    differing = int(((expit(members) >= point.threshold) != tumoral).sum())
    reasons = []
    if differing > DISAGREEING * len(members):
        reasons.append(f"{differing} of the {len(members)} members of the ensemble decide otherwise")
    low, high = interval
    if low is not None and high is not None and low < point.threshold <= high:
        reasons.append("with other cells of the same patient the decision could be the other one")
    if reasons:
        yield Flag("close_to_threshold", f"Close to the threshold: {'; '.join(reasons)}.")
