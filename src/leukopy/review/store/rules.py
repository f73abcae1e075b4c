"""Rules of signing: those that leukopy delivers, the laboratory's own in their place, and whether a case meets them."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from leukopy.review.attention import look_at
from leukopy.review.records import Demand, Role, Rule, SignedContent, User
from leukopy.review.reflex import DELIVERED, reached
from leukopy.review.store import audit, seals
from leukopy.review.store import tables as t
from leukopy.review.store.access import get_case, require
from leukopy.review.store.database import Database
from leukopy.review.store.errors import NotAllowed
from leukopy.review.store.phrases import save_row
from leukopy.review.store.readings import read_blind
from leukopy.review.store.users import SINGLE_USER

_READ = ("case.reviewed", "case.amending")
"""Steps that the first reader of a revision takes."""


@dataclass(frozen=True)
class RuleStore:
    """Lists and saves rules, and tells which of them a case reaches."""

    database: Database

    def all(self) -> tuple[Rule, ...]:
        """All of them, those that are switched off too."""
        with self.database.read() as db:
            return rules(db)

    def save(self, user: User, rule: Rule) -> Rule:
        """Add one, or write one anew.

        Raises:
            Forbidden: the user is no administrator.
        """
        with self.database.write() as db:
            require(user, Role.ADMINISTRATOR)
            audit.wait_turn(db)
            save_row(db, user, t.Rule(**rule.model_dump()), seals.rule_subject(rule.code), "rule.saved")
            return rule

    def demands(self, user: User, case_id: str, content: SignedContent) -> tuple[Demand, ...]:
        """The rules that the content of a case reaches.

        Raises:
            NotFound: no such case for this user.
        """
        with self.database.read() as db:
            get_case(db, user, case_id)
            return demands(db, user, content)


def rules(db: Session) -> tuple[Rule, ...]:
    """Those delivered, each as the laboratory wrote it anew, then the laboratory's other ones."""
    own = {row.code: _record(row) for row in db.scalars(sa.select(t.Rule).order_by(t.Rule.code))}
    return (*(own.pop(one.code, one) for one in DELIVERED), *own.values())


def demands(db: Session, user: User, content: SignedContent) -> tuple[Demand, ...]:
    """The rules that a content reaches, and whether the user could sign as far as each goes."""
    return tuple(
        Demand(rule=rule, value=value, met=_is_met(db, user, content, rule))
        for rule, value in reached(rules(db), content.differential)
    )


def check_rules(db: Session, user: User, content: SignedContent) -> list[str]:
    """The codes of the rules that a content reaches, for the log; raises NotAllowed: one of them is not met."""
    found = demands(db, user, content)
    for one in found:
        if one.met:
            continue
        if one.rule.demand == "second_reader":
            raise NotAllowed(f"rule {one.rule.code}: another user than the one who reviewed the case must sign it.")
        if one.rule.demand == "comment":
            raise NotAllowed(f"rule {one.rule.code}: give the case a comment or a finding before it is signed.")
        raise NotAllowed(f"rule {one.rule.code}: all cells must be seen before the case is signed.")
    return [one.rule.code for one in found]


def _is_met(db: Session, user: User, content: SignedContent, rule: Rule) -> bool:
    if rule.demand == "comment":
        return bool(content.case.comment or content.case.findings)
    if rule.demand == "all_seen":
        looked = look_at(content.cells)
        return looked is None or looked.seen == looked.cells
    read = sa.select(t.Entry.user).where(t.Entry.case_id == content.case.id, t.Entry.action.in_(_READ))
    first = db.scalar(read.order_by(t.Entry.number.desc()).limit(1))
    # A station for one user on a computer of their own has no second one.
    if user.name == SINGLE_USER or first not in (None, user.name):
        return True
    return read_blind(db, content.case.id, content.case.revision, but=user.id)


def _record(row: t.Rule) -> Rule:
    return Rule(**{name: getattr(row, name) for name in Rule.model_fields})
