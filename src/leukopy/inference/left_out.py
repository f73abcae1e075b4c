"""Rows that no count may hold: copies of a file, and pictures that hold no single cell."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from leukopy.imaging.content import Content
from leukopy.inference.rows import DUPLICATE, UNIDENTIFIED

_KEPT = {"cell_id", "path", "slide", "flags", "content", "width", "height", "digest"}
_OF_A_CLASS = (UNIDENTIFIED, "uncertain")
"""Flags that speak of a class, and fall with it."""


class Digests:
    """The files met so far, by their SHA-256: some 100 bytes for each."""

    def __init__(self, known: Iterable[str] = ()) -> None:
        self._known = {bytes.fromhex(digest) for digest in known}

    def add(self, digests: Iterable[str]) -> None:
        """Files that earlier rows hold."""
        self._known.update(map(bytes.fromhex, digests))

    def copies(self, digests: Iterable[str]) -> NDArray[np.bool_]:
        """Whether each of the next files was met before, (N,): in input order, so that the first of equal ones is the
        one that counts."""
        found = []
        for digest in map(bytes.fromhex, digests):
            found.append(digest in self._known)
            self._known.add(digest)
        return np.array(found, dtype=bool)


def mark(rows: pl.DataFrame, found: Sequence[Content], digests: Digests) -> pl.DataFrame:
    """Flag what no count may hold, and take from pictures without a single cell all that tells of a class.

    Args:
        rows: N rows of `inference.rows.cell_schema`, the next in input order.
        found: what their pictures hold.
        digests: of the rows before; those of ``rows`` are added.

    Returns:
        The same rows, with their flags and the column ``content``.
    """
    kinds = pl.Series("kind", [None if one.kind == "cell" else one.kind for one in found], pl.String)
    causes = pl.Series("content", [one.cause or None for one in found], pl.String)
    copies = pl.Series("copy", digests.copies(rows["digest"]), pl.Boolean)
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
