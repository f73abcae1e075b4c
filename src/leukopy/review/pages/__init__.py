"""The pages of the review station: what the browser is sent, and in which preferred_language."""

from leukopy.review.pages.router import error_page, pages_router, static_folder
from leukopy.review.pages.texts import LANGUAGES, preferred_language, server_sentences, texts

__all__ = [
    "LANGUAGES",
    "error_page",
    "pages_router",
    "preferred_language",
    "server_sentences",
    "static_folder",
    "texts",
]
