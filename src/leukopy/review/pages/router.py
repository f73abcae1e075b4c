"""Routes that render pages.

A page is a shell: it holds words and places, and no data of any case. Its ES module fills it from ``/api/v1``, so that
who may see what is decided in one place, and nothing of a patient lies in a page.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import HTTPConnection

from leukopy.review.pages.texts import Language, preferred_language, server_sentences, texts, translated
from leukopy.review.records import Id, Role
from leukopy.review.security import Who, find_session


def signed_in(request: Request) -> Who:
    """Who is signed in; anybody else is sent to the page where one signs in, and from there back."""
    session = find_session(request)
    if session is None:
        path = request.url.path
        raise HTTPException(303, headers={"Location": "/login" if path == "/" else f"/login?next={path}"})
    return Who(session.user, session.csrf)


Reader = Annotated[Who, Depends(signed_in)]


def static_folder() -> Path:
    """Styles and ES modules, to be served under ``/static``."""
    return Path(__file__).parent / "static"


def error_page(request: HTTPConnection, status: int, detail: str) -> Response:
    """A page that states the problem, for visitors with a browser."""
    language = preferred_language(request)
    known = texts(language).get(f"problem.{status}") or texts(language)["problem.500"]
    page = _render(request, "error", None, known=known, detail=translated(language, detail), status=status)
    return HTMLResponse(page, status, {"Vary": "Accept, Accept-Language, Cookie"})


def pages_router() -> APIRouter:
    """The pages and their texts; outside the OpenAPI."""
    router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)
    router.add_api_route("/", _worklist)
    router.add_api_route("/login", _login)
    router.add_api_route("/cases/{case_id}", _gallery)
    router.add_api_route("/cases/{case_id}/sign", _sign)
    router.add_api_route("/cases/{case_id}/count", _count)
    router.add_api_route("/cases/{case_id}/compare", _compare)
    router.add_api_route("/readings", _readings)
    router.add_api_route("/readings/{reading_id}", _reading)
    router.add_api_route("/quality", _quality)
    router.add_api_route("/administration", _administration)
    router.add_api_route("/account", _account)
    router.add_api_route("/texts/{language}.json", _texts)
    return router


def _worklist(request: Request, who: Reader) -> Response:
    return _page(request, "worklist", who)


def _login(request: Request) -> Response:
    return RedirectResponse("/", 303) if find_session(request) else _page(request, "login", None)


def _gallery(request: Request, who: Reader, case_id: Id) -> Response:
    page = _page(request, "gallery", who, case_id=case_id)
    page.headers["Permissions-Policy"] = "camera=(self), geolocation=(), microphone=()"
    return page


def _count(request: Request, who: Reader, case_id: Id) -> Response:
    return _page(request, "count", who, case_id=case_id)


def _sign(request: Request, who: Reader, case_id: Id) -> Response:
    return _page(request, "sign", who, case_id=case_id)


def _compare(request: Request, who: Reader, case_id: Id) -> Response:
    return _page(request, "slides", who, case_id=case_id)


def _readings(request: Request, who: Reader) -> Response:
    return _page(request, "readings", who)


def _reading(request: Request, who: Reader, reading_id: Id) -> Response:
    return _page(request, "reading", who, reading_id=reading_id)


def _quality(request: Request, who: Reader) -> Response:
    return _page(request, "quality", who)


def _administration(request: Request, who: Reader) -> Response:
    return _page(request, "administration", who) if who.user.role is Role.ADMINISTRATOR else RedirectResponse("/", 303)


def _account(request: Request, who: Reader) -> Response:
    single = not request.app.state.settings.serve
    return RedirectResponse("/", 303) if single else _page(request, "account", who)


def _texts(language: Language) -> Response:
    return JSONResponse(texts(language) | {"server": server_sentences(language)}, headers={"Cache-Control": "no-cache"})


def _page(request: Request, name: str, who: Who | None, **values: Any) -> Response:
    return HTMLResponse(_render(request, name, who, **values), headers={"Vary": "Accept-Language, Cookie"})


def _render(request: HTTPConnection, name: str, who: Who | None, **values: Any) -> str:
    """Fill in a template; what is filled in is escaped, and a text or value that is lacking is an error."""
    language = preferred_language(request)
    return (
        _templates()
        .get_template(f"{name}.html.j2")
        .render(
            page=name,
            language=language,
            t=texts(language).__getitem__,
            user=who.user if who else None,
            csrf=who.csrf if who else "",
            single_user=not request.app.state.settings.serve,
            **values,
        )
    )


@cache
def _templates() -> Environment:
    loader = PackageLoader("leukopy.review.pages")
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
