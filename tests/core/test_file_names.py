"""A file that a table names is found as the disk spells it, and once."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path

import pytest

from leukopy.core.errors import ManifestError
from leukopy.core.file_names import FileNames

NFC, NFD = "M\u00fcller/\u00e9.png", "Mu\u0308ller/e\u0301.png"


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def names(folder: Path) -> FileNames:
    return FileNames(folder / "t.csv")


@pytest.mark.parametrize("disk", [NFC, NFD])
@pytest.mark.parametrize("table", [NFC, NFD])
def test_letters_composed_or_not_in_the_table_or_on_the_disk(tmp_path: Path, disk: str, table: str) -> None:
    touch(tmp_path / disk)
    assert names(tmp_path).find(table, "t") == disk
    assert names(tmp_path).find(f"{tmp_path}/{table}", "t") == f"{tmp_path}/{disk}"
    assert names(tmp_path).find(table.replace("/", "\\"), "t") == disk


def test_two_files_whose_names_differ_in_composition_are_refused(tmp_path: Path) -> None:
    touch(tmp_path / "é.png")
    touch(tmp_path / unicodedata.normalize("NFD", "é.png"))
    if len(list(tmp_path.iterdir())) == 1:
        pytest.skip("this file system holds them for one")
    with pytest.raises(ManifestError, match="t, line 2: two files or folders on the disk have this name"):
        names(tmp_path).find("é.png", "t, line 2")


@pytest.mark.parametrize(
    "text", ["cells\\a.png", ".\\cells\\a.png", "cells/a.png", "cells\\x\\..\\a.png", "./cells//a.png"]
)
def test_slashes_of_windows_and_other_spellings(tmp_path: Path, text: str) -> None:
    found = names(tmp_path)
    assert found.path(found.find(text, "t")) == str(tmp_path / "cells" / "a.png")


@pytest.mark.parametrize("text", ["C:\\lab\\a.png", "d:/lab/a.png", "\\\\server\\lab\\a.png"])
def test_a_drive_of_windows_is_refused_elsewhere(tmp_path: Path, text: str) -> None:
    with pytest.raises(ManifestError, match=r"t, line 4: a path of a Windows drive or share.*Write paths relative"):
        names(tmp_path).find(text, "t, line 4")


def test_a_backslash_may_be_part_of_a_name(tmp_path: Path) -> None:
    touch(tmp_path / "a\\b.png")
    assert names(tmp_path).find("a\\b.png", "t") == "a\\b.png"


def test_a_name_on_the_disk_that_is_no_utf8(tmp_path: Path) -> None:
    raw = os.fsdecode(b"caf\xe9.png")
    try:
        touch(tmp_path / raw)
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    assert names(tmp_path).find("café.png", "t") == raw


@pytest.mark.parametrize(
    "again", ["cells/a.png", "./cells/a.png", "cells/../cells/a.png", "link/a.png", "cells//a.png"]
)
def test_a_file_named_twice_is_known_in_any_spelling(tmp_path: Path, again: str) -> None:
    touch(tmp_path / "cells" / "a.png")
    (tmp_path / "link").symlink_to(tmp_path / "cells")
    found = names(tmp_path)
    assert found.earlier("cells/a.png", "line 2") is None
    assert found.earlier("cells/b.png", "line 3") is None
    assert found.earlier("A.png", "line 4") is None
    assert found.earlier(again, "line 5") == "line 2"
    assert found.earlier(f"{tmp_path}/{again}", "line 6") == "line 2"


def test_what_is_not_there_stays_as_written(tmp_path: Path) -> None:
    assert names(tmp_path).find("nö/é.png", "t") == "nö/é.png"
    assert names(tmp_path).find("no.png", "t") == "no.png"
