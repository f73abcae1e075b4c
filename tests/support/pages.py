"""Pages that leukopy writes, as a test reads them."""

from __future__ import annotations

import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

VOID = {"meta", "img", "input", "br", "link"}


class Page(HTMLParser):
    """Checks that every tag is closed in its turn, and collects what the tests ask about."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _ in attrs}) == len(attrs), f"an attribute of <{tag}> is given twice"
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes nothing"

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for found, attributes in self.tags if found == tag]


def read_page(write: Callable[[Path, Any], object], folder: Path, content: Any) -> tuple[str, Page]:
    """Have a page written; its text, and what stands in it."""
    path = folder / "report.html"
    write(path, content)
    text = path.read_text(encoding="utf-8")
    return text, Page(text)


def assert_offline(text: str, page: Page, *pictures: str) -> None:
    """The page asks the network for nothing and runs no script; its ``pictures`` (png, jpeg) stand in it."""
    assert not page.all("script")
    assert not page.all("link")
    assert not re.search(r"https?://|url\(|@import|\bon\w+=", text)
    links = [
        value or "" for _, attributes in page.tags for name, value in attributes.items() if name in ("src", "href")
    ]
    assert links
    assert all(link.startswith(("#", *(f"data:image/{kind};base64," for kind in pictures))) for link in links)
    (policy,) = [meta["content"] for meta in page.all("meta") if meta.get("http-equiv") == "Content-Security-Policy"]
    assert policy is not None
    assert policy.startswith("default-src 'none'")
    assert "script-src" not in policy
