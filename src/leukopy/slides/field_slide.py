"""The fields of one slide: searched, their leukocytes surveyed and classified as those of any slide."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple, Protocol, Self

import polars as pl

from leukopy.bundle import Card
from leukopy.core.progress import Progress, silent
from leukopy.fields.field import FieldInput
from leukopy.fields.locate import Finder, Read
from leukopy.fields.located import LocatedField
from leukopy.fields.read import read_field
from leukopy.fields.stream import Earlier, FieldStream, Seen
from leukopy.fields.tables import CUT, FIELD_SCHEMA, LOCATION_SCHEMA, OBJECT_SCHEMA, TOUCHING
from leukopy.inference.pictures import Pictures
from leukopy.inference.rows import CellInput, Predictions
from leukopy.slides.slide import ROWS, Slide
from leukopy.slides.survey import SAMPLE, SlideSurvey

FIELDS_AT_ONCE = 32
"""Most fields whose leukocytes are classified together."""


class CellModel(Protocol):
    """The model of cells, as `classifier.Classifier`."""

    @property
    def card(self) -> Card:
        """Its card."""

    @property
    def threads(self) -> int:
        """Worker threads."""

    @property
    def nothing(self) -> Predictions:
        """No rows, with its columns."""

    def slide(self, cells: Sequence[CellInput], pictures: Pictures | None = None) -> Slide:
        """Open the cells of one slide."""


class FieldRows(NamedTuple):
    """Rows of some fields, whole fields alone."""

    fields: pl.DataFrame
    """Rows of ``FIELD_SCHEMA``."""
    objects: pl.DataFrame
    """Rows of ``OBJECT_SCHEMA``."""
    cells: Predictions
    """Their leukocytes, with the columns ``LOCATION_SCHEMA``; an unreadable field is a failure."""


class FieldSlide:
    """All fields of one slide, in constant memory.

    A field is read, searched and its leukocytes are cut out once; their pictures stay in memory until they are
    classified. The survey of the slide rests on the leukocytes of some fields, spread evenly.
    """

    def __init__(
        self,
        classifier: CellModel,
        detector: Finder,
        fields: Sequence[FieldInput],
        *,
        wanted: int | None = None,
        read: Read = read_field,
        seen: Seen | None = None,
    ) -> None:
        """Open a slide.

        Args:
            classifier: the model of cells.
            detector: finds the objects; several threads share it.
            fields: all fields of the slide, in a fixed order.
            wanted: leukocytes after which the search ends; every beginning of ``fields`` is then spread evenly.
                None: all fields are searched.
            read: reads a field.
            seen: called with each field that is read, while its pixels are at hand.
        """
        self.inputs = fields
        self._classifier, self._pictures, self._wanted = classifier, Pictures(0), wanted
        short_side = classifier.card.preprocess.short_side
        self._stream = FieldStream(fields, detector, short_side, classifier.threads, read=read, seen=seen)

    @cached_property
    def _slide(self) -> Slide:
        """The slide of the sampled leukocytes, surveyed."""
        sample = [
            one for located in self._stream.sample(SAMPLE, first=self._wanted is not None) for one in located.cells()
        ]
        cells = [cell for cell, _ in sample]
        slide = self._classifier.slide(cells, self._pictures)
        self._pictures.hold(sample)
        _ = slide.survey
        self._pictures.forget(cells)
        return slide

    @property
    def nothing(self) -> FieldRows:
        """No rows, with the columns of this model."""
        objects = pl.DataFrame(schema=OBJECT_SCHEMA)
        return FieldRows(pl.DataFrame(schema=FIELD_SCHEMA), objects, _with_location(self._classifier.nothing, objects))

    @property
    def survey(self) -> SlideSurvey:
        """Survey of the slide from up to 128 of its leukocytes."""
        return self._slide.survey

    def rows(self, earlier: Earlier | None = None) -> Generator[FieldRows, None, None]:
        """Search and classify the fields.

        Args:
            earlier: results of the first fields from an interrupted run; they are not yielded again.

        Yields:
            The next fields, with some 256 cells.

        Raises:
            BundleError: a network fails on a picture.
        """
        slide = self._slide
        for located in _together(self._stream.run(earlier, self._wanted)):
            inputs = [one for field in located for one in field.cells()]
            cells = [cell for cell, _ in inputs]
            self._pictures.hold(inputs)
            with closing(slide.rows(cells)) as stream:
                parts = list(stream)
            self._pictures.forget(cells)
            objects = pl.concat([field.objects() for field in located], rechunk=True)
            yield FieldRows(
                pl.concat([field.field_row() for field in located], rechunk=True),
                objects,
                _with_location(_joined([self._classifier.nothing, *parts]), objects),
            )


@dataclass(frozen=True)
class FieldPredictions:
    """Results of the fields of one slide."""

    cells: pl.DataFrame
    """Located leukocytes with their classes: rows of `inference.rows.cell_schema` and ``LOCATION_SCHEMA``."""
    failures: pl.DataFrame
    """Unreadable fields: rows of ``FAILURE_SCHEMA``."""
    fields: pl.DataFrame
    """Rows of ``FIELD_SCHEMA``."""
    objects: pl.DataFrame
    """All objects, counted or not: rows of ``OBJECT_SCHEMA``."""
    survey: SlideSurvey

    @classmethod
    def of(cls, slide: FieldSlide, progress: Progress = silent) -> Self:
        """Search and classify all fields of a slide."""
        found = [slide.nothing]
        for part in slide.rows():
            found.append(part._replace(cells=replace(part.cells, views=())))
            progress("analysing fields", sum(len(one.fields) for one in found), len(slide.inputs))
        rows = Predictions.concat([one.cells for one in found])
        fields, objects = pl.concat([one.fields for one in found]), pl.concat([one.objects for one in found])
        return cls(rows.cells, rows.failures, fields, objects, slide.survey)


def _together(stream: Iterator[LocatedField]) -> Iterator[list[LocatedField]]:
    """Fields with some ``ROWS`` cells."""
    waiting: list[LocatedField] = []
    cells = 0
    for located in stream:
        waiting.append(located)
        cells += len(located.rows)
        if cells >= ROWS or len(waiting) >= FIELDS_AT_ONCE:
            yield waiting
            waiting, cells = [], 0
    if waiting:
        yield waiting


def _joined(parts: Sequence[Predictions]) -> Predictions:
    """Rows of several parts, with their views."""
    return replace(Predictions.concat(parts), views=[view for part in parts for view in part.views])


def _with_location(found: Predictions, objects: pl.DataFrame) -> Predictions:
    """Cells with the columns ``LOCATION_SCHEMA`` and the flags of their boxes."""
    places = objects.filter(pl.col("cell_id").is_not_null()).select("cell_id", *LOCATION_SCHEMA, "cut", "touching")
    flags = pl.concat_list(
        pl.when(pl.col("flags") != "").then(pl.col("flags")),
        pl.when("cut").then(pl.lit(CUT)),
        pl.when("touching").then(pl.lit(TOUCHING)),
    ).list.drop_nulls()
    cells = found.cells.join(places, on="cell_id", how="left", maintain_order="left")
    cells = cells.with_columns(flags=flags.list.join(";"))
    return replace(found, cells=cells.select(*found.cells.columns, *LOCATION_SCHEMA))
