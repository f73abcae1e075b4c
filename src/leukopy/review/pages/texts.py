"""Texts of the pages in English and French: one flat file of sentences each.

The API answers in English; pages translate its messages by ``server.fr.json``.
"""

from __future__ import annotations

import json
import re
from functools import cache
from importlib.resources import files
from typing import Literal, cast

from starlette.requests import HTTPConnection

Language = Literal["en", "fr"]
LANGUAGES: tuple[Language, ...] = ("en", "fr")
"""The first is taken where nothing else is asked for."""

COOKIE = "language"
"""Set by the switch of the page's head; holds ``en`` or ``fr`` and nothing of the user."""


@cache
def texts(language: Language) -> dict[str, str]:
    """The sentences of a language by key; ``{name}`` is a placeholder."""
    return _read(f"{language}.json")


@cache
def server_sentences(language: Language) -> dict[str, str]:
    """Translations of the station's English messages, by the English sentence."""
    return {} if language == "en" else _read(f"server.{language}.json")


def translated(language: Language, sentence: str) -> str:
    """A sentence of the station's, which speaks English, in a language; as it is where it is not known."""
    for english, own in server_sentences(language).items():
        pattern = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>.+)", re.escape(english))
        if found := re.fullmatch(pattern, sentence):
            return own.format(**found.groupdict())
    return sentence


def _read(name: str) -> dict[str, str]:
    content = files("leukopy.review.pages").joinpath("texts", name).read_text(encoding="utf-8")
    return cast(dict[str, str], json.loads(content))


def preferred_language(request: HTTPConnection) -> Language:
    """The language that a request asks for: its cookie's, else the first known one that its browser prefers."""
    wishes = [request.cookies.get(COOKIE, "")]
    wishes += [wish.strip()[:2].lower() for wish in request.headers.get("accept-language", "").split(",")]
    return next((known for wish in wishes for known in LANGUAGES if wish == known), LANGUAGES[0])
