"""From image files to rows: class, calibrated probabilities and flags of each cell."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from leukopy.bundle import Bundle, Card, open_bundle
from leukopy.core.progress import Progress, silent
from leukopy.evaluation.conformal import prediction_sets
from leukopy.inference.attributes import attribute_columns
from leukopy.inference.engine import Batch, Engine
from leukopy.inference.rows import FAILURE_SCHEMA, UNIDENTIFIED, CellInput, Predictions, cell_schema, printable
from leukopy.network.probabilities import calibrated, softmax
from leukopy.slides.class_means import CLASS_TRAITS, TRAITS, SlideClassMeans, estimate_class_means
from leukopy.slides.laboratory_check import ENOUGH_CELLS, class_free
from leukopy.slides.magnification import SAMPLE, crop_for, diameters
from leukopy.slides.ood_correction import NO_SHIFT, Shift, correct, estimate_shift
from leukopy.slides.survey import NO_SURVEY, SlideSurvey, sample_of
from leukopy.taxonomy import COARSE, FINE, coarse_matrix

ROWS = 256
"""Rows per table that `Classifier.stream` yields: a second of work or less, so that progress moves."""

ELONGATED = 1.5
"""A picture whose long side exceeds this many short sides is flagged ``not_square``: much of it is not looked at."""

FAR = "ood_score.far"
"""The output of the network that is the first part of ``ood_score``."""

_TO_COARSE = coarse_matrix()
_FINE_CODES = np.array([cell.code for cell in FINE])
_COARSE_CODES = np.array([cell.code for cell in COARSE])
_SUMS = [index for index, code in enumerate(_COARSE_CODES) if code not in _FINE_CODES]
"""The coarse classes that are no fine class: NEU and IG."""


class Classifier:
    """A model at work. Open one with `leukopy.load`; it may be used from several threads."""

    def __init__(self, bundle: Bundle, threads: int | None = None) -> None:
        self.bundle = bundle
        self._schema = cell_schema(bundle.card)
        wanted = {
            **dict.fromkeys(bundle.card.calibration.outputs, True),
            "attributes": bundle.card.attributes,
            "ood_score": bundle.card.open_set,
            FAR: bundle.card.open_set and bundle.card.open_set.baseline,
            TRAITS: bundle.card.slide_classes,
        }
        self._outputs = [name for name, there in wanted.items() if there]
        self._engine = Engine(bundle.network, threads, self._outputs, appearance=bundle.card.slide_check is not None)

    @classmethod
    def open(cls, model: str | Path = "default", threads: int | None = None) -> Self:
        """Open a bundled model by its name, or a bundle folder by its path.

        Args:
            model: name or folder.
            threads: worker threads; by default one for each core that this process may use.

        Raises:
            BundleError: no such model, or the bundle is broken or made for another taxonomy.
        """
        return cls(open_bundle(model), threads)

    @property
    def card(self) -> Card:
        """What the model is, what it was trained on, and how well it does."""
        return self.bundle.card

    def predict(self, paths: Iterable[Path | str], progress: Progress = silent) -> Predictions:
        """Classify image files; a cell's id is its path as given.

        Args:
            paths: image files, of one slide: where they are enough, it is surveyed.
            progress: told how many are done.

        Returns:
            Rows of `inference.rows.cell_schema` (``CELL_SCHEMA``, and more columns where the bundle has what they
            tell) and of ``FAILURE_SCHEMA``, each in the order of ``paths``.
        """
        inputs = [CellInput(printable(str(path)), str(path)) for path in paths]
        cells, failures, appearance, done = [], [], [], 0
        for part in self.stream(inputs, self.survey(inputs)):
            cells.append(part.cells)
            failures.append(part.failures)
            appearance += [] if part.appearance is None else [part.appearance]
            done += len(part.cells) + len(part.failures)
            progress("classifying", done, len(inputs))
        return Predictions(
            pl.concat([pl.DataFrame(schema=self._schema), *cells]),
            pl.concat([pl.DataFrame(schema=FAILURE_SCHEMA), *failures]),
            pl.concat(appearance) if appearance else None,
        )

    def survey(self, slide: Sequence[CellInput]) -> SlideSurvey:
        """What a few cells of a slide tell of it: how large its cells are, how strange, and how its classes look.

        Args:
            slide: all cells of the slide, in any order that is always the same. Of fewer than ``ENOUGH_CELLS`` that can
                be read nothing is said.
        """
        if len(slide) < ENOUGH_CELLS:
            return NO_SURVEY
        crop = self.crop(slide)
        batches = [batch.outputs for batch in self._engine.run(sample_of(slide), crop)]
        seen = {name: np.concatenate([batch[name] for batch in batches]) for name in self._outputs}
        if len(seen["logits"]) < ENOUGH_CELLS:
            return SlideSurvey(crop)
        shift = self._shift(seen)
        known = self._ood_score(seen, shift) <= 1
        if known.sum() < ENOUGH_CELLS:
            return SlideSurvey(crop, shift)
        seen = {name: values[known] for name, values in seen.items()}
        foreign = float(seen["foreign_probability"].mean()) if "foreign_probability" in seen else 0.0
        return SlideSurvey(crop, shift, self._classes(seen), foreign)

    def crop(self, slide: Sequence[CellInput]) -> float | None:
        """The first thing that a survey finds: how much of a slide's pictures to keep; None: as the card says."""
        sizes = self.card.cell_sizes
        if sizes is None or len(slide) < ENOUGH_CELLS:
            return None
        batches = list(self._engine.run(sample_of(slide, SAMPLE)))
        classes = [code for batch in batches for code in self._coarse(batch)]
        found = diameters([Path(cell.path) for batch in batches for cell in batch.cells], self._engine.threads)
        return crop_for(found, classes, sizes, self.card.preprocess.crop)

    def _coarse(self, batch: Batch) -> list[str]:
        """The coarse class of each cell."""
        fine = calibrated(self.card.calibration, batch.outputs)
        return [str(code) for code in _COARSE_CODES[(fine @ _TO_COARSE).argmax(axis=1)]]

    def _shift(self, seen: Mapping[str, NDArray[np.float32]]) -> Shift:
        knowing = self.card.open_set
        if knowing is None or knowing.baseline is None:
            return NO_SHIFT
        return estimate_shift(seen["ood_score"], seen[FAR], knowing.baseline)

    def _ood_score(self, seen: Mapping[str, NDArray[np.float32]], shift: Shift) -> NDArray[np.float32]:
        """Of each cell among its slide, in units of the threshold; 0 where the model does not tell."""
        knowing = self.card.open_set
        if knowing is None:
            return np.zeros(len(seen["logits"]), np.float32)
        ood_score = seen["ood_score"]
        if knowing.baseline is not None:
            ood_score = correct(ood_score, seen[FAR], shift)
        return np.asarray(ood_score / knowing.threshold, np.float32)

    def _classes(self, seen: Mapping[str, NDArray[np.float32]]) -> SlideClassMeans | None:
        how = self.card.slide_classes
        if how is None:
            return None
        coarse = (softmax(seen["logits"]) @ _TO_COARSE).astype(np.float32)
        return estimate_class_means(seen[TRAITS], coarse, self._engine.constant(CLASS_TRAITS), how)

    def stream(self, cells: Iterable[CellInput], survey: SlideSurvey = NO_SURVEY) -> Generator[Predictions, None, None]:
        """Classify any number of cells in constant memory.

        Args:
            cells: image files.
            survey: of their slide.

        Yields:
            What became of the next ``ROWS`` cells or so. Inputs keep their order within each of the two tables, and
            every input is in the yield of its own stretch.
        """
        waiting: list[Batch] = []
        for batch in self._engine.run(cells, survey.crop):
            waiting.append(batch)
            if sum(len(one.cells) + len(one.failures) for one in waiting) >= ROWS:
                yield self._rows(waiting, survey)
                waiting = []
        if waiting:
            yield self._rows(waiting, survey)

    def _rows(self, batches: Sequence[Batch], survey: SlideSurvey) -> Predictions:
        cells = [cell for batch in batches for cell in batch.cells]
        failures = [failure for batch in batches for failure in batch.failures]
        sizes = np.array([size for batch in batches for size in batch.sizes], dtype=np.int32).reshape(-1, 2)
        outputs = {name: np.concatenate([batch.outputs[name] for batch in batches]) for name in self._outputs}
        calibration = self.card.calibration
        if survey.classes is not None:
            said = survey.classes.evidence(outputs[TRAITS])
            outputs["logits"] = outputs["logits"] + outputs["foreign_probability"].reshape(-1, 1) * said
            calibration = calibration.model_copy(
                update={"foreign_temperature_factor": survey.classes.foreign_temperature_factor}
            )
        columns: dict[str, Any] = {
            "cell_id": [cell.cell_id for cell in cells],
            "path": [printable(cell.path) for cell in cells],
            **self._columns(calibrated(calibration, outputs), sizes),
            "width": sizes[:, 0],
            "height": sizes[:, 1],
            "digest": [digest for batch in batches for digest in batch.digests],
        }
        if self.card.attributes:
            columns |= attribute_columns(outputs["attributes"], columns["coarse"], self.card.attributes)
        if self.card.open_set:
            from leukopy.inference.reasons import reasons  # noqa: PLC0415 (scikit-image: half as long again to start)

            columns["ood_score"] = ood_score = self._ood_score(outputs, survey.shift)
            columns["flags"] = _with_flag(UNIDENTIFIED, ood_score > 1, columns["flags"])
            paths = [Path(cell.path) if strange else None for cell, strange in zip(cells, ood_score > 1, strict=True)]
            columns["unidentified_reason"] = reasons(paths, self._engine.threads)
        failed = [(cell.cell_id, printable(cell.path), error.reason, printable(str(error))) for cell, error in failures]
        return Predictions(
            pl.DataFrame({name: columns[name] for name in self._schema}, schema=self._schema),
            pl.DataFrame(failed, schema=FAILURE_SCHEMA, orient="row"),
            self._appearance(batches, columns["coarse"]),
        )

    def _appearance(self, batches: Sequence[Batch], classes: Sequence[str]) -> pl.DataFrame | None:
        if self.card.slide_check is None:
            return None
        return class_free(np.concatenate([batch.appearance for batch in batches]), classes, self.card.slide_check)

    def _columns(self, fine: NDArray[np.float32], sizes: NDArray[np.int32]) -> dict[str, NDArray[np.generic]]:
        """Classes, probabilities and flags of N cells from fine probabilities (N, 11), widths and heights (N, 2)."""
        coarse = (fine @ _TO_COARSE).clip(max=1)
        best = coarse.argmax(axis=1)
        # The fine class is sought within the coarse one, so that the two never contradict each other.
        best_fine = np.where(_TO_COARSE.T[best] > 0, fine, -1).argmax(axis=1)
        every = np.arange(len(fine))
        confidence = coarse[every, best]
        probabilities: dict[str, NDArray[Any]] = {f"p_{code}": fine[:, index] for index, code in enumerate(_FINE_CODES)}
        probabilities |= {f"p_{_COARSE_CODES[index]}": coarse[:, index] for index in _SUMS}
        if self.card.thresholds.set_from is not None:
            probabilities["fine_set"] = _joined(fine, prediction_sets(fine, self.card.thresholds.set_from))
        short, long = sizes.min(axis=1), sizes.max(axis=1)
        return {
            "coarse": _COARSE_CODES[best],
            "fine": _FINE_CODES[best_fine],
            "confidence": confidence,
            "fine_confidence": fine[every, best_fine],
            "flags": _words(
                uncertain=confidence < self.card.thresholds.uncertain_below,
                low_resolution=2 * short < self.card.preprocess.size,
                not_square=long > ELONGATED * short,
            ),
            **probabilities,
        }


