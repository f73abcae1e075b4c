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
    "flags": pl.String(),  # words joined by ";", empty without a flag
    "content": pl.String(),  # cause that the picture has no class (no cell, several cells); null for one cell
    **{f"p_{code}": pl.Float32() for code in PROBABILITY_CODES},
    "width": pl.Int32(),  # px, as stored
    "height": pl.Int32(),
    "digest": pl.String(),  # sha256 of the file
}

ATTRIBUTE_SCHEMA: dict[str, pl.DataType] = {
    "why": pl.String(),  # the cell in words: its attributes above their threshold
    **{f"attr_{attribute.name}": pl.String() for attribute in ATTRIBUTES},  # its most probable value
    **{f"attr_{attribute.name}_p": pl.Float32() for attribute in ATTRIBUTES},  # calibrated probability of that value
}
"""More columns of a classified cell, where the bundle judges attributes; null for cells of a class that has none."""

SET_SCHEMA: dict[str, pl.DataType] = {
    "fine_set": pl.String(),  # fine classes joined by ";", the most probable first: the cell's is among them in 90 %
}
"""Optional column of a classified cell, present where the bundle's card has the threshold."""

OOD_SCHEMA: dict[str, pl.DataType] = {
    # Out-of-distribution score, corrected for the slide, in units of the threshold: above 1 it is unidentified.
    "ood_score": pl.Float32(),
    "unidentified_reason": pl.String(),  # in words; null for cells that are not unidentified
}
"""Optional columns of a classified cell, present where the bundle has an out-of-distribution score."""


def outside_schema(card: Card) -> dict[str, pl.DataType]:
    """Optional columns of a classified cell: the probability of each class outside. With those of the fine classes they
    sum to 1. ``coarse`` and ``fine`` are a class outside where it is more probable than all fine ones together."""
    return {f"p_{code}": pl.Float32() for code in (card.outside.classes if card.outside else ())}


APPEARANCE_SCHEMA: dict[str, pl.DataType] = {f"look_{measure}": pl.Float32() for measure in APPEARANCE_FEATURES}
"""Appearance of each cell's picture, with the effect of its class removed: input of the slide check. Stored in the
parts of a run, never in its tables."""

UNIDENTIFIED = "unidentified"
"""Flag of a cell above the out-of-distribution threshold. Its classes stay the best guess; counts exclude it from
them."""

DUPLICATE = "duplicate"
"""Flag of a cell whose file equals the file of an earlier row, byte for byte. It has a class; counts exclude it."""

LEFT_OUT = (NO_CELL, SEVERAL_CELLS, DUPLICATE)
"""Flags that exclude a row from all counts; a row with several is listed under the first. Rows flagged by content have
no class: their class columns are null."""

FAILURE_SCHEMA: dict[str, pl.DataType] = {
    "cell_id": pl.String(),
    "path": pl.String(),
    "reason": pl.String(),  # the short fixed word of ImageError
    "message": pl.String(),  # one sentence: what, where, what to do
}


def cell_schema(card: Card) -> dict[str, pl.DataType]:
    """Columns of the cells classified by a bundle."""
    sets = SET_SCHEMA if card.thresholds.set_from is not None else {}
    strange = OOD_SCHEMA if card.open_set else {}
    return CELL_SCHEMA | outside_schema(card) | sets | strange | (ATTRIBUTE_SCHEMA if card.attributes else {})


def has_flag(flag: str) -> pl.Expr:
    """Rows of ``CELL_SCHEMA``: true where the cell has this flag."""
    return pl.col("flags").str.split(";").list.contains(flag)


def is_unidentified() -> pl.Expr:
    """Rows of ``CELL_SCHEMA``: true where the cell is flagged `UNIDENTIFIED`."""
    return has_flag(UNIDENTIFIED)


def is_duplicate() -> pl.Expr:
    """Rows of ``CELL_SCHEMA``: true where the cell is flagged `DUPLICATE`."""
    return has_flag(DUPLICATE)


def is_counted() -> pl.Expr:
    """Rows of ``CELL_SCHEMA``: true where counts include the cell: it has none of the flags `LEFT_OUT`."""
    return ~pl.any_horizontal(has_flag(flag) for flag in LEFT_OUT)


def left_out_flag() -> pl.Expr:
    """Rows of ``CELL_SCHEMA``: the first of the flags `LEFT_OUT` of the row; null where it is counted."""
    return pl.coalesce(pl.when(has_flag(flag)).then(pl.lit(flag)) for flag in LEFT_OUT)


def counted_code() -> pl.Expr:
    """Rows of ``CELL_SCHEMA``: the class in which a cell is counted, its fine class or ``UNIDENTIFIED``; null where
    counts exclude it."""
    code = pl.when(is_unidentified()).then(pl.lit("UNIDENTIFIED")).otherwise(pl.col("fine"))
    return pl.when(is_counted()).then(code)


def without_class(cells: pl.DataFrame) -> pl.DataFrame:
    """Rows of ``CELL_SCHEMA`` without a class, as rows of ``FAILURE_SCHEMA``: for analyses that need a class of
    each."""
    cause = pl.coalesce("content", pl.lit("holds no single cell"))
    return cells.filter(pl.col("fine").is_null()).select(
        "cell_id", "path", reason=left_out_flag(), message=pl.format("{}: {}.", "path", cause)
    )


class CellInput(NamedTuple):
    """One cell to classify."""

    cell_id: str
    path: str
    """Path from the operating system, even where it is not valid UTF-8."""
    slide: str = ""
    """Name of its slide; empty where the cells are of one slide without a name."""
    field: str = ""
    """Path of the picture of its field of view; empty where the picture is the cell."""
    box: Box | None = None
    """Position in the picture of the path; None: the picture is the cell."""


@dataclass(frozen=True)
class Predictions:
    """Results of some cells: each is in exactly one of the two tables."""

    cells: pl.DataFrame
    failures: pl.DataFrame
    appearance: pl.DataFrame | None = None
    """``APPEARANCE_SCHEMA``, one row for each of ``cells``; None where the bundle has no slide check."""
    views: Sequence[Image.Image] = ()
    """Small pictures of ``cells``; none where the rows were read from a file."""
    outputs: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    """Requested outputs of the network for ``cells``."""

    def __len__(self) -> int:
        """Number of finished inputs: classified or failed."""
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
    r"""``path`` with every byte that is not UTF-8 written as ``\xNN``, fit for a table."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
