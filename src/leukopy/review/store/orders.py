"""Orders of laboratory systems: each opens one case, which waits for its images."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from leukopy.core.errors import SettingsError
from leukopy.review.plausibility import check
from leukopy.review.records import CaseDraft, NewOrder, Role, Status
from leukopy.review.settings import ReviewSettings
from leukopy.review.store import audit, seals
from leukopy.review.store import tables as t
from leukopy.review.store.access import get_case
from leukopy.review.store.cases import folded
from leukopy.review.store.database import Database
from leukopy.review.store.errors import AlreadyExists, NotAllowed, NotFound

CANCELLED = "The order was cancelled."
"""Why the case of such an order is void."""


@dataclass(frozen=True)
class OrderStore:
    """Takes orders; for the station, which asks no user."""

    database: Database
    settings: ReviewSettings

    def take(self, orders: Sequence[NewOrder], source: str, cancelled: Sequence[str] = ()) -> int:
        """Open a case for each order, and make those of cancelled ones void: all or none.

        An order that came before, the same, changes nothing; nor does one that is cancelled again.

        Args:
            orders: as they came.
            source: ``hl7`` or ``table``, for the log.
            cancelled: numbers of orders.

        Returns:
            Number of cases opened.

        Raises:
            AlreadyExists: an order of the same number has other values.
            InputError: one of the values cannot be (`plausibility`).
            SettingsError: nobody can own the cases.
            NotFound: a cancelled order never came.
            NotAllowed: the case of a cancelled order holds images.
        """
        opened = 0
        with self.database.write() as db:
            audit.wait_turn(db)  # the same order may come twice at once
            for order in orders:
                known = _known(db, order.number)
                if known is None:
                    _open(db, self._owner(db), order, source)
                    opened += 1
                elif known.digest != _digest(order):
                    raise AlreadyExists(
                        "an order of this number came before, with other values: change its case in the station, or "
                        "give the order another number."
                    )
            for number in cancelled:
                _cancel(db, number)
        return opened

    def _owner(self, db: Session) -> str:
        """Id of the user whose cases these become: the one of the settings, else the first administrator."""
        name = self.settings.exchange.orders_owner
        users = sa.select(t.User.id).where(t.User.active)
        users = users.where(t.User.name == name) if name else users.where(t.User.role == Role.ADMINISTRATOR)
        owner = db.scalar(users.order_by(t.User.created).limit(1))
        if owner is None:
            raise SettingsError("no active user can own ordered cases: add an administrator, or set orders_owner.")
        return owner


def _known(db: Session, number: str) -> t.Order | None:
    return db.scalar(sa.select(t.Order).where(t.Order.number == t.storable(number)))


def _cancel(db: Session, number: str) -> None:
    known = _known(db, number)
    if known is None:
        raise NotFound("there is no order of this number to be cancelled.")
    case = get_case(db, None, known.case_id, lock=True)
    if case.status is Status.VOID:
        return
    if case.last_cell:
        raise NotAllowed("the case of this order holds images already: make it void in the station.")
    case.status, case.void_reason = Status.VOID, CANCELLED
    case.version += 1
    case.changed = t.now()
    audit.append(db, None, "case.voided", case.id, version=case.version)


def _open(db: Session, owner: str, order: NewOrder, source: str) -> None:
    draft = CaseDraft(
        slide=order.slide or order.number, patient=order.patient, age=order.age, sex=order.sex,
        specimen_date=order.specimen_date, priority=order.priority,
    )  # fmt: skip
    check(draft, CaseDraft.model_fields)
    case = t.Case(**draft.model_dump(), owner_id=owner, search=folded(draft, order.number))
    db.add(case)
    db.flush()
    seals.hold(db, seals.case_subject(case.id), new=True)
    db.add(
        t.Order(case_id=case.id, number=order.number, requester=order.requester, digest=_digest(order))
    )  # fmt: skip
    audit.append(db, None, "case.ordered", case.id, source=source)


def _digest(order: NewOrder) -> str:
    return hashlib.sha256(order.model_dump_json().encode()).hexdigest()
