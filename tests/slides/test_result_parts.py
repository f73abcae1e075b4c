"""ResultParts on disk: whole or absent, in order, continued where they stopped."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import polars as pl
import pytest

from leukopy.core.errors import OutputError
from leukopy.inference.rows import CELL_SCHEMA, FAILURE_SCHEMA, Predictions
from leukopy.slides import result_parts as module
from leukopy.slides.result_parts import ResultParts


def some(first: int, count: int) -> Predictions:
    """Rows of inputs ``first`` and on; every third input failed."""
    numbers = range(first, first + count)
    cells = pl.DataFrame({"cell_id": [f"c{n:05d}" for n in numbers if n % 3]})
    failed = [f"c{n:05d}" for n in numbers if n % 3 == 0]
    return Predictions(
        cells.select(
            pl.col(name) if name == "cell_id" else pl.lit(None, kind).alias(name) for name, kind in CELL_SCHEMA.items()
        ),
        pl.DataFrame(
            [(cell_id, cell_id, "not_an_image", 'line, with "quotes"\nand more') for cell_id in failed],
            schema=FAILURE_SCHEMA,
            orient="row",
        ),
    )


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    monkeypatch.setattr(module, "PART_ROWS", 100)


def written(folder):
    return sorted(path.name for path in folder.iterdir())


def test_rows_come_out_in_order_and_sorted_by_what_became_of_them(tmp_path):
    parts = ResultParts(tmp_path / "parts")
    for first in range(0, 250, 50):
        parts.add(some(first, 50))
    assert written(tmp_path / "parts") == ["part-00000.parquet", "part-00001.parquet"]
    parts.flush()
    parts.write_cells(tmp_path / "cells.parquet")
    parts.write_cells(tmp_path / "cells.csv")
    parts.write_failures(tmp_path / "failures.csv")
    cells = pl.read_parquet(tmp_path / "cells.parquet")
    assert cells.schema == pl.Schema(CELL_SCHEMA)
    assert cells["cell_id"].to_list() == [f"c{n:05d}" for n in range(250) if n % 3]
    assert pl.read_csv(tmp_path / "cells.csv")["cell_id"].to_list() == cells["cell_id"].to_list()
    failures = pl.read_csv(tmp_path / "failures.csv")
    assert failures.columns == list(FAILURE_SCHEMA)
    assert failures["cell_id"].to_list() == [f"c{n:05d}" for n in range(0, 250, 3)]
    assert failures["message"][0] == 'line, with "quotes"\nand more'


def test_a_second_run_goes_on_where_the_first_stopped(tmp_path):
    first = ResultParts(tmp_path / "parts")
    first.add(some(0, 130))  # written
    first.add(some(130, 40))  # waiting when the process is killed
    second = ResultParts(tmp_path / "parts")
    assert second.rows == 130
    second.add(some(130, 40))
    second.flush()
    second.write_cells(tmp_path / "cells.parquet")
    assert pl.read_parquet(tmp_path / "cells.parquet")["cell_id"].to_list() == [
        f"c{n:05d}" for n in range(170) if n % 3
    ]


def test_flush_writes_every_row_once(tmp_path):
    parts = ResultParts(tmp_path / "parts")
    parts.flush()
    parts.add(some(0, 10))
    parts.flush()
    parts.flush()
    assert written(tmp_path / "parts") == ["part-00000.parquet"]
    assert ResultParts(tmp_path / "parts").rows == 10


def test_a_damaged_part_and_all_after_it_are_made_again(tmp_path):
    parts = ResultParts(tmp_path / "parts")
    for first in range(0, 300, 100):
        parts.add(some(first, 100))
    (tmp_path / "parts" / "part-00001.parquet").write_bytes(b"PAR1 cut off")
    assert ResultParts(tmp_path / "parts").rows == 100
    assert written(tmp_path / "parts") == ["part-00000.parquet"]


def test_what_the_system_says_through_polars_is_one_line(tmp_path):
    parts = ResultParts(tmp_path / "parts")
    parts.add(some(0, 100))
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="could not be written"):
        parts.write_cells(tmp_path / "file" / "cells.parquet")
    assert written(tmp_path) == ["file", "parts"]


def test_remove_leaves_nothing(tmp_path):
    parts = ResultParts(tmp_path / "parts")
    parts.add(some(0, 100))
    parts.remove()
    assert written(tmp_path) == []


def test_a_full_disk_is_told_where_polars_tells_of_its_own_rows(tmp_path, monkeypatch):
    """A sink that fails may end the other input of a join first."""

    def cut_off(*_args, **_options):
        raise pl.exceptions.ShapeError("zip node received non-equal length inputs")

    def full(_path, _content):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    parts = ResultParts(tmp_path / "parts")
    parts.add(some(0, 30))
    parts.flush()
    monkeypatch.setattr(pl.LazyFrame, "sink_csv", cut_off)
    with pytest.raises(pl.exceptions.ShapeError):  # the disk has room: it is another fault
        parts.write_cells(tmp_path / "cells.csv")
    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OutputError, match="the disk is full"):
        parts.write_cells(tmp_path / "cells.csv")
    assert written(tmp_path) == ["parts"]


def test_a_disk_that_fills_up_anywhere_in_a_file_is_told(tmp_path):
    """Of the footer polars says "Invalid thrift: transport error"."""
    resource = pytest.importorskip("resource")
    parts = ResultParts(tmp_path / "parts")
    parts.add(some(0, 30))
    parts.flush()
    parts.write_cells(tmp_path / "cells.parquet")
    size = (tmp_path / "cells.parquet").stat().st_size
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        for most in range(0, size, 61):
            resource.setrlimit(resource.RLIMIT_FSIZE, (most, before[1]))
            with pytest.raises(OutputError, match=r"could not be written|the disk is full"):
                parts.write_cells(tmp_path / "cells.parquet")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    parts.write_cells(tmp_path / "cells.parquet")


def test_a_disk_that_was_full_in_the_footer_is_told_though_it_has_room_again(tmp_path, monkeypatch):
    def cut_off(*_args, **_options):
        raise pl.exceptions.ComputeError("parquet: File out of specification: Invalid thrift: transport error")

    parts = ResultParts(tmp_path / "parts")
    parts.add(some(0, 30))
    parts.flush()
    monkeypatch.setattr(pl.LazyFrame, "sink_parquet", cut_off)
    with pytest.raises(OutputError, match="the disk is full"):
        parts.write_cells(tmp_path / "cells.parquet")
