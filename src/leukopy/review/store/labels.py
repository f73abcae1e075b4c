"""The labels of signed cases, for agreement with the model and for training."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass

import sqlalchemy as sa

from leukopy.review.records import Role, Status, User
from leukopy.review.records.not_counted import not_counted
from leukopy.review.store import tables as t
from leukopy.review.store.access import require, visible
from leukopy.review.store.audit import secret
from leukopy.review.store.database import Database
from leukopy.review.store.results import SignedCell, SignedPicture

_SIGNED = (Status.SIGNED, Status.AMENDED)
_COMPARED = 20_000
"""Signed cells that a cell is compared with at most."""


@dataclass(frozen=True)
class LabelStore:
    """Reads labels of signed cases."""

    database: Database

    def signed_cells(self, user: User) -> tuple[SignedCell, ...]:
        """All cells of signed cases with the reader's and the model's class; for reviewers.

        Raises:
            Forbidden: the user is no reviewer.
        """
        with self.database.read() as db:
            require(user, Role.REVIEWER)
            query = (
                sa.select(t.Case.id, t.Case.patient, t.Cell.number, t.Cell.digest, t.Cell.media_type, t.Cell.code,
                          t.Cell.model_code, t.Cell.flags)
                .join(t.Case, t.Case.id == t.Cell.case_id)
                .where(t.Case.status.in_(_SIGNED), t.Cell.analysed, t.Cell.digest.is_not(None))
                .order_by(t.Case.created, t.Case.id, t.Cell.number)
            )  # fmt: skip
            key = secret(db)
            return tuple(
                SignedCell(case, number, _group(key, patient or case), str(digest), str(media), code, model,
                           not_counted(code, flags.split(";")))
                for case, patient, number, digest, media, code, model, flags in db.execute(query)
            )  # fmt: skip

    def pictures(self, user: User, but: str) -> tuple[SignedPicture, ...]:
        """The counted cells of the signed cases that a user may see, without those of one case; the latest first.

        Args:
            user: who asks.
            but: the case at hand.
        """
        with self.database.read() as db:
            query = (
                sa.select(t.Cell.case_id, t.Cell.number, t.Cell.digest, t.Cell.code, t.Cell.flags)
                .join(t.Case, t.Case.id == t.Cell.case_id)
                .where(t.Case.status.in_(_SIGNED), t.Cell.analysed, t.Case.id != but, visible(user))
                .order_by(t.Case.changed.desc(), t.Case.id, t.Cell.number)
                .limit(_COMPARED)
            )
            return tuple(
                SignedPicture(case, number, str(digest), str(code))
                for case, number, digest, code, flags in db.execute(query)
                if not_counted(code, flags.split(";")) is None
            )


def _group(key: bytes, patient: str) -> str:
    """Pseudonym of a patient; only the station's key links it to the patient."""
    return hmac.new(key, f"patient {patient}".encode(), hashlib.sha256).hexdigest()[:16]
