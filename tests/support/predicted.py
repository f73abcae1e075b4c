"""Rows as a classifier gives them, for stations that need no model."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from leukopy.inference.rows import CELL_SCHEMA, FAILURE_SCHEMA, Predictions


def predictions(codes: Sequence[str | None], flags: Sequence[str] = ()) -> Predictions:
    """Cell n has the n-th class with 0.9; None: none. ``flags``: of the n-th cell, where there are as many."""
    rows = []
    for number, code in enumerate(codes, start=1):
        values: dict[str, object] = {name: 0.0 if kind == pl.Float32 else "" for name, kind in CELL_SCHEMA.items()}
        values |= {"cell_id": str(number), "coarse": code, "fine": code, "width": 64, "height": 64}
        values |= {"fine_confidence": 0.9 if code else None, f"p_{code or 'LY'}": 0.9}
        rows.append(values | {"flags": flags[number - 1] if flags else ""})
    return Predictions(pl.DataFrame(rows, schema=CELL_SCHEMA), pl.DataFrame(schema=FAILURE_SCHEMA))
