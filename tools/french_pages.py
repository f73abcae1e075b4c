"""The French site: the pages of ``docs/fr``, built beside the English one into ``build/site/fr``.

Each French page has the name of its English page; the home page is ``docs/fr/index.md``.
"""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path

import yaml

REPOSITORY = Path(__file__).resolve().parents[1]
PAGES = ("index", "install", "first-slide", "fields", "review", "limits", "glossary")
"""In the order of the navigation."""

_CODE = re.compile(r"(^```.*?^```$|`[^`\n]+`)", re.MULTILINE | re.DOTALL)
_ALTERNATE = re.compile(r'\s*<link rel="alternate" href="[^"]*" hreflang="[^"]*">')

FOLDERS = {"en": "", "fr": "fr/"}
"""Language -> its folder in the site."""


def settings() -> str:
    """The settings of the builder for the French site: those of ``mkdocs.yml``, in French."""
    values = yaml.safe_load((REPOSITORY / "mkdocs.yml").read_text("utf-8"))
    values["theme"]["language"] = "fr"
    for scheme, name in zip(values["theme"]["palette"], ("Sombre", "Clair"), strict=True):
        scheme["toggle"]["name"] = name
    del values["plugins"][-1]  # the Python API stands in the English site
    values |= {
        "site_description": "leukopy : du frottis au compte rendu. Réservé à la recherche.",
        "docs_dir": "docs-fr",
        "site_dir": "site-fr",
        "nav": [f"{name}.md" for name in PAGES],
    }
    return yaml.safe_dump(values, allow_unicode=True, sort_keys=False)


def without_accents(anchor: str) -> str:
    """An anchor as the builder makes it of a heading; where the repository is read, anchors keep their accents."""
    return unicodedata.normalize("NFKD", anchor).encode("ascii", "ignore").decode()


def typeset(text: str) -> str:
    """French spacing outside code: no line breaks before ``: ; ! ? » %``, after ``«``, nor inside a number."""

    def spaced(prose: str) -> str:
        prose = re.sub(r" (?=[:;!?»%](?:\W|$))|(?<=«) ", "\u00a0", prose, flags=re.MULTILINE)
        return re.sub(r"(?<=\d) (?=\d{3}\b)", "\u202f", prose)

    return "".join(part if at % 2 else spaced(part) for at, part in enumerate(_CODE.split(text)))


def link_languages(site: Path) -> None:
    """Have the switch lead to the same page in the other language, where there is one, else to its home page.

    The theme's links for search engines are left out: its script would ask a server for the other site's map.
    """
    for page in sorted(site.rglob("*.html")):
        text = _ALTERNATE.sub("", page.read_text("utf-8"))
        name = page.relative_to(site).as_posix()
        for language, folder in FOLDERS.items():
            same = folder + name.removeprefix("fr/")
            there = same if (site / same).exists() else f"{folder}index.html"
            address = "../" * name.count("/") + there
            text = re.sub(rf'href="[^"]*"(?= hreflang="{language}")', f'href="{address}"', text)
        page.write_text(text, "utf-8")
