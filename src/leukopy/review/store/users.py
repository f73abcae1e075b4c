"""Users and their passwords (argon2id)."""

from __future__ import annotations

import secrets

import sqlalchemy as sa
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy.orm import Session

from leukopy.review.records import NewUser, Role, User, UserChange
from leukopy.review.store import audit
from leukopy.review.store import tables as t
from leukopy.review.store.access import may, require
from leukopy.review.store.errors import AlreadyExists, Forbidden, NotAllowed, NotFound

SINGLE_USER = "local"
"""The name of the one user of a station that nobody logs in to; has no password."""


class Passwords:
    """Hashes and checks passwords, in the same time whether or not there is such a user."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher()
        self._nobody = self._hasher.hash(secrets.token_hex(16))

    def hash(self, password: str) -> str:
        """With a new salt."""
        return self._hasher.hash(password)

    def check(self, stored: str | None, password: str) -> bool:
        """Whether it is this password; takes as long where there is none."""
        try:
            return self._hasher.verify(stored or self._nobody, password) and stored is not None
        except (VerificationError, InvalidHashError):
            return False

    def outdated(self, stored: str) -> bool:
        """Whether it was hashed with weaker parameters than today's."""
        return self._hasher.check_needs_rehash(stored)


def add_user(db: Session, user: User | None, new: NewUser, password: str) -> User:
    """Add a user; ``password`` is hashed already.

    Args:
        db: the transaction.
        user: an administrator; None: the command line, which makes the first administrator.
        new: who.
        password: as `Passwords.hash` gives it.

    Raises:
        Forbidden: the user is no administrator; or there is one, who must do it.
        AlreadyExists: the name is taken.
    """
    audit.wait_turn(db)
    if user is not None:
        require(user, Role.ADMINISTRATOR)
    elif _administrators(db, with_password=True):
        raise Forbidden("the station has an administrator: let them add users.")
    elif new.role is not Role.ADMINISTRATOR:
        raise Forbidden("the first user must be an administrator.")
    if db.scalar(sa.select(t.User.id).where(t.User.name == new.name)) is not None:
        raise AlreadyExists(f"the user name {new.name!r} is taken; choose another.")
    row = t.User(name=new.name, full_name=new.full_name, role=new.role, password=password, active=True)
    db.add(row)
    audit.append(db, user, "user.added", name=new.name, role=new.role.value)
    db.flush()
    return record(row)


def change_user(db: Session, user: User, user_id: str, change: UserChange, password: str | None) -> User:
    """Give a user other values; ``password`` is the new one, hashed already. Ends their sessions where it matters.

    Users may change their own password; all else is for administrators.

    Raises:
        Forbidden: the user may not.
        NotFound: no such user.
        NotAllowed: the station would have no administrator left.
    """
    audit.wait_turn(db)
    given = change.model_dump(exclude={"password"}, exclude_none=True)
    if user.id != user_id or given:
        require(user, Role.ADMINISTRATOR)
    row = db.get(t.User, user_id)
    if row is None:
        raise NotFound("there is no such user.")
    fields = sorted(name for name, value in given.items() if value != getattr(row, name))
    for name in fields:
        setattr(row, name, given[name])
    if password is not None:
        row.password = password
        fields.append("password")
    db.flush()
    # The single user, who cannot log in, is no administrator for those who must.
    if {"role", "active"} & set(fields) and not _administrators(db, with_password=row.name != SINGLE_USER):
        raise NotAllowed("the station needs at least one active administrator.")
    if {"role", "active", "password"} & set(fields):
        db.execute(sa.delete(t.Session).where(t.Session.user_id == row.id))
    if fields:
        audit.append(db, user, "user.changed", name=row.name, fields=fields, role=row.role.value, active=row.active)
    return record(row)


def users(db: Session, user: User) -> tuple[User, ...]:
    """All users, by name; a reader sees only those who work here now, to share cases with.

    The roles are no secret: who signs stands on every report.
    """
    query = sa.select(t.User).order_by(t.User.name)
    rows = db.scalars(query if may(user, Role.ADMINISTRATOR) else query.where(t.User.active))
    return tuple(record(row) for row in rows)


def stored_password(db: Session, name: str) -> tuple[User, str | None] | None:
    """An active user of this name and the hash of their password."""
    row = db.scalar(sa.select(t.User).where(t.User.name == name, t.User.active))
    return (record(row), row.password) if row else None


def set_hash(db: Session, user: User, old: str, new: str) -> None:
    """Keep the same password hashed with today's parameters, unless it was changed meanwhile."""
    db.execute(sa.update(t.User).where(t.User.id == user.id, t.User.password == old).values(password=new))


def single_user(db: Session) -> User:
    """The one user of a station that nobody logs in to; made when first asked for."""
    audit.wait_turn(db)
    row = db.scalar(sa.select(t.User).where(t.User.name == SINGLE_USER))
    if row is None:
        row = t.User(name=SINGLE_USER, full_name="Local user", role=Role.ADMINISTRATOR, active=True)
        db.add(row)
        audit.append(db, None, "user.added", name=SINGLE_USER, role=Role.ADMINISTRATOR.value)
        db.flush()
    return record(row)


def record(row: t.User) -> User:
    """As the API shows it."""
    return User(id=row.id, name=row.name, full_name=row.full_name, role=row.role, active=row.active)


def _administrators(db: Session, *, with_password: bool = False) -> int:
    query = sa.select(sa.func.count()).select_from(t.User).where(t.User.role == Role.ADMINISTRATOR, t.User.active)
    return db.scalar(query.where(t.User.password.is_not(None)) if with_password else query) or 0
