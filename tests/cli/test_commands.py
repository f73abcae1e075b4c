"""All commands, walked through: help, options, examples; and every command that the documents name."""

from __future__ import annotations

import contextlib
import importlib
import pkgutil
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

import leukopy.patients.workflows
import leukopy.studies
import leukopy.workflows
from leukopy.cli.lazy import Deferred
from leukopy.cli.main import _MOVED, MENU, app
from leukopy.core.settings import Settings

ROOT = Path(__file__).parents[2]
REAL = (sys.executable, "-c", "from leukopy.cli.main import main; main()")
USAGE = 2


def leaves(command, name: str = "") -> Iterator[tuple[str, object]]:
    """Every command without further commands, by the words that call it."""
    if isinstance(command, Deferred):
        command = command.load()
    if not hasattr(command, "list_commands"):
        yield name, command
        return
    for each, inner in command.commands.items():
        yield from leaves(inner, f"{name} {each}".strip())


COMMANDS = dict(leaves(typer.main.get_command(app)))
SETTINGS = [
    found
    for package in (leukopy.workflows, leukopy.studies, leukopy.patients.workflows)
    for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}.")
    for found in vars(importlib.import_module(module.name)).values()
    if isinstance(found, type) and issubclass(found, Settings) and found.__module__ == module.name
]


_USAGE_ERROR = typer.BadParameter.__mro__[1]
NAMED_ONLY = tuple(
    error
    for error in (*_USAGE_ERROR.__subclasses__(), *typer.BadParameter.__subclasses__())
    if error.__name__ in ("MissingParameter", "NoArgsIsHelpError")
)
"""What a command raises that a text names without all that it needs."""


def parse(words: list[str]) -> None:
    """Take a command line apart as the shell's would be, and run nothing; raises what a wrong one raises."""
    command, parent, args = typer.main.get_command(app), None, list(words)
    while True:
        context = command.make_context("leukopy", args, parent=parent)
        command, parent = context.command, context  # a deferred command became itself
        rest = [*(getattr(context, "_protected_args", None) or ()), *context.args]
        if not (hasattr(command, "list_commands") and rest):
            return
        _, command, args = command.resolve_command(context, rest)


def examples(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip().startswith("leukopy ")]


def test_the_root_has_at_most_twelve_entries() -> None:
    shown = CliRunner(env={"COLUMNS": "120"}).invoke(app, ["--help"]).stdout
    listed = re.findall(r"^│ ([a-z][a-z-]+) ", shown, flags=re.MULTILINE)
    assert listed == list(MENU)
    assert len(listed) <= 12


def test_the_root_imports_nothing_heavy() -> None:
    """So that ``leukopy --help`` answers at once."""
    heavy = {"numpy", "polars", "pydantic", "yaml", "onnxruntime", "torch", "matplotlib"}
    code = f"import sys; sys.argv = ['leukopy', '--help']\ntry: app()\nfinally: print({heavy} & set(sys.modules))"
    ran = subprocess.run([sys.executable, "-c", f"from leukopy.cli.main import app\n{code}"], capture_output=True,
                         text=True, check=False)  # fmt: skip
    assert ran.stdout.splitlines()[-1] == "set()", ran.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_help_shows_every_option_and_examples(name: str) -> None:
    result = CliRunner(env={"COLUMNS": "200"}).invoke(app, [*name.split(), "--help"])
    assert result.exit_code == 0, result.output
    assert f"Usage: leukopy {name}" in result.stdout
    assert examples(COMMANDS[name].help or ""), "no example"
    for parameter in COMMANDS[name].params:
        assert (parameter.help or "").strip(), parameter.name
        assert parameter.opts[0] in result.stdout or (parameter.metavar or parameter.name) in result.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_nothing_is_stated_twice(name: str) -> None:
    parameters = COMMANDS[name].params
    spelled = [spelling for parameter in parameters for spelling in (*parameter.opts, *parameter.secondary_opts)]
    assert len(spelled) == len(set(spelled))
    fields = {each.name.removeprefix("setting_") for each in parameters if each.name.startswith("setting_")}
    assert not fields & {each.name for each in parameters}
    helps = [parameter.help for parameter in parameters]
    assert len(helps) == len(set(helps))


@pytest.mark.parametrize("kind", SETTINGS, ids=lambda kind: kind.__name__)
def test_every_setting_has_a_description(kind: type[Settings]) -> None:
    assert [name for name, info in kind.model_fields.items() if not info.description] == []


@pytest.mark.parametrize("example", [line for command in COMMANDS.values() for line in examples(command.help or "")])
def test_the_examples_in_the_help_are_commands(example: str) -> None:
    parse(shlex.split(example.partition(" > ")[0])[1:])


