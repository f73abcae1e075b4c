"""Head of the classes outside, on a network that stays as it is.

A linear layer on the wide embedding (`leukopy.network.wide_head`) gives evidence for the fine classes and the classes
outside; it learns from the cells of several laboratories, as served and in augmented views. Its evidence for a class
outside against all fine classes together becomes the network's output ``outside`` (`leukopy.network.outside`).

Laboratories without a cell outside are the negatives: a head that never saw PBC's platelets calls them blasts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from PIL import Image
from pydantic import Field
from torch import nn

from leukopy.bundle import Bundle
from leukopy.core.errors import ImageError, TrainingError
from leukopy.core.progress import Progress
from leukopy.core.settings import Settings
from leukopy.datasets import open_dataset
from leukopy.imaging.augmentation import Augmentation
from leukopy.imaging.decode import read_picture
from leukopy.inference.rows import CellInput
from leukopy.network.head import Head
from leukopy.network.wide_head import WIDE
from leukopy.slides.classifier import Classifier
from leukopy.taxonomy import FINE

BATCH = 16
_EDGE = 1.6
"""Side of a decoded picture in sides of the network's input, before augmentation turns and scales it."""

Features = NDArray[np.float16]


class OutsideSource(Settings):
    """One data set that the head learns from."""

    dataset: str
    root: str
    """Its folder, below the data folder."""
    share: float = Field(gt=0)
    """Share of the cells of a batch; shares are scaled to sum to 1."""
    slides: Literal["group", "source", "home"] = "source"
    """Cells surveyed together for their crop: those of each group (patient), all, or none: the card's crop."""
    cells: int = Field(default=0, ge=0)
    """Largest number of training cells of each label; 0: all."""


_SOURCES = (
    OutsideSource(dataset="hopkins", root="cells/hopkins", share=0.45, slides="group"),
    OutsideSource(dataset="pbc", root="cells/pbc", share=0.3, slides="home", cells=700),
    OutsideSource(dataset="raabin", root="cells/raabin", share=0.06),
    OutsideSource(dataset="chula", root="cells/chula", share=0.04),
    OutsideSource(dataset="bcisc", root="cells/bcisc", share=0.05),
    OutsideSource(dataset="cellavision", root="cells/cellavision", share=0.03),
    OutsideSource(dataset="lymphocytosis", root="patients/lymphocytosis", share=0.07, slides="home", cells=1600),
)


class OutsideSettings(Settings):
    """Settings of the head and of its fit: AdamW, one cycle of the learning rate.

    Chosen by patients left out (five folds of hopkins) and laboratories left out. On the embedding alone the AUROC of
    blasts was .965 and their recall at 3 % of known cells .63; on the wide embedding .977 and .82; with a hidden layer
    of 128 .978 and .80.
    """

    classes: tuple[str, ...] = ("BLAST", "SMUDGE")
    """Codes of the classes outside. Cells of other classes outside are left out of the fit."""
    sources: tuple[OutsideSource, ...] = _SOURCES
    views: int = Field(default=2, ge=0)
    """Augmented views of each cell."""
    augmentation: Augmentation = Augmentation(
        mild=0.5, stain=0.3, mix=0.12, light=0.3, cast=0.25, veil=0.6, gamma=0.3, blur=0.4, blur_radius=2.5
    )
    steps: int = Field(default=840, ge=10)
    batch_size: int = Field(default=256, ge=8)
    learning_rate: float = Field(default=1e-3, gt=0)
    weight_decay: float = Field(default=0.02, ge=0)
    dropout: float = Field(default=0.3, ge=0, lt=1)
    label_smoothing: float = Field(default=0.02, ge=0, lt=1)
    class_balance: float = Field(default=0.5, ge=0, le=1)
    """0: labels as often as they are; 1: all equally often, within each source."""
    clean_below: float = Field(default=0.02, ge=0, lt=1)
    """Cells whose label has a lower probability by the cells of other patients are left out of the fit."""
    folds: int = Field(default=5, ge=2)
    """Parts of the patients; each is left out in turn, to measure and to find doubtful labels."""
    seed: int = 0


@dataclass(frozen=True, eq=False)
class OutsideCells:
    """Cells, and the wide embedding of their views."""

    cells: pl.DataFrame
    """N rows of the listed cells, with coarse (by the network, as served) and crop."""
    views: tuple[Features, ...]
    """As served first, then augmented; each (N, D + W)."""
    left_out: int
    """Pictures that were not read, or show no single cell."""


