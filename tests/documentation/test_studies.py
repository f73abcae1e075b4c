"""The two pages of the studies: their tables are those of the files of results, and their recipes are read."""

from __future__ import annotations

import importlib
import json
import re
import shlex
from types import ModuleType

import pytest

from leukopy.cli.options import read_changes
from leukopy.workflows import recipes
from support.commands import blocks, shown_in
from support.files import REPOSITORY

RESULTS = REPOSITORY / "benchmarks" / "results"
PAGES = [REPOSITORY / "docs" / f"study-{name}.md" for name in ("2021", "lymphocytosis")]


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> ModuleType:
    """A script of ``benchmarks/``."""
    monkeypatch.syspath_prepend(REPOSITORY / "benchmarks")
    return importlib.import_module(request.param)


def written(name: str) -> dict:
    return json.loads((RESULTS / f"{name}.json").read_text("utf-8"))["figures"]


@pytest.mark.parametrize("script", ["study"], indirect=True)
def test_the_2021_study_is_told_from_its_results(script: ModuleType) -> None:
    figures = {"rows": script.rows(), "transfer": script.transferred()}
    assert figures == written("study"), "run python benchmarks/study.py"
    assert script.study_md(figures) == (RESULTS / "study.md").read_text("utf-8")
    assert script.with_table(PAGES[0].read_text("utf-8"), figures) == PAGES[0].read_text("utf-8")
    wanted = {"model", "arm", "data", "accuracy8", "macro_f1_8", "accuracy11", "macro_f1_11", "command"}
    assert all(wanted <= set(row) for row in figures["rows"])


@pytest.mark.parametrize("script", ["study"], indirect=True)
def test_a_row_below_the_study_says_so(script: ModuleType) -> None:
    assert script.reached({"accuracy8": 0.97}, {"accuracy8": 0.98}) is False
    assert script.reached({"accuracy8": 0.98, "macro_f1_8": 0.9}, {"accuracy8": 0.98}) is True
    assert script.reached({"accuracy8": 0.98}, {}) is None
    assert script.upper_limits({"accuracy8": 0.975, "macro_f1_8": 0.97, "accuracy11": None})["accuracy8"] > 0.98
    shown = {row["name"]: row["reached"] for row in script.rows()}
    assert shown["vgg19"] is False
    assert shown["lenet11"] is True


@pytest.mark.parametrize("script", ["lymphocytosis"], indirect=True)
def test_the_lymphocytosis_study_is_told_from_its_results(script: ModuleType) -> None:
    rows = script.rows()
    assert rows == written("lymphocytosis")["rows"], "run python benchmarks/lymphocytosis.py"
    assert script.with_table(PAGES[1].read_text("utf-8"), rows) == PAGES[1].read_text("utf-8")


def test_the_recipes_of_the_2021_study_take_the_changes_of_its_page() -> None:
    """Beyond what the application reads of a command: the names and values of ``--set``."""
    lines = [line for block in blocks(PAGES[0]) for line in shown_in(block)]
    lines = [line for line in lines if line.startswith(("leukopy train ", "leukopy study compare "))]
    assert len(lines) > 8
    for line in lines:
        words = shlex.split(line, comments=True)
        changes = read_changes([words[at + 1] for at, word in enumerate(words) if word == "--set"])
        for recipe in re.findall(r"configs/[\w/]+\.yaml", line):
            recipes.read(REPOSITORY / recipe, changes, only_known="compare" in words)


def test_every_model_of_the_2021_study_has_a_command() -> None:
    page = PAGES[0].read_text("utf-8")
    assert [row["name"] for row in written("study")["rows"] if f"configs/{row['name']}.yaml" not in page] == [
        "groupnorm", "default",
    ]  # fmt: skip
