"""The cells of one slide: surveyed once, classified in constant memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Generator, Iterable, Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from leukopy.bundle import Card
from leukopy.imaging.preprocess import Preprocess
from leukopy.inference.attribute_columns import attribute_columns
from leukopy.inference.engine import Batch, Engine, join
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
from leukopy.slides.outside import with_fine
from leukopy.slides.survey import OUTSIDE, SlideSurvey, find_crop, ood_scores, sample_of, survey_slide

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
        self._pictures, self._own_pictures = pictures or Pictures(), pictures is None
        self._read = self._pictures.take if self._own_pictures else self._pictures.keep
        self._digests = Digests()
        self._surveyed: dict[CellInput, Batch] = {}
        """Results of sampled cells, until their rows are made."""
        self.at_card_crop: dict[CellInput, dict[str, NDArray[np.float32]]] = {}
        """Requested outputs, one row each, of the cells that the survey ran at the crop of the card."""

    @cached_property
    def survey(self) -> SlideSurvey:
        """Survey of the slide from up to 128 of its cells."""
        survey, batches, first = survey_slide(self._engine, self._card, self.cells, self._pictures)
        self._surveyed = {cell: one for batch in batches for cell, one in batch.singles()}
        self.at_card_crop = {
            cell: {name: one.outputs[name] for name in self._given}
            for batch in (first if self._given else ())
            for cell, one in batch.singles()
            if one.cells
        }
        if self._own_pictures:
            self._pictures.forget(self._surveyed)
        return survey

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
        batches: list[Batch] = []
        order: list[CellInput] = []
        for one, finished in self._finished(self.cells if cells is None else cells):
            batches += one
            order += finished
            if len(order) >= ROWS:
                yield self._table(join(batches, order))
                batches, order = [], []
        if order:
            yield self._table(join(batches, order))

    def _finished(self, cells: Iterable[CellInput]) -> Iterator[tuple[list[Batch], list[CellInput]]]:
        """The results of the next inputs, and these inputs in their order: surveyed cells are not run again."""
        crop, surveyed = self.survey.crop, self._surveyed
        begun: deque[tuple[CellInput, Batch | None]] = deque()

        def unknown() -> Iterator[CellInput]:
            for cell in cells:
                known = surveyed.pop(cell, None)
                begun.append((cell, known))
                if known is None:
                    yield cell

        for batch in self._engine.run(unknown(), crop, self._read):
            batches, finished, run = [batch], [], len(batch)
            while begun and (run or begun[0][1]):
                cell, known = begun.popleft()
                finished.append(cell)
                if known is None:
                    run -= 1
                else:
                    batches.append(known)
            yield batches, finished
        yield [known for _, known in begun if known], [cell for cell, _ in begun]

    def _table(self, batch: Batch) -> Predictions:
        card, schema, outputs = self._card, self._schema, batch.outputs
        columns = self._classes(outputs, np.array(batch.sizes, np.int32))
        columns |= {
            "cell_id": [cell.cell_id for cell in batch.cells],
            "path": [printable(cell.path) for cell in batch.cells],
            "slide": [cell.slide or None for cell in batch.cells],
            "digest": batch.digests,
        }
        is_cell = np.array([content.kind == "cell" for content in batch.contents], bool)
        if card.attributes:
            columns |= attribute_columns(outputs["attributes"], columns["coarse"], card.attributes)
        if card.open_set:
            from leukopy.inference.reasons import reasons  # noqa: PLC0415 (scikit-image: adds half to the start-up time)

            columns["ood_score"] = score = ood_scores(card, outputs, self.survey.shift)
            # A class outside is an answer; the score is for cells that are none of the classes.
            unidentified = (score > 1) & is_cell & np.isin(columns["fine"], card.classes)
            columns["flags"] = with_flag(UNIDENTIFIED, unidentified, columns["flags"])
            strange = [view if above else None for view, above in zip(batch.views, unidentified, strict=True)]
            columns["unidentified_reason"] = reasons(strange, self._engine.threads)
        columns["content"] = [None] * len(batch.cells)
        failed = [
            (cell.cell_id, printable(cell.path), error.reason, printable(str(error))) for cell, error in batch.failures
        ]
        rows = pl.DataFrame({name: columns[name] for name in schema}, schema=schema)
        return Predictions(
            mark(rows, batch.contents, self._digests),
            pl.DataFrame(failed, schema=FAILURE_SCHEMA, orient="row"),
            self._appearance(batch, columns["coarse"], is_cell),
            batch.views,
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
        outside = with_fine(outputs[OUTSIDE], self.survey.outside_shift) if card.outside else None
        columns = class_columns(calibrated(calibration, outputs), sizes, card, outside)
        return {**columns, "width": sizes[:, 0], "height": sizes[:, 1]}

    def _appearance(self, batch: Batch, classes: Sequence[str], is_cell: NDArray[np.bool_]) -> pl.DataFrame | None:
        """Appearance of the cells; null for pictures without a cell."""
        check = self._card.slide_check
        if check is None:
            return None
        found = class_free(batch.appearance, classes, check)
        return found.select(pl.when(pl.Series(is_cell)).then(pl.all()))
