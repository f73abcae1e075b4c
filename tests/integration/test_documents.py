"""What the documents show beside commands: settings are read, links lead somewhere, extras and targets exist."""

from __future__ import annotations

import configparser
import doctest
import importlib
import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from leukopy.bundle import store
from leukopy.review.settings import ReviewSettings
from leukopy.synthesis import draw_field
from support.commands import blocks
from support.files import DOCUMENTS, REPOSITORY
from support.found import save_pixels

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
    monkeypatch.setattr(store, "_assets", lambda: tmp_path / "assets")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "slide3"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.stem)
def test_every_block_is_of_a_kind_that_is_tested(document: Path) -> None:
    """Shell and Python are followed (`tests/documentation/test_followed.py`), SQL and nginx in `test_deployment.py`."""
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


def test_systemd_takes_the_service(tmp_path: Path) -> None:
    """As installed here, where neither its user nor its folder exists."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd on this machine")
    (block,) = blocks(REPOSITORY / "docs" / "deployment.md", "ini")
    unit = tmp_path / "leukopy.service"
    unit.write_text(block.replace("/opt/leukopy/bin/leukopy", sys.executable))
    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False)
    assert [line for line in done.stderr.splitlines() if "leukopy" in line] == []
    assert done.returncode == 0


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
