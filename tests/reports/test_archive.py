from __future__ import annotations

import os
import zipfile

import pytest

from leukopy.core.errors import InputError
from leukopy.reports.archive import write_archive


@pytest.fixture
def folder(tmp_path):
    result = tmp_path / "slide é"
    (result / "qupath").mkdir(parents=True)
    (result / "run.json").write_text("{}")
    (result / "cells.parquet").write_bytes(bytes(1000))
    (result / "qupath" / "a.geojson").write_text("x" * 1000)
    (result / ".run.json.7.part").write_text("half")
    (result / "away").symlink_to(tmp_path)
    return result


def test_all_files_with_relative_names_in_order(folder):
    path = write_archive(folder)
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["slide é/cells.parquet", "slide é/qupath/a.geojson", "slide é/run.json"]
        assert archive.read("slide é/qupath/a.geojson") == b"x" * 1000
        packed = archive.getinfo("slide é/qupath/a.geojson")
        assert packed.compress_size < 100
        assert packed.external_attr >> 16 == 0o100644


def test_the_same_files_make_the_same_bytes_whenever_they_were_written(folder):
    first = write_archive(folder).read_bytes()
    os.utime(folder / "run.json", (1, 1))
    (folder / "run.json").chmod(0o600)
    assert write_archive(folder).read_bytes() == first


def test_extracts_into_one_folder(folder, tmp_path):
    with zipfile.ZipFile(write_archive(folder)) as archive:
        archive.extractall(tmp_path / "other")
    assert {path.name for path in (tmp_path / "other").iterdir()} == {"slide é"}
    assert (tmp_path / "other" / "slide é" / "run.json").read_text() == "{}"


def test_a_folder_without_files_is_refused(tmp_path):
    with pytest.raises(InputError, match="holds no file"):
        write_archive(tmp_path)
