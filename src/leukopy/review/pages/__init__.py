"""The pages of the review station: what the browser is sent, and in which language."""

from leukopy.review.pages.router import pages_router, static_folder
from leukopy.review.pages.texts import LANGUAGES, language, texts

__all__ = ["LANGUAGES", "language", "pages_router", "static_folder", "texts"]
