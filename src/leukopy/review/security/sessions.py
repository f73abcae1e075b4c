"""Authentication: sessions by cookie, and protection against cross-site requests."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from secrets import compare_digest
from typing import Annotated, NamedTuple
from urllib.parse import urlsplit

from fastapi import Depends, Request, Response, Security
from fastapi.security import APIKeyCookie, APIKeyHeader
from starlette.exceptions import HTTPException

from leukopy.review.records import User
from leukopy.review.security.problems import NotSignedInError
from leukopy.review.settings import ReviewSettings
from leukopy.review.store import LiveSession, NewSession, Store

CSRF_HEADER = "X-CSRF-Token"
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing."""


class Who(NamedTuple):
    """Who is signed in, and what their page sends back."""

    user: User
    csrf: str


def cookie_name(settings: ReviewSettings) -> str:
    """The cookie of a station: browsers send it to every port of the host, where other stations may be.

    With HTTPS, a name that browsers accept from this very host only, and only encrypted.
    """
    place = f"{settings.folder.resolve()} {settings.database or ''}"
    name = f"leukopy-{hashlib.sha256(place.encode()).hexdigest()[:8]}"
    return f"__Host-{name}" if settings.https else name


def set_cookie(response: Response, session: NewSession, settings: ReviewSettings) -> None:
    """Give the browser the session: no script reads it, and no other site's request carries it."""
    response.set_cookie(
        cookie_name(settings),
        session.token,
        max_age=int(settings.session.total_seconds()),
        httponly=True,
        secure=settings.https,
        samesite="strict",
    )


def drop_cookie(response: Response, settings: ReviewSettings) -> None:
    """Take the session from the browser."""
    response.delete_cookie(cookie_name(settings), httponly=True, secure=settings.https, samesite="strict")


def token(request: Request) -> str | None:
    """The session's token as the browser sent it."""
    return request.cookies.get(cookie_name(request.app.state.settings))


STREAMS = "/events"
"""How the addresses of event streams end. A browser opens them anew by itself, so that no reader need be there."""


def find_session(request: Request) -> LiveSession | None:
    """The session of a request, looked up once; None where there is none, or it has ended."""
    if not hasattr(request.state, "session"):
        store: Store = request.app.state.store
        given, used = token(request), not request.url.path.endswith(STREAMS)
        request.state.session = store.sessions.get(given, used=used) if given else None
    found: LiveSession | None = request.state.session
    return found


def live_session(request: Request) -> LiveSession:
    """The session of a request.

    Raises:
        NotSignedInError: there is none, or it has ended.
    """
    found = find_session(request)
    if found is None:
        raise NotSignedInError("Not signed in, or the session has ended. Sign in again.")
    return found


def lives(request: Request) -> Callable[[], bool]:
    """Whether the session of a request still lives, for a stream of events, which outlives the request."""
    store: Store = request.app.state.store
    given = token(request) or ""
    return lambda: store.sessions.get(given, used=False) is not None


def current(request: Request) -> Who:
    """Who is signed in.

    Raises:
        NotSignedInError: nobody.
    """
    session = live_session(request)
    return Who(session.user, session.csrf)


def same_site(request: Request) -> None:
    """Refuse a changing request that another site's page makes a browser send.

    Raises:
        HTTPException: 403.
    """
    if request.method in SAFE:
        return
    origin = request.headers.get("Origin")
    foreign = origin is not None and urlsplit(origin).netloc != request.headers.get("Host")
    if foreign or request.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin":
        raise HTTPException(403, "The request comes from another site. Use the station's own pages.")


def signed_in(
    request: Request,
    _cookie: Annotated[str | None, Security(APIKeyCookie(name="leukopy", auto_error=False))],
    csrf: Annotated[str | None, Security(APIKeyHeader(name=CSRF_HEADER, auto_error=False))],
) -> User:
    """The user who sends a request, for every route of the API: who has a session, and from the station's own page.

    Raises:
        NotSignedInError: nobody.
        HTTPException: 403, a changing request without the token that the station's own pages hold.
    """
    same_site(request)
    who = current(request)
    if request.method not in SAFE and not compare_digest((csrf or "").encode(), who.csrf.encode()):
        raise HTTPException(403, f"The header {CSRF_HEADER} is missing or wrong. Load the page again.")
    return who.user


Reader = Annotated[User, Depends(signed_in)]
"""A route's parameter: who is signed in, whatever their role."""
