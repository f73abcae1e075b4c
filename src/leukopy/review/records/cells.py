"""Cells and their corrections."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from leukopy.core.settings import Settings
from leukopy.review.records.cases import Case, Refused
from leukopy.review.records.counts import DifferentialView
from leukopy.review.records.fields import Box
from leukopy.review.records.not_counted import NotCounted, not_counted
from leukopy.review.records.values import Code, LongText, Number, ShortText

LookReason = Literal["unidentified", "critical", "uncertain", "close", "stage", "attributes", "rare"]
"""Why a reader is to look at a cell before signing: unlike every class; a blast; flagged uncertain; the second class is
nearly as probable; a stage between others; granules contradict the class; a class with few cells on the slide."""


class CellRow(Settings):
    """A cell as the gallery shows it."""

    id: int
    name: str
    """Name of the file."""
    code: Code | None
    """The reader's class, or the model's if no reader changed it; None: the image holds no single cell."""
    model_code: Code | None
    confidence: float | None
    """Calibrated probability of the model's class; None without a class."""
    flags: tuple[str, ...] = ()
    not_counted: NotCounted | None = Field(default_factory=lambda row: not_counted(row["code"], row["flags"]))
    """Why no count holds the cell, by the counting rule; None: it is counted."""
    comment: LongText = ""
    version: Number
    void_reason: LongText | None = None
    """Why the image is void."""
    changed_by: str | None = None
    """Who acted on it last."""
    seen_by: str | None = None
    """The reader who gave it its class, or confirmed it; None: nobody, by all that is known."""
    look: tuple[LookReason, ...] | None = None
    """Why a reader is to look at it; empty: it is not in the queue. None: signed before there was one."""
    rank: int | None = None
    """Place in the order of the review, 1 first; None: no count holds it."""
    field: int | None = None
    """The field that shows it; None: the image is the cell."""
    box: Box | None = None
    """Where it lies on its field."""
    drawn_by: str | None = None
    """The reader who drew it on its field; None: the detector found it, or the image is the cell."""


class Similar(Settings):
    """A similar training cell, or a reference cell."""

    code: Code
    similarity: float
    """Cosine of the embeddings, -1 to 1."""
    image: str | None
    """Address of its picture; None where only its embedding is known."""
    source: str


class LookAlikes(Settings):
    """Similar cells of the station's signed cases."""

    cells: tuple[Similar, ...]
    waiting: int
    """Signed cells that were not compared yet: ask again."""


class CellDetail(CellRow):
    """All data of a cell."""

    width: int
    height: int
    probabilities: dict[Code, float]
    """Of the fine classes."""
    why: str
    """The cell in words; empty without attributes."""
    attributes: dict[str, tuple[str, float]]
    """Value and calibrated probability of each attribute."""
    micrometres_per_pixel: float | None = None
    """None where unknown: then no scale bar is drawn."""


class Correction(Settings):
    """One cell's other class."""

    cell: Number
    version: Number
    code: Code


class Corrections(Settings):
    """One gesture: all of them or none."""

    changes: tuple[Correction, ...] = Field(min_length=1, max_length=5000)


class Confirmation(Settings):
    """One cell whose class is right."""

    cell: Number
    version: Number


class Confirmations(Settings):
    """One gesture: all of them or none."""

    changes: tuple[Confirmation, ...] = Field(min_length=1, max_length=5000)


class VoidCell(Settings):
    """Why an image is void; an empty reason: it no longer is."""

    version: Number
    reason: Annotated[LongText, Field(max_length=1000)]


class CellComment(Settings):
    """A remark on a cell."""

    version: Number
    comment: LongText


class CorrectionResult(Settings):
    """Result of a correction, undo or redo."""

    case: Case
    cells: tuple[CellRow, ...]
    """Those that changed, as they are now."""
    differential: DifferentialView
    can_undo: bool
    can_redo: bool


class CellList(Settings):
    """The gallery of a case: in display order of the classes, least certain first."""

    case: Case
    cells: tuple[CellRow, ...]
    failures: tuple[Refused, ...]
    differential: DifferentialView
    can_undo: bool
    can_redo: bool


class ClassChoice(Settings):
    """A class that a reader may give."""

    code: Code
    name: ShortText
    french: ShortText
    colour: Annotated[str, StringConstraints(pattern=r"^#[0-9a-f]{6}$")]
    key: Annotated[str, StringConstraints(pattern=r"^[a-z0-9]?$")]
    """The key that gives it; empty: none."""
    place: Literal["differential", "per_100_leukocytes", "outside"]
    own: bool = False
    """Defined by the laboratory."""
