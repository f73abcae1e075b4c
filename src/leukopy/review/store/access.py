"""Permissions. A case that a user may not see does not exist for this user."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Session

from leukopy.review.records import OPEN, Role, Status, User
from leukopy.review.store import seals
from leukopy.review.store import tables as t
from leukopy.review.store.alarms import count_alarms
from leukopy.review.store.errors import Forbidden, NotAllowed, NotFound

_RANK = {role: rank for rank, role in enumerate(Role)}


def may(user: User, role: Role) -> bool:
    """Whether a user has a role, or one above it."""
    return _RANK[user.role] >= _RANK[role]


def require(user: User, role: Role) -> None:
    """Raises Forbidden: the user has less than this role."""
    if not may(user, role):
        raise Forbidden(f"this needs the role {role.value}; ask an administrator.")


def visible(user: User) -> sa.ColumnElement[bool]:
    """The cases that a user may see: readers their own and those shared with them, the others all but the erased."""
    if may(user, Role.REVIEWER):
        return t.Case.status != Status.ERASED
    shared = sa.select(t.Share.case_id).where(t.Share.user_id == user.id)
    return sa.and_(t.Case.status != Status.ERASED, sa.or_(t.Case.owner_id == user.id, t.Case.id.in_(shared)))


def get_case(db: Session, user: User | None, case_id: str, *, lock: bool = False) -> t.Case:
    """A case that the user may see.

    Args:
        db: the transaction.
        user: who asks; None: the worker.
        case_id: which case.
        lock: nobody else changes it or its cells until the end of the transaction.

    Raises:
        NotFound: there is none for this user.
        Damaged: ``lock``, and the case was changed past the station.
    """
    query = sa.select(t.Case).where(t.Case.id == case_id, sa.true() if user is None else visible(user))
    case = db.scalar(query.with_for_update(of=t.Case) if lock else query)
    if case is None:
        raise NotFound("there is no such case, or it is not shared with you.")
    if lock:
        seals.hold(db, seals.case_subject(case.id))
    return case


def open_case(db: Session, user: User | None, case_id: str) -> t.Case:
    """A case that is open to changes, locked.

    Raises:
        NotFound: there is none for this user.
        NotAllowed: it is signed.
    """
    case = get_case(db, user, case_id, lock=True)
    if case.status is Status.VOID:
        raise NotAllowed("the case is void: nothing of it can be changed.")
    if case.status not in OPEN:
        raise NotAllowed("the case is signed: amend it before any change.")
    return case


def touch(case: t.Case) -> None:
    """Count a change of an open case, and its alarms; a reviewed case becomes a draft again."""
    db = sa.orm.object_session(case)
    assert db is not None
    case.version += 1
    case.changed = t.now()
    if case.status is Status.REVIEWED:
        case.status = Status.DRAFT
    count_alarms(db, case)
