"""What the documents show beside commands of leukopy: Python is run, and what is to be installed or made exists."""

from __future__ import annotations

import configparser
import doctest
import importlib
import json
import re
import tomllib
from pathlib import Path

import polars as pl
import pytest
import yaml
from typer.testing import CliRunner

from leukopy.bundle import store
from leukopy.cli.main import app
from leukopy.review.settings import ReviewSettings
from leukopy.synthesis import draw_field
from support.commands import blocks, shown_in, words_of
from support.files import DOCUMENTS, REPOSITORY
from support.found import save_pixels

FOLLOWED = [REPOSITORY / "docs" / "first-slide.md"]
SOURCES = REPOSITORY / "src"
DOCTESTS = [path for path in sorted(SOURCES.rglob("*.py")) if re.search(r"^\s*>>> ", path.read_text("utf-8"), re.M)]
SHELL = [line for path in DOCUMENTS for block in blocks(path) for line in block.splitlines()]


@pytest.fixture
def slide(build_bundle, colour_model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The slide and the photograph of the documents in the folder that is worked in; a default model that is small."""
    build_bundle(tmp_path / "assets" / "default")
    for name in ("c17.jpg", "c18.jpg"):
        colour_model.draw(tmp_path / "slide3" / name, "LY")
    save_pixels(tmp_path / "photographs" / "f1.png", draw_field({"LY": 2}, seed=1, size=(480, 640)).image)
    merged = tmp_path / "results" / "merged" / "cells"  # of a run on many machines
    merged.mkdir(parents=True)
    pl.DataFrame({"slide": ["a", "a"], "coarse": ["LY", "MO"]}).write_parquet(merged / "part-0.parquet")
    monkeypatch.setattr(store, "_assets", lambda: tmp_path / "assets")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "slide3"


@pytest.mark.usefixtures("slide")
@pytest.mark.parametrize("document", [path for path in DOCUMENTS if path not in FOLLOWED], ids=lambda path: path.stem)
def test_python_in_a_document_runs(document: Path) -> None:
    for block in blocks(document, "python"):
        exec(compile(block, document, "exec"), {})


@pytest.mark.slow
@pytest.mark.parametrize("document", FOLLOWED, ids=lambda path: path.stem)
def test_a_tutorial_is_followed_to_the_letter(document: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the models that ship. The station is not started: `tests/browser` does."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    for block in blocks(document, "(?:sh|python)"):
        lines = shown_in(block)
        if not lines:
            exec(compile(block, document, "exec"), {})
        for line in lines:
            if line != "leukopy review":
                done = CliRunner().invoke(app, words_of(line))
                assert done.exit_code == 0, (line, done.output)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.stem)
def test_every_block_is_of_a_kind_that_is_tested(document: Path) -> None:
    """``sh`` is parsed (`tests/cli/test_shown_commands.py`), ``python`` runs; only people read settings of servers."""
    text = document.read_text("utf-8")
    kinds = re.findall(r"^```([^\n]*)\n.*?^```$", text, flags=re.M | re.S)
    assert set(kinds) <= {"", "sh", "python", "yaml", "json", "csv", "text", "ini", "nginx", "sql"}
    for block in blocks(document, "yaml"):
        assert yaml.safe_load(block)
    for block in blocks(document, "json"):
        assert json.loads(block)
    for block in blocks(document, "ini"):
        assert configparser_sections(block)


@pytest.mark.usefixtures("slide")
@pytest.mark.parametrize("path", DOCTESTS, ids=lambda path: path.stem)
def test_the_examples_of_a_docstring_run(path: Path) -> None:
    """Their output is not compared: it is a table of drawn cells."""
    name = ".".join(path.relative_to(SOURCES).with_suffix("").parts).removesuffix(".__init__")
    found = [one for one in doctest.DocTestFinder().find(importlib.import_module(name)) if one.examples]
    assert found
    for one in found:
        exec(compile("".join(example.source for example in one.examples), one.name, "exec"), {})


def test_what_the_documents_make_and_install_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text("utf-8"), re.M))
    extras = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    made = {words[1] for words in map(split, SHELL) if words[:1] == ["make"]}
    installed = {
        extra
        for line in SHELL
        if "pip install" in line
        for found in re.findall(r"\[([a-z,]+)\]", line)
        for extra in found.split(",")
    }
    tests = {word for words in map(split, SHELL) if "pytest" in words for word in words if word.startswith("tests/")}
    assert {"demo", "test"} <= made <= targets
    assert {"app"} <= installed <= set(extras)
    assert all((REPOSITORY / path).exists() for path in tests)


def test_the_settings_of_the_station_are_its_settings() -> None:
    (block,) = blocks(REPOSITORY / "docs" / "deployment.md", "yaml")
    settings = ReviewSettings.build(yaml.safe_load(block), where="station.yaml")
    assert settings.serve
    assert settings.limits.cells_per_case == 5000


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.stem)
def test_links_of_a_document_lead_to_a_file_and_its_heading(document: Path) -> None:
    for link in re.findall(r"\]\(([^)]+)\)", document.read_text("utf-8")):
        if not link.startswith("http"):
            path, _, heading = link.partition("#")
            target = document.parent / path if path else document
            assert target.exists(), link
            assert not heading or heading in headings(target), link


def test_readme_fits_on_few_screens() -> None:
    assert len((REPOSITORY / "README.md").read_text("utf-8").splitlines()) <= 100


def configparser_sections(block: str) -> list[str]:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(block)
    return parser.sections()


def headings(document: Path) -> set[str]:
    """The anchors that GitHub gives to the headings of a document."""
    titles = re.findall(r"^#+ (.+)$", document.read_text("utf-8"), re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def split(line: str) -> list[str]:
    return line.removeprefix("$ ").partition(" #")[0].split()
