"""The pages of the review station: what the browser is sent, and in which language."""

from leukopy.review.pages.router import pages_router, static_folder
from leukopy.review.pages.texts import LANGUAGES, language, server_sentences, texts

__all__ = ["LANGUAGES", "language", "pages_router", "server_sentences", "static_folder", "texts"]
