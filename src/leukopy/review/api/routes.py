"""All routes, with what they have in common."""

from __future__ import annotations

from fastapi import APIRouter

from leukopy.review.api import analysis, assistance, cases, cells, documents, images, patients, quality, session, users
from leukopy.review.security.problems import documented

API = "/api/v1"


def api_router() -> APIRouter:
    """The routes of the API."""
    router = APIRouter(prefix=API, responses=documented())
    for part in (session, users, cases, images, analysis, cells, assistance, documents, quality, patients):
        router.include_router(part.router, tags=[part.__name__.rpartition(".")[2]])
    return router
