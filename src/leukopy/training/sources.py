"""One table of training and validation cells from the sources of a recipe."""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from leukopy.bundle import DatasetUse
from leukopy.core.errors import TrainingError
from leukopy.datasets import DATASETS, MANIFEST_SCHEMA, open_dataset
from leukopy.taxonomy import (
    COARSE,
    FINE,
    LABEL_MAPS,
    CellClass,
    LabelMap,
    find,
    fine_members,
    label_map,
    open_label_map,
)
from leukopy.training.settings import PictureRecipe, Recipe, Source

DRAWN = "drawn"

_LOG = logging.getLogger("leukopy.train")


def own_classes_of(recipe: Recipe, data: Path) -> tuple[CellClass, ...]:
    """The laboratory's own classes in the label maps of a recipe.

    Raises:
        ManifestError, SettingsError: a label map is absent or wrong, or two define a class differently.
    """
    maps = [_labels(source, data) for source in recipe.sources if source.dataset != DRAWN]
    return tuple(dict.fromkeys(cell for known in maps for cell in known.own))


def label_map_of(source: Source, data: Path) -> str | None:
    """Name, or absolute path, of the label map of a source; None: the data set's own."""
    if source.label_map is None or source.label_map in LABEL_MAPS:
        return source.label_map
    return str(data / source.label_map)


def _labels(source: Source, data: Path) -> LabelMap:
    base, named = label_map(DATASETS[source.dataset].labels), label_map_of(source, data)
    return base if named is None else open_label_map(named, base)


def list_training_cells(recipe: Recipe, data: Path, outside: tuple[str, ...] = ()) -> pl.DataFrame:
    """Manifest of the cells that training and validation may read: columns of ``MANIFEST_SCHEMA``, with a split; and
    ``crop``, null where it is that of the model.

    Test images, images without label, classes outside save those of ``outside``, and those of ``recipe.without`` are
    left out here, for every later step.

    Raises:
        TrainingError: a source has no image to train on, no image validates, or all are of one class.
    """
    return with_test(recipe, data, outside).filter(pl.col("split") != "test")


def with_test(recipe: Recipe, data: Path, outside: tuple[str, ...] = ()) -> pl.DataFrame:
    """List the cells of ``list_training_cells`` and the test images: for a run that trains and tests at once."""
    tables = [
        (
            _drawn(source, recipe.seed) if source.dataset == DRAWN else _public(source, recipe.seed, data, outside)
        ).with_columns(crop=pl.lit(source.crop, pl.Float64))
        for source in recipe.sources
    ]
    cells = pl.concat(tables)
    if "val" not in cells["split"]:  # a given split without validation: some training images validate
        drawn = [
            _split_by_group(part, source, recipe.seed) for part, source in zip(tables, recipe.sources, strict=True)
        ]
        split = pl.when((pl.col("split") == "train") & (pl.concat(drawn) == "val")).then(pl.lit("val"))
        cells = cells.with_columns(split=split.otherwise("split"))
    if recipe.without:
        cells = cells.filter((pl.col("split") == "test") | ~_may_be(recipe.without, cells["code"]))
    if recipe.level == "coarse":
        cells = cells.with_columns(pl.col("code").map_elements(_coarse_code, return_dtype=pl.String()))
    for source in recipe.sources:
        of_source = cells.filter(pl.col("source") == source.dataset)
        if of_source.filter(pl.col("split") == "train").is_empty():
            raise TrainingError(f"source {source.dataset!r}: no labelled training image under {source.root or data}.")
    if cells.filter(pl.col("split") == "val").is_empty():
        raise TrainingError("no validation image: raise a source's validation_share, or give a split column.")
    check_classes(cells.filter(pl.col("split") == "train")["code"], outside)
    _tell_missing(cells, outside)
    return cells


def _tell_missing(cells: pl.DataFrame, outside: tuple[str, ...]) -> None:
    """Warn of classes with training images and no validation image: no figure of the training is about them."""
    train, val = (set(cells.filter(pl.col("split") == split)["code"]) for split in ("train", "val"))
    if missing := sorted(train - val - set(outside)):
        _LOG.warning("No validation image of %s: the figures of the training leave these classes out.",
                     ", ".join(missing))  # fmt: skip


def check_classes(codes: pl.Series, outside: tuple[str, ...] = ()) -> None:
    """Refuse training images for which one class would always be right.

    Args:
        codes: their labels, fine or coarse, or of ``outside``.
        outside: classes outside that are learnt.

    Raises:
        TrainingError: such images, or none, or none of a class outside.
    """
    if codes.is_empty():
        raise TrainingError("no training image can be decoded: failures.csv says why.")
    labels = codes.unique().sort()
    if missing := [code for code in outside if code not in set(labels)]:
        raise TrainingError(
            f"no training image of {', '.join(missing)}: add images of the class, or take it out of the recipe or its "
            "label map."
        )
    if member_matrix(labels, outside).all(axis=0).any():
        raise TrainingError(
            f"all {len(codes)} training images are {' or '.join(labels)}: one answer is right for every one, so that "
            "there is nothing to learn. Add images of other classes."
        )


