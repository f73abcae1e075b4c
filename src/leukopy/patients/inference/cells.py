"""The cells of patients as a patient's model takes them, and what the cell model calls them, in one pass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from leukopy.bundle import Bundle, open_bundle
from leukopy.core.errors import BundleError, ImageError
from leukopy.core.progress import Progress, silent
from leukopy.imaging.decode import read_cell
from leukopy.inference.engine import BATCH, Batch, Engine
from leukopy.inference.rows import FAILURE_SCHEMA, CellInput, printable
from leukopy.network.probabilities import calibrated
from leukopy.patients.inference.bags import open_network
from leukopy.patients.inference.measures import MORPHOLOGY_FEATURES, cell_measures
from leukopy.patients.store import PatientBundle
from leukopy.taxonomy import COARSE, coarse_matrix

CLASSIFIER = "default"
"""The cell model that names the cells where the patient model's own cell network cannot."""

MAPS = {"embedding": "feature_map", "logits": "class_activation"}
"""Outputs of a cell network that are the mean, over the positions, of another output."""

GRID = 5
"""Places along a side that are covered in turn."""


@dataclass(frozen=True, eq=False)
class CellReading:
    """What a cell model says of some images; each is a row of one of the two tables."""

    cells: pl.DataFrame
    """cell_id, path, coarse (coarse class), confidence (its calibrated probability) of the N that were read."""
    values: NDArray[np.float32]
    """Their features, (N, D)."""
    failures: pl.DataFrame
    """Rows of ``FAILURE_SCHEMA``."""


