"""All commands, walked through: help, options, and what is refused. Their examples: test_shown_commands.py."""

from __future__ import annotations

import importlib
import pkgutil
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import leukopy.cluster
import leukopy.patients.workflows
import leukopy.studies
import leukopy.workflows
from leukopy.cli.main import _MOVED, MENU, app
from leukopy.core.settings import Settings
from support.commands import commands
from support.files import REPOSITORY

REAL = (sys.executable, "-c", "from leukopy.cli.main import main; main()")
USAGE = 2


COMMANDS = {name.removeprefix("leukopy "): command for name, command in commands()}
SETTINGS = [
    found
    for package in (leukopy.workflows, leukopy.studies, leukopy.patients.workflows, leukopy.cluster)
    for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}.")
    for found in vars(importlib.import_module(module.name)).values()
    if isinstance(found, type) and issubclass(found, Settings) and found.__module__ == module.name
]


def test_the_menu_fits_on_a_screen() -> None:
    shown = CliRunner(env={"COLUMNS": "120"}).invoke(app, ["--help"]).stdout
    listed = re.findall(r"^│ ([a-z][a-z-]+) ", shown, flags=re.MULTILINE)
    assert listed == list(MENU)
    assert len(listed) <= 18


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
    "draw cells --out y --cells 3 --per-class 2": "--cells: does not go with --per-class",
    "study scan folders x --out y --seed 3": "--seed: does not go with a scan without --split",
    "patients predict x --out y --no-pages --shown 3": "--shown: does not go with --no-pages",
    "patients crossval --data x --out y --set a=1": "--set: does not go with --config alone",
    "model show --json --markdown": "--json: does not go with --markdown",
    "evaluate run.json --out y": "DATA: settings go with --config",
    "evaluate cells.csv --out y --transfer": "No such option: --transfer",
    "analyze --out y": "give PATH, or --config",
    "adapt --out y": "give --labels, or --config",
    f"patients crossval {REPOSITORY}/configs/patients/clinical_logistic.yaml --out y": "give --data, or --config",
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
    assert "'study draw' is now 'draw cells'" in drawn.stderr
    again = run("draw", "cells", "--out", "again", "--config", "slide/run.json", "--seed", 2)
    assert again.returncode == 0, again.stderr
    assert len(list((tmp_path / "again" / "cells").iterdir())) == 11  # the file's --per-class, not the default
    unknown = run("analyse", "slide")
    assert (unknown.returncode, unknown.stdout) == (USAGE, "")
    assert "analyze" in unknown.stderr  # "did you mean"