def list_outside_cells(settings: OutsideSettings, data: Path) -> pl.DataFrame:
    """Labelled cells of the sources outside any test split, with ``source``, ``split``, ``group`` and ``fold``.

    Groups of sources that hold a class outside are in one of ``settings.folds`` parts; the fold of the others is -1.

    Raises:
        TrainingError: no cell of a class outside.
    """
    tables = []
    for source in settings.sources:
        cells = open_dataset(source.dataset, data / source.root).filter(pl.col("code").is_not_null())
        cells = cells.filter(pl.col("split").fill_null("train") != "test")
        if source.cells:
            kept = pl.int_range(pl.len()).shuffle(settings.seed).over("code", "split") < source.cells
            cells = cells.filter(kept | (pl.col("split") == "val"))
        tables.append(cells.with_columns(split=pl.col("split").fill_null("train")))
    found = pl.concat(tables)
    if missing := [code for code in settings.classes if code not in set(found["code"])]:
        raise TrainingError(f"no cell of {', '.join(missing)} in the sources: add a data set that holds some.")
    found = found.with_columns(group=pl.col("group").fill_null(pl.col("cell_id")))
    outside = found["code"].is_in(settings.classes).to_numpy()
    return found.with_columns(fold=pl.Series(patient_folds(found, outside, settings.folds, settings.seed)))


def read_outside_cells(
    bundle: Bundle, cells: pl.DataFrame, settings: OutsideSettings, progress: Progress
) -> OutsideCells:
    """The wide embedding of cells, as the bundle serves them (slide by slide) and in augmented views.

    Args:
        bundle: with the output ``wide_embedding``.
        cells: of `list_outside_cells`.
        settings: the settings.
        progress: reports the cells.
    """
    classifier = Classifier(bundle, outputs=(WIDE,))
    tables, served = [], []
    for slide, home in _slides(cells, settings):
        found, values = _as_served(classifier, slide, home=home)
        tables.append(found)
        served.append(values)
        progress("computing embeddings", sum(map(len, tables)), len(cells))
    table = pl.concat(tables)
    views = [np.concatenate(served)]
    for view in range(1, settings.views + 1):
        progress("computing augmented views", (view - 1) * len(table), settings.views * len(table))
        views.append(_augmented(classifier, table, settings, view))
    progress("computing augmented views", settings.views * len(table), settings.views * len(table))
    return OutsideCells(table, tuple(views), len(cells) - len(table))


def _slides(cells: pl.DataFrame, settings: OutsideSettings) -> Iterator[tuple[pl.DataFrame, bool]]:
    """The cells of each slide, and whether they have the crop of the card."""
    for source in settings.sources:
        own = cells.filter(source=source.dataset)
        parts = own.partition_by("group", maintain_order=True) if source.slides == "group" else [own]
        yield from ((part, source.slides == "home") for part in parts)


def _as_served(classifier: Classifier, cells: pl.DataFrame, *, home: bool) -> tuple[pl.DataFrame, Features]:
    inputs = [CellInput(*cell) for cell in cells.select("cell_id", "path").iter_rows()]
    slide = classifier.slide(inputs)
    crop = None if home else slide.survey.crop
    rows = {}
    for batch in classifier.engine.run(inputs, crop):
        coarse = batch.outputs["logits"]
        for row, cell in enumerate(batch.cells):
            if batch.contents[row].kind == "cell":
                rows[cell.cell_id] = (batch.outputs[WIDE][row].astype(np.float16), int(coarse[row].argmax()))
    kept = cells.filter(pl.col("cell_id").is_in(list(rows)))
    fine = [FINE[rows[cell_id][1]] for cell_id in kept["cell_id"]]
    table = kept.with_columns(
        coarse=pl.Series([cell.coarse for cell in fine], dtype=pl.String),
        crop=pl.lit(crop or classifier.card.preprocess.crop, pl.Float64),
    )
    width = classifier.engine.shape(WIDE)[0]
    return table, np.array([rows[cell_id][0] for cell_id in kept["cell_id"]], np.float16).reshape(-1, width)


def _augmented(classifier: Classifier, cells: pl.DataFrame, settings: OutsideSettings, view: int) -> Features:
    """One augmented view of each cell; a file that is gone since keeps the view of an empty picture."""
    size = classifier.card.preprocess.size
    paths, crops = cells["path"].to_list(), cells["crop"].to_list()
    parts = []
    for start in range(0, len(paths), BATCH):
        pictures = []
        for row in range(start, min(start + BATCH, len(paths))):
            rng = np.random.default_rng([settings.seed, view, row])
            square = _square(Path(paths[row]), size, crops[row])
            pictures.append(settings.augmentation(square, size, crops[row], rng))
        parts.append(classifier.engine.compute(np.stack(pictures))[WIDE].astype(np.float16))
    return np.concatenate(parts)


