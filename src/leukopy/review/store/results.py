"""What the store takes and gives beside the records that the API knows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from leukopy.review.records import Case, CellRow, User
from leukopy.review.records.not_counted import NotCounted


@dataclass(frozen=True)
class NewImage:
    """A picture of a cell, decoded and found good."""

    name: str
    """Of the file: shown to readers, never used as a path."""
    data: bytes
    width: int
    """px"""
    height: int
    media_type: str
    """Found from the bytes, not from the name: ``image/png``, ``image/jpeg`` …"""


class PendingImage(NamedTuple):
    """An image that the model has not seen."""

    cell: int
    name: str
    digest: str


class CellImage(NamedTuple):
    """Where the picture of a cell lies (`ImageStore.path`), and what it is."""

    digest: str
    media_type: str


class ModelFacts(NamedTuple):
    """The model that classified a case."""

    name: str
    sha256: str


@dataclass(frozen=True)
class CorrectionOutcome:
    """What a gesture, its undoing or its redoing left behind."""

    case: Case
    cells: tuple[CellRow, ...]
    """Those that changed, as they are now."""
    can_undo: bool
    can_redo: bool


class UndoState(NamedTuple):
    """What a user can take back, or do again, in a case."""

    can_undo: bool
    can_redo: bool


class NewSession(NamedTuple):
    """A log-in. The token is known to the user's browser alone: the store keeps only its digest."""

    token: str
    csrf: str
    expires: datetime


class LiveSession(NamedTuple):
    """Who a token belongs to."""

    user: User
    csrf: str
    expires: datetime


class SignedCell(NamedTuple):
    """A cell of a signed case, as training needs it."""

    case_id: str
    cell: int
    group: str
    """Pseudonym of the patient, the same in all cases."""
    digest: str
    media_type: str
    code: str | None
    model_code: str | None
    not_counted: NotCounted | None = None
