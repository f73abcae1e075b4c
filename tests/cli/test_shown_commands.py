"""Every command line that the repository shows is one that the application takes."""

from __future__ import annotations

import re

import pytest

from support.commands import ROOT, blocks, commands, named_in, names_a_command, parse, shown_in
from support.files import DOCUMENTS, REPOSITORY
from support.recipes import RECIPES

COMMANDS = dict(commands())
SOURCES = sorted((REPOSITORY / "src" / "leukopy").rglob("*.py"))


def inside(path: object) -> str:
    return str(path).removeprefix(f"{REPOSITORY}/")


@pytest.mark.parametrize("name", COMMANDS)
def test_the_examples_of_the_help_are_taken(name: str) -> None:
    assert name in [parse(example) for example in shown_in(COMMANDS[name].help)], f"{name} --help shows no example"


@pytest.mark.parametrize("document", DOCUMENTS, ids=inside)
def test_the_commands_of_a_document_are_taken(document) -> None:
    for block in blocks(document):
        for line in shown_in(block, prompt=r"\$ "):
            parse(line)


@pytest.mark.parametrize("recipe", RECIPES, ids=inside)
def test_the_commands_of_a_recipe_are_taken(recipe) -> None:
    shown = shown_in(recipe.read_text("utf-8"), prompt="#")
    assert any(inside(recipe) in line.split() for line in shown), "its comment does not say how it is run"
    for line in shown:
        parse(line)
        for named in re.findall(r"configs/\S+", line):
            assert (REPOSITORY / named).is_file(), named


def test_the_commands_of_the_makefile_are_taken() -> None:
    text = re.sub(r"\\\n\s*", "", (REPOSITORY / "Makefile").read_text("utf-8"))
    shown = re.findall(r"\.venv(?:-serve)?/bin/(leukopy [^;&\n]*)", text)
    assert shown
    for line in shown:
        parse(line)


@pytest.mark.parametrize("path", [*DOCUMENTS, REPOSITORY / "benchmarks" / "README.md", *RECIPES], ids=inside)
def test_a_command_that_is_named_exists(path) -> None:
    assert [line for line in named_in(path.read_text("utf-8")) if not names_a_command(line)] == []


def test_a_command_that_the_sources_name_exists() -> None:
    unknown = {
        inside(path): lines
        for path in SOURCES
        if (lines := [line for line in named_in(path.read_text("utf-8")) if not names_a_command(line)])
    }
    assert unknown == {}


@pytest.mark.parametrize("line", ["leukopy nothing", "leukopy analyze slide3", "leukopy predict slide --colour red"])
def test_a_wrong_command_would_be_found(line: str) -> None:
    with pytest.raises(Exception, match=r"No such command|Missing parameter|No such option"):
        parse(line)


def test_a_wrong_name_would_be_found() -> None:
    assert named_in("`leukopy patients\nnothing` and `leukopy`") == ["leukopy patients nothing"]
    assert not names_a_command("leukopy patients nothing")
    assert names_a_command("leukopy predict slide3/ --out rows.csv")
    assert ROOT.commands