def _square(path: Path, size: int, crop: float) -> NDArray[np.uint8]:
    """The centred square of a picture, reduced to what its crop needs.

    Raises:
        TrainingError: the file changed since it was read.
    """
    try:
        picture = read_picture(path, round(_EDGE * size)).image
    except ImageError as error:
        raise TrainingError(f"{error} It was readable before: restore it, and fit again.") from error
    side = min(picture.size)
    left, upper = ((length - side) // 2 for length in picture.size)
    square = picture.crop((left, upper, left + side, upper + side))
    wanted = round(size / crop)
    return np.asarray(square.resize((wanted, wanted), Image.Resampling.BILINEAR) if side > wanted else square)


def sampling(cells: pl.DataFrame, settings: OutsideSettings, chosen: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Chance (N,) of each cell to be drawn: sources by their shares, labels balanced within each; 0 if not chosen."""
    weights = np.zeros(len(cells))
    sources, codes = cells["source"].to_numpy(), cells["code"].to_numpy()
    for source in settings.sources:
        own = chosen & (sources == source.dataset)
        if own.any():
            _, place, counts = np.unique(codes[own], return_inverse=True, return_counts=True)
            balanced = counts[place] ** -settings.class_balance
            weights[own] = source.share * balanced / balanced.sum()
    return np.asarray(weights / weights.sum())


def fit_outside_head(
    views: Sequence[Features], members: NDArray[np.bool_], chance: NDArray[np.float64], settings: OutsideSettings
) -> Head:
    """Fit the linear head: weights (F + K, D + W) and bias (F + K,) on the wide embedding itself.

    Args:
        views: (N, D + W) each; a step draws from one view, in turn.
        members: `leukopy.training.sources.member_matrix` of the labels: partial-label cross-entropy, -log of the
            summed probability.
        chance: `sampling` of the cells.
        settings: the settings.
    """
    torch.manual_seed(settings.seed)
    rng = np.random.default_rng(settings.seed)
    first = views[0].astype(np.float32)
    mean = (chance @ first).astype(np.float32)
    deviation = np.sqrt(np.maximum(chance @ first**2 - mean**2, 0)).astype(np.float32) + np.float32(0.01)
    layer = nn.Linear(first.shape[1], members.shape[1])
    model = nn.Sequential(nn.Dropout(settings.dropout), layer)
    optimiser = torch.optim.AdamW(model.parameters(), settings.learning_rate, weight_decay=settings.weight_decay)
    cycle = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, settings.learning_rate, total_steps=settings.steps, pct_start=0.1
    )
    drawn = rng.choice(len(chance), size=(settings.steps, settings.batch_size), p=chance)
    for step, rows in enumerate(drawn):
        batch = (views[step % len(views)][rows].astype(np.float32) - mean) / deviation
        logs = model(torch.from_numpy(batch)).log_softmax(dim=1)
        own = logs.masked_fill(~torch.from_numpy(members[rows]), -torch.inf).logsumexp(dim=1)
        loss = -own.mean() - settings.label_smoothing * logs.mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        cycle.step()
    weights, bias = (part.detach().numpy() for part in (layer.weight, layer.bias))
    weights = weights / deviation
    return weights, bias - weights @ mean


def evidence_of(head: Head, view: Features) -> NDArray[np.float32]:
    """Evidence (N, F + K) of a head for cells (N, D + W)."""
    weights, bias = head
    return view.astype(np.float32) @ weights.T + bias


def patient_folds(cells: pl.DataFrame, outside: NDArray[np.bool_], folds: int, seed: int) -> NDArray[np.intp]:
    """Fold (N,) of each cell: groups of sources that hold cells outside, by their share of these; -1 for the others.

    Args:
        cells: with ``group`` and ``source``.
        outside: (N,), cells labelled as a class outside.
        folds: number of folds.
        seed: of the drawing.
    """
    table = cells.select("group", "source").with_columns(outside=pl.Series(outside))
    holding = table.filter(pl.col("outside").any().over("source"))
    groups = holding.group_by("group").agg(pl.col("outside").mean()).sort("outside", "group")["group"].to_list()
    rng = np.random.default_rng(seed)
    fold_of: dict[str, int] = {}
    for start in range(0, len(groups), folds):
        fold_of |= zip(groups[start : start + folds], rng.permutation(folds).tolist(), strict=False)
    return np.array([fold_of.get(group, -1) for group in cells["group"]], np.intp)
