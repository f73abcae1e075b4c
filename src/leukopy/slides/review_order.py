"""Order in which a reader looks at a slide's cells: first those whose class is most likely wrong or weighs most.

The score is a sum of log-odds of an error: of the fine and of the coarse class, with additions for cells beside a
neighbouring stage, for attributes that contradict the class, for unidentified cells, and for classes that are rare on
the slide, where one error changes the count most. Blasts gain most by being rare.
"""

from __future__ import annotations

from collections.abc import Collection

import polars as pl

from leukopy.core.settings import Settings
from leukopy.inference.rows import counted_code, is_counted, is_unidentified
from leukopy.taxonomy import BLASTS, FINE, OUTSIDE, outside_classes

REVIEW_RANK = "review_rank"

RANK_SCHEMA: dict[str, pl.DataType] = {
    REVIEW_RANK: pl.Int32(),  # 1 for the cell to look at first; null for rows that counts exclude
}
"""Column of the cells of an analysed slide."""

STAGES = ("BNE", "MMY", "MY", "PMY")
"""Stages of one line, each beside another; segmented neutrophils are the usual end of it."""

_GRANULAR = {"NEU": "yes", "EO": "yes", "BA": "yes", "LY": "no", "MO": "no"}
"""Coarse class -> ``granularity`` (`taxonomy.ATTRIBUTES`) of its cells."""

_CODES = (*FINE, *(cell for cell in OUTSIDE if cell.coarse is None))
_LEAST = 1e-4


class ReviewWeights(Settings):
    """Weights of the score, in log-odds.

    Fitted by logistic regression to the errors on validation slides of PBC in a usual mixture and on patients of
    hopkins, with as much weight for each; rounded. ``critical_rarity`` is set, not fitted.
    """

    fine: float = 0.25
    """Of the log-odds that the fine class is wrong."""
    coarse: float = 0.6
    """Of the log-odds that the coarse class is wrong."""
    stage: float = 2.6
    """Added for a class of `STAGES`."""
    attributes: float = 1.7
    """Times the probability that the granules contradict the class."""
    unidentified: float = 4.0
    """Added for an unidentified cell."""
    rarity: float = 0.2
    """Of the logarithm of the class's share of the slide, subtracted."""
    critical_rarity: float = 1.0
    """The same for blasts."""


def review_ranks(cells: pl.LazyFrame, weights: ReviewWeights | None = None) -> pl.Series:
    """Place of each cell in the order of the review, slide by slide: ``review_rank``, 1 first, in the order of rows.

    Args:
        cells: rows of ``CELL_SCHEMA``, whole slides; ``fine``, ``flags`` and the ``p_`` columns of the fine classes are
            needed, those of classes outside, ``attr_granularity``, ``attr_granularity_p`` and ``slide`` are used where
            present. One number for each row is held in memory.
        weights: of the score; by default those that ship.

    Returns:
        Int32, null for rows that counts exclude (no single cell, duplicates).
    """
    weights = weights or ReviewWeights()
    columns = cells.collect_schema().names()
    scored = cells.select(
        slide=pl.col("slide") if "slide" in columns else pl.lit(None, pl.String),
        code=counted_code(),
        critical=pl.col("fine").is_in(BLASTS),
        score=pl.when(is_counted()).then(_error_score(columns, weights)),
    ).collect(engine="streaming")
    share = (pl.len().over("slide", "code") + 1) / (pl.col("code").count().over("slide") + len(_CODES))
    rarity = pl.when("critical").then(weights.critical_rarity).otherwise(weights.rarity)
    rank = (pl.col("score") - rarity * share.log()).rank("ordinal", descending=True).over("slide")
    return scored.select(rank.cast(RANK_SCHEMA[REVIEW_RANK]).alias(REVIEW_RANK)).to_series()


def _error_score(columns: Collection[str], weights: ReviewWeights) -> pl.Expr:
    """The part of the score that depends on the cell alone."""
    score = weights.fine * _log_odds(1 - _probability(columns, fine=True))
    score += weights.coarse * _log_odds(1 - _probability(columns, fine=False))
    score += weights.stage * pl.col("fine").is_in(STAGES).cast(pl.Float64)
    score += weights.unidentified * is_unidentified().cast(pl.Float64)
    if {"attr_granularity", "attr_granularity_p"} <= set(columns):
        score += weights.attributes * contradiction()
    return score


def _probability(columns: Collection[str], *, fine: bool) -> pl.Expr:
    """Probability of the cell's fine class, or of its coarse class; the highest one for a class without a column."""
    declared = (cell for cell in outside_classes() if cell not in OUTSIDE)
    known = [cell for cell in (*_CODES, *declared) if f"p_{cell.code}" in columns]
    own = []
    for cell in known:
        same = [one for one in known if one is cell or (not fine and cell.coarse and one.coarse == cell.coarse)]
        summed = pl.sum_horizontal(pl.col(f"p_{one.code}").cast(pl.Float64) for one in same)
        own.append(pl.when(pl.col("fine") == cell.code).then(summed))
    return pl.coalesce(*own, pl.max_horizontal(f"p_{cell.code}" for cell in known).cast(pl.Float64))


def _log_odds(probability: pl.Expr) -> pl.Expr:
    bounded = probability.fill_nan(1).clip(_LEAST, 1 - _LEAST)
    return (bounded / (1 - bounded)).log()


def contradiction() -> pl.Expr:
    """Rows with attributes: probability that a cell has granules where its class has none, or the reverse; else 0."""
    coarse = {cell.code: _GRANULAR[cell.coarse] for cell in FINE if cell.coarse in _GRANULAR}
    usual = pl.col("fine").replace_strict(coarse, default=None, return_dtype=pl.String)
    found = pl.col("attr_granularity_p").cast(pl.Float64)
    against = pl.when(pl.col("attr_granularity") == usual).then(1 - found).otherwise(found)
    return pl.when(usual.is_not_null()).then(against).fill_null(0)
