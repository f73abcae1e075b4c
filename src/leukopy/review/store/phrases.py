"""Comment templates and coded findings: those that leukopy delivers, and the laboratory's own in their place."""

from __future__ import annotations

import csv
from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import sqlalchemy as sa
from sqlalchemy.orm import Session

from leukopy.review.records import Case, Finding, Phrase, Role, User
from leukopy.review.store import audit, seals
from leukopy.review.store import tables as t
from leukopy.review.store.access import require
from leukopy.review.store.database import Database
from leukopy.review.store.errors import NotAllowed, NotFound


@dataclass(frozen=True)
class PhraseStore:
    """Lists and saves comment templates and findings."""

    database: Database

    def all(self) -> tuple[Phrase, ...]:
        """All of them, those that are not offered any more too."""
        with self.database.read() as db:
            return phrases(db)

    def save(self, user: User, phrase: Phrase) -> Phrase:
        """Add one, or write one anew.

        Raises:
            Forbidden: the user is no administrator.
            NotAllowed: a finding would become a comment, or a comment a finding.
        """
        with self.database.write() as db:
            require(user, Role.ADMINISTRATOR)
            audit.wait_turn(db)
            known = next((one for one in phrases(db) if one.code == phrase.code), None)
            if known is not None and known.kind != phrase.kind:
                raise NotAllowed(f"{phrase.code} is a {known.kind} already; choose another code.")
            save_row(db, user, t.Phrase(**phrase.model_dump()), seals.phrase_subject(phrase.code), "phrase.saved")
            return phrase

    def findings(self, case: Case) -> tuple[Finding, ...]:
        """The findings of a case in today's words."""
        known = {one.code: one for one in self.all()}
        return tuple(
            Finding(code=code, english=known[code].english, french=known[code].french) for code in case.findings
        )


def phrases(db: Session) -> tuple[Phrase, ...]:
    """Those delivered, each with the laboratory's words where it has its own, then the laboratory's other ones."""
    own = {row.code: _record(row) for row in db.scalars(sa.select(t.Phrase).order_by(t.Phrase.code))}
    return (*(own.pop(one.code, one) for one in delivered()), *own.values())


def check_findings(db: Session, codes: Collection[str], known: Collection[str]) -> str:
    """The findings of a case as its row holds them.

    Args:
        db: the transaction.
        codes: findings that the case gets.
        known: findings that it has: they stay, even where they are not offered any more.

    Raises:
        NotFound: one of them is no finding, or is not offered.
    """
    offered = {one.code for one in phrases(db) if one.kind == "finding" and (one.active or one.code in known)}
    if unknown := set(codes) - offered:
        raise NotFound(f"finding {min(unknown)} is unknown; an administrator can add it.")
    return ";".join(sorted(set(codes)))


def save_row(db: Session, user: User, row: t.Phrase | t.Rule, subject: str, action: str) -> None:
    """Write a row of the laboratory's own, in place of an earlier one of its code, and tell the log."""
    new = db.get(type(row), row.code) is None
    seals.hold(db, subject, new=new)
    row = db.merge(row)
    audit.append(db, user, action, subject=subject, code=row.code, active=row.active)
    db.flush()


@cache
def delivered() -> tuple[Phrase, ...]:
    """Those that leukopy delivers."""
    text = (files("leukopy.review") / "phrases.csv").read_text(encoding="utf-8")
    return tuple(Phrase.build(row, where="phrases.csv") for row in csv.DictReader(text.splitlines()))


def _record(row: t.Phrase) -> Phrase:
    return Phrase(**{name: getattr(row, name) for name in Phrase.model_fields})
