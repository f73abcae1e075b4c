"""Survey of a slide by up to 128 of its cells, before the first is classified.

The survey finds the magnification, the rise of the out-of-distribution score, and the class means of the slide. It
uses trusted cells alone: pictures without a cell, or with several, would bias all three.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from leukopy.bundle import Card
from leukopy.core.errors import ImageError
from leukopy.imaging.content import SlideContent, slide_content
from leukopy.inference.engine import Batch, Engine, join
from leukopy.inference.pictures import Pictures
from leukopy.inference.rows import CellInput
from leukopy.network.probabilities import calibrated, softmax
from leukopy.slides import magnification
from leukopy.slides.class_means import CLASS_TRAITS, TRAITS, SlideClassMeans, estimate_class_means
from leukopy.slides.laboratory_check import ENOUGH_CELLS
from leukopy.slides.ood_correction import NO_SHIFT, Shift, correct, estimate_shift
from leukopy.slides.outside import estimate_shift as estimate_outside
from leukopy.slides.outside import is_outside, with_fine
from leukopy.taxonomy import COARSE, coarse_matrix

SAMPLE = 128
"""Largest number of surveyed cells of a slide."""

UNUSUAL = 0.5
"""`SlideSurvey.foreign_probability` from which the re-estimated class means weigh as much as the learnt ones."""

FAR = "ood_score.far"
"""Output of the network that is the first part of ``ood_score``."""

OUTSIDE = "outside"
"""Output of the network for classes outside."""

T = TypeVar("T")
Outputs = Mapping[str, NDArray[np.float32]]
_TO_COARSE = coarse_matrix()


@dataclass(frozen=True)
class SlideSurvey:
    """Survey of a slide before its cells are classified."""

    crop: float | None = None
    """Crop: share of the short side of its pictures; None: the card's."""
    shift: Shift = NO_SHIFT
    """Rise of the out-of-distribution score."""
    classes: SlideClassMeans | None = None
    """Re-estimated class means; None: the learnt ones hold."""
    foreign_probability: float = 0.0
    """Mean probability that a cell comes from another laboratory than the one that validated the model."""
    content: SlideContent | None = None
    """Content of the sampled pictures."""
    outside_shift: tuple[float, ...] = ()
    """Shift of the logits of the classes outside (`leukopy.slides.outside`); empty: none."""

    @property
    def cells_used(self) -> int | None:
        """Number of cells behind the re-estimated class means; None where these weigh little."""
        if self.classes is None or self.foreign_probability < UNUSUAL:
            return None
        return round(float(self.classes.cells.sum()))

    def facts(self) -> dict[str, object]:
        """Facts for the record of a run."""
        cells = None
        if self.classes is not None:
            cells = {cell.code: round(float(count), 1) for cell, count in zip(COARSE, self.classes.cells, strict=True)}
        return {
            "crop": self.crop,
            "shift": asdict(self.shift),
            "foreign_probability": round(self.foreign_probability, 3),
            "class_cells": cells,
            "cells_used": self.cells_used,
            "outside_shift": list(self.outside_shift),
            "fields": self.content is not None and self.content.fields,
        }


def sample_of(slide: Sequence[T], size: int = SAMPLE) -> list[T]:
    """Up to ``size`` of a slide's cells, evenly over the list, which may be sorted by class."""
    places = np.linspace(0, len(slide) - 1, min(size, len(slide))).round().astype(int)
    return [slide[place] for place in places]


def survey_slide(
    engine: Engine, card: Card, cells: Sequence[CellInput], pictures: Pictures
) -> tuple[SlideSurvey, list[Batch], list[Batch]]:
    """Survey a slide by an evenly spread sample of its cells.

    Args:
        engine: runs the network; it must give the outputs that the card's corrections read, and the content.
        card: of the model.
        cells: all cells of the slide, in a fixed order.
        pictures: keeps the decoded pictures of the sample.

    Returns:
        The survey. With fewer than ``ENOUGH_CELLS`` trusted cells: the content of their pictures and a rough shift.
        And the results of sampled cells at the survey's crop and at the card's: no second run of the network needs
        them.
    """
    measured, sample = sample_of(cells, magnification.SAMPLE), sample_of(cells)
    batches = at_card_crop = list(engine.run(dict.fromkeys((*measured, *sample)), read=pictures.keep))
    trusted, content = _trusted(batches)
    measured, sample = ([cell for cell in some if cell in trusted] for some in (measured, sample))
    if not sample:
        return SlideSurvey(content=content), batches, batches
    crop = None
    if len(sample) >= ENOUGH_CELLS and card.cell_sizes is not None:
        crop = _crop(engine, card, _chosen(batches, measured), pictures)
        if crop != card.preprocess.crop:
            batches = list(engine.run(sample, crop, pictures.keep))
    found = _survey(engine, card, _chosen(batches, sample).outputs)
    return replace(found, crop=crop, content=content), batches, at_card_crop


