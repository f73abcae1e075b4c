"""What the daily quality page counts: classes of signed cells, and distances of slides."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

import sqlalchemy as sa

from leukopy.review.records import Role, Status, User
from leukopy.review.records.not_counted import not_counted
from leukopy.review.store import tables as t
from leukopy.review.store.access import require
from leukopy.review.store.database import Database

_SIGNED = (Status.SIGNED, Status.AMENDED)


class SignedCount(NamedTuple):
    """Cells of a signed case that have a reader, a class and the model's class in common."""

    day: date
    """Of the first signature of the revision, UTC."""
    case_id: str
    reader: str
    """Full name of who gave the class or confirmed it, else of who signed it."""
    seen: bool
    model: str
    code: str
    model_code: str
    cells: int


class Distance(NamedTuple):
    """Distance of a slide from the training data."""

    day: date
    """On which its case was opened, UTC."""
    distance: float
    unlike_training: bool


@dataclass(frozen=True)
class QualityStore:
    """Counts signed cells and distances of slides; for reviewers."""

    database: Database

    def signed_counts(self, user: User) -> tuple[SignedCount, ...]:
        """Cells of signed cases with a class of a reader and one of the model, in groups.

        Raises:
            Forbidden: the user is no reviewer.
        """
        with self.database.read() as db:
            require(user, Role.REVIEWER)
            first = sa.and_(
                t.Signature.case_id == t.Case.id, t.Signature.revision == t.Case.revision, t.Signature.part == "first"
            )
            groups = (t.Case.id, t.Cell.seen_by, t.Cell.code, t.Cell.model_code, t.Cell.flags)
            facts = (t.Signature.at, t.Signature.full_name, t.Case.model, t.Case.model_sha256)
            query = (
                sa.select(*groups, *facts, sa.func.count())
                .join(t.Case, t.Case.id == t.Cell.case_id)
                .join(t.Signature, first)
                .where(t.Case.status.in_(_SIGNED), t.Cell.code.is_not(None), t.Cell.model_code.is_not(None))
                .group_by(*groups, *facts)
            )
            return tuple(
                SignedCount(at.date(), case, seen_by or signer, seen_by is not None, f"{model} {str(sha256)[:12]}",
                            str(code), str(model_code), cells)
                for case, seen_by, code, model_code, flags, at, signer, model, sha256, cells in db.execute(query)
                if not_counted(code, flags.split(";")) not in ("duplicate", "void")
            )  # fmt: skip

    def distances(self, user: User) -> tuple[Distance, ...]:
        """Distances of all slides that have one and are not void.

        Raises:
            Forbidden: the user is no reviewer.
        """
        with self.database.read() as db:
            require(user, Role.REVIEWER)
            query = sa.select(t.Case.created, t.Case.slide_check).where(
                t.Case.status.not_in((Status.VOID, Status.ERASED))
            )
            return tuple(
                Distance(created.date(), check["distance"], check["unlike_training"])
                for created, check in db.execute(query)
                if check
            )