def _may_be(classes: tuple[str, ...], codes: pl.Series) -> pl.Series:
    """Whether each label (fine, coarse or of a class outside) may stand for one of some classes, fine or coarse."""
    members = {index for code in classes for index in fine_members(code)}
    found = [not members.isdisjoint(fine_members(code)) for code in codes]
    return pl.Series(found, dtype=pl.Boolean)


def _coarse_code(code: str) -> str:
    return find(code).coarse or code


def _public(source: Source, seed: int, data: Path, outside: tuple[str, ...]) -> pl.DataFrame:
    cells = open_dataset(source.dataset, data / source.root, labels=_labels(source, data))
    if source.left_out:
        gone = read_left_out(source.left_out)
        if not gone.is_in(cells["cell_id"].implode()).any():
            example = cells["cell_id"].head(1).to_list()
            raise TrainingError(f"left_out {source.left_out}: no cell of {source.dataset}; its ids are as {example}.")
        cells = cells.filter(~pl.col("cell_id").is_in(gone.implode()))
    known = [*(cell.code for cell in (*FINE, *COARSE)), *outside]
    taken = cells.filter(pl.col("code").is_in(known)).with_columns(source=pl.lit(source.dataset))
    if len(taken) < len(cells):
        codes = cells.filter(~pl.col("code").is_in(known).fill_null(value=False))["code"].fill_null("no label")
        counts = ", ".join(f"{code}: {count:,}" for code, count in codes.value_counts(sort=True).iter_rows())
        _LOG.warning("%s: images left out of the training, of no class that it learns (%s).", source.dataset, counts)
    if source.without:
        taken = taken.filter(~_may_be(source.without, taken["code"]))
    if taken["split"].null_count() == 0:
        return taken
    return taken.with_columns(split=taken["split"].fill_null(_split_by_group(taken, source, seed)))


def read_left_out(path: Path) -> pl.Series:
    """Ids of the cells that a table of `Source.left_out` names.

    Raises:
        TrainingError: it cannot be read, or has no column ``cell_id``.
    """
    try:
        return pl.read_csv(path, columns=["cell_id"], infer_schema=False)["cell_id"]
    except (OSError, pl.exceptions.PolarsError) as error:
        reason = str(error).split("\n")[0]
        raise TrainingError(f"left_out {path}: cannot be read ({reason}). Give a table with 'cell_id'.") from error


def _split_by_group(cells: pl.DataFrame, source: Source, seed: int) -> pl.Series:
    """Send whole groups to validation and test, by a hash: stable when images are added."""
    groups = cells["group"].fill_null(cells["cell_id"])
    sides = []
    for group in groups:
        hashed = int.from_bytes(hashlib.sha256(f"{seed}/{group}".encode()).digest()[:4], "big")
        place = hashed / 2**32 - source.validation_share
        sides.append("val" if place < 0 else "test" if place < source.test_share else "train")
    return pl.Series("split", sides)


def _drawn(source: Source, seed: int) -> pl.DataFrame:
    """Rows of cells that are yet to be drawn: ``path`` is ``drawn:<code>:<seed>``. All train, none validates."""
    codes = [FINE[index % len(FINE)].code for index in range(source.images)]
    names = [f"{DRAWN}:{code}:{seed * 1_000_000 + index}" for index, code in enumerate(codes)]
    known = {"cell_id": names, "path": names, "label": codes, "code": codes}
    known |= {"source": [DRAWN] * len(names), "split": ["train"] * len(names)}
    unknown = [None] * len(names)
    return pl.DataFrame({name: known.get(name, unknown) for name in MANIFEST_SCHEMA}, schema=MANIFEST_SCHEMA)


def member_matrix(codes: pl.Series, outside: tuple[str, ...] = ()) -> NDArray[np.bool_]:
    """bool (N, F + K): fine classes and classes outside that each label may stand for; none for other classes."""
    matrix = np.zeros((len(codes), len(FINE) + len(outside)), dtype=bool)
    for row, code in enumerate(codes):
        beside = [len(FINE) + place for place, own in enumerate(outside) if own == code]
        matrix[row, beside or list(fine_members(code))] = True
    return matrix


def sampling_weights(cells: pl.DataFrame, settings: PictureRecipe) -> NDArray[np.float64]:
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
        earlier: entries of the run that it started from, and of its teacher.
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
    by_images = sorted(earlier, key=lambda row: row.images)
    both = [row for row in by_images if row.name not in now or row.images > now[row.name].images]
    return tuple({**now, **{row.name: row for row in both}}.values())
