"""Errors as RFC 9457 problems, and none of them with a patient's data in the log."""

from __future__ import annotations

import json
import logging
import traceback
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse, Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from leukopy.core.errors import ImageError, InputError, LeukopyError, MissingExtraError, SettingsError
from leukopy.core.settings import Settings
from leukopy.review.records import Case, CellRow
from leukopy.review.security.logins import TooManyAttemptsError
from leukopy.review.store import AlreadyExists, Conflict, Damaged, Forbidden, NotAllowed, NotFound, Unavailable

API = "/api/"
MEDIA_TYPE = "application/problem+json"
_LOG = logging.getLogger("leukopy.review")


class NotSignedInError(LeukopyError):
    """No session, or one that has ended."""


class Wrong(Settings):
    """One wrong value of a request."""

    where: str
    """Its place: ``body.changes.0.code``."""
    message: str


class Problem(Settings):
    """What went wrong with a request (RFC 9457)."""

    type: str
    """``urn:leukopy:problem:`` and a fixed word."""
    title: str
    status: int
    detail: str
    """What, where, and what to do."""
    errors: tuple[Wrong, ...] = ()
    """Of a request that is not of the form it must have."""
    current: tuple[CellRow, ...] | Case | None = None
    """Of a conflict: what is there now."""


_STATUS: dict[type[LeukopyError], int] = {
    NotSignedInError: 401,
    Forbidden: 403,
    NotFound: 404,
    NotAllowed: 409,
    AlreadyExists: 409,
    Conflict: 409,
    ImageError: 404,  # of a stored one, which is gone or damaged: those that come are refused by name
    InputError: 422,
    SettingsError: 422,
    TooManyAttemptsError: 429,
    MissingExtraError: 501,
    Damaged: 500,
    Unavailable: 503,
}
"""Of what leukopy raises on purpose; anything else is the station's own fault."""

Page = Callable[[HTTPConnection, int, str], Response]
"""Renders an error for people: of a request, its status, and what to do."""

_WORDS: dict[type[LeukopyError], str] = {NotAllowed: "not-allowed-now", AlreadyExists: "already-exists"}
"""Two kinds of a status that also says that another reader was faster."""


def problem(status: int, detail: str, kind: str = "", **more: Any) -> JSONResponse:
    """The answer for an error; ``kind`` is the fixed word of its type, by default that of the status."""
    title = HTTPStatus(status).phrase
    kind = kind or title.lower().replace(" ", "-")
    body = Problem(type=f"urn:leukopy:problem:{kind}", title=title, status=status, detail=detail, **more)
    return JSONResponse(body.model_dump(mode="json", exclude_defaults=True), status, media_type=MEDIA_TYPE)


def documented() -> dict[int | str, dict[str, Any]]:
    """For OpenAPI: any answer but the good one is a problem."""
    schema = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    schema.pop("$defs")  # Case and CellRow are there already, as answers of their own
    schema["properties"]["errors"]["items"] = Wrong.model_json_schema()
    return {"default": {"description": "A problem", "content": {MEDIA_TYPE: {"schema": schema}}}}


def answer_errors_as_problems(app: FastAPI, page: Page) -> None:
    """Register the handlers of an app: problems for programs, a page for a browser that goes to an address."""

    def handler(answer: Callable[[Request, Exception], Response]) -> Callable[[Request, Exception], Response]:
        def handle(request: Request, error: Exception) -> Response:
            found = answer(request, error)
            return for_people(request, found, page)

        return handle

    app.add_exception_handler(LeukopyError, handler(_on_purpose))
    app.add_exception_handler(RequestValidationError, handler(_wrong_form))
    app.add_exception_handler(HTTPException, handler(_http))


def for_people(request: HTTPConnection, answer: Response, page: Page) -> Response:
    """A page instead of a problem, where a browser shows what it is sent."""
    if (
        answer.status_code < 400
        or answer.media_type != MEDIA_TYPE
        or "text/html" not in request.headers.get("accept", "")
    ):
        return answer
    shown = page(request, answer.status_code, json.loads(bytes(answer.body))["detail"])
    for name in ("Retry-After", "Allow"):
        if name in answer.headers:
            shown.headers[name] = answer.headers[name]
    return shown


def _on_purpose(request: Request, error: Exception) -> Response:
    status = next((_STATUS[kind] for kind in type(error).__mro__ if kind in _STATUS), 500)
    if status == 401 and not request.url.path.startswith(API):
        return RedirectResponse("/login", 303)
    if status == 500:
        log_error(error)
    # Of an error of the station's own its message is told: it says what to do, and names no patient.
    current = error.current if isinstance(error, Conflict) else None
    kind = next((word for cause, word in _WORDS.items() if isinstance(error, cause)), "")
    answer = problem(status, str(error), kind, current=current)
    if isinstance(error, TooManyAttemptsError):
        answer.headers["Retry-After"] = str(error.seconds)
    return answer


def _wrong_form(_: Request, error: Exception) -> Response:
    """Which values are wrong, and why; not what they were."""
    assert isinstance(error, RequestValidationError)
    wrong = tuple(Wrong(where=".".join(map(str, each["loc"])), message=each["msg"]) for each in error.errors())
    detail = "; ".join(f"{each.where}: {each.message}" for each in wrong[:10])
    return problem(422, detail, errors=wrong[:100])


def _http(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    answer = problem(error.status_code, str(error.detail))
    answer.headers.update(error.headers or {})
    return answer


class UnexpectedErrors:
    """Answers 500 to what nobody foresaw. The log says where it happened; messages may hold a patient's data."""

    def __init__(self, app: ASGIApp, page: Page) -> None:
        self._app = app
        self._page = page

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = False

        async def noted(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, noted)
        except ClientDisconnect:
            return  # nobody is there to be answered
        except Exception as error:  # noqa: BLE001  the last place where it can be answered
            log_error(error)
            if not begun:
                detail = "The station failed. Nothing was changed. Its log says where; report that."
                answer = for_people(HTTPConnection(scope), problem(500, detail), self._page)
                await answer(scope, receive, send)


def log_error(error: BaseException) -> None:
    """Write which error it was and where, without its message."""
    where = "".join(traceback.format_tb(error.__traceback__))
    _LOG.error("%s\n%s", type(error).__name__, where)
