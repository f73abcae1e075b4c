"""Signed contents, read and checked against their digests."""

from __future__ import annotations

import hashlib

from sqlalchemy.orm import Session

from leukopy.review.records import SignedContent
from leukopy.review.store import tables as t
from leukopy.review.store.errors import Damaged, NotFound
from leukopy.review.store.migrations.signed import read_signed


def whole_content(db: Session, case_id: str, revision: int) -> SignedContent:
    """The signed content of a revision.

    Raises:
        NotFound: it was not signed.
        Damaged: what is stored is not what was signed.
    """
    row = db.get(t.Signed, (case_id, revision)) if 0 < revision < 2**31 else None
    first = db.get(t.Signature, (case_id, revision, "first")) if row else None
    if row is None or first is None:
        raise NotFound("this revision of the case was not signed.")
    if not hashlib.sha256(row.content.encode()).hexdigest() == row.digest == first.digest:
        raise Damaged(
            "the stored content of this case differs from the signed content: do not use it; compare with a backup."
        )
    return read_signed(row.content)
