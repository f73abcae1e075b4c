"""The rows that inference reads and writes: one per input, one per classified cell, one per failed input."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray
from PIL import Image

from leukopy.bundle import Card
from leukopy.imaging.appearance import APPEARANCE_FEATURES
from leukopy.imaging.content import NO_CELL, SEVERAL_CELLS
from leukopy.imaging.decode import Box
from leukopy.taxonomy import ATTRIBUTES, COARSE, FINE

PROBABILITY_CODES: tuple[str, ...] = tuple(dict.fromkeys(cell.code for cell in (*FINE, *COARSE)))
"""The fine codes, then NEU and IG; the other coarse classes are fine classes too."""

CELL_SCHEMA: dict[str, pl.DataType] = {
    "cell_id": pl.String(),
    "path": pl.String(),
    "slide": pl.String(),  # name of its slide; null where the cells are of one slide without a name
    "coarse": pl.String(),  # coarse class: highest summed probability
    "fine": pl.String(),  # fine class: highest probability among the members of coarse
    "confidence": pl.Float32(),  # calibrated probability of coarse
    "fine_confidence": pl.Float32(),  # calibrated probability of fine
    "flags": pl.String(),  # words joined by ";", empty where there is nothing to say
    "content": pl.String(),  # why the picture shows no single cell, so that it has no class; null where it shows one
    **{f"p_{code}": pl.Float32() for code in PROBABILITY_CODES},
    "width": pl.Int32(),  # px, as stored
    "height": pl.Int32(),
    "digest": pl.String(),  # sha256 of the file
}

ATTRIBUTE_SCHEMA: dict[str, pl.DataType] = {
    "why": pl.String(),  # the cell in words: the attributes that are sure enough to be said
    **{f"attr_{attribute.name}": pl.String() for attribute in ATTRIBUTES},  # its most probable value
    **{f"attr_{attribute.name}_p": pl.Float32() for attribute in ATTRIBUTES},  # calibrated probability of that value
}
"""More columns of a classified cell, where the bundle judges attributes; null for cells of a class that has none."""

SET_SCHEMA: dict[str, pl.DataType] = {
    "fine_set": pl.String(),  # fine classes joined by ";", the most probable first: the cell's is among them in 90 %
}
"""One more column of a classified cell, where the bundle's card holds the threshold."""

OOD_SCHEMA: dict[str, pl.DataType] = {
    # How unlike every known class, among the cells of its slide, in units of the threshold: above 1 it is unidentified.
    "ood_score": pl.Float32(),
    "unidentified_reason": pl.String(),  # in words; null for cells that are not unidentified
}
"""More columns of a classified cell, where the bundle knows what it does not know."""

APPEARANCE_SCHEMA: dict[str, pl.DataType] = {f"look_{measure}": pl.Float32() for measure in APPEARANCE_FEATURES}
"""How each cell's picture looks, its class accounted for: what slides are judged by. Kept in the parts of a run, never
in its tables."""

UNIDENTIFIED = "unidentified"
"""The flag of a cell that is stranger than the threshold. Its classes stay the best guess; no count relies on them."""

DUPLICATE = "duplicate"
"""The flag of a cell whose file is, byte for byte, that of an earlier row. It has its class, and no count holds it."""

LEFT_OUT = (NO_CELL, SEVERAL_CELLS, DUPLICATE)
"""Flags of rows that no count holds; a row with several of them is told under the first. Those of content have no
class: all that would tell of one is null."""

FAILURE_SCHEMA: dict[str, pl.DataType] = {
    "cell_id": pl.String(),
    "path": pl.String(),
    "reason": pl.String(),  # the short fixed word of ImageError
    "message": pl.String(),  # one sentence: what, where, what to do
}


def cell_schema(card: Card) -> dict[str, pl.DataType]:
    """The columns of the cells that a bundle classifies."""
    sets = SET_SCHEMA if card.thresholds.set_from is not None else {}
    strange = OOD_SCHEMA if card.open_set else {}
    return CELL_SCHEMA | sets | strange | (ATTRIBUTE_SCHEMA if card.attributes else {})


