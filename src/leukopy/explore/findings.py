"""Findings of an exploration: spreads, outliers, mean cells, projections, and omissions."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from leukopy.bundle import Bundle
from leukopy.core.progress import Progress
from leukopy.explore.collection import Collection
from leukopy.explore.means import MeanCell, unpack
from leukopy.explore.measure import embed_all
from leukopy.explore.projections import Score, Space, project, score, stratified
from leukopy.explore.summaries import ENOUGH, NO_LABEL, outliers, spreads
from leukopy.imaging.measures import FEATURES, LIGHT

PIXELS_SIDE = 32
"""Pixels of the pictures whose raw colours are projected."""


@dataclass(frozen=True, eq=False)
class Findings:
    """Content of the page and the tables."""

    collection: Collection
    spread: pl.DataFrame
    """Rows of `summaries.spreads`, all features."""
    outliers: pl.DataFrame
    """Rows of `summaries.outliers`, of luminance and brightness."""
    means: dict[tuple[str, str], MeanCell]
    """By class and source."""
    sample: NDArray[np.int64]
    """The cells that are projected."""
    spaces: list[Space]
    """Point i of every plane is cell ``sample[i]``."""
    scores: list[Score]
    notes: list[str]
    """Notes on omitted or thinned data, one sentence each."""


def explore_collection(
    collection: Collection, bundle: Bundle, *, points: int, seed: int, progress: Progress
) -> Findings:
    """Compute the findings of measured cells.

    Args:
        collection: at least one cell.
        bundle: whose embeddings are projected.
        points: most cells in the projections.
        seed: of the sample and the projections.
        progress: reports the steps done.

    Raises:
        BundleError: the network has no embedding.
        OutputError: the cache cannot be written.
    """
    cells = collection.cells
    spread = spreads(cells, FEATURES)
    means = _means(collection, progress)
    strata = (cells["class"] + "\0" + cells["source"]).to_numpy().astype(str)
    sample = stratified(strata, points, seed)
    classes, sources = (cells[name].to_numpy().astype(str)[sample] for name in ("class", "source"))
    vectors = {
        "pixels": _pixels(collection, sample),
        "embeddings": embed_all(
            bundle,
            [collection.paths[cell] for cell in sample],
            cells["digest"].gather(sample).to_list(),
            progress,
        ),
    }
    spaces = [project(name, found, classes, seed, progress) for name, found in vectors.items()]
    scores = [each for space in spaces for each in score(space, classes, sources)]
    return Findings(
        collection, spread, outliers(cells, spread, LIGHT), means, sample, spaces, scores,
        [
            *_notes(collection, spread, len(sample)),
            f"Embeddings are what the model {bundle.card.title!r} sees. It was trained on "
            f"{', '.join(use.name for use in bundle.card.trained_on)}: cells of these lie farther apart by class than "
            "new ones would.",
            *(note for space in spaces for note in space.left_out),
        ],
    )  # fmt: skip


def _means(collection: Collection, progress: Progress) -> dict[tuple[str, str], MeanCell]:
    means: dict[tuple[str, str], MeanCell] = {}
    done = 0
    for group, members in collection.groups.items():
        means[group] = MeanCell()
        for picture in collection.pictures(members):
            means[group].add(unpack(picture))
        done += len(members)
        progress("averaging", done, len(collection.cells))
    return means


def _pixels(collection: Collection, sample: NDArray[np.int64]) -> NDArray[np.float32]:
    """Colours of small pictures as vectors, float32 (N, 3072), 0 to 1."""
    vectors = np.empty((len(sample), PIXELS_SIDE * PIXELS_SIDE * 3), np.float32)
    for row, picture in enumerate(collection.pictures(sample.tolist())):
        pixels = unpack(picture)
        blocks = pixels.reshape(PIXELS_SIDE, len(pixels) // PIXELS_SIDE, PIXELS_SIDE, -1, 3)
        vectors[row] = blocks.mean(axis=(1, 3)).ravel() / 255
    return vectors


def _notes(collection: Collection, spread: pl.DataFrame, sampled: int) -> list[str]:
    cells, notes = collection.cells, []
    labels, sources = Counter(cells["class"]), Counter(cells["source"])
    if unlabelled := labels.pop(NO_LABEL, 0):
        notes.append(f"{unlabelled:,} of {len(cells):,} cells carry no label: they stand as a class of their own.")
    bare = [source for source in sources if cells.filter(source=source)["code"].null_count() == sources[source]]
    if bare and labels:
        notes.append(f"Sources without any label: {', '.join(bare)}.")
    if len(labels) == 1:
        notes.append(f"All labelled cells are of one class ({next(iter(labels))}): classes cannot be compared.")
    if len(sources) == 1:
        notes.append("There is one source: laboratories cannot be compared.")
    if sampled < len(cells):
        notes.append(
            f"The projections and their scores are those of {sampled:,} of {len(cells):,} cells: every class of every "
            "source gives at most the same number, drawn at random."
        )
    if few := sum(spread.filter(feature="luminance")["low"].is_null()):
        notes.append(f"Of classes with fewer than {ENOUGH} cells in a source ({few} such), no outlier is sought there.")
    if flat := cells["cell_area"].null_count():
        notes.append(f"In {flat:,} cells no cell was found by segmentation: they are left out of size and shape.")
    if failed := len(collection.failures):
        images = "1 image" if failed == 1 else f"{failed:,} images"
        notes.append(f"{images} could not be read: see the end of the page, and failures.csv.")
    return notes
