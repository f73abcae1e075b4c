"""The routes under ``/api/v1``."""

from leukopy.review.api.routes import API, api_router

__all__ = ["API", "api_router"]
