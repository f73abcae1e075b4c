"""Folders of runs are never mixed or overwritten by accident."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from leukopy.core.errors import OutputError
from leukopy.core.files import read_json
from leukopy.core.runs import Record, begin, check_same, finish, record
from leukopy.core.settings import Settings


class Example(Settings):
    size: int = 1
    threads: int = 1


def run(command: str = "analyze", **settings: int) -> Record:
    return record(command, Example(**settings), inputs={"count": 3})


def test_a_run_begins_in_an_absent_folder_and_ends_finished(tmp_path: Path) -> None:
    out = tmp_path / "a" / "b"
    assert begin(out, run()) is None
    assert read_json(out / "run.json")["status"] == "unfinished"
    finish(out, run(), cells=3)
    ended = read_json(out / "run.json")
    assert (ended["status"], ended["cells"]) == ("finished", 3)
    assert "Research use only" in ended["notice"]
    assert Example.read(out / "run.json") == Example()


def test_results_are_replaced_only_when_asked(tmp_path: Path) -> None:
    begin(tmp_path, run())
    (tmp_path / "cells.csv").touch()
    with pytest.raises(OutputError, match="--resume to continue that run, --overwrite to replace it"):
        begin(tmp_path, run(), resume=False)
    with pytest.raises(OutputError, match="Add --overwrite to replace it"):  # a command without --resume
        begin(tmp_path, run())
    assert begin(tmp_path, run(), overwrite=True) is None
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]


def test_only_its_own_results_are_emptied(tmp_path: Path) -> None:
    precious = tmp_path / "thesis.tex"
    precious.touch()
    for flags in ({}, {"overwrite": True}, {"resume": True}):
        with pytest.raises(OutputError, match="holds no leukopy results"):
            begin(tmp_path, run(), **flags)
    precious.rename(tmp_path.parent / "thesis.tex")
    begin(tmp_path, run("train"))
    with pytest.raises(OutputError, match="another command"):
        begin(tmp_path, run("analyze"), overwrite=True)
    assert read_json(tmp_path / "run.json")["command"] == "train"


def test_a_resumed_run_keeps_its_record(tmp_path: Path) -> None:
    begin(tmp_path, run(threads=1))
    earlier = begin(tmp_path, run(threads=2), resume=True)
    assert earlier is not None
    assert earlier["settings"]["threads"] == 1
    check_same(tmp_path, earlier, run(threads=2), free=frozenset({"threads"}))
    with pytest.raises(OutputError, match=r"the run there has size 1 \(now 2\), threads 1 \(now 2\)\."):
        check_same(tmp_path, earlier, run(size=2, threads=2))
    with pytest.raises(OutputError, match="has other inputs"):
        check_same(tmp_path, earlier, run() | {"inputs": {"count": 4}})
    with pytest.raises(OutputError, match=r"has engine None \(now 'fast 2'\)\."):  # which it did not record
        check_same(tmp_path, earlier, run() | {"engine": "fast 2"})


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="is a file"):
        begin(tmp_path / "file", run())


_HOLDER = """
import sys
from pathlib import Path
from leukopy.core.runs import begin, finish, record
from leukopy.core.settings import Settings

out, run = Path(sys.argv[1]), record("analyze", Settings())
begin(out, run, resume=True)
print("begun", flush=True)
if sys.stdin.readline() == "finish\\n":
    finish(out, run)
    print("finished", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def other(tmp_path: Path):
    """Another process that writes in the folder."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", _HOLDER, str(tmp_path)], **pipes) as process:
        assert process.stdout.readline() == "begun\n"
        yield process
        process.kill()


@pytest.mark.parametrize("flags", [{"resume": True}, {"overwrite": True}])
def test_a_folder_that_another_process_writes_is_refused(tmp_path: Path, other: subprocess.Popen, flags) -> None:
    (tmp_path / "cells.csv").touch()
    with pytest.raises(OutputError, match="another process is writing there"):
        begin(tmp_path, run(), **flags)
    assert (tmp_path / "cells.csv").exists()


def test_a_process_that_was_killed_holds_no_folder(tmp_path: Path, other: subprocess.Popen) -> None:
    other.kill()
    other.wait()
    assert begin(tmp_path, run(), resume=True) is not None


def test_a_finished_run_holds_no_folder(tmp_path: Path, other: subprocess.Popen) -> None:
    other.stdin.write("finish\n")
    other.stdin.flush()
    assert other.stdout.readline() == "finished\n"
    assert begin(tmp_path, run(), overwrite=True) is None


def test_runs_of_one_process_share_folders(tmp_path: Path) -> None:
    begin(tmp_path / "study", run())
    begin(tmp_path / "study" / "arm", run())
    begin(tmp_path / "study" / "arm", run(), overwrite=True)
    assert begin(tmp_path / "study", run(), resume=True) is not None