def has_flag(flag: str) -> pl.Expr:
    """Of rows of ``CELL_SCHEMA``: whether the cell is flagged so."""
    return pl.col("flags").str.split(";").list.contains(flag)


def is_unidentified() -> pl.Expr:
    """Of rows of ``CELL_SCHEMA``: whether the cell is flagged `UNIDENTIFIED`."""
    return has_flag(UNIDENTIFIED)


def is_duplicate() -> pl.Expr:
    """Of rows of ``CELL_SCHEMA``: whether the cell is flagged `DUPLICATE`."""
    return has_flag(DUPLICATE)


def is_counted() -> pl.Expr:
    """Of rows of ``CELL_SCHEMA``: whether counts hold the cell: it has none of the flags `LEFT_OUT`."""
    return ~pl.any_horizontal(has_flag(flag) for flag in LEFT_OUT)


def left_out_flag() -> pl.Expr:
    """Of rows of ``CELL_SCHEMA``: the first of the flags `LEFT_OUT` that the row has; null where it is counted."""
    return pl.coalesce(pl.when(has_flag(flag)).then(pl.lit(flag)) for flag in LEFT_OUT)


def counted_code() -> pl.Expr:
    """Of rows of ``CELL_SCHEMA``: the class that a cell is counted in, its fine one or ``UNIDENTIFIED``; null where no
    count holds it."""
    code = pl.when(is_unidentified()).then(pl.lit("UNIDENTIFIED")).otherwise(pl.col("fine"))
    return pl.when(is_counted()).then(code)


def without_class(cells: pl.DataFrame) -> pl.DataFrame:
    """The rows of ``CELL_SCHEMA`` that have no class, as rows of ``FAILURE_SCHEMA``: for what needs a class of each."""
    cause = pl.coalesce("content", pl.lit("holds no single cell"))
    return cells.filter(pl.col("fine").is_null()).select(
        "cell_id", "path", reason=left_out_flag(), message=pl.format("{}: {}.", "path", cause)
    )


class CellInput(NamedTuple):
    """One cell to classify."""

    cell_id: str
    path: str
    """As the operating system gives it, even where that is no valid UTF-8."""
    slide: str = ""
    """Name of its slide; empty where the cells are of one slide without a name."""
    field: str = ""
    """Path of the picture of its field of view; empty where the picture is the cell."""
    box: Box | None = None
    """Where it lies in the picture of the path; None: the picture is the cell."""


@dataclass(frozen=True)
class Predictions:
    """What became of some cells: each is in exactly one of the two tables."""

    cells: pl.DataFrame
    failures: pl.DataFrame
    appearance: pl.DataFrame | None = None
    """``APPEARANCE_SCHEMA``, one row for each of ``cells``; None where the bundle has no check of slides."""
    views: Sequence[Image.Image] = ()
    """Small pictures of ``cells``; none where the rows were read from a file."""
    outputs: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    """Outputs of the network for ``cells``, as far as they were asked for."""

    def __len__(self) -> int:
        """Inputs that are done: classified or failed."""
        return len(self.cells) + len(self.failures)

    @classmethod
    def concat(cls, parts: Sequence[Predictions]) -> Predictions:
        """Rows and outputs of several parts, without their views; the first part may be empty."""
        appearance = [part.appearance for part in parts if part.appearance is not None]
        names = {name: None for part in parts for name in part.outputs}
        return cls(
            pl.concat([part.cells for part in parts]),
            pl.concat([part.failures for part in parts]),
            pl.concat(appearance) if appearance else None,
            outputs={name: np.concatenate([part.outputs[name] for part in parts if part.outputs]) for name in names},
        )


def printable(path: str) -> str:
    r"""``path`` with every byte that is no UTF-8 written as ``\xNN``, fit for a table."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
