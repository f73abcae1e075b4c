"""Flags of a patient's result: one sentence each for the person who reads it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import scipy  # its parts load on first use
from numpy.typing import NDArray

from leukopy.patients.card import Bag, OperatingPoint, PatientCard
from leukopy.slides import notes
from leukopy.slides.laboratory_check import ENOUGH_CELLS
from leukopy.slides.record import SlideRecord

LYMPHOCYTE = "LY"

FEW_CELLS = 10
"""With fewer cells than this a patient is flagged."""

LEAST_LYMPHOCYTES = 0.4
"""Least share of a patient's readable pictures that the cell model must call lymphocytes for a decision.

The share is .62 or more in each of the 163 lymphocytosis patients, .86 or more on slides of lymphocytes of six other
laboratories, .21 or less on whole fields, and .13 or less on slides of other cells of five laboratories, whose patients
have no leukaemia (``benchmarks/results/lymphocyte_share.json``)."""

FEW_LYMPHOCYTES = 0.5
"""Least share below which a patient is flagged all the same."""

_NO_DECISION = "the patient gets no decision"

DISAGREEING = 0.1
"""Share of the ensemble's members with another decision, above which a patient is flagged."""


@dataclass(frozen=True)
class Flag:
    """A warning beside a patient's result, or the reason why there is none."""

    word: str
    """``clinical_missing``, ``outside_training``, ``few_cells``, ``not_lymphocytes`` or ``close_to_threshold``; of a
    patient without a decision ``no_cell_read``, ``no_single_cell``, ``fields_of_view`` or ``too_few_lymphocytes``; of
    the slide ``foreign_slide``, ``left_out``, ``duplicates`` or ``few_pictures``."""
    message: str
    """One sentence."""


def no_decision(classes: Sequence[str], record: SlideRecord) -> Flag | None:
    """The reason why a patient gets no decision; None where one can be made.

    Args:
        classes: coarse class of each cell of the bag.
        record: what became of the pictures.
    """
    if record.failures == record.pictures:
        images = "Its only image" if record.pictures == 1 else f"None of its {record.pictures} images"
        negated = "not " if record.pictures == 1 else ""
        return Flag("no_cell_read", f"{images} could {negated}be read: {_NO_DECISION}.")
    if record.survey.get("fields"):
        return Flag(
            "fields_of_view",
            f"The pictures are fields of view, not cells: {_NO_DECISION}. Give pictures of single lymphocytes.",
        )
    if not classes:
        return Flag("no_single_cell", f"None of its pictures shows a single cell: {_NO_DECISION}.")
    count = sum(code == LYMPHOCYTE for code in classes)
    if count >= LEAST_LYMPHOCYTES * len(classes):
        return None
    return Flag(
        "too_few_lymphocytes",
        f"The cell model calls {count} of the {len(classes)} pictures lymphocytes, and a decision needs "
        f"{LEAST_LYMPHOCYTES:.0%} of them: {_NO_DECISION}. Give pictures of single lymphocytes, at the "
        "magnification of the model.".replace("%", " %"),
    )


def slide_flags(record: SlideRecord) -> Iterator[Flag]:
    """What a reader must know of a patient's slide.

    Re-estimated class means are left out: most patients with lymphocytosis have them, and no feature depends on them.
    """
    said = {
        "foreign_slide": notes.foreign_slide(record.distance) if record.distance else "",
        "left_out": notes.without_class(record.no_cell, record.several_cells, record.pictures),
        "duplicates": notes.copies(record.duplicates),
        "few_pictures": notes.few_cells(record.classified, ENOUGH_CELLS),
    }
    yield from (Flag(word, message) for word, message in said.items() if message)


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
    held = (card.clinical.ages, card.clinical.counts) if card.clinical else (None, None)
    for (name, unit, value, (least, most)), ends in zip(named, held, strict=True):
        if value < least or value > most:
            counted = "" if ends is None else f"; it counts as {np.clip(value, *ends):g} {unit}"
            yield Flag(
                "outside_training",
                f"The {name}, {value:g} {unit}, lies outside the training's, {least:g} to {most:g} {unit}{counted}.",
            )
    if len(bag.cells) < FEW_CELLS:
        cells = "only one cell was" if len(bag.cells) == 1 else f"only {len(bag.cells)} cells were"
        yield Flag("few_cells", f"{cells.capitalize()} read: with so few the result depends on which they are.")
    if others is not None and 1 - others < FEW_LYMPHOCYTES:
        yield Flag(
            "not_lymphocytes",
            f"The cell model calls {round(100 * others)} % of the cells no lymphocytes: look whether they are, since "
            "this model was trained on images of lymphocytes, normal and not.",
        )


def doubts(
    members: NDArray[np.float64], interval: tuple[float | None, float | None], point: OperatingPoint
) -> Iterator[Flag]:
    """Why the decision might as well be the other one."""
    tumoral = scipy.special.expit(members.mean()) >= point.threshold
    differing = int(((scipy.special.expit(members) >= point.threshold) != tumoral).sum())
    reasons = []
    if differing > DISAGREEING * len(members):
        reasons.append(f"{differing} of the {len(members)} members of the ensemble decide otherwise")
    low, high = interval
    if low is not None and high is not None and low < point.threshold <= high:
        reasons.append("with other cells of the same patient the decision could be the other one")
    if reasons:
        yield Flag("close_to_threshold", f"Close to the threshold: {'; '.join(reasons)}.")
