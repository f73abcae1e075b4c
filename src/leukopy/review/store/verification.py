"""Whether the log, and what was signed, are what was written."""

from __future__ import annotations

import hashlib
import hmac
import json
from contextlib import closing

import sqlalchemy as sa
from sqlalchemy.orm import Session

from leukopy.review.records import AuditCheck
from leukopy.review.store import tables as t
from leukopy.review.store.audit import entry_hash, head_seal, secret


def verify(db: Session) -> AuditCheck:
    """Go through the whole log, then through all that was signed."""
    count = db.scalar(sa.select(sa.func.count()).select_from(t.Entry)) or 0
    problem = _chain_problem(db) or _signed_problem(db)
    return AuditCheck(entries=count, intact=problem is None, problem=problem)


def _chain_problem(db: Session) -> str | None:
    """The first entry that was changed, removed or put in."""
    key, head = secret(db), db.get(t.Head, 1)
    if head is None or not hmac.compare_digest(head.seal, head_seal(key, head.number, head.hash)):
        return "the row that knows where the log ends was changed or removed."
    before, expected = "", 1
    with closing(db.scalars(sa.select(t.Entry).order_by(t.Entry.number).execution_options(yield_per=1000))) as rows:
        for entry in rows:
            if entry.number < expected or entry.number > head.number:
                return f"entry {entry.number} was put in."
            if entry.number > expected:
                return f"{_entries(expected, entry.number - 1)} missing."
            if not hmac.compare_digest(entry.hash, entry_hash(key, before, entry)):
                return f"entry {entry.number} was changed or put in."
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
            return f"what is stored of case {row.case_id}, revision {row.revision}, is not what was signed."
    if told:
        case_id, revision = min(told)
        return f"what was signed of case {case_id}, revision {revision}, is missing."
    return None
