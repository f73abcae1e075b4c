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
from leukopy.review.store.fields import CellPicture, FieldFile
from leukopy.review.store.images import EMBEDDINGS, ImageStore
from leukopy.review.store.results import (
    CellImage,
    CorrectionOutcome,
    LiveSession,
    ModelFacts,
    NewImage,
    NewSession,
    PendingImage,
    SignedCell,
    SignedPicture,
    UndoState,
)
from leukopy.review.store.store import Store

__all__ = [
    "EMBEDDINGS",
    "AlreadyExists",
    "CellImage",
    "CellPicture",
    "Conflict",
    "CorrectionOutcome",
    "Damaged",
    "FieldFile",
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
    "SignedPicture",
    "Store",
    "StoreError",
    "Unavailable",
    "UndoState",
    "backup",
    "restore",
]
