"""A release: a small wheel that is built the same twice, files for those who cite or report."""

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
import release
from leukopy.cli.main import app
from support.files import REPOSITORY

MIB = 2**20
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["project"]


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


@pytest.mark.slow
def test_the_list_of_packages_holds_versions_and_licences(tmp_path: Path) -> None:
    """By the command of `make sbom`, of the environment of the tests."""
    program = shutil.which("cyclonedx-py", path=str(Path(sys.executable).parent))
    if program is None:
        pytest.skip("cyclonedx-bom is not installed (extra 'dev')")
    (options,) = re.findall(r"cyclonedx-py (environment .+)$", (REPOSITORY / "Makefile").read_text("utf-8"), re.M)
    options = options.replace(".venv-serve/bin/python", sys.executable).replace(
        "build/sbom.json", str(tmp_path / "sbom.json")
    )
    subprocess.run([program, *options.split()], cwd=REPOSITORY, check=True, capture_output=True)
    content = json.loads((tmp_path / "sbom.json").read_text("utf-8"))
    held = {one["name"]: one for one in content["components"]}
    assert content["bomFormat"] == "CycloneDX"
    assert content["metadata"]["component"]["name"] == "leukopy"
    wanted = {re.match(r"[\w-]+", one)[0] for one in PROJECT["dependencies"]}  # type: ignore[index]
    assert wanted <= {name.lower() for name in held}
    assert all(one["version"] and one.get("licenses") for name, one in held.items() if name.lower() in wanted)


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


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """A copy of the files that a release changes, after one more change."""
    for name in release.PLACES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(REPOSITORY / name, tmp_path / name)
    opened = "## [Unreleased]\n"
    changes = (REPOSITORY / "CHANGELOG.md").read_text("utf-8").replace(opened, f"{opened}\n- One more.\n", 1)
    (tmp_path / "CHANGELOG.md").write_text(changes, "utf-8")
    return tmp_path


def test_a_release_sets_the_version_and_dates_the_changelog(sources: Path) -> None:
    changes = (sources / "CHANGELOG.md").read_text("utf-8")
    release.prepare(sources, "99.0.0", "2027-01-31")
    assert release.version(sources) == "99.0.0"
    dated = (sources / "CHANGELOG.md").read_text("utf-8")
    assert "## [Unreleased]\n\n## [99.0.0] - 2027-01-31\n" in dated
    assert dated.replace("\n## [99.0.0] - 2027-01-31\n", "", 1) == changes


def test_a_release_without_a_new_version_or_a_change_is_refused(sources: Path) -> None:
    for new, why in (("0.1.0", "is not after"), ("0.2", "MAJOR.MINOR.PATCH"), ("v0.2.0", "MAJOR.MINOR.PATCH")):
        with pytest.raises(release.ReleaseError, match=why):
            release.prepare(sources, new, "2027-01-31")
    release.prepare(sources, "99.0.0", "2027-01-31")
    with pytest.raises(release.ReleaseError, match="lists no change"):
        release.prepare(sources, "99.0.1", "2027-01-31")
    (sources / "CITATION.cff").write_text("version: 1.0.0\n")
    with pytest.raises(release.ReleaseError, match="different versions"):
        release.version(sources)


def test_a_tag_of_another_version_is_not_published() -> None:
    assert release.main(["--tag", f"v{leukopy.__version__}"]) == 0
    assert release.main(["--tag", "v99.0.0"]) == 1


def made(command: str) -> set[str]:
    return {word for word in command.partition("make ")[2].split() if "=" not in word}


def targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text("utf-8"), re.M))


def test_the_version_is_said() -> None:
    assert CliRunner().invoke(app, ["--version"]).output.strip() == PROJECT["version"]
