"""Differential, lymphocytosis result and agreement of a case."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from leukopy.core.settings import Settings


class DifferentialLine(Settings):
    """One line of the count."""

    code: str
    name: str
    french: str
    count: int
    percent: float | None
    """Of the leukocytes, or per 100 leukocytes."""
    low: float | None
    """Exact 95 % limits of sampling, same unit."""
    high: float | None
    reference: tuple[float, float] | None = None
    """%."""
    flag: Literal["L", "N", "H"] | None = None
    beyond_error: bool = False
    total_low: float | None = None
    """95 % limits of sampling and of the model's errors in cells that no reader has seen; None where not stated."""
    total_high: float | None = None
    mainly_classification: bool = False
    """Classification adds more variance to the total limits than sampling."""
    sums: tuple[str, ...] = ()
    undivided: bool = False
    """Cells of its sum were not divided into its parts: the line has no share, and its count is a part of the cells."""
    absolute: float | None = None
    """10⁹/L; None without a leukocyte count."""
    absolute_reference: tuple[float, float] | None = None
    absolute_flag: Literal["L", "N", "H"] | None = None


class Looked(Settings):
    """How many cells of a case readers have seen: gave a class, or confirmed the model's."""

    cells: int
    """All that a count may hold: without duplicates and images without a single cell."""
    seen: int
    queue: int
    """Cells to look at (`CellRow.look`)."""
    queue_seen: int
    unidentified: int
    unidentified_seen: int


class DifferentialView(Settings):
    """The differential of a case."""

    cells: int
    """Counted cells, platelets included."""
    leukocytes: int
    target: int
    lines: tuple[DifferentialLine, ...]
    beside: tuple[DifferentialLine, ...]
    """Per 100 leukocytes."""
    outside: tuple[DifferentialLine, ...]
    """Plain counts: percent and limits are None."""
    not_counted: tuple[DifferentialLine, ...] = ()
    """Cells that no count holds, by reason: plain numbers."""
    notes: tuple[str, ...]
    reference_name: str
    looked: Looked | None = None
    """None: signed before cells could be confirmed."""
    total: DifferentialLine | None = None
    """Leukocytes of the blood, without erythroblasts (only an absolute count); None where none was entered."""
    lymphocytes: float | None = None
    """Leukocytes of the blood × share of lymphocytes, 10⁹/L: offered where no lymphocyte count is entered."""


class InfluentialCell(Settings):
    """A cell that weighed much in a patient's result."""

    cell: int
    influence: float
    """Log-odds that it adds towards tumoral."""


class PatientView(Settings):
    """Reactive or tumoral lymphocytosis, for a case with age and lymphocyte count."""

    probability: float
    """Of a tumoral cause."""
    threshold: float
    operating_point: str
    sensitivity: float
    specificity: float
    decision: Literal["tumoral", "reactive"]
    low: float | None
    high: float | None
    flags: tuple[str, ...]
    """In words."""
    flag_words: tuple[str, ...] = ()
    """The fixed word of each flag (`patients.inference.model.Flag`), for pages in other languages."""
    clinical_share: float
    """Log-odds that age and count add."""
    cells: tuple[InfluentialCell, ...]
    lymphocytes_read: int
    model: str


class ModelUse(Settings):
    """A cell model, and the cases that it has judged."""

    name: str
    sha256: str
    current: bool
    """New cases are judged by it."""
    cases: int
    signed: int
    since: datetime | None = None
    """When the station was switched to it; None: it is that of the settings."""
    gain: Gain | None = None
    """None: it was not fitted to this laboratory."""


class Gain(Settings):
    """A model before and after it was fitted to a laboratory, on cells held out."""

    cells: int
    """That it was fitted to."""
    held_out: str
    before: float
    """Balanced accuracy."""
    after: float
    low: float
    """95 % limits of the gain."""
    high: float


class Agreement(Settings):
    """Model and reader on one class."""

    code: str
    name: str
    french: str
    reader: int
    """Cells that the reader gave this class."""
    model: int
    both: int
    recall: float | None
    """Of the reader's cells, those that the model found."""
    precision: float | None


class AgreementView(Settings):
    """Model against reader, over one case or all signed ones."""

    cases: int
    cells: int
    raw: float | None
    """Share of cells on which both agree."""
    raw_low: float | None
    raw_high: float | None
    kappa: float | None
    kappa_low: float | None
    kappa_high: float | None
    classes: tuple[Agreement, ...]
    confusion: tuple[tuple[str, str, int], ...]
    """Reader's code, model's code, cells; most frequent disagreements first."""
