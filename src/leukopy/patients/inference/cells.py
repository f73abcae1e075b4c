"""The cells of patients as a patient's model takes them, and what the cell model calls them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import repeat

import numpy as np
import polars as pl
from numpy.typing import NDArray

from leukopy.bundle import open_bundle
from leukopy.core.devices import Device
from leukopy.core.errors import BundleError, ImageError
from leukopy.core.progress import Progress, silent
from leukopy.imaging.decode import prepare
from leukopy.inference.engine import BATCH, Engine
from leukopy.inference.pictures import Pictures
from leukopy.inference.rows import CellInput
from leukopy.patients.inference.bags import open_network
from leukopy.patients.inference.measures import MORPHOLOGY_FEATURES, cell_measures
from leukopy.patients.inference.slides import SlideReader
from leukopy.patients.store import PatientBundle
from leukopy.slides.record import SlideRecord

CLASSIFIER = "default"
"""The cell model that names the cells where the patient model's own cell network cannot."""

MAPS = {"embedding": "feature_map", "logits": "class_activation"}
"""Outputs of a cell network that are the mean, over the positions, of another output."""

GRID = 5
"""Places along a side that are covered in turn."""


@dataclass(frozen=True, eq=False)
class CellReading:
    """What becomes of the pictures of a patient."""

    cells: pl.DataFrame
    """cell_id, path, coarse (coarse class), confidence (its calibrated probability) of the N cells of the bag: copies
    and pictures without a single cell are left out."""
    values: NDArray[np.float32]
    """Their features, (N, D)."""
    failures: pl.DataFrame
    """Rows of ``FAILURE_SCHEMA``: pictures that were not read, and those that show no single cell."""
    digests: pl.DataFrame
    """cell_id and digest of all pictures that were read."""
    record: SlideRecord
    """How many pictures became what, and what is known of the slide."""
    pictures: Pictures
    """The decoded pictures, as far as memory is given to them."""


