"""Rows of classified cells with known classes and probabilities."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from leukopy.inference.rows import CELL_SCHEMA
from leukopy.taxonomy import COARSE, FINE, coarse_matrix


def classified_cells(counts: dict[str, int], folder: Path = Path("/nowhere")) -> pl.DataFrame:
    """``counts`` cells per fine class; the n-th of a class is the more certain, the larger n."""
    codes = [cell.code for cell in FINE]
    rows = []
    for code, count in counts.items():
        index = codes.index(code)
        for number in range(count):
            share = 0.5 + 0.5 * (number + 1) / (count + 1)
            fine = np.full(11, (1 - share) / 20)
            fine[index] = share
            fine[(index + 1) % 11] += (1 - share) / 2  # the second choice is the next class
            coarse = fine @ coarse_matrix()
            probabilities = {cell.code: value for cell, value in zip((*COARSE, *FINE), (*coarse, *fine), strict=True)}
            rows.append({
                "cell_id": f"slide/{code}_{number:03}.png",
                "path": str(folder / f"{code}_{number:03}.png"),
                "coarse": FINE[index].coarse,
                "fine": code,
                "confidence": float(coarse.max()),
                "fine_confidence": share,
                "flags": "uncertain" if share < 0.6 else "",
                "width": 40,
                "height": 30,
                "digest": "0" * 64,
                **{f"p_{name}": value for name, value in probabilities.items()},
            })  # fmt: skip
    return pl.DataFrame(rows, schema=CELL_SCHEMA)
