"""All routes, with what they have in common."""

from __future__ import annotations

from fastapi import APIRouter

from leukopy.review.api import (
    analysis,
    assistance,
    cases,
    cells,
    documents,
    exchange,
    eye,
    fields,
    images,
    patients,
    phrases,
    quality,
    readings,
    session,
    slides,
    users,
    worklist,
)
from leukopy.review.security.problems import documented

API = "/api/v1"
_PARTS = (
    session, users, worklist, cases, fields, eye, images, analysis, cells, assistance, documents, readings, quality,
    patients, phrases, slides, exchange,
)  # fmt: skip


def api_router() -> APIRouter:
    """The routes of the API."""
    router = APIRouter(prefix=API, responses=documented())
    for part in _PARTS:
        router.include_router(part.router, tags=[part.__name__.rpartition(".")[2]])
    return router
