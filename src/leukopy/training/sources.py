"""One table of training and validation cells from the sources of a recipe."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from leukopy.bundle import DatasetUse
from leukopy.core.errors import TrainingError
from leukopy.datasets import DATASETS, MANIFEST_SCHEMA, open_dataset
from leukopy.taxonomy import COARSE, FINE, find, fine_members
from leukopy.training.settings import Recipe, Source, TrainSettings

DRAWN = "drawn"


def list_training_cells(recipe: Recipe, data: Path) -> pl.DataFrame:
    """Manifest of the cells that training and validation may read: columns of ``MANIFEST_SCHEMA``, with a split; and
    ``crop``, null where it is that of the model.

    Test images, images without label, classes outside the taxonomy and those of ``recipe.without`` are left out here,
    for every later step.

    Raises:
        TrainingError: a source has no image to train on, no image validates, or all are of one class.
    """
    return with_test(recipe, data).filter(pl.col("split") != "test")


def with_test(recipe: Recipe, data: Path) -> pl.DataFrame:
    """List the cells of ``list_training_cells`` and the test images: for a run that trains and tests at once."""
    tables = [
        (_drawn(source, recipe.seed) if source.dataset == DRAWN else _public(source, recipe, data)).with_columns(
            crop=pl.lit(source.crop, pl.Float64)
        )
        for source in recipe.sources
    ]
    cells = pl.concat(tables)
    unseen = {index for code in recipe.without for index in fine_members(code)}
    if unseen:
        kept = [not unseen.intersection(fine_members(code)) for code in cells["code"]]
        cells = cells.filter((pl.col("split") == "test") | pl.Series(kept))
    if recipe.level == "coarse":
        cells = cells.with_columns(pl.col("code").map_elements(_coarse_code, return_dtype=pl.String()))
    for source in recipe.sources:
        of_source = cells.filter(pl.col("source") == source.dataset)
        if of_source.filter(pl.col("split") == "train").is_empty():
            raise TrainingError(f"source {source.dataset!r}: no labelled training image under {source.root or data}.")
    if cells.filter(pl.col("split") == "val").is_empty():
        raise TrainingError("no validation image: raise a source's validation_share, or give a split column.")
    check_classes(cells.filter(pl.col("split") == "train")["code"])
    return cells


def check_classes(codes: pl.Series) -> None:
    """Refuse training images for which one class would always be right.

    Args:
        codes: their labels, fine or coarse.

    Raises:
        TrainingError: such images, or none.
    """
    if codes.is_empty():
        raise TrainingError("no training image can be decoded: failures.csv says why.")
    labels = codes.unique().sort()
    if member_matrix(labels).all(axis=0).any():
        raise TrainingError(
            f"all {len(codes)} training images are {' or '.join(labels)}: one answer is right for every one, so that "
            "there is nothing to learn. Add images of other classes."
        )


def _coarse_code(code: str) -> str:
    return str(find(code).coarse)


def _public(source: Source, recipe: Recipe, data: Path) -> pl.DataFrame:
    cells = open_dataset(source.dataset, data / source.root)
    known = [cell.code for cell in (*FINE, *COARSE)]
    cells = cells.filter(pl.col("code").is_in(known)).with_columns(source=pl.lit(source.dataset))
    if cells["split"].null_count() == 0:
        return cells
    return cells.with_columns(split=_split_by_group(cells, source.validation_share, recipe.seed))


def _split_by_group(cells: pl.DataFrame, share: float, seed: int) -> pl.Series:
    """Send whole groups to validation, by a hash: stable when images are added."""
    groups = cells["group"].fill_null(cells["cell_id"])
    sides = []
    for group in groups:
        hashed = int.from_bytes(hashlib.sha256(f"{seed}/{group}".encode()).digest()[:4], "big")
        sides.append("val" if hashed / 2**32 < share else "train")
    return pl.Series("split", sides)


def _drawn(source: Source, seed: int) -> pl.DataFrame:
    """Rows of cells that are yet to be drawn: ``path`` is ``drawn:<code>:<seed>``. All train, none validates."""
    codes = [FINE[index % len(FINE)].code for index in range(source.images)]
    names = [f"{DRAWN}:{code}:{seed * 1_000_000 + index}" for index, code in enumerate(codes)]
    known = {"cell_id": names, "path": names, "label": codes, "code": codes}
    known |= {"source": [DRAWN] * len(names), "split": ["train"] * len(names)}
    unknown = [None] * len(names)
    return pl.DataFrame({name: known.get(name, unknown) for name in MANIFEST_SCHEMA}, schema=MANIFEST_SCHEMA)


def member_matrix(codes: pl.Series) -> NDArray[np.bool_]:
    """bool (N, F): the fine classes that each label may stand for."""
    matrix = np.zeros((len(codes), len(FINE)), dtype=bool)
    for row, code in enumerate(codes):
        matrix[row, list(fine_members(code))] = True
    return matrix


def sampling_weights(cells: pl.DataFrame, settings: TrainSettings) -> NDArray[np.float64]:
    """float (N,): the chance of each row, so that sources have their shares and classes are balanced within each."""
    counts = cells.group_by("source", "code").agg(pl.len().alias("n"))
    weights = cells.join(counts, on=["source", "code"], how="left", maintain_order="left")
    weights = weights.with_columns(weight=pl.col("n").cast(pl.Float64) ** -settings.optimisation.class_balance)
    shares = {source.dataset: source.share for source in settings.sources}
    within = pl.col("weight") / pl.col("weight").sum().over("source")
    return (
        weights.select(within * pl.col("source").replace_strict(shares, return_dtype=pl.Float64)).to_series().to_numpy()
    )


def uses(cells: pl.DataFrame, earlier: tuple[DatasetUse, ...] = ()) -> tuple[DatasetUse, ...]:
    """Model-card entries of the training data.

    Args:
        cells: the training cells.
        earlier: entries of the run that it started from.
    """
    rows: list[DatasetUse] = []
    for source, count in cells.group_by("source", maintain_order=True).agg(pl.len()).iter_rows():
        if source == DRAWN:
            rows.append(DatasetUse(name="drawn by leukopy", licence="Apache-2.0", citation="leukopy", images=count))
        else:
            card = DATASETS[source].card
            rows.append(DatasetUse(name=card.title, licence=card.licence, citation=card.citation, images=count))
    now = {row.name: row for row in rows}
    # Of a data set of both runs the larger share: they are mostly the same images.
    both = [row for row in earlier if row.name not in now or row.images > now[row.name].images]
    return tuple({**now, **{row.name: row for row in both}}.values())
