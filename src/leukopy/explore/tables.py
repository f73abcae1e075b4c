"""The tables behind the page, for further analysis."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np
import polars as pl

from leukopy.core.files import atomic_path, write_text
from leukopy.explore.findings import Findings
from leukopy.explore.means import RADII
from leukopy.explore.projections import Score
from leukopy.explore.summaries import count_classes, count_sizes
from leukopy.imaging.measures import COLOURS, LIGHT, SHAPES, STAINS

SPREADS = {"luminance": LIGHT, "colours": COLOURS, "stains": STAINS, "morphology": SHAPES}
"""File of spreads by class and source -> its features."""


def write_tables(out: Path, findings: Findings) -> None:
    """Write every table but the failures.

    Raises:
        OutputError: one cannot be written.
    """
    cells = findings.collection.cells
    with atomic_path(out / "features.parquet") as temporary:
        cells.write_parquet(temporary)
    with atomic_path(out / "projections.parquet") as temporary:
        projections(findings).write_parquet(temporary)
    small = {
        "features": cells,
        "classes": count_classes(cells),
        "sizes": count_sizes(cells),
        **{name: findings.spread.filter(pl.col("feature").is_in(features)) for name, features in SPREADS.items()},
        "outliers": findings.outliers.drop("row"),
        "profiles": profiles(findings),
        "scores": pl.DataFrame(
            [asdict(score) for score in findings.scores], schema=list(Score.__annotations__), orient="row"
        ),
    }
    for name, table in small.items():
        write_text(out / f"{name}.csv", table.write_csv(float_precision=6))


def projections(findings: Findings) -> pl.DataFrame:
    """One row per cell of the sample: its coordinates in every plane of every space."""
    coordinates = {
        f"{space.name}_{method.replace('-', '').lower()}_{axis}": points[:, at].astype(np.float32)
        for space in findings.spaces
        for method, points in space.planes.items()
        for at, axis in enumerate("xy")
    }
    return findings.collection.cells.select("cell_id", "class", "source")[findings.sample].with_columns(
        pl.Series(name, values) for name, values in coordinates.items()
    )


def profiles(findings: Findings) -> pl.DataFrame:
    """Luminance (% of white) by distance from the centre (% of the way to the edge), by class and source."""
    rows = [
        (code, source, mean.cells, *ring)
        for (code, source), mean in findings.means.items()
        for ring in zip(RADII.tolist(), mean.profile.tolist(), mean.deviation.tolist(), strict=True)
    ]
    columns = ("class", "source", "cells", "radius_percent", "luminance", "deviation")
    return pl.DataFrame(rows, schema=columns, orient="row")
