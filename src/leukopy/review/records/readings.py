"""Blind readings: second readings of open cases, and proficiency tests on signed ones."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from leukopy.core.settings import Settings
from leukopy.review.records.counts import AgreementView
from leukopy.review.records.values import Code, Id, Number, ShortText

ReadingKind = Literal["second", "test"]
"""A second reading of an open case, compared with the first; a test on a signed case, compared with what was signed."""


class NewReading(Settings):
    """A reading that is asked for; a signed case gives a test, an open one a second reading."""

    reader: Id
    cells: int | None = Field(default=None, ge=5, le=1000)
    """Drawn at random; None: all."""


class ReadingView(Settings):
    """A reading as lists show it."""

    id: Id
    case_id: Id | None
    """None: the user may not see the case."""
    slide: ShortText | None
    """None: the user may not see the case, or reads it blind now."""
    kind: ReadingKind
    state: Literal["open", "finished", "withdrawn"]
    reader: ShortText
    own: bool
    asked_by: ShortText
    created: datetime
    finished: datetime | None
    cells: int
    answered: int
    agreed: int | None
    """Cells with the class of the first reader, or of the signed content; None until it is finished."""
    to_settle: int
    """Disagreements of a second reading that nobody has settled."""


class ReadingWork(Settings):
    """A reading for its reader: cells without any class, in random order, and the answers given."""

    reading: ReadingView
    cells: tuple[int, ...]
    answers: dict[int, Code]


class Answers(Settings):
    """Classes that the reader gives."""

    answers: dict[Number, Code] = Field(min_length=1, max_length=1000)


class Settlement(Settings):
    """The class of a cell on which two readers disagree."""

    cell: Number
    version: Number
    code: Code


class Disagreement(Settings):
    """A cell that two readers name differently."""

    cell: int
    first: Code | None
    """Of the first reader, or of the signed content."""
    second: Code
    settled: Code | None


class ReadingResult(Settings):
    """What a finished reading shows."""

    reading: ReadingView
    agreement: AgreementView
    """Where it says reader, the first reader or the signed content; where it says model, the blind reader."""
    disagreements: tuple[Disagreement, ...]
