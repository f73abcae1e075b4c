"""Steps of a case: draft › reviewed › signed › amending › amended (› amending …).

The signed content of a revision never changes. A second reader signs the same content (the same digest).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.orm import Session

from leukopy.review.attention import look_at
from leukopy.review.records import Amendment, Case, Role, Route, SignedContent, Status, User
from leukopy.review.settings import BeforeSigning
from leukopy.review.store import audit
from leukopy.review.store import tables as t
from leukopy.review.store.access import get_case, require
from leukopy.review.store.cases import check_version, record
from leukopy.review.store.cells import all_rows
from leukopy.review.store.contents import whole_content
from leukopy.review.store.corrections import seal_gestures
from leukopy.review.store.database import Database
from leukopy.review.store.errors import Conflict, NotAllowed, NotFound
from leukopy.review.store.outbox import enqueue
from leukopy.review.store.rules import check_rules

_AFTER = {Status.REVIEWED: Status.SIGNED, Status.AMENDING: Status.AMENDED}


@dataclass(frozen=True)
class SigningStore:
    """Reviews, signs and amends cases; reads signed contents."""

    database: Database
    before_signing: BeforeSigning = "queue"
    """What readers must have seen before a case is reviewed and signed (`ReviewSettings`)."""
    routes: tuple[Route, ...] = ()
    """Where results are sent to."""

    def mark_reviewed(self, user: User, case_id: str, version: int) -> Case:
        """Mark a draft as reviewed.

        Raises:
            NotFound: no such case for this user.
            Conflict: it is no longer at this version.
            NotAllowed: it is no draft, has no cells, images that the model has not seen, or cells that no reader has.
        """
        with self.database.write() as db:
            case = _at(db, user, case_id, version, {Status.DRAFT})
            _check_complete(case)
            seen = self._check_seen(db, case)
            return _step(db, user, case, Status.REVIEWED, "case.reviewed", **seen)

    def reopen(self, user: User, case_id: str, version: int) -> Case:
        """Back from reviewed to draft.

        Raises:
            NotFound: no such case for this user.
            Conflict: it is no longer at this version.
            NotAllowed: it is not reviewed.
        """
        with self.database.write() as db:
            case = _at(db, user, case_id, version, {Status.REVIEWED})
            return _step(db, user, case, Status.DRAFT, "case.reopened")

    def sign(self, user: User, case_id: str, version: int, content: SignedContent) -> Case:
        """Sign a reviewed case, or one that is being amended.

        Args:
            user: a reviewer.
            case_id: which case.
            version: what they saw.
            content: the content to be signed; must be of this version.

        Raises:
            NotFound: no such case for this user.
            Forbidden: the user is no reviewer.
            Conflict: it is no longer at this version, or the content is not what is stored.
            NotAllowed: it is neither reviewed nor being amended, or not complete, has cells that no reader has seen, or
                does not meet a rule.
        """
        with self.database.write() as db:
            require(user, Role.REVIEWER)
            case = _at(db, user, case_id, version, set(_AFTER))
            _check_complete(case)
            seen = self._check_seen(db, case)
            _check_content(db, case, content)
            reached = check_rules(db, user, content)
            text = content.model_dump_json()
            digest = hashlib.sha256(text.encode()).hexdigest()
            db.add(t.Signed(case_id=case.id, revision=case.revision, digest=digest, content=text))
            db.flush()
            _add_signature(db, user, case, "first", digest)
            seal_gestures(db, case.id)
            enqueue(db, case, self.routes)
            facts = {"revision": case.revision, "digest": digest, **({"rules": reached} if reached else {}), **seen}
            return _step(db, user, case, _AFTER[case.status], "case.signed", **facts)

    def second_sign(self, user: User, case_id: str, version: int) -> Case:
        """A reviewer other than the first signs the same content.

        Raises:
            NotFound: no such case for this user.
            Forbidden: the user is no reviewer.
            Conflict: it is no longer at this version.
            NotAllowed: it is not signed, the first signature is the user's own, or there is a second one already.
            Damaged: what is stored is not what the first reader signed.
        """
        with self.database.write() as db:
            require(user, Role.REVIEWER)
            case = _at(db, user, case_id, version, set(_AFTER.values()))
            rows = db.scalars(
                sa.select(t.Signature).where(t.Signature.case_id == case.id, t.Signature.revision == case.revision)
            ).all()
            first = next(row for row in rows if row.part == "first")
            if len(rows) > 1:
                raise NotAllowed("the case has its second signature already.")
            if first.user_id == user.id:
                raise NotAllowed("the second signature must come from another reviewer.")
            whole_content(db, case.id, case.revision)
            _add_signature(db, user, case, "second", first.digest)
            return _step(db, user, case, case.status, "case.second_signed", revision=case.revision, digest=first.digest)

    def amend(self, user: User, case_id: str, amendment: Amendment) -> Case:
        """Open a signed case again, with a reason; the signed content is kept.

        Raises:
            NotFound: no such case for this user.
            Forbidden: the user is no reviewer.
            Conflict: it is no longer at this version.
            NotAllowed: it is not signed.
        """
        with self.database.write() as db:
            require(user, Role.REVIEWER)
            case = _at(db, user, case_id, amendment.version, set(_AFTER.values()))
            case.revision += 1
            case.amendment_reason = amendment.reason
            return _step(db, user, case, Status.AMENDING, "case.amending", revision=case.revision)

    def content(self, user: User, case_id: str, revision: int | None = None) -> SignedContent:
        """The signed content of a revision; None: the last.

        Raises:
            NotFound: no such case for this user, or no such revision was signed.
            Damaged: what is stored is not what was signed.
        """
        with self.database.read() as db:
            get_case(db, user, case_id)
            if revision is None:
                revision = db.scalar(sa.select(sa.func.max(t.Signed.revision)).where(t.Signed.case_id == case_id))
            if revision is None:
                raise NotFound("the case is not signed yet.")
            return whole_content(db, case_id, revision)

    def _check_seen(self, db: Session, case: t.Case) -> dict[str, object]:
        """How many cells readers have seen, for the log; raises NotAllowed: too few."""
        looked = look_at(all_rows(db, case.id))
        if looked is None:
            return {}
        of = {
            "nothing": (0, 0),
            "unidentified": (looked.unidentified, looked.unidentified_seen),
            "queue": (looked.queue, looked.queue_seen),
            "cells": (looked.cells, looked.seen),
        }
        wanted, seen = of[self.before_signing]
        if seen < wanted:
            raise NotAllowed(f"{wanted - seen} of {wanted} cells that must be seen were not: confirm them first.")
        counts = looked.model_dump(include={"cells", "seen", "queue", "queue_seen"})
        return {**counts, "before_signing": self.before_signing}


def _at(db: Session, user: User, case_id: str, version: int, statuses: set[Status]) -> t.Case:
    """The case, locked, at this version and in one of these statuses."""
    case = get_case(db, user, case_id, lock=True)
    if case.status not in statuses:
        wanted = " or ".join(status.value for status in Status if status in statuses)
        raise NotAllowed(f"the case is {case.status.value}; this step needs a case that is {wanted}.")
    check_version(db, case, version)
    return case


def _check_complete(case: t.Case) -> None:
    if case.pending:
        raise NotAllowed(f"{case.pending} images are not analysed yet: finish the analysis first.")
    if not case.cells:
        raise NotAllowed("the case has no analysed cell: add images and run the analysis first.")


def _check_content(db: Session, case: t.Case, content: SignedContent) -> None:
    """Raises Conflict: what would be signed is not what is stored."""
    columns = sa.select(t.Cell.number, t.Cell.version, t.Cell.code, t.Cell.digest)
    stored = {tuple(row) for row in db.execute(columns.where(t.Cell.case_id == case.id, t.Cell.analysed))}
    signed = {(cell.id, cell.version, cell.code, content.pictures.get(cell.id)) for cell in content.cells}
    facts = record(db, case).model_copy(update={"signatures": ()})
    if content.case.model_copy(update={"signatures": ()}) != facts or signed != stored:
        raise Conflict("the content to be signed differs from the stored case: load the case again.", record(db, case))


def _add_signature(db: Session, user: User, case: t.Case, part: Literal["first", "second"], digest: str) -> None:
    db.add(
        t.Signature(case_id=case.id, revision=case.revision, part=part, user_id=user.id, full_name=user.full_name,
                    at=t.now(), digest=digest)
    )  # fmt: skip


def _step(db: Session, user: User, case: t.Case, status: Status, action: str, **detail: Any) -> Case:
    case.status = status
    case.version += 1
    case.changed = t.now()
    audit.append(db, user, action, case.id, version=case.version, **detail)
    db.flush()
    return record(db, case)
