"""The manifest: one row per cell image, whatever the source."""

from __future__ import annotations

import polars as pl

MANIFEST_SCHEMA: dict[str, pl.DataType] = {
    "cell_id": pl.String(),  # "<source>/<path below the root>", unique
    "path": pl.String(),  # absolute
    "source": pl.String(),  # the laboratory or data set
    "label": pl.String(),  # as the source writes it; null where there is none
    "code": pl.String(),  # class code: fine, coarse (NEU, IG) or outside; null where there is none
    "group": pl.String(),  # patient, slide or field: never split; null where unknown
    "split": pl.String(),  # train, val or test; null before a split
    "width": pl.Int32(),  # px, as stored
    "height": pl.Int32(),
    "digest": pl.String(),  # sha256 of the file
}
