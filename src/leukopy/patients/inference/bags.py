"""From the images of patients to bags: the features of every cell, and the two clinical numbers."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from leukopy.bundle import Bundle, open_bundle
from leukopy.core.errors import BundleError, InputError
from leukopy.core.progress import Progress, silent
from leukopy.inference.rows import CellInput
from leukopy.patients.card import CLINICAL, Bag, CellNetwork
from leukopy.patients.inference.measures import cell_measures
from leukopy.patients.inference.slides import SlideReader


@dataclass(frozen=True, eq=False)
class CellFeatures:
    """Features of the pictures of one patient, or of several."""

    values: NDArray[np.float32]
    """Shape (N, D); not-a-number in measures that a cell has not."""
    left_out: dict[int, tuple[str, str]]
    """Rows that are in no bag, with the reason (a short word) and a message: pictures that were not read, that show no
    single cell, or that are copies of another picture of the patient."""


def describe_network(
    model: str = "default", outputs: Sequence[str] = ("embedding",), *, measures: bool = False
) -> CellNetwork:
    """A bundled cell model as a patient's bundle names it.

    Raises:
        BundleError: there is no such model.
    """
    card = open_bundle(model).card
    return CellNetwork(
        model=model, sha256=card.model.sha256, outputs=tuple(outputs), preprocess=card.preprocess, measures=measures
    )


def open_network(network: CellNetwork) -> Bundle:
    """The bundled cell model that a patient's bundle reads.

    Raises:
        BundleError: it is absent, or is no longer the one that the patient model was trained on.
    """
    if network.model is None:
        raise BundleError("the patient's bundle has a cell network of its own; open that one.")
    bundle = open_bundle(network.model)
    if not bundle.card.gives_outputs_of(network.sha256):
        raise BundleError(
            f"cell model {network.model!r}: is not the one this patient model was trained on. "
            "Train the patient model again, or install the version of leukopy that made it."
        )
    return bundle


def cell_features(
    network: CellNetwork, patients: Sequence[Sequence[CellInput]], progress: Progress = silent
) -> Iterator[CellFeatures]:
    """The features of pictures by a bundled cell model: its outputs, then their measures, joined.

    Args:
        network: what makes the features.
        patients: all pictures of each patient, which are read as one slide.
        progress: told of the pictures that are done.

    Yields:
        The features of each patient.

    Raises:
        BundleError: as `open_network`; or the model has no such output.
    """
    reader = SlideReader(open_network(network), network.outputs)
    paths = [cell.path for cells in patients for cell in cells]
    measures = cell_measures(paths, progress) if network.measures else np.empty((len(paths), 0), np.float32)
    done = 0
    for cells in patients:
        found = reader.read(cells)
        rows = {cell.cell_id: row for row, cell in enumerate(cells)}
        values = np.full((len(cells), reader.width), np.nan, np.float32)
        values[[rows[cell_id] for cell_id in found.cells["cell_id"]]] = found.values
        left_out = pl.concat([found.failures, found.without_class, found.copies])
        reasons = left_out.select("cell_id", "reason", "message").iter_rows()
        yield CellFeatures(
            np.concatenate([values, measures[done : done + len(cells)]], axis=1),
            {rows[cell_id]: (reason, message) for cell_id, reason, message in reasons},
        )
        done += len(cells)
        progress("computing features", done, len(paths))


def make_bags(
    patients: pl.DataFrame, cells: pl.DataFrame, values: NDArray[np.generic], left_out: Collection[int] = ()
) -> list[Bag]:
    """The bags of patients, in their order; patients without a cell are left out.

    Args:
        patients: rows of ``datasets.PATIENT_SCHEMA``.
        cells: rows of ``datasets.PATIENT_CELL_SCHEMA``.
        values: features (N, D) or pictures (N, S, S, 3) of the cells, in their order.
        left_out: rows of ``cells`` that are in no bag.

    Raises:
        InputError: the cells and their values are not of one length.
    """
    if len(cells) != len(values):
        raise InputError(f"{len(cells):,} cells, but {len(values):,} rows of values. Compute the features again.")
    held = np.ones(len(values), bool)
    held[list(left_out)] = False
    owners = cells["patient_id"].to_numpy()
    bags = []
    for row in patients.iter_rows(named=True):
        own = (owners == row["patient_id"]) & held
        if own.any():
            clinical = np.array([np.nan if row[name] is None else row[name] for name in CLINICAL], np.float32)
            bags.append(Bag(row["patient_id"], values[own], clinical, row["label"]))
    return bags
