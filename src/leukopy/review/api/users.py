"""Users, the classes of the laboratory, and the log that only grows."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from leukopy.review.records import AuditCheck, AuditEntry, ClassChoice, Id, NewUser, Role, User, UserChange
from leukopy.review.security import Reader
from leukopy.review.station import StationDep
from leukopy.review.store.access import require

router = APIRouter()


@router.get("/classes")
def classes(_: Reader, here: StationDep) -> tuple[ClassChoice, ...]:
    """The classes that a reader may give, in display order."""
    return here.store.classes.all()


@router.post("/classes", status_code=201)
def add_class(choice: ClassChoice, user: Reader, here: StationDep) -> ClassChoice:
    """Add a class of the laboratory's own."""
    return here.store.classes.add(user, choice)


@router.get("/users")
def users(user: Reader, here: StationDep) -> tuple[User, ...]:
    """Who works here."""
    return here.store.users.all(user)


@router.post("/users", status_code=201)
def add_user(new: NewUser, user: Reader, here: StationDep) -> User:
    """Add a user."""
    return here.store.users.add(user, new)


@router.patch("/users/{user_id}")
def change_user(user_id: Id, change: UserChange, user: Reader, here: StationDep) -> User:
    """Change a user; their sessions end where role, activity or password change."""
    return here.store.users.change(user, user_id, change)


@router.get("/audit")
def audit(
    user: Reader, here: StationDep, page: Annotated[int, Query(ge=1, le=1_000_000)] = 1
) -> tuple[AuditEntry, ...]:
    """The log, latest entry first."""
    return here.store.audit.entries(user, page)


@router.get("/audit/verify")
def verify_audit(user: Reader, here: StationDep) -> AuditCheck:
    """Whether the log is what was written."""
    require(user, Role.ADMINISTRATOR)
    return here.store.audit.verify()
