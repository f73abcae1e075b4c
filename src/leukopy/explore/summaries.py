"""The tables of an exploration: counts, spreads by class and source, and outliers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import polars as pl

from leukopy.imaging.measures import Feature
from leukopy.taxonomy import FINE, display_order, find, fine_members

NO_LABEL = "no label"
"""The class of cells that carry none."""
GROUP = ("class", "source")
REACH = 1.5
"""Tukey's fences lie this many interquartile ranges beyond the quartiles (Tukey, Exploratory Data Analysis, 1977)."""
ENOUGH = 8
"""Cells of a class and source below which quartiles say too little to call one of them an outlier."""


def in_order(codes: Iterable[str]) -> list[str]:
    """Class codes in the order of a differential; a coarse class before its members, unlabelled cells last."""

    order = display_order()

    def place(code: str) -> tuple[int, int]:
        if code == NO_LABEL:
            return len(order), 0
        members = [FINE[index].code for index in fine_members(code)] or [code]
        return min(map(order.index, members)), -len(members)

    return sorted(set(codes), key=place)


def class_name(code: str) -> str:
    """The name of a class in words."""
    return code if code == NO_LABEL else find(code).name


def to_level(code: str | None, level: str) -> str:
    """The class that a cell is shown under: as labelled, or at the coarse classes."""
    if code is None:
        return NO_LABEL
    return (find(code).coarse or code) if level == "coarse" else code


def count_classes(cells: pl.DataFrame) -> pl.DataFrame:
    """Cells by source and class as labelled, classes in display order."""
    counts = cells.with_columns(pl.col("code").fill_null(NO_LABEL)).group_by("source", "code").len("cells")
    order = pl.col("code").replace_strict({code: at for at, code in enumerate(in_order(counts["code"]))})
    counts = counts.sort(order, "source")
    return counts.with_columns(name=pl.Series([class_name(code) for code in counts["code"]], dtype=pl.String))


def count_sizes(cells: pl.DataFrame) -> pl.DataFrame:
    """Images by source, width and height in pixels, the most frequent first."""
    return (
        cells.group_by("source", "width", "height")
        .len("images")
        .sort("source", "images", "width", "height", descending=[False, True, False, False])
    )


def spreads(cells: pl.DataFrame, features: Sequence[Feature]) -> pl.DataFrame:
    """Mean, quartiles, fences and whiskers of each feature by class and source.

    Returns:
        One row per class, source and feature. ``low`` and ``high`` are Tukey's fences, null for fewer than ``ENOUGH``
        cells; ``whisker_low`` and ``whisker_high`` the outermost cells within them; ``unmeasured`` counts cells without
        the feature (no nucleus found).
    """
    parts = [_spread(cells, feature) for feature in features]
    order = pl.col("class").replace_strict({code: at for at, code in enumerate(in_order(cells["class"]))})
    return pl.concat(parts).sort(order, "source", maintain_order=True)


def _spread(cells: pl.DataFrame, feature: Feature) -> pl.DataFrame:
    value = pl.col(feature.name)
    quartiles = cells.group_by(*GROUP).agg(
        feature=pl.lit(feature.name),
        unit=pl.lit(feature.unit),
        cells=value.count(),
        unmeasured=value.null_count(),
        mean=value.mean(),
        deviation=value.std(),
        q1=value.quantile(0.25, "linear"),
        median=value.median(),
        q3=value.quantile(0.75, "linear"),
    )
    reach = pl.when(pl.col("cells") >= ENOUGH).then(REACH * (pl.col("q3") - pl.col("q1")))
    fenced = quartiles.with_columns(low=pl.col("q1") - reach, high=pl.col("q3") + reach)
    inside = (
        cells.select(*GROUP, feature.name)
        .join(fenced.select(*GROUP, "low", "high"), on=GROUP)
        .filter(value.is_between("low", "high") | pl.col("low").is_null())
    )
    whiskers = inside.group_by(*GROUP).agg(whisker_low=value.min(), whisker_high=value.max())
    return fenced.join(whiskers, on=GROUP, how="left")


def outliers(cells: pl.DataFrame, spread: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
    """Cells beyond Tukey's fences of their own class and source, the farthest first.

    Args:
        cells: with ``cell_id``, ``class``, ``source`` and the features.
        spread: their rows from `spreads`.
        names: features to test.

    Returns:
        One row per cell and feature: ``row`` (of ``cells``), ``value``, the fences, ``side`` (low, high) and
        ``distance`` beyond the fence in interquartile ranges.
    """
    found = []
    for name in names:
        fences = spread.filter(pl.col("feature") == name).select(*GROUP, "q1", "q3", "low", "high")
        value = pl.col("value")
        found.append(
            cells.with_row_index("row")
            .select("row", "cell_id", *GROUP, feature=pl.lit(name), value=name)
            .join(fences, on=GROUP)
            .filter((value < pl.col("low")) | (value > pl.col("high")))
            .with_columns(
                side=pl.when(value < pl.col("low")).then(pl.lit("low")).otherwise(pl.lit("high")),
                distance=pl.max_horizontal(pl.col("low") - value, value - pl.col("high"))
                / pl.max_horizontal(pl.col("q3") - pl.col("q1"), pl.lit(1e-6)),
            )
            .drop("q1", "q3")
        )
    order = pl.col("class").replace_strict({code: at for at, code in enumerate(in_order(cells["class"]))})
    return pl.concat(found).sort(order, -pl.col("distance"), "cell_id")
