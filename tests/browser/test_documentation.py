"""The documentation as a person uses it: built without a warning, opened from a folder, searched without a network."""

from __future__ import annotations

import fcntl
import html
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import pytest

import build_docs
from support.contrast import CONTRAST

pytest.importorskip("zensical", reason="the documentation needs the extra 'docs'")
pytest.importorskip("axe_playwright_python", reason="axe is not installed (extra 'dev')")

from axe_playwright_python.sync_playwright import Axe

pytestmark = pytest.mark.slow

QUESTIONS = {
    "backup of the station": "deployment",
    "install without a network": "install",
    "unidentified cells": "analyze",
    "QuPath boxes": "fields",
    "labelled cells of your laboratory": "adapt",
    "platelet estimate": "fields",
    "monolayer": "slides",
    "triage threshold": "patients",
    "second annotator": "formats",
    "calibration error": "results",
    "shift and click": "review",
    "neutrophile segmenté": "glossary",
}
"""What a person asks, and a page that answers."""


FRENCH_QUESTIONS = {
    "installer sans réseau": "install",
    "photographies de champs": "fields",
    "estimation des plaquettes": "fields",
    "schizocytes": "fields",
    "rectification": "review",
    "doublons": "review",
    "polynucléaire neutrophile": "glossary",
    "ombre nucléaire": "glossary",
    "blastes": "limits",
    "première lame": "first-slide",
}


@pytest.fixture(scope="module")
def site() -> Path:
    """Built once, by the first of the test processes that ask for it."""
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid()))
    build_docs.BUILD.mkdir(exist_ok=True)
    with (build_docs.BUILD / "built").open("a+") as built:
        fcntl.flock(built, fcntl.LOCK_EX)
        built.seek(0)
        if built.read() != run:
            assert build_docs.main() == 0
            built.truncate(0)
            built.write(run)
    return build_docs.BUILD / "site"


def marks(page: Path) -> set[str]:
    """What an address may name within a page after ``#``."""
    return {"", "__skip", *re.findall(r'\b(?:id|name)="([^"]+)"', page.read_text("utf-8"))}


def broken(page: Path) -> list[str]:
    """The links of a page that lead to no file, or to no place in it."""
    found = []
    for address in re.findall(r'<a\b[^>]*?\bhref="([^"]*)"', page.read_text("utf-8")):
        if not re.match(r"https?:|mailto:|data:", address):
            path, _, mark = html.unescape(unquote(address)).partition("#")
            target = page.parent / path if path else page
            if not target.is_file() or (target.suffix == ".html" and mark not in marks(target)):
                found.append(address)
    return found


def test_every_link_leads_somewhere(site: Path) -> None:
    pages = [page for page in sorted(site.rglob("*.html")) if page.name != "404.html"]
    assert {str(page.relative_to(site)): wrong for page in pages if (wrong := broken(page))} == {}
    assert len(pages) > 80


def test_a_broken_link_would_be_found(tmp_path: Path) -> None:
    (tmp_path / "b.html").write_text('<h1 id="c">', "utf-8")
    page = tmp_path / "a.html"
    page.write_text('<a href="b.html#c"><a href="b.html#d"><a href="e.html"><a href="https://x.org">', "utf-8")
    assert broken(page) == ["b.html#d", "e.html"]


def test_every_page_is_whole(site: Path) -> None:
    for page in sorted(site.rglob("*.html")):
        text = page.read_text("utf-8")
        loaded = re.findall(r'<(?:script|link|img)\b[^>]*?\b(?:src|href)="([^"#?]+)', text)
        for address in loaded:
            assert not address.startswith(("http:", "https:", "//")), (page, address)
            if page.name != "404.html":  # its addresses begin at the root of a server
                assert (page.parent / address).exists(), (page, address)


def ask(page: Any, questions: dict[str, str]) -> None:
    """Type each question into the search, and wait for a result on the page that answers it."""
    page.locator(".md-search").first.wait_for(state="attached")
    page.keyboard.press("Control+k")
    box = page.get_by_role("combobox", name="Search")  # the theme says so in every language
    for question, answer in questions.items():
        box.fill(question)
        page.locator(f'a[href*="/{answer}.html?h={quote(question.split()[0])}"]').first.wait_for(state="attached")


def test_questions_find_the_page(site: Path, open_page: Callable[..., Any]) -> None:
    ask(open_page(site / "index.html"), QUESTIONS)


def test_french_questions_find_the_french_page(site: Path, open_page: Callable[..., Any]) -> None:
    ask(open_page(site / "fr" / "index.html"), FRENCH_QUESTIONS)


def test_the_switch_leads_to_the_same_page(site: Path, open_page: Callable[..., Any]) -> None:
    page = open_page(site / "fields.html")
    for language, address in (("fr", "/fr/fields.html"), ("en", "site/fields.html")):
        page.locator(".md-select").first.hover()
        page.locator(f".md-select__link[hreflang={language}]").click()
        page.wait_for_url(f"**{address}")
        assert page.evaluate("document.documentElement.lang") == language


AUDITED = ("index", "analyze", "study-2021", "fr/fields", "fr/glossary")
THEME = {"preload": False, "rules": {"landmark-unique": {"enabled": False}}}
"""A page of a folder cannot load its stylesheets again; the theme leaves the `nav` of each copy button unnamed."""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", AUDITED)
def test_axe_finds_nothing(site: Path, name: str, scheme: str, open_page: Callable[..., Any]) -> None:
    """Names, roles, alternative texts, language and contrast of what `docs/` and the stylesheet decide."""
    page = open_page(site / f"{name}.html", scheme)
    found = Axe().run(page, options=THEME).response["violations"]
    assert [f"{one['id']}: {node['html'][:160]}" for one in found for node in one["nodes"]] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["index", "analyze", "results", "commands", "fr/review"])
def test_every_text_is_legible(site: Path, name: str, scheme: str, open_page: Callable[..., Any]) -> None:
    page = open_page(site / f"{name}.html", scheme)
    seen = page.evaluate(CONTRAST)
    assert len(seen) > 50
    assert [text for text in seen if text[0] < 1] == []
