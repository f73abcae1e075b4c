"""Log-in of the single user: an address with a one-time token."""

from __future__ import annotations

from secrets import compare_digest, token_urlsafe
from threading import Lock

from fastapi.responses import RedirectResponse
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from leukopy.review.security.sessions import set_cookie
from leukopy.review.settings import ReviewSettings
from leukopy.review.store import Store


class OneTimeToken:
    """A secret that is redeemed once."""

    def __init__(self) -> None:
        self.value = token_urlsafe(32)
        self._open = True
        self._lock = Lock()

    def redeem(self, given: str) -> bool:
        """Whether this is the secret, given for the first time."""
        with self._lock:
            right = self._open and compare_digest(given.encode(), self.value.encode())
            self._open &= not right
            return right


class TokenDoor:
    """Answers ``GET /?token=…``: a session for the right token, the log-in page for any other."""

    def __init__(self, app: ASGIApp, token: OneTimeToken, store: Store, settings: ReviewSettings) -> None:
        self._app = app
        self._token = token
        self._store = store
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it."""
        answer = None
        if scope["type"] == "http" and scope["path"] == "/" and scope["method"] == "GET":
            given = Request(scope).query_params.get("token")
            answer = await run_in_threadpool(self._enter, given) if given is not None else None
        await (answer or self._app)(scope, receive, send)

    def _enter(self, given: str) -> RedirectResponse:
        if not self._token.redeem(given):
            return RedirectResponse("/login", 303)
        answer = RedirectResponse("/", 303)  # the token leaves the address bar
        set_cookie(answer, self._store.sessions.start(self._store.users.single_user()), self._settings)
        return answer
