"""A release: a small wheel that is built the same twice, a container, files for those who cite or report."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

import leukopy
from leukopy.cli.main import app
from support.commands import parse
from support.files import REPOSITORY

MIB = 2**20
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["project"]
CONTAINER = (REPOSITORY / "Containerfile").read_text("utf-8")


def build(source: Path, out: Path) -> Path:
    """A wheel, as `make wheel` builds it."""
    environment = os.environ | {"SOURCE_DATE_EPOCH": "1764000000"}
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(out)]
    subprocess.run(command, cwd=source, env=environment, check=True, capture_output=True)
    (wheel,) = out.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two wheels: of the repository, and of a copy of it at another place and time."""
    pytest.importorskip("hatchling", reason="the wheel is built by hatchling (extra 'dev')")
    folder = tmp_path_factory.mktemp("wheels")
    copy = folder / "elsewhere"
    shutil.copytree(REPOSITORY / "src", copy / "src", copy_function=shutil.copyfile)
    for name in ("pyproject.toml", "README.md", "LICENSE", ".gitignore"):
        shutil.copyfile(REPOSITORY / name, copy / name)
    return build(REPOSITORY, folder / "first"), build(copy, folder / "second")


@pytest.mark.slow
def test_two_builds_are_the_same_byte_for_byte(wheels: tuple[Path, Path]) -> None:
    first, second = wheels
    assert first.name == second.name
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.slow
def test_the_wheel_is_small_and_holds_the_models(wheels: tuple[Path, Path]) -> None:
    assert wheels[0].stat().st_size <= 20 * MIB
    held = zipfile.ZipFile(wheels[0]).namelist()
    networks = [path.relative_to(REPOSITORY / "src") for path in (REPOSITORY / "src").rglob("assets/**/*.onnx")]
    assert networks
    assert {str(path) for path in networks} <= set(held)
    assert not [name for name in held if "__pycache__" in name or name.startswith("tests")]


def test_the_citation_names_this_version_and_licence() -> None:
    citation = yaml.safe_load((REPOSITORY / "CITATION.cff").read_text("utf-8"))
    assert citation["version"] == PROJECT["version"] == leukopy.__version__
    assert citation["license"] == PROJECT["license"]
    assert {"cff-version", "message", "title", "authors"} <= set(citation)


def test_the_changelog_keeps_its_form() -> None:
    """As https://keepachangelog.com asks: newest first, changes by kind."""
    text = (REPOSITORY / "CHANGELOG.md").read_text("utf-8")
    versions = re.findall(r"^## (.+)$", text, re.M)
    assert versions[0] == "[Unreleased]"
    assert all(re.fullmatch(r"\[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d", each) for each in versions[1:])
    kinds = set(re.findall(r"^### (.+)$", text, re.M))
    assert kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


@pytest.mark.parametrize("path", sorted((REPOSITORY / ".github").rglob("*.yml")), ids=lambda path: path.name)
def test_workflows_and_forms_are_read(path: Path) -> None:
    content = yaml.safe_load(path.read_text("utf-8"))
    for job in content.get("jobs", {}).values():
        for command in (step["run"] for step in job["steps"] if "run" in step):
            assert ".ci/run" in command or made(command) <= targets(), command


def test_hooks_run_what_make_check_runs() -> None:
    hooks = yaml.safe_load((REPOSITORY / ".pre-commit-config.yaml").read_text("utf-8"))["repos"][0]["hooks"]
    makefile = (REPOSITORY / "Makefile").read_text("utf-8")
    assert {"ruff", "ruff-format", "import-linter"} <= {hook["id"] for hook in hooks}
    for hook in hooks:
        program = hook["entry"].split()[0]
        assert program in makefile or program == ".venv/bin/codespell"


def test_the_container_installs_extras_that_exist_and_starts_a_command_that_exists() -> None:
    (extras,) = re.findall(r"'\.\[([a-z,]+)\]'", CONTAINER)
    assert "app" in extras.split(",")
    assert set(extras.split(",")) <= set(PROJECT["optional-dependencies"])
    (entry,), (words,) = re.findall(r"^ENTRYPOINT (.+)$", CONTAINER, re.M), re.findall(r"^CMD (.+)$", CONTAINER, re.M)
    assert json.loads(entry) == ["leukopy"]
    assert parse(" ".join(["leukopy", *json.loads(words)])) == "leukopy review"
    for name in re.findall(r"^COPY (?!--from)(.+) \S+$", CONTAINER, re.M):
        assert all((REPOSITORY / each).exists() for each in name.split())


def test_the_container_is_no_root_and_writes_to_its_data_alone() -> None:
    users = re.findall(r"^USER (.+)$", CONTAINER, re.M)
    assert users
    assert users[-1] not in ("0", "root")
    assert re.findall(r"^VOLUME (.+)$", CONTAINER, re.M) == ["/data"]
    assert "LEUKOPY_REVIEW=/data" in CONTAINER


def test_the_health_check_asks_for_a_page_of_the_station(tmp_path: Path) -> None:
    pytest.importorskip("fastapi", reason="the review station needs the extra 'app'")
    from fastapi.testclient import TestClient

    from leukopy.review.app import create_app
    from leukopy.review.settings import ReviewSettings

    (path,) = re.findall(r"urlopen\('http://127\.0\.0\.1:8765(/[a-z]+)'", CONTAINER)
    with TestClient(
        create_app(ReviewSettings(folder=tmp_path, serve=True)), base_url="http://127.0.0.1:8765"
    ) as client:
        assert client.get(path).status_code == 200


def made(command: str) -> set[str]:
    return set(command.partition("make ")[2].split())


def targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text("utf-8"), re.M))


def test_the_version_is_said() -> None:
    assert CliRunner().invoke(app, ["--version"]).output.strip() == PROJECT["version"]