def documented() -> Iterator[tuple[str, str]]:
    """Every command in a document, the head of a recipe, and the Makefile."""
    named = (*ROOT.glob("*.md"), ROOT / "Makefile", *ROOT.glob("docs/**/*.md"), *ROOT.glob("configs/**/*.yaml"))
    shell = re.compile(r"^(?:\$ |#   |\t).*?(leukopy [a-z][^;#>|`\n]*)", flags=re.MULTILINE)
    for path in named:
        text = re.sub(r"\\\n[#\s]*", "", path.read_text(encoding="utf-8"))
        for command in (*shell.findall(text), *re.findall(r"`(leukopy [a-z][^`>]*)", text)):
            yield str(path.relative_to(ROOT)), " ".join(command.split())


@pytest.mark.parametrize(("where", "command"), sorted(set(documented())), ids=" ".join)
def test_the_commands_of_the_documents_are_commands(where: str, command: str) -> None:
    words = shlex.split(command)[1:]
    assert not any(tuple(words[: len(old)]) == old for old in _MOVED), f"{where}: the command has moved"
    with contextlib.suppress(*NAMED_ONLY):
        parse(words)


@pytest.mark.parametrize("old", _MOVED, ids=" ".join)
def test_commands_of_the_first_version_lead_to_where_they_are(old: tuple[str, ...]) -> None:
    result = CliRunner().invoke(app, [*old, "--help"])
    assert result.exit_code == 0, result.output
    assert f"Usage: leukopy {' '.join(_MOVED[old])}" in result.stdout
    assert f"'{' '.join(old)}' is now '{' '.join(_MOVED[old])}'" in result.stderr


WRONG = {
    "analyze x --out y --resume --overwrite": "--resume: does not go with --overwrite",
    "train r.yaml --out y --resume --overwrite": "--resume: does not go with --overwrite",
    "study ablate x --out y --resume --overwrite": "--resume: does not go with --overwrite",
    "study draw --out y --cells 3 --per-class 2": "--cells: does not go with --per-class",
    "study scan folders x --out y --seed 3": "--seed: does not go with a scan without --split",
    "patients predict x --out y --no-pages --shown 3": "--shown: does not go with --no-pages",
    "patients crossval --data x --out y --set a=1": "--set: does not go with --config alone",
    "model show --json --markdown": "--json: does not go with --markdown",
    "evaluate run.json --out y": "DATA: settings go with --config",
    "evaluate cells.csv --out y --transfer": "No such option: --transfer",
    "analyze --out y": "give PATH, or --config",
    "adapt --out y": "give --labels, or --config",
    f"patients crossval {ROOT}/configs/patients/clinical_logistic.yaml --out y": "give --data, or --config",
    "analyze x --out y --per-class 900": "Invalid value for --per-class:",
    "model fit-ood --out y --set colour=3": "write ood_score.NAME=VALUE",
    "model fit-ood --out y --set ood_score": "write NAME=VALUE",
    "explain x --out y --sanity 5": "--sanity: does not go with the bundle default",
    "study explore x --out y --level medium": "'medium' is not one of 'fine', 'coarse'",
}


@pytest.mark.parametrize("command", WRONG)
def test_what_would_be_ignored_is_refused(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "r.yaml").write_text("name: r")
    result = CliRunner(env={"COLUMNS": "300", "TERM": "dumb"}).invoke(app, shlex.split(command))
    assert result.exit_code == USAGE, result.output
    told = " ".join(result.stderr.replace("│", " ").split())
    assert WRONG[command].replace("'", "") in told.replace("'", ""), told
    assert not (tmp_path / "y").exists()


def test_through_the_real_process(tmp_path: Path) -> None:
    def run(*words: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*REAL, *map(str, words)], capture_output=True, text=True, check=False, cwd=tmp_path)

    assert "leave-out" in run("study", "--help").stdout
    drawn = run("draw", "--out", "slide", "--per-class", 1, "--size", 48)
    assert drawn.returncode == 0, drawn.stderr
    assert "'draw' is now 'study draw'" in drawn.stderr
    again = run("study", "draw", "--out", "again", "--config", "slide/run.json", "--seed", 2)
    assert again.returncode == 0, again.stderr
    assert len(list((tmp_path / "again" / "cells").iterdir())) == 11  # the file's --per-class, not the default
    unknown = run("analyse", "slide")
    assert (unknown.returncode, unknown.stdout) == (USAGE, "")
    assert "analyze" in unknown.stderr  # "did you mean"
