"""The outbox: signed results on their way to other systems.

A delivery is written in the transaction of the signature, so that no signed result is forgotten, and nothing else is
sent. It stays until the receiver acknowledges it, over restarts and crashes: each attempt carries the same message
control id, by which the receiver knows a repetition.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session, aliased

from leukopy.review.records import (
    Case,
    Delivery,
    DeliveryKind,
    DeliveryPage,
    DeliveryState,
    Role,
    Route,
    SignedContent,
    Status,
    User,
)
from leukopy.review.store import audit
from leukopy.review.store import tables as t
from leukopy.review.store.access import get_case, require
from leukopy.review.store.cases import record
from leukopy.review.store.contents import whole_content
from leukopy.review.store.database import Database
from leukopy.review.store.errors import NotAllowed

LEASE = timedelta(minutes=2)
"""Time in which an attempt ends; after it, another sender may try."""
FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=5), timedelta(hours=1)
"""Between two attempts; each pause is twice the one before."""
_ANSWER = 500
"""Characters of an answer that are kept."""
_PER_PAGE = 100
_OPEN = (DeliveryState.WAITING, DeliveryState.REFUSED)


@dataclass(frozen=True)
class OutboxStore:
    """Hands deliveries to senders, and shows where they are."""

    database: Database
    routes: tuple[Route, ...] = ()
    """Where results are sent to."""

    def claim(self, sender: str, route: Route) -> Delivery | None:
        """Claim the oldest delivery that is due; a case has one delivery at a time on a route."""
        at, other = t.now(), aliased(t.Delivery)
        busy = sa.exists().where(other.case_id == t.Delivery.case_id, other.route == route, other.lease > at)
        due = sa.select(t.Delivery).where(
            t.Delivery.state == DeliveryState.WAITING, t.Delivery.route == route, t.Delivery.next_attempt <= at, ~busy
        )
        with self.database.write() as db:
            row = db.scalar(due.order_by(t.Delivery.created).limit(1).with_for_update(skip_locked=True))
            if row is None:
                return None
            row.sender, row.lease, row.attempts = sender, at + LEASE, row.attempts + 1
            return _record(row)

    def acknowledged(self, delivery_id: str, answer: str) -> None:
        """Store that the receiver has a delivery."""
        with self.database.write() as db:
            row = db.get(t.Delivery, delivery_id, with_for_update=True)
            if row is None or row.state is DeliveryState.SENT:  # its case was erased, or another sender was as fast
                return
            row.state, row.sent, row.answer, row.lease = DeliveryState.SENT, t.now(), answer[:_ANSWER], None
            audit.append(db, None, "result.sent", row.case_id, delivery=row.id, route=row.route.value,
                         kind=row.kind.value, revision=row.revision)  # fmt: skip

    def failed(self, delivery_id: str, sender: str, answer: str, *, refused: bool) -> None:
        """Store that an attempt failed: it is tried again after a pause, unless the receiver refuses it."""
        with self.database.write() as db:
            row = db.get(t.Delivery, delivery_id, with_for_update=True)
            if row is None or row.sender != sender:
                return
            row.answer, row.lease = answer[:_ANSWER], None
            if row.state is not DeliveryState.WAITING:
                return
            if refused:
                row.state = DeliveryState.REFUSED
                audit.append(db, None, "result.refused", row.case_id, delivery=row.id, route=row.route.value)
            row.next_attempt = t.now() + pause_after(row.attempts)

    def contents(self, delivery: Delivery) -> tuple[Case, tuple[SignedContent, ...]]:
        """The case of a delivery, and its signed contents up to the revision that is sent.

        Raises:
            NotFound: the case was erased.
            Damaged: what is stored is not what was signed.
        """
        with self.database.read() as db:
            case = get_case(db, None, delivery.case_id)
            signed = sa.select(t.Signed.revision).where(
                t.Signed.case_id == case.id, t.Signed.revision <= delivery.revision
            )
            revisions = db.scalars(signed.order_by(t.Signed.revision)).all()
            return record(db, case), tuple(whole_content(db, case.id, revision) for revision in revisions)

    def of_case(self, user: User, case_id: str) -> tuple[Delivery, ...]:
        """The deliveries of a case, latest first.

        Raises:
            NotFound: no such case for this user.
        """
        with self.database.read() as db:
            get_case(db, user, case_id)
            rows = sa.select(t.Delivery).where(t.Delivery.case_id == case_id).order_by(t.Delivery.created.desc())
            return tuple(map(_record, db.scalars(rows)))

    def page(self, user: User, page: int = 1) -> DeliveryPage:
        """100 deliveries, those that wait or were refused first, then the latest.

        Raises:
            Forbidden: the user is no administrator.
        """
        with self.database.read() as db:
            require(user, Role.ADMINISTRATOR)
            rows = sa.select(t.Delivery).order_by(
                t.Delivery.state.not_in(_OPEN), t.Delivery.created.desc(), t.Delivery.id
            )
            shown = db.scalars(rows.offset(_PER_PAGE * (page - 1)).limit(_PER_PAGE))
            return DeliveryPage(
                deliveries=tuple(map(_record, shown)),
                waiting=_count(db, DeliveryState.WAITING),
                refused=_count(db, DeliveryState.REFUSED),
            )

    def send_again(self, user: User, case_id: str, route: Route) -> Delivery:
        """Queue the last signed revision of a case once more, as a message of its own.

        Raises:
            NotFound: no such case for this user.
            Forbidden: the user is no reviewer.
            NotAllowed: nothing is sent on this route, the case is not signed, or it is void and was never sent.
        """
        with self.database.write() as db:
            require(user, Role.REVIEWER)
            case = get_case(db, user, case_id, lock=True)
            if route not in self.routes:
                raise NotAllowed(f"the station sends no results by {route.value}: an administrator sets a receiver.")
            revision = _last_signed(db, case)
            if revision is None:
                raise NotAllowed("only signed results are sent: sign the case first.")
            void = case.status is Status.VOID
            if void and route not in _routes_taken(db, case):
                raise NotAllowed("the case is void, and no result of it was sent.")
            kind = DeliveryKind.WITHDRAWAL if void else _kind(revision)
            row = _add(db, case, revision, route, kind)
            audit.append(db, user, "result.queued", case.id, delivery=row.id, route=route.value, revision=revision)
            db.flush()
            return _record(row)


def enqueue(db: Session, case: t.Case, routes: Sequence[Route]) -> None:
    """Queue the revision that is being signed, in the transaction of its signature."""
    for route in routes:
        _add(db, case, case.revision, route, _kind(case.revision))


def withdraw(db: Session, case: t.Case) -> None:
    """Queue the withdrawal of a case that becomes void, on each route on which a result of it may have arrived."""
    revision = _last_signed(db, case)
    taken = _routes_taken(db, case)
    _replace_open(db, case)
    for route in taken:
        _add(db, case, revision or case.revision, route, DeliveryKind.WITHDRAWAL)


def pause_after(attempts: int) -> timedelta:
    """Pause after a number of failed attempts."""
    return min(FIRST_PAUSE * (1 << min(attempts - 1, 20)), LONGEST_PAUSE)


def _add(db: Session, case: t.Case, revision: int, route: Route, kind: DeliveryKind) -> t.Delivery:
    """A delivery in place of those of the case that wait on the route."""
    _replace_open(db, case, route)
    at = t.now()
    row = t.Delivery(
        id=secrets.token_hex(10), case_id=case.id, revision=revision, route=route, kind=kind, created=at,
        next_attempt=at, state=DeliveryState.WAITING, attempts=0, answer="",
    )  # fmt: skip
    db.add(row)
    return row


def _replace_open(db: Session, case: t.Case, route: Route | None = None) -> None:
    rows = sa.select(t.Delivery).where(t.Delivery.case_id == case.id, t.Delivery.state.in_(_OPEN)).with_for_update()
    for row in db.scalars(rows if route is None else rows.where(t.Delivery.route == route)):
        row.state = DeliveryState.REPLACED


def _routes_taken(db: Session, case: t.Case) -> list[Route]:
    """Routes on which a result of a case arrived, or may have: an attempt whose answer was lost."""
    tried = sa.select(t.Delivery.route).where(t.Delivery.case_id == case.id, t.Delivery.attempts > 0).distinct()
    return sorted(db.scalars(tried))


def _last_signed(db: Session, case: t.Case) -> int | None:
    return db.scalar(sa.select(sa.func.max(t.Signed.revision)).where(t.Signed.case_id == case.id))


def _kind(revision: int) -> DeliveryKind:
    return DeliveryKind.RESULT if revision == 1 else DeliveryKind.CORRECTION


def _count(db: Session, state: DeliveryState) -> int:
    return db.scalar(sa.select(sa.func.count()).select_from(t.Delivery).where(t.Delivery.state == state)) or 0


def _record(row: t.Delivery) -> Delivery:
    return Delivery(
        id=row.id, case_id=row.case_id, revision=row.revision, route=row.route, kind=row.kind, state=row.state,
        attempts=row.attempts, answer=row.answer, created=row.created, sent=row.sent,
        next_attempt=row.next_attempt if row.state is DeliveryState.WAITING else None,
    )  # fmt: skip
