"""Signing in and out."""

from __future__ import annotations

from threading import Semaphore

from fastapi import APIRouter, Depends, Request, Response

from leukopy.review.records import Login, Me
from leukopy.review.security import Reader, live_session, same_site
from leukopy.review.security.problems import NotSignedInError
from leukopy.review.security.sessions import drop_cookie, set_cookie, token
from leukopy.review.station import StationDep

router = APIRouter()

_CHECKING = Semaphore(2)
"""Passwords checked at a time: each takes 64 MiB and a tenth of a second of one core, on purpose."""


@router.post("/session", dependencies=[Depends(same_site)])
def sign_in(login: Login, request: Request, response: Response, station: StationDep) -> Me:
    """Begin a session by name and password; an earlier one of this browser ends."""
    keys = (f"name {login.name}", f"address {request.client.host if request.client else ''}")
    with _CHECKING:  # a waiting attempt is not counted yet, so that many sign-ins at once do not lock each other out
        station.logins.begin(*keys)
        user = station.store.users.check_password(login.name, login.password)
    if user is None:
        raise NotSignedInError("Name or password is wrong.")
    station.logins.succeeded(*keys)
    if earlier := token(request):
        station.store.sessions.end(earlier)
    session = station.store.sessions.start(user)
    set_cookie(response, session, station.settings)
    return Me(user=user, csrf=session.csrf, single_user=not station.settings.serve, expires=session.expires)


@router.delete("/session", status_code=204)
def sign_out(_: Reader, request: Request, response: Response, station: StationDep) -> None:
    """End the session."""
    if given := token(request):
        station.store.sessions.end(given)
    drop_cookie(response, station.settings)
    response.headers["Clear-Site-Data"] = '"cache"'  # pictures of cells that the browser keeps for an hour


@router.get("/me")
def me(_: Reader, request: Request, station: StationDep) -> Me:
    """Who is signed in."""
    session = live_session(request)
    return Me(user=session.user, csrf=session.csrf, single_user=not station.settings.serve, expires=session.expires)
