"""Examples of an evaluation: the cells that the page shows, and the doubtful labels."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from leukopy.core.errors import MissingExtraError
from leukopy.evaluation.agreement import at_level
from leukopy.evaluation.classification import Confusion
from leukopy.evaluation.label_quality import label_quality
from leukopy.taxonomy import CellClass, level_key

LABEL_SCHEMA: dict[str, pl.DataType] = {
    "level": pl.String(),  # coarse or fine
    "cell_id": pl.String(),
    "source": pl.String(),
    "given": pl.String(),  # class code that the label says at this level
    "predicted": pl.String(),
    "confidence": pl.Float64(),  # calibrated probability of the predicted class
    "quality": pl.Float64(),  # of the label, 0 to 1; null where `cleanlab` is missing
    "contradicted_by": pl.String(),  # "model", "copy" or "model;copy"
    "copies": pl.String(),  # cell ids of identical files, joined by ";"
    "copies_given": pl.String(),  # their labels, in the same order
}
"""The columns of ``label_errors.csv``."""


def level_rows(rows: pl.DataFrame, classes: Sequence[CellClass]) -> pl.DataFrame:
    """The cells whose truth is known at a level, read at that level.

    Args:
        rows: of ``CELL_SCHEMA``, with ``truth`` (class code) and ``source``.
        classes: ``FINE`` or ``COARSE``.

    Returns:
        ``cell_id``, ``path``, ``source``, ``digest``, ``given``, ``predicted``, ``confidence``, and ``p_CODE`` of each
        class in taxonomy order.
    """
    said = {code: at_level(code, classes) for code in rows["truth"].unique()}
    fine = level_key(classes) == "fine"
    return rows.select(
        "cell_id", "path", "source", "digest",
        given=pl.col("truth").replace_strict(said, return_dtype=pl.String),
        predicted="fine" if fine else "coarse",
        confidence="fine_confidence" if fine else "confidence",
        **{f"p_{cell.code}": f"p_{cell.code}" for cell in classes},
    ).drop_nulls("given")  # fmt: skip


def confused(level: pl.DataFrame, pair: Confusion, count: int) -> pl.DataFrame:
    """The ``count`` most confident cells of a confusion, among the rows of `level_rows`."""
    cells = level.filter(given=pair.truth, predicted=pair.predicted)
    return cells.sort("confidence", "cell_id", descending=[True, False]).head(count)


def doubtful_labels(rows: pl.DataFrame, levels: Sequence[Sequence[CellClass]]) -> tuple[pl.DataFrame, str | None]:
    """Labels that the model confidently contradicts, and those that an identical file contradicts.

    The predictions must be out of sample: a model has learnt the labels it was trained on, wrong ones too.

    Args:
        rows: as for `level_rows`.
        levels: ``COARSE``, ``FINE`` or both.

    Returns:
        Rows of ``LABEL_SCHEMA``, level by level, the worst label first; and why the model could judge none, where
        `cleanlab` is not installed.
    """
    tables, note = [pl.DataFrame(schema=LABEL_SCHEMA)], None
    for classes in levels:
        level = _with_copies(level_rows(rows, classes))
        judged = level.with_columns(quality=pl.lit(None), model=pl.lit(value=False))
        if level["given"].n_unique() > 1:
            try:
                judged = _judged(level, classes)
            except MissingExtraError as error:
                note = f"Labels were not checked against the model: {error}."
        tables.append(_table(judged, classes))
    return pl.concat(tables), note


def _judged(level: pl.DataFrame, classes: Sequence[CellClass]) -> pl.DataFrame:
    position = {cell.code: index for index, cell in enumerate(classes)}
    labels = level["given"].replace_strict(position, return_dtype=pl.Int64).to_numpy()
    quality, issues = label_quality(labels, level.select(f"p_{cell.code}" for cell in classes).to_numpy())
    return level.with_columns(quality=pl.Series(quality), model=pl.Series(issues))


def _with_copies(level: pl.DataFrame) -> pl.DataFrame:
    """``copies``, ``copies_given`` and whether one of them says something else, ``copy``, for each row."""
    same = level.select("digest", copies="cell_id", copies_given="given")
    others = level.join(same, on="digest").filter(pl.col("cell_id") != pl.col("copies"))
    copies = others.group_by("cell_id", maintain_order=True).agg(
        pl.col("copies", "copies_given").str.join(";"), copy=(pl.col("given") != pl.col("copies_given")).any()
    )
    return level.join(copies, on="cell_id", how="left", maintain_order="left").with_columns(
        pl.col("copy").fill_null(value=False)
    )


def _table(judged: pl.DataFrame, classes: Sequence[CellClass]) -> pl.DataFrame:
    reasons = (pl.when(name).then(pl.lit(name)) for name in ("model", "copy"))
    found = judged.filter(pl.col("model") | pl.col("copy")).with_columns(
        level=pl.lit(level_key(classes)), contradicted_by=pl.concat_str(*reasons, separator=";", ignore_nulls=True)
    )
    return found.select(pl.col(name).cast(dtype) for name, dtype in LABEL_SCHEMA.items()).sort("quality", "cell_id")
