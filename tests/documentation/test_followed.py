"""Each page is followed literally once, in a folder of its own: a shell runs its commands, Python its Python.

With the models that ship, real servers, and drawn pictures. What is not followed is listed here with its reason. The
French pages hold the same commands (`test_french.py`); those for administrators are followed in
`tests/review/test_deployment.py`.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.commands import blocks, fenced
from support.files import DOCUMENTS, REPOSITORY
from support.followed import NOT_FOLLOWED, lines_of, reason
from support.newcomer import INPUTS
from support.passwords import PASSWORD
from support.waiting import HANGS

ELSEWHERE = {"deployment": "tests/review/test_deployment.py"}
"""Pages that another test follows."""
RUN_UNTIL_ENDED = r"leukopy (review( --serve| --folder station --serve --https)?|watch .*)$"
SHELL = {
    path: found
    for path in DOCUMENTS
    if path.parent.name != "fr" and (found := blocks(path, r"(?:sh|python|)"))
}  # fmt: skip


def followed(block: str) -> Iterator[str]:
    """The parts of a block that are run: scripts, and each program that runs until it is ended alone."""
    script: list[str] = []
    for line in lines_of(block):
        if re.match(RUN_UNTIL_ENDED, line.partition("  #")[0].strip()):
            yield "\n".join(script)
            script = []
            yield line.partition("  #")[0].strip()
        elif reason(line) is None:
            script.append(line)
    yield "\n".join(script)


@pytest.fixture
def reader(tmp_path: Path) -> dict[str, str]:
    """The environment of a reader whose browser notes the address that it is to open."""
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "xdg-open").write_text(f'#!/bin/sh\necho "$1" >> {tmp_path}/opened\n')
    (programs / "xdg-open").chmod(0o755)
    return os.environ | {
        "PATH": f"{programs}:{Path(sys.executable).parent}:{os.environ['PATH']}",
        "XDG_DATA_HOME": str(tmp_path / "home"),
        "SLURM_ARRAY_TASK_ID": "1",
        "SLURM_ARRAY_TASK_COUNT": "1",
        "PLAN": "results/night",
    }


def run(command: list[str], folder: Path, environment: dict[str, str]) -> None:
    """A new user's password is typed twice, without a terminal."""
    done = subprocess.run(
        command, cwd=folder, env=environment, input=f"{PASSWORD}\n{PASSWORD}\n" if "add-user" in command[-1] else "",
        start_new_session=True, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, (command[-1], done.stdout, done.stderr)


def run_and_end(command: str, folder: Path, environment: dict[str, str]) -> str:
    """Start a program that runs until Ctrl-C, press it once the program is at work, and return what it said.

    A station takes any free port: another may run on this machine.
    """
    port = " --port 0" if command.startswith("leukopy review") else ""
    with subprocess.Popen(
        ["bash", "-c", f"exec {command}{port}"],
        cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    ) as running:  # fmt: skip
        told = ""
        try:
            for line in running.stdout or ():
                told += line
                if at_work := re.search(r"is at (http[^?\s]+)|Ctrl-C|pictures \d+", line):
                    break
            else:
                pytest.fail(told)
            if at_work[1]:
                with urllib.request.urlopen(f"{at_work[1]}api/v1/health", timeout=HANGS) as answer:
                    assert answer.status == 200
        finally:
            running.send_signal(signal.SIGINT)
        told += running.communicate(timeout=HANGS)[0]
    assert running.returncode in (0, 130), told
    return told


def prepare(page: str, folder: Path) -> None:
    for name, make in INPUTS.get(page, {}).items():
        make(folder / name)


@pytest.mark.slow
@pytest.mark.parametrize("document", [path for path in SHELL if path.stem not in ELSEWHERE], ids=lambda path: path.stem)
def test_a_page_is_followed_to_the_letter(document: Path, tmp_path: Path, reader: dict[str, str]) -> None:
    folder = tmp_path / "reader"
    folder.mkdir()
    prepare(document.stem, folder)
    (folder / "configs").symlink_to(REPOSITORY / "configs")
    for language, block in fenced(document):
        if language == "python":
            run([sys.executable, "-c", block], folder, reader)
        elif language == "sh" or (not language and re.search(r"^(\$ )?(leukopy|#!) ?", block, re.M)):
            for part in followed(block):
                if re.match(RUN_UNTIL_ENDED, part):
                    run_and_end(part, folder, reader)
                else:
                    run(["bash", "-euo", "pipefail", "-c", part], folder, reader)


def test_every_exception_is_needed() -> None:
    lines = [line for found in SHELL.values() for block in found for line in lines_of(block)]
    assert [pattern for pattern in NOT_FOLLOWED if not any(re.match(pattern, line) for line in lines)] == []
    assert all((REPOSITORY / path).exists() for path in ELSEWHERE.values())


def test_most_commands_are_followed() -> None:
    """A page whose commands are all exceptions is one that no test follows: these pages redo trainings."""
    unfollowed = {
        path.stem
        for path, found in SHELL.items()
        if path.stem not in ELSEWHERE and not any("".join(followed(block)) for block in found)
    }
    assert unfollowed <= {"CONTRIBUTING", "study-2021"}
