"""Files that are whole or absent, and folders that are never overwritten by accident."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from leukopy.core.errors import InputError, OutputError
from leukopy.core.files import atomic_path, file_digest, output_error, prepare_output, read_json, write_json


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    target = tmp_path / "result.json"
    write_json(target, {"old": True})
    with pytest.raises(RuntimeError, match="boom"), atomic_path(target) as temporary:
        temporary.write_text("half")
        raise RuntimeError("boom")
    assert read_json(target) == {"old": True}
    assert list(tmp_path.iterdir()) == [target]


def test_a_file_in_the_way_of_a_folder_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="could not be written"):
        write_json(tmp_path / "file" / "a.json", {})


def test_not_a_number_is_never_written_as_json(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(tmp_path / "a.json", float("nan"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("number", "advice"), [(errno.ENOSPC, "disk is full"), (errno.EROFS, "no permission"), (errno.EIO, "could not be")]
)
def test_errors_while_writing_say_what_to_do(number: int, advice: str) -> None:
    message = str(output_error(Path("out"), OSError(number, "reason")))
    assert message.startswith("out: ")
    assert advice in message


def test_digest_is_sha256(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    assert file_digest(tmp_path / "empty") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@pytest.mark.parametrize("content", ["", "{", "[1,"])
def test_broken_json_is_named(tmp_path: Path, content: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(content)
    with pytest.raises(InputError, match=r"x\.json: not a JSON file"):
        read_json(path)


class TestPrepareOutput:
    def test_makes_an_absent_folder(self, tmp_path: Path) -> None:
        prepare_output(tmp_path / "a" / "b", marker="run.json")
        assert (tmp_path / "a" / "b").is_dir()

    def test_refuses_a_folder_that_holds_results(self, tmp_path: Path) -> None:
        (tmp_path / "run.json").touch()
        with pytest.raises(OutputError, match="--resume"):
            prepare_output(tmp_path, marker="run.json")
        prepare_output(tmp_path, marker="run.json", resume=True)
        assert (tmp_path / "run.json").exists()

    def test_empties_only_its_own_results(self, tmp_path: Path) -> None:
        precious = tmp_path / "thesis.tex"
        precious.touch()
        with pytest.raises(OutputError, match="holds no leukopy results"):
            prepare_output(tmp_path, marker="run.json", overwrite=True)
        assert precious.exists()
        precious.rename(tmp_path / "run.json")
        prepare_output(tmp_path, marker="run.json", overwrite=True)
        assert list(tmp_path.iterdir()) == []

    def test_refuses_a_file(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(OutputError, match="is a file"):
            prepare_output(tmp_path / "file", marker="run.json")