class CellReader:
    """The cell network that a patient's bundle reads, loaded."""

    def __init__(self, bundle: PatientBundle, threads: int | None = None, device: Device = "auto") -> None:
        """Load the network.

        Args:
            bundle: an opened bundle.
            threads: worker threads; by default one for each core that this process may use.
            device: runs the network.

        Raises:
            BundleError: the cell model is absent, not the one of the training, cannot be loaded, or lacks an output.
        """
        self._network = bundle.card.network
        own = bundle.cells_path is not None
        cells = open_bundle(CLASSIFIER) if own else open_network(self._network)
        self._slides = SlideReader(cells, self._network.outputs, bundle.network if own else None, threads, device)
        self._engine = self._slides.engine
        self.device = self._engine.device
        features = self._slides.width + (len(MORPHOLOGY_FEATURES) if self._network.measures else 0)
        if features != bundle.card.model.features:
            raise BundleError(
                f"{bundle.path}: takes {bundle.card.model.features} features of a cell, but its cell network "
                f"({self._network.model or 'its own'}) gives {features}. Export the bundle again."
            )
        self._mapped = self._maps_engine()

    def measure(self, paths: Sequence[str], progress: Progress = silent) -> dict[str, NDArray[np.float32]]:
        """Size, shape, colour and stain by image, for `read`: at once for many patients, since processes start slowly.

        Returns:
            Nothing where the network's bundle does without.

        Raises:
            InputError: a worker process was killed.
        """
        return dict(zip(paths, cell_measures(paths, progress), strict=True)) if self._network.measures else {}

    def read(
        self, cells: Sequence[CellInput], measured: Mapping[str, NDArray[np.float32]] | None = None
    ) -> CellReading:
        """Read the pictures of one patient as a slide, with the network's worker threads.

        Args:
            cells: all pictures of the patient.
            measured: what `measure` gave for them; None: they are measured now, while the network runs.

        Raises:
            BundleError: the network fails on an image.
        """
        with self._measuring([cell.path for cell in cells], measured) as known:
            found = self._slides.read(cells)
        paths = {cell.cell_id: cell.path for cell in cells}
        return CellReading(
            found.cells.select("cell_id", "path", "coarse", "confidence"),
            self._with_measures(found.values, [paths[cell_id] for cell_id in found.cells["cell_id"]], known()),
            pl.concat([found.failures, found.without_class]),
            found.rows.select("cell_id", "digest"),
            found.record,
            found.pictures,
        )

    def features(self, cells: Sequence[CellInput]) -> tuple[list[CellInput], NDArray[np.float32]]:
        """The features of single pictures, whatever their slide is: those that were read, and (N, D).

        Raises:
            BundleError: the network fails on an image.
        """
        with self._measuring([cell.path for cell in cells]) as known:
            values, failures = self._slides.features(cells)
        failed = set(failures["cell_id"])
        read = [cell for cell in cells if cell.cell_id not in failed]
        values = values[[cell.cell_id not in failed for cell in cells]]
        return read, self._with_measures(values, [cell.path for cell in read], known())

    @contextmanager
    def _measuring(
        self, paths: Sequence[str], measured: Mapping[str, NDArray[np.float32]] | None = None
    ) -> Iterator[Callable[[], Mapping[str, NDArray[np.float32]]]]:
        """Measure in a thread of its own, unless that was done."""
        if measured is not None:
            yield lambda: measured
            return
        with ThreadPoolExecutor(1) as beside:
            yield beside.submit(self.measure, paths).result

    def _with_measures(
        self, values: NDArray[np.float32], paths: Sequence[str], known: Mapping[str, NDArray[np.float32]]
    ) -> NDArray[np.float32]:
        if not self._network.measures:
            return values
        measures = np.array([known[path] for path in paths], np.float32).reshape(-1, len(MORPHOLOGY_FEATURES))
        return np.concatenate([values, measures], axis=1)

    def maps(
        self, cell: CellInput, values: NDArray[np.float32], pictures: Pictures | None = None
    ) -> NDArray[np.float32] | None:
        """The features of a cell before their mean over the positions is taken, (D, h, w).

        Args:
            cell: an image that was read.
            values: its features (D,), as `read` gave them.
            pictures: those that are decoded already.

        Returns:
            None where a feature is no such mean, so that no place of the picture can be told from another.

        Raises:
            ImageError: the image is gone or changed its kind since it was read.
        """
        if self._mapped is None:
            return None
        found = self._mapped.compute(self._pixels(cell, pictures)[None])
        maps = np.concatenate([found[MAPS[name]][0] for name in self._network.outputs])
        return maps if np.allclose(maps.mean(axis=(1, 2)), values, rtol=1e-3, atol=1e-3) else None

    def covered(
        self, cells: Sequence[CellInput], values: NDArray[np.float32], pictures: Pictures | None = None
    ) -> list[NDArray[np.float32] | None]:
        """The features of cells of which one place after the other is covered, with the network's worker threads.

        Size, shape and stain are held as they were measured: a measure of a covered cell is one of another cell.

        Args:
            cells: K images that were read.
            values: their features (K, D), as `read` gave them.
            pictures: those that are decoded already.

        Returns:
            K times (GRID, GRID, D); None where the image is gone since it was read.

        Raises:
            BundleError: the network fails on a picture.
        """
        with ThreadPoolExecutor(self._engine.threads, thread_name_prefix="leukopy") as pool:
            return list(pool.map(self._covered, cells, values, repeat(pictures)))

    def _pixels(self, cell: CellInput, pictures: Pictures | None) -> NDArray[np.uint8]:
        spec = self._network.preprocess
        return prepare((pictures or Pictures(0)).keep(cell, spec.short_side), spec).pixels

    def _covered(
        self, cell: CellInput, values: NDArray[np.float32], pictures: Pictures | None
    ) -> NDArray[np.float32] | None:
        try:
            covered = cover(self._pixels(cell, pictures))
        except ImageError:
            return None
        features = np.tile(values, (len(covered), 1))
        for start in range(0, len(covered), BATCH):
            part = self._slides.joined(self._engine.compute(covered[start : start + BATCH]))
            features[start : start + BATCH, : part.shape[1]] = part
        return features.reshape(GRID, GRID, -1)

    def _maps_engine(self) -> Engine | None:
        """What gives the maps of the features; None where not every feature has one."""
        names = [MAPS.get(name) for name in self._network.outputs] + [None] * self._network.measures
        try:
            return Engine(self._slides.network, 1, [name for name in names if name]) if all(names) else None
        except BundleError:  # the network is whole, as `_engine` found: it only lacks such an output
            return None


def cover(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Copies of a prepared picture (S, S, 3), each with one square of the grid in the colour of the background.

    Returns:
        (GRID * GRID, S, S, 3), row by row. The background's colour is the median of the border.
    """
    border = np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])
    edges = np.linspace(0, len(picture), GRID + 1).round().astype(int)
    copies = np.tile(picture, (GRID * GRID, 1, 1, 1))
    for place, copy in enumerate(copies):
        row, column = divmod(place, GRID)
        copy[edges[row] : edges[row + 1], edges[column] : edges[column + 1]] = np.median(border, axis=0)
    return copies
