"""Users and their passwords (argon2id)."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy.orm import Session

from leukopy.review.records import NewUser, Role, User, UserChange
from leukopy.review.store import audit, seals
from leukopy.review.store import tables as t
from leukopy.review.store.access import may, require
from leukopy.review.store.database import Database
from leukopy.review.store.errors import AlreadyExists, Forbidden, NotAllowed, NotFound

SINGLE_USER = "local"
"""Name of the user of a station without log-in; this user has no password."""


class Passwords:
    """Hashes and checks passwords; a check takes the same time with and without a stored hash."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher()
        self._nobody = self._hasher.hash(secrets.token_hex(16))

    def hash(self, password: str) -> str:
        """Hash with a new salt."""
        return self._hasher.hash(password)

    def check(self, stored: str | None, password: str) -> bool:
        """Whether the hash is that of the password; False without a hash."""
        try:
            return self._hasher.verify(stored or self._nobody, password) and stored is not None
        except (VerificationError, InvalidHashError):
            return False

    def outdated(self, stored: str) -> bool:
        """Whether the hash was computed with weaker parameters than the current ones."""
        return self._hasher.check_needs_rehash(stored)


@dataclass
class UserStore:
    """Adds, changes and lists users, and checks their passwords."""

    database: Database
    passwords: Passwords

    def add(self, user: User | None, new: NewUser) -> User:
        """Add a user.

        Args:
            user: an administrator; None: the command line, which adds the first administrator.
            new: the new user.

        Raises:
            Forbidden: the user is no administrator; or there is one, who must do it.
            AlreadyExists: the name is taken.
        """
        password = self.passwords.hash(new.password)  # before the transaction: hashing is slow by design
        with self.database.write() as db:
            audit.wait_turn(db)
            if user is not None:
                require(user, Role.ADMINISTRATOR)
            elif _administrators(db, with_password=True):
                raise Forbidden("the station has an administrator, who must add users.")
            elif new.role is not Role.ADMINISTRATOR:
                raise Forbidden("the first user must be an administrator.")
            if db.scalar(sa.select(t.User.id).where(t.User.name == new.name)) is not None:
                raise AlreadyExists(f"the user name {new.name!r} is taken; choose another.")
            row = t.User(name=new.name, full_name=new.full_name, role=new.role, password=password, active=True)
            _tell_new(db, user, row)
            return record(row)

    def change(self, user: User, user_id: str, change: UserChange) -> User:
        """Change a user; a new role, password or activity ends the user's sessions.

        Administrators may change everything but their own password, which needs the present one (`set_password`).

        Raises:
            Forbidden: the user may not.
            NotFound: no such user.
            NotAllowed: the station would have no administrator left.
        """
        password = None if change.password is None else self.passwords.hash(change.password)
        with self.database.write() as db:
            audit.wait_turn(db)
            given = change.model_dump(exclude={"password"}, exclude_none=True)
            require(user, Role.ADMINISTRATOR)
            if user.id == user_id and password is not None:
                raise NotAllowed("your own password is changed on the page Account, with the present one.")
            row = db.get(t.User, user_id)
            if row is None:
                raise NotFound("there is no such user.")
            seals.hold(db, seals.user_subject(row.id))
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
                _end_sessions(db, row)
            if fields:
                _tell_changed(db, user, row, fields)
            return record(row)

    def set_password(self, user: User, password: str) -> None:
        """Give a user another password of their own; the caller has checked the present one. All sessions end."""
        new = self.passwords.hash(password)
        with self.database.write() as db:
            audit.wait_turn(db)
            row = db.get_one(t.User, user.id)
            seals.hold(db, seals.user_subject(row.id))
            row.password = new
            _end_sessions(db, row)
            _tell_changed(db, user, row, ["password"])

    def all(self, user: User) -> tuple[User, ...]:
        """All users by name, for administrators; all active users for others, who share cases with them.

        Roles are public: reports name the users who sign.
        """
        with self.database.read() as db:
            query = sa.select(t.User).order_by(t.User.name)
            rows = db.scalars(query if may(user, Role.ADMINISTRATOR) else query.where(t.User.active))
            return tuple(record(row) for row in rows)

    def check_password(self, name: str, password: str) -> User | None:
        """The active user of this name and password, or None. Both answers take the same time."""
        with self.database.read() as db:
            row = db.scalar(sa.select(t.User).where(t.User.name == name, t.User.active))
            user, stored = (record(row), row.password) if row else (None, None)
        correct = self.passwords.check(stored, password)
        if user and not correct:
            with self.database.write() as db:
                audit.append(db, user, "session.refused")
        if not (user and correct and stored):
            return None
        if self.passwords.outdated(stored):
            new = self.passwords.hash(password)
            self._hash_again(user, stored, new)
        return user

    def _hash_again(self, user: User, stored: str, new: str) -> None:
        """Store the hash with today's parameters, unless the password was changed meanwhile."""
        with self.database.write() as db:
            audit.wait_turn(db)
            row = db.get_one(t.User, user.id)
            if row.password == stored:
                seals.hold(db, seals.user_subject(row.id))
                row.password = new
                _tell_changed(db, user, row, ["password_hash"])

    def for_maintenance(self) -> User:
        """Who acts for the command line, which may do anything with the station's folder: no user of the database."""
        return User(id="0" * 32, name="station", full_name="station", role=Role.ADMINISTRATOR)

    def single_user(self) -> User:
        """The user of a station without log-in; added at the first call."""
        with self.database.write() as db:
            audit.wait_turn(db)
            row = db.scalar(sa.select(t.User).where(t.User.name == SINGLE_USER))
            if row is None:
                row = t.User(name=SINGLE_USER, full_name="Local user", role=Role.ADMINISTRATOR, active=True)
                _tell_new(db, None, row)
            return record(row)


def _tell_new(db: Session, user: User | None, row: t.User) -> None:
    """Add a user, and write it to the log."""
    db.add(row)
    db.flush()
    subject = seals.user_subject(row.id)
    seals.hold(db, subject, new=True)
    audit.append(db, user, "user.added", subject=subject, name=row.name, role=row.role.value)
    db.flush()


def _tell_changed(db: Session, user: User, row: t.User, fields: Sequence[str]) -> None:
    """Write a change of a user to the log."""
    audit.append(db, user, "user.changed", subject=seals.user_subject(row.id), name=row.name, fields=fields,
                 role=row.role.value, active=row.active)  # fmt: skip


def _end_sessions(db: Session, row: t.User) -> None:
    db.execute(sa.delete(t.Session).where(t.Session.user_id == row.id))


def record(row: t.User) -> User:
    """A user as the API shows it."""
    return User(id=row.id, name=row.name, full_name=row.full_name, role=row.role, active=row.active)


def _administrators(db: Session, *, with_password: bool = False) -> int:
    query = sa.select(sa.func.count()).select_from(t.User).where(t.User.role == Role.ADMINISTRATOR, t.User.active)
    return db.scalar(query.where(t.User.password.is_not(None)) if with_password else query) or 0