def _with_flag(name: str, up: NDArray[np.bool_], flags: NDArray[np.str_]) -> list[str]:
    """Flags with one more, where it is up, before the others."""
    return [";".join(filter(None, (name, own))) if is_up else own for own, is_up in zip(flags, up, strict=True)]


def _joined(fine: NDArray[np.float32], sets: NDArray[np.bool_]) -> NDArray[np.str_]:
    """The codes of each set joined by ``;``, the most probable first."""
    order = np.argsort(-np.where(sets, fine, -1), axis=1, kind="stable")
    return np.array([";".join(_FINE_CODES[row[:size]]) for row, size in zip(order, sets.sum(axis=1), strict=True)])


def _words(**flags: NDArray[np.bool_]) -> NDArray[np.str_]:
    """The names of the flags that are up, joined by ``;``, for each row."""
    names = list(flags)
    every_set = [";".join(name for bit, name in enumerate(names) if code >> bit & 1) for code in range(2 ** len(names))]
    codes: NDArray[np.intp] = np.sum([up.astype(np.intp) << bit for bit, up in enumerate(flags.values())], axis=0)
    rows: NDArray[np.str_] = np.array(every_set)[codes]
    return rows


def magnified(bundle: Bundle, slide: Sequence[CellInput]) -> Bundle:
    """The bundle as it looks at a slide: of each picture as much is kept as makes the cells as large as it learnt them.

    Args:
        bundle: an opened bundle.
        slide: cells of one slide, or of one laboratory.

    Returns:
        The same bundle where the cells are too few, or as large as usual, or where it does not ask for their size.
    """
    crop = Classifier(bundle).crop(slide)
    if crop is None or crop == bundle.card.preprocess.crop:
        return bundle
    preprocess = bundle.card.preprocess.model_copy(update={"crop": crop})
    return replace(bundle, card=bundle.card.model_copy(update={"preprocess": preprocess}))
