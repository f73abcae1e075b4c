"""The pictures of a patient as a slide: classes, and features of the cells that count, each file read once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from leukopy.bundle import Bundle, NetworkFile
from leukopy.core.devices import Device
from leukopy.inference.engine import Engine
from leukopy.inference.pictures import Pictures
from leukopy.inference.rows import (
    DUPLICATE,
    FAILURE_SCHEMA,
    CellInput,
    Predictions,
    is_counted,
    is_duplicate,
    printable,
    without_class,
)
from leukopy.slides.classifier import Classifier
from leukopy.slides.record import SlideRecord
from leukopy.slides.tracked import TrackedSlide


@dataclass(frozen=True, eq=False)
class SlideReading:
    """What becomes of the pictures of a patient."""

    rows: pl.DataFrame
    """Rows of `cell_schema`: all pictures that were read."""
    counted: NDArray[np.intp]
    """Of ``rows``, those of one cell that are no copies: N of them."""
    values: NDArray[np.float32]
    """The network's outputs for ``counted``, joined: (N, D)."""
    failures: pl.DataFrame
    """Rows of ``FAILURE_SCHEMA``: pictures that were not read."""
    record: SlideRecord
    pictures: Pictures
    """The decoded pictures, as far as memory is given to them."""

    @property
    def cells(self) -> pl.DataFrame:
        """The N rows that are in the bag."""
        return self.rows[self.counted]

    @property
    def without_class(self) -> pl.DataFrame:
        """Rows of ``FAILURE_SCHEMA``: pictures that were read and show no single cell."""
        return without_class(self.rows)

    @property
    def copies(self) -> pl.DataFrame:
        """Rows of ``FAILURE_SCHEMA``: copies of another picture of the patient."""
        said = pl.format("{}: is a copy of another picture of this patient.", "path")
        copied = self.rows.filter(is_duplicate(), pl.col("fine").is_not_null())
        return copied.select("cell_id", "path", reason=pl.lit(DUPLICATE), message=said)


class SlideReader:
    """A cell model and the network that makes a patient's features, loaded."""

    def __init__(
        self,
        model: Bundle,
        outputs: Sequence[str],
        own: NetworkFile | None = None,
        threads: int | None = None,
        device: Device = "auto",
    ) -> None:
        """Load the networks.

        Args:
            model: surveys the slide and names the cells.
            outputs: of the network that makes the features; they are joined.
            own: the network that makes the features; None: that of ``model``.
            threads: worker threads; by default one for each core that this process may use.
            device: runs the networks.

        Raises:
            BundleError: a network cannot be loaded or lacks an output.
        """
        self._classifier = Classifier(model.healthy, threads, () if own else outputs, device)
        self._own, self._outputs = own is not None, tuple(outputs)
        self.network = own or model.network
        self.engine = Engine(self.network, threads, outputs, device=device)

    @property
    def width(self) -> int:
        """Numbers that the network gives for a cell: D."""
        return sum(int(np.prod(self.engine.shape(name))) for name in self._outputs)

    def read(self, cells: Sequence[CellInput]) -> SlideReading:
        """Read the pictures of one patient.

        The features are those at the crop of the network's card, at which patients' models are trained: sizes tell
        patients apart, and the crop of a slide would take them away.

        Raises:
            BundleError: a network fails on a picture.
        """
        pictures = Pictures()
        tracked = TrackedSlide(self._classifier, cells, pictures)
        found = Predictions.concat([self._classifier.nothing, *tracked.rows()])
        counted = found.cells.select(is_counted()).to_series().arg_true().to_numpy()
        failures = found.failures
        if not self._own and tracked.slide.preprocess == self.network.preprocess and len(found.cells):
            values = self.joined(found.outputs)[counted]
        else:
            inputs = {cell.cell_id: cell for cell in cells}
            chosen = [inputs[cell_id] for cell_id in found.cells["cell_id"].gather(counted)]
            values, gone = self.features(chosen, pictures, tracked.slide.at_card_crop)
            failures = pl.concat([failures, gone])
            still = ~found.cells["cell_id"].gather(counted).is_in(gone["cell_id"].implode()).to_numpy()
            counted, values = counted[still], values[still]
        return SlideReading(found.cells, counted, values, failures, tracked.record(), pictures)

    def features(
        self,
        cells: Sequence[CellInput],
        pictures: Pictures | None = None,
        known: Mapping[CellInput, Mapping[str, NDArray[np.float32]]] | None = None,
    ) -> tuple[NDArray[np.float32], pl.DataFrame]:
        """The features of single pictures, whatever their slide is.

        Args:
            cells: N pictures.
            pictures: those that are decoded already.
            known: outputs of the network at its card's crop, for some of the cells.

        Returns:
            (N, D), not-a-number where a picture was not read; and rows of ``FAILURE_SCHEMA``.

        Raises:
            BundleError: the network fails on a picture.
        """
        found = {cell: self.joined(outputs)[0] for cell, outputs in (known or {}).items()}
        failed = []
        for batch in self.engine.run(
            [cell for cell in cells if cell not in found], read=(pictures or Pictures(0)).keep
        ):
            found |= zip(batch.cells, self.joined(batch.outputs), strict=True)
            failed += batch.failures
        absent = np.full(self.width, np.nan, np.float32)
        values = np.array([found.get(cell, absent) for cell in cells], np.float32).reshape(-1, self.width)
        rows = [(cell.cell_id, printable(cell.path), error.reason, printable(str(error))) for cell, error in failed]
        return values, pl.DataFrame(rows, schema=FAILURE_SCHEMA, orient="row")

    def joined(self, outputs: Mapping[str, NDArray[np.float32]]) -> NDArray[np.float32]:
        """Outputs of N cells side by side: (N, D)."""
        found = [outputs[name] for name in self._outputs]
        return np.concatenate([values.reshape(len(values), int(np.prod(values.shape[1:]))) for values in found], axis=1)
