"""Log-ins: they end after a time, and earlier where nobody works. Of a token only the sha256 is kept."""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from leukopy.review.records import User
from leukopy.review.settings import ReviewSettings
from leukopy.review.store import audit
from leukopy.review.store import tables as t
from leukopy.review.store.results import LiveSession, NewSession
from leukopy.review.store.users import record

_NOTED_EVERY = timedelta(minutes=1)
"""How often it is written down that a session is in use: not with every picture that it shows."""


def start_session(db: Session, user: User, lasts: timedelta) -> NewSession:
    """Log a user in; sessions that are over are cleared away."""
    audit.wait_turn(db)  # before any session is locked, as `change_user` does
    at = t.now()
    db.execute(sa.delete(t.Session).where(t.Session.expires < at))
    token = secrets.token_urlsafe(32)
    db.add(t.Session(digest=_digest(token), user_id=user.id, seen=at, expires=at + lasts))
    audit.append(db, user, "session.started")
    return NewSession(token, _csrf(token), at + lasts)


def live_session(db: Session, token: str, settings: ReviewSettings) -> tuple[LiveSession, bool] | None:
    """Who a token belongs to, and whether it is time to note that it is in use; None: it is over, or was never."""
    query = sa.select(t.Session, t.User).join(t.User).where(t.Session.digest == _digest(token), t.User.active)
    found = db.execute(query).one_or_none()
    if found is None:
        return None
    row, user = found
    at = t.now()
    if at >= row.expires or at - row.seen >= settings.idle:
        return None
    stale = at - row.seen >= min(_NOTED_EVERY, settings.idle / 10)
    return LiveSession(record(user), _csrf(token), row.expires), stale


def note_use(db: Session, token: str) -> None:
    """The session is in use."""
    db.execute(sa.update(t.Session).where(t.Session.digest == _digest(token)).values(seen=t.now()))


def end_session(db: Session, token: str) -> None:
    """Log out; a token that is none is no error."""
    audit.wait_turn(db)
    query = sa.select(t.Session, t.User).join(t.User).where(t.Session.digest == _digest(token))
    found = db.execute(query).one_or_none()
    if found is not None:
        db.delete(found[0])
        db.flush()
        audit.append(db, record(found[1]), "session.ended")


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def _csrf(token: str) -> str:
    """Follows from the token, so that nothing more need be kept; does not tell it."""
    return hashlib.sha256(b"csrf " + token.encode("utf-8", "replace")).hexdigest()