class CellReader:
    """The cell network that a patient's bundle reads, loaded."""

    def __init__(self, bundle: PatientBundle, threads: int | None = None) -> None:
        """Load the network.

        Args:
            bundle: an opened bundle.
            threads: worker threads; by default one for each core that this process may use.

        Raises:
            BundleError: the cell model is absent, not the one of the training, cannot be loaded, or lacks an output.
        """
        self._network = bundle.card.network
        own = bundle.cells_path is not None
        self._cells = open_bundle(CLASSIFIER) if own else open_network(self._network)
        self._source: Bundle | PatientBundle = bundle if own else self._cells
        judging = self._cells.card.calibration.outputs
        extra = () if own else judging
        self._engine = Engine(self._source.network, threads, tuple(dict.fromkeys((*self._network.outputs, *extra))))
        self._classifier = Engine(self._cells.network, threads, judging) if own else None
        features = sum(_width(self._engine, name) for name in self._network.outputs)
        features += len(MORPHOLOGY_FEATURES) if self._network.measures else 0
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
        """Read some images, with the network's worker threads.

        Args:
            cells: the images.
            measured: what `measure` gave for them; None: they are measured now, while the network runs.

        Raises:
            BundleError: the network fails on an image.
        """
        with ThreadPoolExecutor(1) as beside:
            measuring = beside.submit(self.measure, [cell.path for cell in cells]) if measured is None else None
            batches = list(self._engine.run(cells))
        read = [cell for batch in batches for cell in batch.cells]
        failed = [failure for batch in batches for failure in batch.failures]
        parts = [_joined(self._engine, batches, name) for name in self._network.outputs]
        if self._network.measures:
            known = measuring.result() if measuring else measured or {}
            parts.append(
                np.array([known[cell.path] for cell in read], np.float32).reshape(-1, len(MORPHOLOGY_FEATURES))
            )
        values = np.concatenate(parts, axis=1)
        if self._classifier is not None:
            batches = list(self._classifier.run(read))
            failed += [failure for batch in batches for failure in batch.failures]  # gone since it was read
            still = {cell for batch in batches for cell in batch.cells}
            values = values[[cell in still for cell in read]]
            read = [cell for cell in read if cell in still]
        codes, confidence = self._classes(batches)
        return CellReading(
            pl.DataFrame(
                {
                    "cell_id": [cell.cell_id for cell in read],
                    "path": [printable(cell.path) for cell in read],
                    "coarse": codes,
                    "confidence": confidence,
                },
                schema={"cell_id": pl.String, "path": pl.String, "coarse": pl.String, "confidence": pl.Float32},
            ),
            values,
            pl.DataFrame(
                [(cell.cell_id, printable(cell.path), error.reason, printable(str(error))) for cell, error in failed],
                schema=FAILURE_SCHEMA,
                orient="row",
            ),
        )

    def maps(self, cell: CellInput, values: NDArray[np.float32]) -> NDArray[np.float32] | None:
        """The features of a cell before their mean over the positions is taken, (D, h, w).

        Args:
            cell: an image that was read.
            values: its features (D,), as `read` gave them.

        Returns:
            None where a feature is no such mean, so that no place of the picture can be told from another.

        Raises:
            ImageError: the image is gone or changed its kind since it was read.
        """
        if self._mapped is None:
            return None
        pixels = read_cell(Path(cell.path), self._network.preprocess).pixels
        found = self._mapped.compute(pixels[None])
        maps = np.concatenate([found[MAPS[name]][0] for name in self._network.outputs])
        return maps if np.allclose(maps.mean(axis=(1, 2)), values, rtol=1e-3, atol=1e-3) else None

    def covered(self, cells: Sequence[CellInput], values: NDArray[np.float32]) -> list[NDArray[np.float32] | None]:
        """The features of cells of which one place after the other is covered, with the network's worker threads.

        Size, shape and stain are held as they were measured: a measure of a covered cell is one of another cell.

        Args:
            cells: K images that were read.
            values: their features (K, D), as `read` gave them.

        Returns:
            K times (GRID, GRID, D); None where the image is gone since it was read.

        Raises:
            BundleError: the network fails on a picture.
        """
        with ThreadPoolExecutor(self._engine.threads, thread_name_prefix="leukopy") as pool:
            return list(pool.map(self._covered, cells, values))

    def _covered(self, cell: CellInput, values: NDArray[np.float32]) -> NDArray[np.float32] | None:
        try:
            pictures = cover(read_cell(Path(cell.path), self._network.preprocess).pixels)
        except ImageError:
            return None
        features = np.tile(values, (len(pictures), 1))
        for start in range(0, len(pictures), BATCH):
            found = self._engine.compute(pictures[start : start + BATCH])
            part = np.concatenate([found[name].reshape(len(found[name]), -1) for name in self._network.outputs], 1)
            features[start : start + BATCH, : part.shape[1]] = part
        return features.reshape(GRID, GRID, -1)

    def _maps_engine(self) -> Engine | None:
        """What gives the maps of the features; None where not every feature has one."""
        names = [MAPS.get(name) for name in self._network.outputs] + [None] * self._network.measures
        try:
            return Engine(self._source.network, 1, [name for name in names if name]) if all(names) else None
        except BundleError:  # the network is whole, as `_engine` found: it only lacks such an output
            return None

    def _classes(self, batches: Sequence[Batch]) -> tuple[list[str], NDArray[np.float32]]:
        """Coarse class and calibrated probability of the N cells of some batches."""
        calibration, engine = self._cells.card.calibration, self._classifier or self._engine
        outputs = {name: _joined(engine, batches, name) for name in calibration.outputs}
        coarse = (calibrated(calibration, outputs) @ coarse_matrix()).clip(max=1)
        return [COARSE[index].code for index in coarse.argmax(axis=1)], coarse.max(axis=1)


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


def _width(engine: Engine, name: str) -> int:
    """Numbers that an output has for each cell."""
    return int(np.prod(engine.shape(name)))


def _joined(engine: Engine, batches: Sequence[Batch], name: str) -> NDArray[np.float32]:
    """An output of all batches, one row a cell."""
    width = _width(engine, name)
    empty = np.empty((0, width), np.float32)
    return np.concatenate([empty, *(batch.outputs[name].reshape(-1, width) for batch in batches)])
