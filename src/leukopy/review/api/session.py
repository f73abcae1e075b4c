"""Signing in and out, and the user's own password."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Depends, Request, Response
from starlette.concurrency import run_in_threadpool

from leukopy.review.records import Login, Me, NewPassword, User
from leukopy.review.security import Reader, live_session, same_site
from leukopy.review.security.logins import source
from leukopy.review.security.problems import NotSignedInError
from leukopy.review.security.sessions import drop_cookie, set_cookie, token
from leukopy.review.station import Station, StationDep
from leukopy.review.store import Forbidden

router = APIRouter()


async def check_password(station: Station, request: Request, name: str, password: str) -> User | None:
    """The user of a name and password; failed attempts are counted by the address they come from.

    Raises:
        TooManyAttemptsError: the address has used up its attempts.
    """
    key = f"address {source(request.client.host) if request.client else ''}"

    def check() -> User | None:
        # A waiting attempt is not counted yet, so that many sign-ins at once do not lock each other out.
        station.logins.begin(key)
        user = station.store.users.check_password(name, password)
        if user is not None:
            station.logins.succeeded(key)
        return user

    return await asyncio.get_running_loop().run_in_executor(station.hashing, check)


async def confirm(station: Station, request: Request, user: User, password: str | None) -> None:
    """Ask once more who is there, before a signature; a station for one user has no passwords.

    Raises:
        Forbidden: the password is missing or wrong.
        TooManyAttemptsError: as `check_password`.
    """
    if not station.settings.serve:
        return
    if password is None:
        raise Forbidden("give your password to sign.")
    if await check_password(station, request, user.name, password) is None:
        raise Forbidden("the password is wrong; nothing was signed.")


@router.post("/session", dependencies=[Depends(same_site)])
async def sign_in(login: Login, request: Request, response: Response, station: StationDep) -> Me:
    """Begin a session by name and password; an earlier one of this browser ends."""
    user = await check_password(station, request, login.name, login.password)
    if user is None:
        raise NotSignedInError("Name or password is wrong.")
    return await run_in_threadpool(_begin, station, user, request, response)


@router.post("/me/password")
async def change_password(
    change: NewPassword, user: Reader, request: Request, response: Response, station: StationDep
) -> Me:
    """Change one's own password, with the present one; all sessions of the user end, and this browser's begins anew."""
    if await check_password(station, request, user.name, change.present) is None:
        raise Forbidden("the present password is wrong; it was not changed.")
    loop = asyncio.get_running_loop()
    await loop.run_in_executor(station.hashing, station.store.users.set_password, user, change.new)
    return await run_in_threadpool(_begin, station, user, request, response)


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


def _begin(station: Station, user: User, request: Request, response: Response) -> Me:
    if earlier := token(request):
        station.store.sessions.end(earlier)
    session = station.store.sessions.start(user)
    set_cookie(response, session, station.settings)
    return Me(user=user, csrf=session.csrf, single_user=not station.settings.serve, expires=session.expires)
