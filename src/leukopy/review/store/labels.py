"""What readers called the cells of signed cases: for agreement with the model, and for training."""

from __future__ import annotations

import hashlib
import hmac

import sqlalchemy as sa
from sqlalchemy.orm import Session

from leukopy.review.records import Role, Status, User
from leukopy.review.store import tables as t
from leukopy.review.store.access import get_case, require, visible
from leukopy.review.store.audit import secret
from leukopy.review.store.results import CodePairs, SignedCell

_SIGNED = (Status.SIGNED, Status.AMENDED)


def code_pairs(db: Session, user: User, case_id: str | None = None) -> CodePairs:
    """Reader's and model's codes of one case as it stands, or of all signed cases that the user may see.

    Raises:
        NotFound: no such case for this user.
    """
    if case_id is None:
        chosen = sa.and_(t.Case.status.in_(_SIGNED), visible(user))
        cases = db.scalar(sa.select(sa.func.count()).select_from(t.Case).where(chosen)) or 0
    else:
        get_case(db, user, case_id)
        chosen, cases = t.Case.id == case_id, 1
    query = (
        sa.select(t.Cell.code, t.Cell.model_code, sa.func.count())
        .join(t.Case, t.Case.id == t.Cell.case_id)
        .where(chosen, t.Cell.code.is_not(None))
        .group_by(t.Cell.code, t.Cell.model_code)
        .order_by(t.Cell.code, t.Cell.model_code)
    )
    return CodePairs(cases, tuple((str(code), str(model), count) for code, model, count in db.execute(query)))


def signed_cells(db: Session, user: User) -> tuple[SignedCell, ...]:
    """All cells of signed cases with the class that counts, for training; for reviewers.

    Raises:
        Forbidden: the user is no reviewer.
    """
    require(user, Role.REVIEWER)
    query = (
        sa.select(t.Case.id, t.Case.patient, t.Cell.number, t.Cell.digest, t.Cell.media_type, t.Cell.code,
                  t.Cell.model_code)
        .join(t.Case, t.Case.id == t.Cell.case_id)
        .where(t.Case.status.in_(_SIGNED), t.Cell.code.is_not(None))
        .order_by(t.Case.created, t.Case.id, t.Cell.number)
    )  # fmt: skip
    key = secret(db)
    return tuple(
        SignedCell(case, number, _group(key, patient or case), str(digest), str(media), str(code), str(model))
        for case, patient, number, digest, media, code, model in db.execute(query)
    )


def _group(key: bytes, patient: str) -> str:
    """A pseudonym that cannot be looked up without the station's key."""
    return hmac.new(key, f"patient {patient}".encode(), hashlib.sha256).hexdigest()[:16]
