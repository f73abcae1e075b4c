"""Train, validation and test, by group and by duplicate cluster, stratified by class."""

from __future__ import annotations

import hashlib

import numpy as np
import polars as pl
from numpy.typing import NDArray

from leukopy.core.errors import SettingsError
from leukopy.datasets.duplicates import clusters
from leukopy.datasets.manifest import SPLITS

Fractions = tuple[float, float, float]


def split(
    manifest: pl.DataFrame, fractions: Fractions, *, seed: int = 0, duplicates: pl.DataFrame | None = None
) -> pl.DataFrame:
    """Overwrite the ``split`` column.

    Rows that share a group within a source, or that are duplicates of each other, directly or through other rows, stay
    together. These units are assigned from the largest to the smallest, in random order among equals, each to the split
    that lacks most of its classes; images without a code count as a class of their own. The same rows, fractions and
    seed give the same result in any order of the rows.

    Args:
        manifest: a table of ``MANIFEST_SCHEMA``.
        fractions: shares of train, validation and test; they sum to 1.
        seed: another seed gives another split.
        duplicates: result of ``find_duplicates`` on the rows.

    Returns:
        The same rows in the same order.

    Raises:
        SettingsError: a share is negative, or they do not sum to 1.
    """
    check_fractions(fractions)
    unit = _units(manifest, duplicates)
    class_of = manifest["code"].fill_null("").rank("dense").to_numpy() - 1
    counts = np.zeros((unit.max(initial=-1) + 1, class_of.max(initial=0) + 1))
    np.add.at(counts, (unit, class_of), 1)
    chosen = _deal(counts, _order(manifest, unit, counts, seed), np.array(fractions))
    return manifest.with_columns(split=pl.Series([SPLITS[side] for side in chosen[unit]], dtype=pl.String))


def check_fractions(fractions: Fractions) -> None:
    """Refuse shares that do not form a split.

    Raises:
        SettingsError: a share is negative, or they do not sum to 1.
    """
    if min(fractions) < 0 or abs(sum(fractions) - 1) > 1e-6:
        shares = "/".join(f"{100 * share:g}" for share in fractions)
        raise SettingsError(f"split {shares}: three shares of at least 0 are needed that sum to 100. Correct them.")


def _units(manifest: pl.DataFrame, duplicates: pl.DataFrame | None) -> NDArray[np.int64]:
    """The number of the unit of each row."""
    rows = manifest.select("source", "group").with_row_index("b").filter(pl.col("group").is_not_null())
    same_group = rows.with_columns(a=pl.col("b").first().over("source", "group")).select(
        pl.col("a", "b").cast(pl.Int64)
    )
    links = [same_group] if duplicates is None else [same_group, duplicates.select("a", "b")]
    return clusters(len(manifest), *(link.to_numpy() for link in links))


def _order(manifest: pl.DataFrame, unit: NDArray[np.int64], counts: NDArray[np.float64], seed: int) -> list[int]:
    """Units by falling size; equals in an order drawn from the seed and the names of the cells, independent of row
    order."""
    name = manifest.select("cell_id", unit=pl.Series(unit)).group_by("unit").agg(pl.col("cell_id").min()).rows()
    drawn = {number: hashlib.sha256(f"{seed}:{cell_id}".encode()).digest() for number, cell_id in name}
    size = counts.sum(axis=1)
    return sorted(drawn, key=lambda number: (-size[number], drawn[number]))


def _deal(counts: NDArray[np.float64], order: list[int], fractions: NDArray[np.float64]) -> NDArray[np.int64]:
    """The split (0, 1, 2) of each unit; common and rare classes weigh the same."""
    total = counts.sum(axis=0)
    lacking = fractions[:, None] * total  # images of each class that each split still needs
    open_splits = np.flatnonzero(fractions)
    chosen = np.zeros(len(counts), dtype=np.int64)
    for number in order:
        need = lacking[open_splits] @ (counts[number] / total)
        chosen[number] = open_splits[np.argmax(need)]
        lacking[chosen[number]] -= counts[number]
    return chosen
