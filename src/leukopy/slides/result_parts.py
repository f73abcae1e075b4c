"""Rows of a run in parts on disk: an interrupted run loses seconds of work and is resumed."""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path

import numpy as np
import polars as pl

from leukopy.core.files import atomic_path
from leukopy.inference.rows import APPEARANCE_SCHEMA, FAILURE_SCHEMA, Predictions
from leukopy.slides.laboratory_check import AppearanceSum

PART_ROWS = 2048
"""Rows per part: a few seconds of work, some hundred kilobytes."""

_BESIDE = 16
"""Rows of other tables that weigh as much as a cell's: a field has hundreds of red cells."""

_NOTHING: Mapping[str, pl.DataFrame] = {}


class ResultParts:
    """A folder of ``part-00000.parquet``, ``part-00001.parquet`` …, each whole or absent.

    A part holds the cells and the failures of one stretch of the inputs; a failure is a row with a ``reason``. The
    appearance of the cells is stored beside them, for the slide check. Further tables of the same stretch lie in
    ``NAME-00000.parquet`` ….
    """

    def __init__(self, folder: Path) -> None:
        """Continue with the parts in ``folder``. A damaged part, and all after it, are dropped and repeated.

        Raises:
            OutputError: the folder cannot be made or read.
        """
        self._folder = folder
        self._waiting: list[tuple[pl.DataFrame, Mapping[str, pl.DataFrame]]] = []
        self._count = 0
        self.rows = 0
        """Number of finished inputs: classified or failed."""
        while self._path(self._count).exists():
            try:
                found = {path.stem: _length(path) for path in folder.glob(f"*-{self._count:05d}.parquet")}
            except pl.exceptions.PolarsError:
                break
            self.rows += found[self._path(self._count).stem]
            self._count += 1
        for stale in folder.glob("*-*.parquet"):
            if int(stale.stem.rpartition("-")[2]) >= self._count:
                stale.unlink()

    def add(self, predictions: Predictions, beside: Mapping[str, pl.DataFrame] = _NOTHING) -> None:
        """Add rows; a part is written once enough have accumulated.

        Args:
            predictions: the next rows.
            beside: rows of further tables of the same inputs, by name; always the same names.

        Raises:
            OutputError: the disk is full, or not permitted.
        """
        cells, appearance = predictions.cells, predictions.appearance
        rows = pl.concat(
            [cells if appearance is None else cells.hstack(appearance), predictions.failures], how="diagonal"
        )
        self._waiting.append((rows, beside))
        self.rows += len(rows)
        weight = sum(len(rows) + sum(map(len, tables.values())) / _BESIDE for rows, tables in self._waiting)
        if weight >= PART_ROWS:
            self.flush()

    def flush(self) -> None:
        """Write pending rows. Interrupted anywhere and called again, it writes every row once.

        Raises:
            OutputError: the disk is full, or not permitted.
        """
        if not self._waiting:
            return
        for name in self._waiting[0][1]:
            _write(self._path(self._count, name), pl.concat([tables[name] for _, tables in self._waiting]))
        _write(self._path(self._count), pl.concat([rows for rows, _ in self._waiting]))  # last: the part is whole
        self._waiting = []
        self._count += 1

    def cells(self) -> pl.LazyFrame:
        """The classified cells of all parts, in the order of the inputs."""
        cells = self._rows().filter(pl.col("reason").is_null())
        return cells.select(pl.exclude("reason", "message", *APPEARANCE_SCHEMA))

    def write_cells(self, path: Path, further: pl.Series | None = None) -> None:
        """Write `cells` as Parquet or CSV by the suffix.

        Args:
            path: the file.
            further: one more column for them.

        Raises:
            OutputError: the disk is full, or not permitted.
        """
        cells = self.cells()
        if further is not None:
            cells = pl.concat([cells, further.to_frame().lazy()], how="horizontal")
        _sink(cells, path)

    def write_failures(self, path: Path) -> None:
        """Write the failures of all parts likewise.

        Raises:
            OutputError: the disk is full, or not permitted.
        """
        _sink(self._rows().filter(pl.col("reason").is_not_null()).select(list(FAILURE_SCHEMA)), path)

    @property
    def begun(self) -> bool:
        """True where a part is written."""
        return self._count > 0

    def table(self, name: str) -> pl.LazyFrame:
        """A further table of all written parts; one part or more."""
        return pl.scan_parquet([self._path(number, name) for number in range(self._count)])

    def write_table(self, name: str, path: Path) -> None:
        """Write a further table of all parts.

        Raises:
            OutputError: the disk is full, or not permitted.
        """
        _sink(self.table(name), path)

    def appearance(self) -> AppearanceSum:
        """Appearance of all classified cells, summed as a stream; empty where the bundle has no slide check."""
        rows = self._rows()
        if not set(APPEARANCE_SCHEMA) <= set(rows.collect_schema()):
            return AppearanceSum()
        appearance = [pl.col(name).cast(pl.Float64) for name in APPEARANCE_SCHEMA]
        found = (
            rows.select(*(appearance.sum() for appearance in appearance), cells=appearance[0].count())
            .collect(engine="streaming")
            .row(0)
        )
        return AppearanceSum(np.array(found[:-1]), found[-1])

    def digests(self) -> list[str]:
        """Digests of the readable pictures."""
        if not self.rows:
            return []
        found: list[str] = self._rows().select("digest").drop_nulls().collect()["digest"].to_list()
        return found

    def remove(self) -> None:
        """Delete the folder, once its rows are merged."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _rows(self) -> pl.LazyFrame:
        return pl.scan_parquet([self._path(number) for number in range(self._count)])

    def _path(self, number: int, name: str = "part") -> Path:
        return self._folder / f"{name}-{number:05d}.parquet"


def _length(path: Path) -> int:
    return int(pl.scan_parquet(path).select(pl.len()).collect().item())


def _write(path: Path, rows: pl.DataFrame) -> None:
    stream = BytesIO()
    rows.write_parquet(stream)
    with atomic_path(path) as temporary:
        temporary.write_bytes(stream.getvalue())


_PROBE = 2**20
"""Bytes written to learn whether a disk is full."""


def _sink(rows: pl.LazyFrame, path: Path) -> None:
    """Write rows as a stream. Polars states a system error only in the text of its own error."""
    with atomic_path(path) as temporary:
        try:
            if path.suffix == ".parquet":
                rows.sink_parquet(temporary)
            else:
                rows.sink_csv(temporary, float_precision=6)
        except (OSError, pl.exceptions.ComputeError, pl.exceptions.ShapeError) as error:
            if number := re.search(r"\(os error (\d+)\)", str(error)):
                raise OSError(int(number[1]), os.strerror(int(number[1]))) from error
            # Polars does not name a disk that fills up in the footer of a file, and where a sink fails it may tell of
            # the rows that its other input has left: ask the disk itself.
            temporary.write_bytes(bytes(_PROBE))
            if "transport error" in str(error):  # it was full a moment ago
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from error
            raise