def _survey(engine: Engine, card: Card, outputs: Outputs) -> SlideSurvey:
    """The part of the survey that rests on the outputs of the network for trusted cells.

    Cells of classes outside take no part in what is estimated from known cells.
    """
    outside: tuple[float, ...] = ()
    if card.outside is not None:
        if len(outputs[OUTSIDE]) >= ENOUGH_CELLS:
            outside = estimate_outside(outputs[OUTSIDE], card.outside)
        inside = ~is_outside(with_fine(outputs[OUTSIDE], outside))
        outputs = {name: values[inside] for name, values in outputs.items()}
    return replace(_survey_known(engine, card, outputs), outside_shift=outside)


def _survey_known(engine: Engine, card: Card, outputs: Outputs) -> SlideSurvey:
    shift = _shift(card, outputs)
    known = ood_scores(card, outputs, shift) <= 1
    if known.sum() < ENOUGH_CELLS:
        return SlideSurvey(shift=shift)
    outputs = {name: values[known] for name, values in outputs.items()}
    foreign = float(outputs["foreign_probability"].mean()) if "foreign_probability" in outputs else 0.0
    return SlideSurvey(shift=shift, classes=_class_means(engine, card, outputs), foreign_probability=foreign)


def find_crop(engine: Engine, card: Card, sample: Sequence[CellInput], pictures: Pictures) -> float | None:
    """The share of the slide's pictures to keep, so that its cells have the size of the training cells.

    Returns:
        None where the card states no cell sizes: its own crop holds.
    """
    if card.cell_sizes is None or not sample:
        return None
    return _crop(engine, card, _chosen(list(engine.run(sample, read=pictures.keep)), sample), pictures)


def _crop(engine: Engine, card: Card, measured: Batch, pictures: Pictures) -> float:
    """`find_crop` from the results at the card's crop."""
    with ThreadPoolExecutor(engine.threads, thread_name_prefix="leukopy") as pool:
        found = np.array(list(pool.map(lambda cell: _diameter(cell, card, pictures), measured.cells)), np.float64)
    classes = coarse_codes(card, measured.outputs)
    return magnification.crop_for(found, classes, card.cell_sizes or {}, card.preprocess.crop)


def _chosen(batches: Sequence[Batch], cells: Sequence[CellInput]) -> Batch:
    """The results of some cells, in their order."""
    found = {cell: one for batch in batches for cell, one in batch.singles()}
    return join([found[cell] for cell in cells], cells)


def ood_scores(card: Card, outputs: Outputs, shift: Shift) -> NDArray[np.float32]:
    """Out-of-distribution scores (N,), corrected for the slide, in units of the threshold; 0 without such an output."""
    if card.open_set is None:
        return np.zeros(len(outputs["logits"]), np.float32)
    score = outputs["ood_score"]
    if card.open_set.baseline is not None:
        score = correct(score, outputs[FAR], shift)
    return np.asarray(score / card.open_set.threshold, np.float32)


def coarse_codes(card: Card, outputs: Outputs) -> list[str]:
    """The most probable coarse class of each cell."""
    best = (calibrated(card.calibration, outputs) @ _TO_COARSE).argmax(axis=1)
    return [COARSE[index].code for index in best]


def _trusted(batches: Sequence[Batch]) -> tuple[set[CellInput], SlideContent]:
    """The distinct pictures of one cell, and the content of all."""
    found = {
        digest: (cell, content)
        for batch in batches
        for cell, digest, content in zip(batch.cells, batch.digests, batch.contents, strict=True)
    }
    trusted = {cell for cell, content in found.values() if content.kind == "cell"}
    return trusted, slide_content(content for _, content in found.values())


def _diameter(cell: CellInput, card: Card, pictures: Pictures) -> float:
    try:
        picture = pictures.keep(cell, card.preprocess.short_side)
    except ImageError:  # classification reports the failure
        return float("nan")
    return magnification.diameter(np.asarray(picture.image))


def _shift(card: Card, outputs: Outputs) -> Shift:
    if card.open_set is None or card.open_set.baseline is None:
        return NO_SHIFT
    return estimate_shift(outputs["ood_score"], outputs[FAR], card.open_set.baseline)


def _class_means(engine: Engine, card: Card, outputs: Outputs) -> SlideClassMeans | None:
    if card.slide_classes is None:
        return None
    coarse = (softmax(np.asarray(outputs["logits"])) @ _TO_COARSE).astype(np.float32)
    return estimate_class_means(outputs[TRAITS], coarse, engine.constant(CLASS_TRAITS), card.slide_classes)
