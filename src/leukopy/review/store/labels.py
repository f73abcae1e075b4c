"""The labels of signed cases, for agreement with the model and for training."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass

import sqlalchemy as sa

from leukopy.review.records import Role, Status, User
from leukopy.review.records.not_counted import not_counted
from leukopy.review.store import tables as t
from leukopy.review.store.access import require
from leukopy.review.store.audit import secret
from leukopy.review.store.database import Database
from leukopy.review.store.results import SignedCell

_SIGNED = (Status.SIGNED, Status.AMENDED)


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
                .where(t.Case.status.in_(_SIGNED), t.Cell.analysed)
                .order_by(t.Case.created, t.Case.id, t.Cell.number)
            )  # fmt: skip
            key = secret(db)
            return tuple(
                SignedCell(case, number, _group(key, patient or case), str(digest), str(media), code, model,
                           not_counted(code, flags.split(";")))
                for case, patient, number, digest, media, code, model, flags in db.execute(query)
            )  # fmt: skip


def _group(key: bytes, patient: str) -> str:
    """Pseudonym of a patient; only the station's key links it to the patient."""
    return hmac.new(key, f"patient {patient}".encode(), hashlib.sha256).hexdigest()[:16]
