"""Build the documentation: ``make docs`` writes ``build/site``, which opens from a folder and searches offline.

The pages are those of ``docs/``; those of ``docs/fr`` become a French site beside it. All else is copied or
generated: the home page from the README, the command line from the commands, the figures from
``benchmarks/results``.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from os.path import relpath
from pathlib import Path

import api_pages
import card_pages
import command_page
import french_pages
import result_pages

REPOSITORY = Path(__file__).resolve().parents[1]
BUILD = REPOSITORY / "build"
SHIM = "https://unpkg.com/iframe-worker/shim"
"""Where the theme loads the search's helper for pages opened from a folder; `docs/assets` holds a copy."""

_LINK = re.compile(r"(?<=\]\()(?!https?:|mailto:)([^)#\s]+)(#[^)\s]*)?(?=\))")
_COPIED = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "CODE_OF_CONDUCT.md": "conduct.md",
}
_PLACES = {
    "LICENSE": "license.md",
    "configs": "recipes.md",
    "examples": "examples.md",
    "configs/patients": "recipes.md",
    "benchmarks/results": "figures/index.md",
    "benchmarks/README.md": "figures/index.md",
    "src/leukopy/assets/detectors/default/card.json": "models/detector.md",
    "src/leukopy/assets/patients/lymphocytosis/card.json": "models/lymphocytosis.md",
}
_SHOWN = {".csv", ".png"}
"""Kinds of result files that are copied beside the generated pages."""


def place(path: str) -> str | None:
    """Where the site holds a file or folder of the repository; None where it does not."""
    known = _COPIED | _PLACES
    if path in known:
        return known[path]
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    if path.startswith("configs/"):
        return "recipes.md"
    if path.startswith("benchmarks/results/"):
        inside = Path("figures") / path.removeprefix("benchmarks/results/")
        return str(inside.with_suffix(".md") if path.endswith(".json") and inside.parent.name == "figures" else inside)
    return None


def with_links(text: str, source: str) -> str:
    """A page of the repository with its links as they lead inside the site.

    Raises:
        ValueError: a link leads to a file that the site does not hold.
    """
    page = place(source) or source

    def lead(found: re.Match[str]) -> str:
        target = (REPOSITORY / source).parent.joinpath(found[1]).resolve()
        if not target.is_relative_to(REPOSITORY):
            raise ValueError(f"{source}: the link {found[1]} leads out of the repository.")
        inside = place(str(target.relative_to(REPOSITORY)))
        if inside is None:
            raise ValueError(f"{source}: the link {found[1]} leads to a file that the site does not hold.")
        if inside.startswith("fr/") != page.startswith("fr/"):  # the other language is another site
            inside = re.sub(r"\.md$", ".html", inside)
        return relpath(inside, Path(page).parent) + french_pages.without_accents(found[2] or "")

    return _LINK.sub(lead, text)


def sources() -> Iterator[str]:
    """The pages of the repository that stand in the English site as they are."""
    yield from _COPIED
    for folder in ("docs", "benchmarks/results"):
        found = (str(path.relative_to(REPOSITORY)) for path in sorted((REPOSITORY / folder).rglob("*.md")))
        yield from (path for path in found if not path.startswith("docs/fr/"))


def generated() -> dict[str, Callable[[], str]]:
    """The pages that are read from code and results, by their place in the site."""
    results = sorted((REPOSITORY / "benchmarks" / "results").glob("*.json"))
    return {
        "commands.md": command_page.page,
        "recipes.md": partial(result_pages.recipes, REPOSITORY / "configs"),
        "examples.md": partial(result_pages.examples, REPOSITORY / "examples"),
        "license.md": lambda: "# Licence\n\n```\n" + (REPOSITORY / "LICENSE").read_text("utf-8") + "```\n",
        "figures/index.md": partial(result_pages.index, REPOSITORY / "benchmarks" / "results"),
        **{f"figures/{path.stem}.md": partial(result_pages.figures, path) for path in results},
        **card_pages.pages(),
        **api_pages.pages(),
    }


def stage(folder: Path) -> None:
    """Write all pages and pictures of the English site into a folder, which is emptied first."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(REPOSITORY / "docs", folder, ignore=shutil.ignore_patterns("*.md", "fr"))
    for path in sorted((REPOSITORY / "benchmarks" / "results").rglob("*")):
        if path.suffix in _SHOWN:
            _copy(path, folder / (place(str(path.relative_to(REPOSITORY))) or ""))
    for source in sources():
        target = folder / (place(source) or "")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(with_links((REPOSITORY / source).read_text("utf-8"), source), "utf-8")
    for name, write in generated().items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(write(), "utf-8")


def stage_french(folder: Path) -> None:
    """Write the pages of the French site into a folder, which is emptied first. Its pictures are the English site's."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(REPOSITORY / "docs" / "assets", folder / "assets")
    for name in french_pages.PAGES:
        source = f"docs/fr/{name}.md"
        text = with_links((REPOSITORY / source).read_text("utf-8"), source)
        (folder / f"{name}.md").write_text(french_pages.typeset(text), "utf-8")


def _copy(path: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, target)


def serve_search_from_disk(site: Path) -> None:
    """Have each page load the search's helper from the site itself."""
    for page in sorted(site.rglob("*.html")):
        text = page.read_text("utf-8")
        own = relpath(site / "assets" / "iframe-worker.js", page.parent)
        page.write_text(text.replace(SHIM, own), "utf-8")


def build(config: Path) -> int:
    """The exit status of the builder, which takes warnings for errors."""
    builder = [Path(sys.executable).parent / "zensical", "build", "--strict", "--clean", "--config-file", config]
    return subprocess.run(builder, cwd=config.parent, check=False).returncode


def main() -> int:
    """Stage and build both sites; the first exit status that is not 0."""
    stage(BUILD / "docs")
    stage_french(BUILD / "docs-fr")
    french = BUILD / "mkdocs.yml"
    french.write_text(french_pages.settings(), "utf-8")
    for site in ("site", "site-fr"):
        shutil.rmtree(BUILD / site, ignore_errors=True)
    status = build(REPOSITORY / "mkdocs.yml") or build(french)
    if status == 0:
        (BUILD / "site-fr").rename(BUILD / "site" / "fr")
        french_pages.link_languages(BUILD / "site")
        serve_search_from_disk(BUILD / "site")
        print(f"The documentation is at {BUILD / 'site' / 'index.html'}")
    return status


if __name__ == "__main__":
    sys.exit(main())
