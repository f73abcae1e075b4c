"""Reads and verifies the audit log, and verifies all that reports depend on against it."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from leukopy.review.records import AuditCheck, AuditEntry, AuditHead, Role, User
from leukopy.review.store import seals
from leukopy.review.store import tables as t
from leukopy.review.store.access import get_case, require
from leukopy.review.store.audit import entry_hash, head_seal, secret
from leukopy.review.store.database import Database
from leukopy.review.store.errors import Damaged, NotFound
from leukopy.review.store.held import held_files
from leukopy.review.store.images import ImageStore
from leukopy.review.store.sessions import told

_PER_PAGE = 100


@dataclass(frozen=True)
class AuditStore:
    """Reads and verifies the audit log."""

    database: Database
    images: ImageStore

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

    def head(self) -> AuditHead:
        """The last entry: a copy kept outside the station proves later that the log was not put back."""
        with self.database.read() as db:
            row = db.scalar(sa.select(t.Entry).order_by(t.Entry.number.desc()).limit(1))
            if row is None:
                raise NotFound("the audit log is empty.")
            return AuditHead(number=row.number, hash=row.hash, at=row.at)

    def last_number(self) -> int:
        """Number of the last entry: it grows with every change in the station."""
        with self.database.read() as db:
            return db.scalar(sa.select(t.Head.number)) or 0

    def verify(self, known: Sequence[AuditHead] = ()) -> AuditCheck:
        """Verify the chain of all entries, all that reports depend on, and the files of the images.

        Args:
            known: entries that were noted outside the station: the log must hold them.
        """
        with self.database.read() as db:
            check = verify(db)
            problem = check.problem or _missing(db, known)
            digests = [] if problem else sorted(db.scalars(held_files()))
        problem = problem or next(filter(None, map(self._picture_problem, digests)), None)
        return AuditCheck(entries=check.entries, intact=problem is None, problem=problem)

    def _picture_problem(self, digest: str) -> str | None:
        try:
            self.images.read(digest)
        except (Damaged, NotFound) as error:
            return str(error)
        return None


def verify(db: Session) -> AuditCheck:
    """Verify, in a transaction, the chain of all entries and all that reports depend on in the database."""
    count = db.scalar(sa.select(sa.func.count()).select_from(t.Entry)) or 0
    problem = _chain_problem(db) or _signed_problem(db) or _state_problem(db) or _session_problem(db)
    return AuditCheck(entries=count, intact=problem is None, problem=problem)


def _missing(db: Session, known: Sequence[AuditHead]) -> str | None:
    for head in known:
        found = db.get(t.Entry, head.number)
        if found is None or found.hash != head.hash:
            return (
                f"entry {head.number} with hash {head.hash[:12]}…, noted outside the station, is not in the log: "
                "the database was put back to an earlier state or replaced."
            )
    return None


def _chain_problem(db: Session) -> str | None:
    """The first entry that was changed, removed or put in."""
    key, heads = secret(db), db.scalars(sa.select(t.Head)).all()
    head = heads[0] if [one.id for one in heads] == [1] else None
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
    erased = set(db.scalars(sa.select(t.Entry.case_id).where(t.Entry.action == "case.erased")))
    for row in db.scalars(sa.select(t.Signed).order_by(t.Signed.case_id, t.Signed.revision)):
        digest = told.pop((row.case_id, row.revision), None)
        if row.case_id in erased and (row.content, row.digest) == ("", digest):
            continue  # a tombstone
        if hashlib.sha256(row.content.encode()).hexdigest() != digest:
            return (
                f"the stored content of case {row.case_id}, revision {row.revision}, differs from the signed content."
            )
    if told:
        case_id, revision = min(told)
        return f"the signed content of case {case_id}, revision {revision}, is missing."
    return None


def _state_problem(db: Session) -> str | None:
    """The first case, user or class that is not as the log tells."""
    last = sa.select(t.Entry.subject, sa.func.max(t.Entry.number)).where(t.Entry.subject.is_not(None))
    left = {str(row[0]): int(row[1]) for row in db.execute(last.group_by(t.Entry.subject))}
    for subject in list(seals.subjects(db)):
        number = left.pop(subject, None)
        entry = None if number is None else db.get_one(t.Entry, number)
        told_state = json.loads(entry.state or "{}") if entry else None
        if entry:
            db.expunge(entry)
        found = seals.state(db, subject)
        if told_state != found:
            return seals.difference(subject, told_state, found)
        kind, _, key = subject.partition("/")
        if kind == "case" and (cell := seals.unsealed_cell(db, key)) is not None:
            return f"case {key}: cell {cell} was changed past the station."
        if kind == "case" and (gesture := seals.unsealed_gesture(db, key)) is not None:
            return f"case {key}: correction {gesture} was changed past the station."
    if left:
        kind, _, key = min(left).partition("/")
        return f"{kind} {key} was removed past the station."
    if table := next(seals.strays(db), None):
        return f"a row of table {table} was inserted past the station."
    return None


def _session_problem(db: Session) -> str | None:
    """A session without its entry in the log: writing one into the database opens the station without a password."""
    live = db.execute(sa.select(t.Session.digest, t.User.name).outerjoin(t.User)).all()
    if not live:
        return None
    entries = db.scalars(sa.select(t.Entry).where(t.Entry.action == "session.started"))
    known = {(json.loads(entry.detail).get("session"), entry.user) for entry in entries}
    strangers = [name or "an unknown user" for digest, name in live if (told(digest), name) not in known]
    return f"a log-in of {min(strangers)} was inserted past the station." if strangers else None


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
