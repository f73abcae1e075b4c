"""The cache of large files: what was used last stays."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from leukopy.core.cache import file_state, keep_recent, mark_used
from leukopy.core.errors import SettingsError


def array(folder: Path, name: str, kilobytes: int, age_s: float) -> Path:
    path = folder / f"{name}.npy"
    path.write_bytes(bytes(1000 * kilobytes))
    path.with_suffix(".json").write_text("{}")
    os.utime(path, (time.time() - age_s,) * 2)
    return path


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEUKOPY_CACHE_GB", "0.0001")  # 100 kB


@pytest.mark.usefixtures("small")
def test_what_was_not_used_for_longest_is_removed(tmp_path: Path) -> None:
    oldest, older, newest = (array(tmp_path, name, 40, age) for name, age in (("a", 300), ("b", 200), ("c", 100)))
    keep_recent(tmp_path, newest)
    assert not oldest.exists()
    assert not oldest.with_suffix(".json").exists()
    assert older.exists()
    assert newest.exists()


@pytest.mark.usefixtures("small")
def test_use_keeps_an_array(tmp_path: Path) -> None:
    oldest, older, newest = (array(tmp_path, name, 40, age) for name, age in (("a", 300), ("b", 200), ("c", 100)))
    mark_used(oldest)
    keep_recent(tmp_path, newest)
    assert oldest.exists()
    assert not older.exists()


@pytest.mark.usefixtures("small")
def test_the_newest_stays_whatever_its_size(tmp_path: Path) -> None:
    other, newest = array(tmp_path, "a", 1, 100), array(tmp_path, "b", 200, 0)
    keep_recent(tmp_path, newest)
    assert newest.exists()
    assert not other.exists()


def test_what_a_killed_process_left_is_removed_after_a_day(tmp_path: Path) -> None:
    abandoned, being_written = tmp_path / ".a.npy.17.part", tmp_path / ".b.npy.18.part"
    for path in (abandoned, being_written):
        path.write_bytes(b"x")
    os.utime(abandoned, (time.time() - 2 * 86_400,) * 2)
    keep_recent(tmp_path, array(tmp_path, "c", 1, 0))
    assert not abandoned.exists()
    assert being_written.exists()


@pytest.mark.parametrize("size", ["0", "-1", "much", "inf", "nan"])
def test_a_size_that_is_none_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: str) -> None:
    monkeypatch.setenv("LEUKOPY_CACHE_GB", size)
    with pytest.raises(SettingsError, match="LEUKOPY_CACHE_GB"):
        keep_recent(tmp_path, array(tmp_path, "a", 1, 0))


def test_another_file_of_the_same_name_is_another_state(tmp_path: Path) -> None:
    path = tmp_path / "cell.png"
    path.write_bytes(b"first")
    first = file_state(str(path))
    path.write_bytes(b"another")
    assert file_state(str(path)) != first
    assert file_state("drawn:EO:3") == "drawn:EO:3"
