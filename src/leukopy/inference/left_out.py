"""Rows outside all counts: copies of a file, and pictures without a single cell."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from leukopy.imaging.content import Content
from leukopy.inference.rows import DUPLICATE, UNIDENTIFIED

_KEPT = {"cell_id", "path", "slide", "flags", "content", "width", "height", "digest"}
_OF_A_CLASS = (UNIDENTIFIED, "uncertain")
"""Flags of a class, removed together with it."""


class Digests:
    """Known files by their SHA-256: some 100 bytes each."""

    def __init__(self, known: Iterable[str] = ()) -> None:
        self._known = {bytes.fromhex(digest) for digest in known}

    def add(self, digests: Iterable[str]) -> None:
        """Add the files of earlier rows."""
        self._known.update(map(bytes.fromhex, digests))

    def copies(self, digests: Iterable[str]) -> NDArray[np.bool_]:
        """Copies among the next files, (N,): files seen before, in input order. The first of equal files
        counts."""
        found = []
        for digest in map(bytes.fromhex, digests):
            found.append(digest in self._known)
            self._known.add(digest)
        return np.array(found, dtype=bool)


def mark(rows: pl.DataFrame, found: Sequence[Content], digests: Digests) -> pl.DataFrame:
    """Flag rows outside all counts, and remove the class columns of pictures without a single cell.

    Args:
        rows: N rows of `inference.rows.cell_schema`, the next in input order.
        found: content of their pictures.
        digests: of the earlier rows; the digests of ``rows`` are added.

    Returns:
        The same rows, with their flags and the column ``content``.
    """
    kinds = pl.Series("kind", [None if one.kind == "cell" else one.kind for one in found], pl.String)
    causes = pl.Series("content", [one.cause or None for one in found], pl.String)
    copies = pl.Series("copy", digests.copies(rows["digest"]), pl.Boolean)
    if not copies.any() and kinds.null_count() == len(rows):
        return rows  # the usual case
    told = rows.with_columns(causes, kind=kinds, copy=copies)
    of_a_class = [name for name in rows.columns if name not in _KEPT]
    own = pl.col("flags").str.split(";")
    kept = pl.when(pl.col("kind").is_null()).then(own).otherwise(own.list.set_difference(list(_OF_A_CLASS)))
    first = pl.concat_list("kind", pl.when("copy").then(pl.lit(DUPLICATE)))
    flags = pl.concat_list(first, kept).list.drop_nulls().list.eval(pl.element().filter(pl.element() != ""))
    return told.with_columns(
        *(pl.when(pl.col("kind").is_null()).then(pl.col(name)).alias(name) for name in of_a_class),
        flags=flags.list.join(";"),
    ).drop("kind", "copy")
