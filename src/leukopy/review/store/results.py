"""Inputs and results of the store that are not records of the API."""

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
    """An image that waits for the model."""

    cell: int
    name: str
    digest: str
    field: int | None = None
    """The field that it was drawn on; None: the image is the cell."""


class CellImage(NamedTuple):
    """Image of a cell: its digest (`ImageStore.path`) and media type."""

    digest: str
    media_type: str


class ModelFacts(NamedTuple):
    """The model that classified a case."""

    name: str
    sha256: str


@dataclass(frozen=True)
class CorrectionOutcome:
    """Result of a correction, undo or redo."""

    case: Case
    cells: tuple[CellRow, ...]
    """Those that changed, as they are now."""
    can_undo: bool
    can_redo: bool


class UndoState(NamedTuple):
    """Whether a user can undo or redo in a case."""

    can_undo: bool
    can_redo: bool


class NewSession(NamedTuple):
    """A log-in. The token is known to the user's browser alone: the store keeps only its digest."""

    token: str
    csrf: str
    expires: datetime


class LiveSession(NamedTuple):
    """A live session of a user."""

    user: User
    csrf: str
    expires: datetime


class SignedPicture(NamedTuple):
    """The picture of a cell of a signed case."""

    case_id: str
    cell: int
    digest: str
    code: str
    """The signed class."""


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
