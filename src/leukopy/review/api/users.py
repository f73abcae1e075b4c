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
def classes(_: Reader, station: StationDep) -> tuple[ClassChoice, ...]:
    """The classes that a reader may give, in display order."""
    return station.store.classes.all()


@router.post("/classes", status_code=201)
def add_class(choice: ClassChoice, user: Reader, station: StationDep) -> ClassChoice:
    """Add a class of the laboratory's own."""
    return station.store.classes.add(user, choice)


@router.get("/users")
def users(user: Reader, station: StationDep) -> tuple[User, ...]:
    """The users of the station."""
    return station.store.users.all(user)


@router.post("/users", status_code=201)
def add_user(new: NewUser, user: Reader, station: StationDep) -> User:
    """Add a user."""
    return station.store.users.add(user, new)


@router.patch("/users/{user_id}")
def change_user(user_id: Id, change: UserChange, user: Reader, station: StationDep) -> User:
    """Change a user; their sessions end where role, activity or password change."""
    return station.store.users.change(user, user_id, change)


@router.get("/audit")
def audit(
    user: Reader, station: StationDep, page: Annotated[int, Query(ge=1, le=1_000_000)] = 1
) -> tuple[AuditEntry, ...]:
    """The log, latest entry first."""
    return station.store.audit.entries(user, page)


@router.get("/audit/verify")
def verify_audit(user: Reader, station: StationDep) -> AuditCheck:
    """Result of verifying the audit log."""
    require(user, Role.ADMINISTRATOR)
    return station.store.audit.verify()
