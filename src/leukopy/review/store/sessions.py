"""Sessions: they end after a fixed time, or earlier if idle. The database stores the sha256 of a token only."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import timedelta

import sqlalchemy as sa

from leukopy.review.records import User
from leukopy.review.settings import ReviewSettings
from leukopy.review.store import audit
from leukopy.review.store import tables as t
from leukopy.review.store.database import Database
from leukopy.review.store.results import LiveSession, NewSession
from leukopy.review.store.users import record

_NOTED_EVERY = timedelta(minutes=1)
"""Shortest time between two updates of ``seen``: a page requests hundreds of images."""


@dataclass(frozen=True)
class SessionStore:
    """Starts, finds and ends sessions."""

    database: Database
    settings: ReviewSettings

    def start(self, user: User) -> NewSession:
        """Log a user in; expired sessions are deleted."""
        with self.database.write() as db:
            audit.wait_turn(db)  # before any session is locked, as `UserStore.change` does
            at = t.now()
            expires = at + self.settings.session
            db.execute(sa.delete(t.Session).where(t.Session.expires < at))
            token = secrets.token_urlsafe(32)
            db.add(t.Session(digest=_digest(token), user_id=user.id, seen=at, expires=expires))
            audit.append(db, user, "session.started", session=told(_digest(token)))
            return NewSession(token, _csrf(token), expires)

    def get(self, token: str, *, used: bool = True) -> LiveSession | None:
        """The live session of a token; None: expired or unknown.

        Args:
            token: as the browser sent it.
            used: a reader's own request, after which the session is not idle.
        """
        with self.database.read() as db:
            query = sa.select(t.Session, t.User).join(t.User).where(t.Session.digest == _digest(token), t.User.active)
            found = db.execute(query).one_or_none()
            if found is None:
                return None
            row, user = found
            at, idle = t.now(), self.settings.idle
            if at >= row.expires or at - row.seen >= idle:
                return None
            live = LiveSession(record(user), _csrf(token), row.expires)
            stale = used and at - row.seen >= min(_NOTED_EVERY, idle / 10)
        if stale:
            with self.database.write() as db:
                db.execute(sa.update(t.Session).where(t.Session.digest == _digest(token)).values(seen=at))
        return live

    def end(self, token: str) -> None:
        """Log out; an unknown token is not an error."""
        with self.database.write() as db:
            audit.wait_turn(db)
            query = sa.select(t.Session, t.User).join(t.User).where(t.Session.digest == _digest(token))
            found = db.execute(query).one_or_none()
            if found is not None:
                db.delete(found[0])
                db.flush()
                audit.append(db, record(found[1]), "session.ended")


def told(digest: str) -> str:
    """What the log tells of a session: enough to know it again, and nothing to enter with."""
    return digest[:16]


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def _csrf(token: str) -> str:
    """Derived from the token, so that the database stores nothing more; the token cannot be derived from it."""
    return hashlib.sha256(b"csrf " + token.encode("utf-8", "replace")).hexdigest()
