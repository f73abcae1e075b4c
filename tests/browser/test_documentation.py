"""The documentation as a person uses it: built without a warning, opened from a folder, searched without a network."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import build_docs
from support.contrast import CONTRAST

pytest.importorskip("zensical", reason="the documentation needs the extra 'docs'")

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


@pytest.fixture(scope="module")
def site() -> Path:
    assert build_docs.main() == 0
    return build_docs.BUILD / "site"


def test_every_page_is_whole(site: Path) -> None:
    for page in sorted(site.rglob("*.html")):
        text = page.read_text("utf-8")
        loaded = re.findall(r'<(?:script|link|img)\b[^>]*?\b(?:src|href)="([^"#?]+)', text)
        for address in loaded:
            assert not address.startswith(("http:", "https:", "//")), (page, address)
            if page.name != "404.html":  # its addresses begin at the root of a server
                assert (page.parent / address).exists(), (page, address)


def test_questions_find_the_page(site: Path, open_page: Callable[..., Any]) -> None:
    page = open_page(site / "index.html")
    page.locator("[data-md-component=search], button[aria-label=Search], .md-search").first.wait_for(state="attached")
    page.keyboard.press("Control+k")
    box = page.get_by_role("combobox", name="Search")
    for question, answer in QUESTIONS.items():
        box.fill(question)
        asked = question.split()[0]
        found = page.locator(f'a[href*="/{answer}.html?h={asked}"]')
        found.first.wait_for(state="attached")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["index", "analyze", "results", "commands"])
def test_every_text_is_legible(site: Path, name: str, scheme: str, open_page: Callable[..., Any]) -> None:
    page = open_page(site / f"{name}.html", scheme)
    seen = page.evaluate(CONTRAST)
    assert len(seen) > 50
    assert [text for text in seen if text[0] < 1] == []
