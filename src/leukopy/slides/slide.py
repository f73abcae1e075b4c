"""The cells of one slide: surveyed once, classified in constant memory."""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterable, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from leukopy.bundle import Card
from leukopy.imaging.content import Content
from leukopy.imaging.preprocess import Preprocess
from leukopy.inference.attribute_columns import attribute_columns
from leukopy.inference.engine import Batch, Engine
from leukopy.inference.left_out import Digests, mark
from leukopy.inference.pictures import Pictures
from leukopy.inference.rows import (
    FAILURE_SCHEMA,
    UNIDENTIFIED,
    CellInput,
    Predictions,
    cell_schema,
    printable,
)
from leukopy.network.probabilities import calibrated
from leukopy.slides.class_means import TRAITS
from leukopy.slides.columns import class_columns, with_flag
from leukopy.slides.laboratory_check import ENOUGH_CELLS, class_free
from leukopy.slides.magnification import SAMPLE
from leukopy.slides.survey import SlideSurvey, find_crop, ood_scores, sample_of, survey_slide

ROWS = 256
"""Rows per table of `Slide.rows`, about half a second of work, so that progress advances steadily."""


class Slide:
    """All cells of one slide, as `Classifier.slide` opens them.

    The first request for rows or for the survey surveys the slide. Sampled pictures stay decoded until their
    rows are made, so that no file is read twice.
    """

    def __init__(
        self,
        engine: Engine,
        card: Card,
        cells: Sequence[CellInput],
        outputs: Sequence[str] = (),
        pictures: Pictures | None = None,
    ) -> None:
        """Open a slide.

        Args:
            engine: runs the network.
            card: of the model.
            cells: all cells of the slide, in a fixed order.
            outputs: outputs of the network for `Predictions.outputs`.
            pictures: cache that outlives the slide; None: the survey's pictures, until their rows are made.
        """
        self.cells = cells
        self._engine, self._card, self._given = engine, card, tuple(outputs)
        self._schema = cell_schema(card)
        self._pictures = pictures or Pictures()
        self._read = self._pictures.take if pictures is None else self._pictures.keep
        self._digests = Digests()

    @cached_property
    def survey(self) -> SlideSurvey:
        """Survey of the slide from up to 128 of its cells."""
        return survey_slide(self._engine, self._card, self.cells, self._pictures)

    @cached_property
    def preprocess(self) -> Preprocess:
        """The card's preprocessing with the crop of this slide, without the rest of the survey."""
        crop = None
        if "survey" in self.__dict__:
            crop = self.survey.crop
        elif len(self.cells) >= ENOUGH_CELLS:
            crop = find_crop(self._engine, self._card, sample_of(self.cells, SAMPLE), self._pictures)
        spec = self._card.preprocess
        return spec if crop is None else spec.model_copy(update={"crop": crop})

    def rows(
        self, cells: Iterable[CellInput] | None = None, counted: Collection[str] = ()
    ) -> Generator[Predictions, None, None]:
        """Classify cells of the slide in constant memory.

        Args:
            cells: some of the slide's cells; by default all.
            counted: digests of pictures in earlier rows of a resumed run.

        Yields:
            The next ``ROWS`` cells or so. Inputs keep their order within each of the two tables, and every input is in
            the yield of its own stretch.

        Raises:
            BundleError: the network fails on an image.
        """
        self._digests.add(counted)
        waiting: list[Batch] = []
        crop = self.survey.crop
        for batch in self._engine.run(self.cells if cells is None else cells, crop, self._read):
            waiting.append(batch)
            if sum(len(one.cells) + len(one.failures) for one in waiting) >= ROWS:
                yield self._table(waiting)
                waiting = []
        if waiting:
            yield self._table(waiting)

    def _table(self, batches: Sequence[Batch]) -> Predictions:
        cells = [cell for batch in batches for cell in batch.cells]
        views = [view for batch in batches for view in batch.views]
        outputs = {name: np.concatenate([batch.outputs[name] for batch in batches]) for name in batches[0].outputs}
        columns = self._classes(outputs, np.array([size for batch in batches for size in batch.sizes], np.int32))
        card, schema = self._card, self._schema
        columns |= {
            "cell_id": [cell.cell_id for cell in cells],
            "path": [printable(cell.path) for cell in cells],
            "slide": [cell.slide or None for cell in cells],
            "digest": [digest for batch in batches for digest in batch.digests],
        }
        held = [content for batch in batches for content in batch.contents]
        if card.attributes:
            columns |= attribute_columns(outputs["attributes"], columns["coarse"], card.attributes)
        if card.open_set:
            from leukopy.inference.reasons import reasons  # noqa: PLC0415 (scikit-image: adds half to the start-up time)

            columns["ood_score"] = score = ood_scores(card, outputs, self.survey.shift)
            unidentified = (score > 1) & np.array([content.kind == "cell" for content in held], bool)
            columns["flags"] = with_flag(UNIDENTIFIED, unidentified, columns["flags"])
            strange = [view if above else None for view, above in zip(views, unidentified, strict=True)]
            columns["unidentified_reason"] = reasons(strange, self._engine.threads)
        columns["content"] = [None] * len(cells)
        failures = [failure for batch in batches for failure in batch.failures]
        failed = [(cell.cell_id, printable(cell.path), error.reason, printable(str(error))) for cell, error in failures]
        return Predictions(
            mark(pl.DataFrame({name: columns[name] for name in schema}, schema=schema), held, self._digests),
            pl.DataFrame(failed, schema=FAILURE_SCHEMA, orient="row"),
            self._appearance(batches, columns["coarse"], held),
            views,
            {name: outputs[name] for name in self._given},
        )

    def _classes(self, outputs: dict[str, NDArray[np.float32]], sizes: NDArray[np.int32]) -> dict[str, Any]:
        """Columns of classes, with the class means of the slide where they were re-estimated."""
        card, means = self._card, self.survey.classes
        calibration, sizes = card.calibration, sizes.reshape(-1, 2)
        if means is not None:
            foreign = outputs["foreign_probability"].reshape(-1, 1)
            outputs = outputs | {"logits": outputs["logits"] + foreign * means.evidence(outputs[TRAITS])}
            factor = means.foreign_temperature_factor
            calibration = calibration.model_copy(update={"foreign_temperature_factor": factor})
        columns = class_columns(calibrated(calibration, outputs), sizes, card)
        return {**columns, "width": sizes[:, 0], "height": sizes[:, 1]}

    def _appearance(
        self, batches: Sequence[Batch], classes: Sequence[str], held: Sequence[Content]
    ) -> pl.DataFrame | None:
        """Appearance of the cells; null for pictures without a cell."""
        check = self._card.slide_check
        if check is None:
            return None
        found = class_free(np.concatenate([batch.appearance for batch in batches]), classes, check)
        is_cell = pl.Series([content.kind == "cell" for content in held], dtype=pl.Boolean)
        return found.select(pl.when(is_cell).then(pl.all()))
