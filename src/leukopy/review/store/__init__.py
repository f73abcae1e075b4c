"""Storage of the review station: cases, cells, corrections, signatures, users, jobs and the append-only audit log."""

from leukopy.review.store.backup import Saved, backup, restore
from leukopy.review.store.errors import (
    AlreadyExists,
    Conflict,
    Damaged,
    Forbidden,
    NotAllowed,
    NotFound,
    StoreError,
    Unavailable,
)
from leukopy.review.store.images import ImageStore
from leukopy.review.store.results import (
    CellImage,
    CorrectionOutcome,
    LiveSession,
    ModelFacts,
    NewImage,
    NewSession,
    PendingImage,
    SignedCell,
    UndoState,
)
from leukopy.review.store.store import Store

__all__ = [
    "AlreadyExists",
    "CellImage",
    "Conflict",
    "CorrectionOutcome",
    "Damaged",
    "Forbidden",
    "ImageStore",
    "LiveSession",
    "ModelFacts",
    "NewImage",
    "NewSession",
    "NotAllowed",
    "NotFound",
    "PendingImage",
    "Saved",
    "SignedCell",
    "Store",
    "StoreError",
    "Unavailable",
    "UndoState",
    "backup",
    "restore",
]
