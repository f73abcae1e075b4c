"""Red cells of known shape: the points of Chula RBC-12, with the one split of its fields.

The split is the detector's (`datasets.field_split`), so that no network saw a test field. 43 fields show an area of an
earlier field again, as a copy or shifted (normalised cross-correlation of all pairs within 70 fields, then by eye);
``rbc12_repeats.csv`` lists them, and they are left out. The source names no slides: neighbouring fields may show one
slide on both sides of the split.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from leukopy.core.errors import InputError
from leukopy.core.text import read_text
from leukopy.datasets.field_split import field_split
from leukopy.taxonomy.red_cell_shapes import SHAPES

REPEATS_FILE = "rbc12_repeats.csv"
UM_PER_PX = 0.19
"""Of the scale bar that is burnt into some of the pictures."""
_ROOT = "fields/chula_rbc12"


@dataclass(frozen=True, eq=False)
class PointedField:
    """One field with a point on red cells of known shape."""

    file: str
    """Path below the data folder."""
    centres: NDArray[np.float64]
    """(n, 2): x and y in pixels."""
    shapes: NDArray[np.int64]
    """(n,): index in ``SHAPES``."""


def repeats() -> dict[str, str]:
    """Field -> the earlier field whose area it shows again; paths below the data folder."""
    text = (files("leukopy.datasets") / REPEATS_FILE).read_text(encoding="utf-8")
    rows = csv.DictReader(text.splitlines())
    return {f"{_ROOT}/{row['file']}": f"{_ROOT}/{row['shows_again']}" for row in rows}


def pointed_fields(data: Path, split: str | None = None, *, repeated: bool = False) -> list[PointedField]:
    """The fields of RBC-12 in a split (None: in all), in the order of its table.

    Args:
        data: the data folder.
        split: ``train``, ``val`` or ``test``.
        repeated: keep the fields that show an area again.

    Raises:
        InputError: the table cannot be read, or gives a shape another number.
    """
    path = data / _ROOT / "points.csv"
    numbers = {shape.rbc12: place for place, shape in enumerate(SHAPES)}
    points: dict[str, list[tuple[float, float, int]]] = {}
    for line, row in enumerate(csv.DictReader(read_text(path).splitlines()), start=2):
        try:
            point = float(row["x"]), float(row["y"]), numbers[int(row["rbc_type"])]
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"{path}: line {line}: no point of a known shape ({error}). Check LEUKOPY_DATA."
            ) from error
        points.setdefault(f"{_ROOT}/{row['file']}", []).append(point)
    splits, again = field_split(), repeats()
    return [
        PointedField(file, np.array([each[:2] for each in own]), np.array([each[2] for each in own]))
        for file, own in points.items()
        if (repeated or file not in again) and split in (None, splits.get(file))
    ]
