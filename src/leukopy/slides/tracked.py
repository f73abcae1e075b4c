"""A slide whose rows are counted as they pass."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Sequence

from leukopy.inference.pictures import Pictures
from leukopy.inference.rows import CellInput, Predictions
from leukopy.slides.classifier import Classifier
from leukopy.slides.laboratory_check import AppearanceSum, nearest_laboratory
from leukopy.slides.record import SlideRecord, tally


class TrackedSlide:
    """A slide whose rows are counted as they pass."""

    def __init__(self, classifier: Classifier, cells: Sequence[CellInput], pictures: Pictures | None = None) -> None:
        """Open a slide, as `Classifier.slide` does."""
        self.slide = classifier.slide(cells, pictures)
        self._check = classifier.card.slide_check
        self._tally: Counter[str] = Counter()
        self._appearance = AppearanceSum()

    def rows(self) -> Generator[Predictions, None, None]:
        """Rows of the slide, counted as they pass (`Slide.rows`)."""
        for predictions in self.slide.rows():
            self._tally.update(tally(predictions.cells.lazy()))
            self._appearance.add(predictions.appearance)
            yield predictions

    def record(self) -> SlideRecord:
        """Record of the pictures, once all rows have passed."""
        distance = nearest_laboratory(self._appearance, self._check)
        return SlideRecord.tallied(self._tally, len(self.slide.cells), distance, self.slide.survey.facts())
