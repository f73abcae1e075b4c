"""The pages of the documentation: complete, linked, spelled, and true to what they are read from."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import build_docs
import command_page
import result_pages
from leukopy.taxonomy import COARSE, FINE, OUTSIDE
from support.files import DOCUMENTS, REPOSITORY

RESULTS = REPOSITORY / "benchmarks" / "results"
FILES = sorted(RESULTS.glob("*.json"))


@pytest.fixture(scope="module")
def staged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("documentation") / "docs"
    build_docs.stage(folder)
    return folder


def navigation() -> set[str]:
    def walk(entries: object) -> set[str]:
        if isinstance(entries, str):
            return {entries}
        inner = entries.values() if isinstance(entries, dict) else entries
        return set().union(*map(walk, inner))  # type: ignore[call-overload, arg-type]

    return walk(yaml.safe_load((REPOSITORY / "mkdocs.yml").read_text("utf-8"))["nav"])


def test_every_page_stands_in_the_navigation_and_exists(staged: Path) -> None:
    """Figures and their pages stand in the table of `figures/index.md`."""
    written = {str(path.relative_to(staged)) for path in staged.rglob("*.md")}
    unlisted = {name for name in written - navigation() if not name.startswith("figures/")}
    assert unlisted == set(), "give each a line in the nav of mkdocs.yml"
    assert navigation() <= written


def test_a_link_out_of_the_site_is_an_error() -> None:
    assert build_docs.with_links("[a](../../configs/svm.yaml)", "docs/models/default.md") == "[a](../recipes.md)"
    assert build_docs.with_links("[a](docs/fields.md#counts)", "README.md") == "[a](fields.md#counts)"
    assert build_docs.with_links("[a](https://x.org)", "README.md") == "[a](https://x.org)"
    with pytest.raises(ValueError, match="that the site does not hold"):
        build_docs.with_links("[a](src/leukopy/core/text.py)", "README.md")


def test_the_command_line_holds_every_option() -> None:
    page = command_page.page()
    for name, command in command_page.commands():
        section = page.split(f"\n## {name}\n")[1].split("\n## ")[0]
        for parameter in command.params:
            spelled = parameter.opts[0] if parameter.param_type_name == "option" else parameter.metavar
            assert f"`{spelled or parameter.name.upper()}`" in section, (name, parameter.name)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_page_holds_every_figure_of_its_file(path: Path) -> None:
    content = json.loads(path.read_text("utf-8"))
    page = result_pages.figures(path)
    rows = [line for line in page.splitlines() if line.startswith("| ")]
    assert len(rows) - 1 == len(list(result_pages.leaves(content["figures"])))
    assert content["command"] in page
    assert (content["provenance"]["commit"] or result_pages.UNKNOWN) in page
    assert f"({path.stem}.md)" in result_pages.index(RESULTS)


def numbers(text: str) -> list[str]:
    """The figures of a text as they are written: ``.97``, ``1,108``, ``5``."""
    return re.findall(r"(?<![\w.])-?(?:\d[\d,]*)?\.?\d+", text)


def known(links: list[str]) -> list[float]:
    """All numbers of the files that a row links, and of those beside a summary in its folder."""
    linked = [REPOSITORY / link.removeprefix("../") for link in links]
    paths = [path for one in linked for path in ([one] if one.parent == RESULTS else sorted(one.parent.glob("*.*")))]
    texts = [one.read_text("utf-8") for one in paths if one.suffix in (".json", ".md", ".csv")]
    return [float(found.replace(",", "")) for text in texts for found in re.findall(r"-?\d+\.?\d*(?:e-?\d+)?", text)]


def stands_in(figure: str, values: list[float]) -> bool:
    """Whether a figure is one of the values, rounded as it is written; or that value in per cent, or points."""
    wanted = float(figure.replace(",", ""))
    half = 0.5 * 10 ** -len(figure.partition(".")[2]) * 1.02
    return any(abs(abs(wanted) - abs(scale * value)) <= half for value in values for scale in (1, 100))


def rows_of(document: Path) -> list[tuple[str, list[str], list[str]]]:
    """Each row of a table with a bold figure: its first cell, its bold figures, the files linked last."""
    found: list[tuple[str, list[str], list[str]]] = []
    known_links: list[str] = []
    for line in document.read_text("utf-8").splitlines():
        links = re.findall(r"\]\(((?:\.\./)?benchmarks/results/[^)#]+\.(?:json|md))\)", line)
        known_links = links or known_links
        bold = [figure for text in re.findall(r"\*\*([^*]+)\*\*", line) for figure in numbers(text)]
        if line.startswith("| ") and bold and known_links:
            found.append((line.split("|")[1].strip(), bold, known_links))
    return found


ROWS = [row for page in ("README.md", "docs/results.md") for row in rows_of(REPOSITORY / page)]


@pytest.mark.parametrize(("name", "bold", "links"), ROWS, ids=[f"{at}: {row[0][:40]}" for at, row in enumerate(ROWS)])
def test_a_bold_figure_stands_in_the_file_that_its_row_links(name: str, bold: list[str], links: list[str]) -> None:
    values = known(links)
    assert [figure for figure in bold if not stands_in(figure, values)] == [], f"{name}: {links}"


def test_a_wrong_figure_would_be_found() -> None:
    assert stands_in("98.2", [0.98249])
    assert stands_in(".98", [0.98249])
    assert not stands_in(".97", [0.98249])
    assert not stands_in("1,108", [1180.2])


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.stem)
def test_every_picture_has_a_text(document: Path) -> None:
    for text, target in re.findall(r"!\[([^\]]*)\]\(([^)]+)\)", document.read_text("utf-8")):
        assert len(text) > 10, f"{target}: say what the picture shows"


def test_the_table_of_benchmarks_holds_every_script() -> None:
    table = (REPOSITORY / "benchmarks" / "README.md").read_text("utf-8")
    scripts = {path.name for path in (REPOSITORY / "benchmarks").glob("*.py")}
    assert {name for name in scripts if f"`{name}`" not in table} == set()


def test_the_spelling() -> None:
    read = ["docs", "src", "tools", "benchmarks", "configs", "mkdocs.yml", *REPOSITORY.glob("*.md")]
    codespell = [Path(sys.executable).parent / "codespell", *read]
    done = subprocess.run(codespell, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_glossary_holds_every_class_in_both_languages() -> None:
    rows = {
        tuple(cell.strip() for cell in line.split("|")[1:3])
        for line in (REPOSITORY / "docs" / "glossary.md").read_text("utf-8").splitlines()
        if line.startswith("| ")
    }
    assert {(cell.name, cell.french) for cell in (*FINE, *COARSE, *OUTSIDE)} <= rows
