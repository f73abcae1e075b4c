"""Record of an analysed slide: results of its pictures, and warnings for its readers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import polars as pl

from leukopy.imaging.content import NO_CELL, SEVERAL_CELLS
from leukopy.inference.rows import DUPLICATE, UNIDENTIFIED, has_flag, left_out_flag
from leukopy.slides import notes
from leukopy.slides.differential import no_differential
from leukopy.slides.laboratory_check import ENOUGH_CELLS, SlideDistance

_TALLIED = ("duplicates", "no_cell", "several_cells", "unidentified", "trusted")


def tally(cells: pl.LazyFrame) -> Counter[str]:
    """Number of rows of ``CELL_SCHEMA`` that are ``read``, and of each kind counted in a `SlideRecord`."""
    left_out, unidentified = left_out_flag(), has_flag(UNIDENTIFIED)
    counts = cells.select(
        read=pl.len(),
        duplicates=(left_out == DUPLICATE).sum(),
        no_cell=(left_out == NO_CELL).sum(),
        several_cells=(left_out == SEVERAL_CELLS).sum(),
        unidentified=(left_out.is_null() & unidentified).sum(),
        trusted=(left_out.is_null() & ~unidentified).sum(),
    ).collect(engine="streaming")
    return Counter({name: int(count) for name, count in counts.row(0, named=True).items()})


@dataclass(frozen=True)
class SlideRecord:
    """Counts of the pictures of one slide, by result."""

    pictures: int
    """All inputs."""
    failures: int
    """Unreadable pictures."""
    duplicates: int = 0
    """Copies of another picture of the slide."""
    no_cell: int = 0
    several_cells: int = 0
    unidentified: int = 0
    trusted: int = 0
    """Pictures of one cell whose class is counted."""
    distance: SlideDistance | None = None
    """Distance to the laboratories of the training data; None where unknown."""
    survey: Mapping[str, Any] = field(default_factory=dict)
    """`SlideSurvey.facts`."""

    @classmethod
    def of(
        cls, cells: pl.LazyFrame, pictures: int, distance: SlideDistance | None, survey: Mapping[str, Any]
    ) -> SlideRecord:
        """Count the pictures of a slide by result.

        Args:
            cells: rows of ``CELL_SCHEMA``, any number of them.
            pictures: inputs, readable or not.
            distance: to the laboratories of the training data.
            survey: `SlideSurvey.facts`.
        """
        return cls.tallied(tally(cells), pictures, distance, survey)

    @classmethod
    def tallied(
        cls, tally: Mapping[str, int], pictures: int, distance: SlideDistance | None, survey: Mapping[str, Any]
    ) -> SlideRecord:
        """The record from the sum of the `tally` of each part of its rows."""
        counts = {name: tally.get(name, 0) for name in _TALLIED}
        failures = pictures - tally.get("read", 0)
        return cls(pictures, failures, **counts, distance=distance, survey=dict(survey))

    @classmethod
    def load(cls, facts: Mapping[str, Any]) -> SlideRecord:
        """The record from its `facts`."""
        distance = facts["distance"]
        return cls(**{**facts, "distance": SlideDistance(**distance) if distance else None})

    def facts(self) -> dict[str, Any]:
        """The record as JSON values."""
        return asdict(self)

    @property
    def classified(self) -> int:
        """Readable pictures."""
        return self.pictures - self.failures

    @property
    def refused(self) -> str:
        """Reason for a missing differential; empty where there is one."""
        if self.survey.get("fields"):
            return notes.FIELDS
        left_out = {
            (NO_CELL, ""): self.no_cell,
            (SEVERAL_CELLS, ""): self.several_cells,
            (UNIDENTIFIED, "unlike every class"): self.unidentified,
        }
        return no_differential(self.trusted, {key: count for key, count in left_out.items() if count})

    @property
    def notes(self) -> tuple[str, ...]:
        """Warnings shown with the counts of the slide."""
        said = (
            notes.foreign_slide(self.distance) if self.distance else "",
            notes.re_estimated(self.survey.get("cells_used")),
            notes.few_cells(self.classified, ENOUGH_CELLS),
        )
        return tuple(filter(None, said))

    @property
    def picture_notes(self) -> tuple[str, ...]:
        """Warnings for readers of the rows alone: rows to exclude from counts."""
        said = (
            self.refused,
            notes.without_class(self.no_cell, self.several_cells, self.pictures),
            notes.copies(self.duplicates),
        )
        return tuple(filter(None, said))
