"""Reads and verifies the audit log, and verifies the signed contents against it."""

from __future__ import annotations

import hashlib
import hmac
import json
from contextlib import closing
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from leukopy.review.records import AuditCheck, AuditEntry, Role, User
from leukopy.review.store import tables as t
from leukopy.review.store.access import get_case, require
from leukopy.review.store.audit import entry_hash, head_seal, secret
from leukopy.review.store.database import Database

_PER_PAGE = 100


@dataclass(frozen=True)
class AuditStore:
    """Reads and verifies the audit log."""

    database: Database

    def history(self, user: User, case_id: str) -> tuple[AuditEntry, ...]:
        """The entries of a case, oldest first.

        Raises:
            NotFound: no such case for this user.
        """
        with self.database.read() as db:
            get_case(db, user, case_id)
            rows = db.scalars(sa.select(t.Entry).where(t.Entry.case_id == case_id).order_by(t.Entry.number))
            return tuple(map(_record, rows))

    def entries(self, user: User, page: int = 1) -> tuple[AuditEntry, ...]:
        """A page of 100 entries, latest first.

        Raises:
            Forbidden: the user is no administrator.
        """
        with self.database.read() as db:
            require(user, Role.ADMINISTRATOR)
            skip = _PER_PAGE * min(max(page - 1, 0), 10_000_000)
            rows = db.scalars(sa.select(t.Entry).order_by(t.Entry.number.desc()).offset(skip).limit(_PER_PAGE))
            return tuple(map(_record, rows))

    def verify(self) -> AuditCheck:
        """Verify the chain of all entries and the digests of all signed contents."""
        with self.database.read() as db:
            return verify(db)


def verify(db: Session) -> AuditCheck:
    """Verify the chain of all entries and the digests of all signed contents, in a transaction."""
    count = db.scalar(sa.select(sa.func.count()).select_from(t.Entry)) or 0
    problem = _chain_problem(db) or _signed_problem(db)
    return AuditCheck(entries=count, intact=problem is None, problem=problem)


def _chain_problem(db: Session) -> str | None:
    """The first entry that was changed, removed or put in."""
    key, head = secret(db), db.get(t.Head, 1)
    if head is None or not hmac.compare_digest(head.seal, head_seal(key, head.number, head.hash)):
        return "the head of the log was changed or removed."
    before, expected = "", 1
    with closing(db.scalars(sa.select(t.Entry).order_by(t.Entry.number).execution_options(yield_per=1000))) as rows:
        for entry in rows:
            if entry.number < expected or entry.number > head.number:
                return f"entry {entry.number} was inserted."
            if entry.number > expected:
                return f"{_entries(expected, entry.number - 1)} missing."
            if not hmac.compare_digest(entry.hash, entry_hash(key, before, entry)):
                return f"entry {entry.number} was changed or inserted."
            before, expected = entry.hash, expected + 1
    if expected <= head.number:
        return f"{_entries(expected, head.number)} missing: the end of the log was cut off."
    return None


def _entries(first: int, last: int) -> str:
    return f"entry {first} is" if first == last else f"entries {first} to {last} are"


def _signed_problem(db: Session) -> str | None:
    """The first signed content that is not the one whose digest the log tells."""
    told = {
        (entry.case_id, detail["revision"]): detail["digest"]
        for entry in db.scalars(sa.select(t.Entry).where(t.Entry.action == "case.signed"))
        for detail in [json.loads(entry.detail)]
    }
    for row in db.scalars(sa.select(t.Signed).order_by(t.Signed.case_id, t.Signed.revision)):
        digest = told.pop((row.case_id, row.revision), None)
        if hashlib.sha256(row.content.encode()).hexdigest() != digest:
            return (
                f"the stored content of case {row.case_id}, revision {row.revision}, differs from the signed content."
            )
    if told:
        case_id, revision = min(told)
        return f"the signed content of case {case_id}, revision {revision}, is missing."
    return None


def _record(row: t.Entry) -> AuditEntry:
    return AuditEntry(
        number=row.number,
        at=row.at,
        user=row.user,
        action=row.action,
        case_id=row.case_id,
        detail=json.loads(row.detail),
        hash=row.hash,
    )
