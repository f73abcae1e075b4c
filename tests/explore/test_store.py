"""What is put under a digest is there again, whatever became of the process or the file."""

from __future__ import annotations

from pathlib import Path

import pytest

from leukopy.core.errors import OutputError
from leukopy.explore.store import Store


def test_what_was_put_is_there_for_the_next_process(tmp_path: Path) -> None:
    first = Store(tmp_path / "deep" / "kept.sqlite")
    many = {f"{number:064x}": bytes([number % 256]) * number for number in range(1, 1200)}
    first.put(many)
    second = Store(tmp_path / "deep" / "kept.sqlite")  # the first was never closed, as after a kill
    assert second.get(list(many)) == many
    assert second.known() == set(many)
    assert second.get(["absent"]) == {}
    first.close()
    second.close()


def test_a_damaged_file_is_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "kept.sqlite"
    path.write_bytes(b"this was a data base once" * 100)
    store = Store(path)
    store.put({"a": b"1"})
    assert store.known() == {"a"}
    store.close()


def test_a_folder_that_cannot_be_made_is_one_line_that_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="file"):
        Store(tmp_path / "file" / "kept.sqlite")
    (tmp_path / "kept.sqlite").mkdir()
    with pytest.raises(OutputError, match="LEUKOPY_CACHE"):
        Store(tmp_path / "kept.sqlite")
