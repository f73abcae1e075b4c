"""The cells that were read, each with its measures, and those that were not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from leukopy.core.progress import Progress
from leukopy.explore.measure import Measurements, measure_all
from leukopy.explore.summaries import in_order, to_level
from leukopy.imaging.measures import FEATURES
from leukopy.inference.rows import FAILURE_SCHEMA


@dataclass(frozen=True, eq=False)
class Collection:
    """A collection of cells. A cell is named by its row in ``cells``."""

    cells: pl.DataFrame
    """``cell_id``, ``source``, ``class`` (at the level asked for), ``code`` (as labelled), ``group``, ``split``,
    ``width`` and ``height`` (px), ``digest``, and one column for each of ``FEATURES``, null where a cell has none."""
    paths: list[str]
    """Path of each cell's picture."""
    failures: pl.DataFrame
    """Rows of ``FAILURE_SCHEMA``."""
    _measured: Measurements
    _rows: list[int]

    def pictures(self, cells: Sequence[int]) -> Iterator[bytes]:
        """The small picture (JPEG) of each of ``cells``, some hundreds in memory at a time."""
        return self._measured.pictures([self._rows[cell] for cell in cells])

    def close(self) -> None:
        """Close the cache that the pictures are in."""
        self._measured.store.close()

    @property
    def sources(self) -> list[str]:
        """Sources, by name."""
        return sorted(self.cells["source"].unique())

    @property
    def groups(self) -> dict[tuple[str, str], list[int]]:
        """The cells of each class and source, classes in display order."""
        numbered = self.cells.with_row_index("row").group_by("class", "source", maintain_order=True).agg("row")
        found = {(code, source): rows for code, source, rows in numbered.iter_rows()}
        order = {code: at for at, code in enumerate(in_order(code for code, _ in found))}
        return dict(sorted(found.items(), key=lambda group: (order[group[0][0]], group[0][1])))


def collect(listed: pl.DataFrame, level: str, progress: Progress) -> Collection:
    """Measure the images of a manifest.

    Args:
        listed: a table of ``MANIFEST_SCHEMA``.
        level: ``fine`` (classes as labelled) or ``coarse`` (the coarse classes).
        progress: reports the images that are measured.

    Raises:
        OutputError: the cache cannot be written.
    """
    paths = listed["path"].to_list()
    measured = measure_all(paths, progress)
    failed = list(measured.failures)
    rows = np.setdiff1d(np.arange(len(listed)), failed).tolist()
    kept = listed[rows]
    cells = kept.select(
        "cell_id",
        "source",
        pl.Series("class", [to_level(code, level) for code in kept["code"]], dtype=pl.String),
        "code",
        "group",
        "split",
        pl.Series("width", measured.sizes[rows, 0]),
        pl.Series("height", measured.sizes[rows, 1]),
        pl.Series("digest", [measured.digests[row] for row in rows], dtype=pl.String),
        *(
            pl.Series(feature.name, measured.values[rows, at], dtype=pl.Float32).fill_nan(None)
            for at, feature in enumerate(FEATURES)
        ),
    )
    failures = listed[failed].select(
        "cell_id",
        "path",
        pl.Series("reason", [reason for reason, _ in measured.failures.values()], dtype=pl.String),
        pl.Series("message", [message for _, message in measured.failures.values()], dtype=pl.String),
    )
    return Collection(cells, [paths[row] for row in rows], failures.select(*FAILURE_SCHEMA), measured, rows)
