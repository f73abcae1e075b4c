"""From the images of patients to bags: the features of every cell, and the two clinical numbers."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from leukopy.bundle import Bundle, open_bundle
from leukopy.core.errors import BundleError, InputError
from leukopy.core.progress import Progress, silent
from leukopy.inference.engine import Engine
from leukopy.inference.rows import CellInput, printable
from leukopy.patients.card import CLINICAL, Bag, CellNetwork
from leukopy.patients.inference.measures import cell_measures


@dataclass(frozen=True, eq=False)
class CellFeatures:
    """What a network says of some images."""

    values: NDArray[np.float32]
    """Shape (N, D); not-a-number in rows that failed, and in measures that a cell has not."""
    failures: dict[int, tuple[str, str]]
    """Reason (the short word of ImageError) and message of each row that failed."""


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
    if bundle.card.model.sha256 != network.sha256:
        raise BundleError(
            f"cell model {network.model!r}: is not the one this patient model was trained on. "
            "Train the patient model again, or install the version of leukopy that made it."
        )
    return bundle


def cell_features(network: CellNetwork, paths: Sequence[str], progress: Progress = silent) -> CellFeatures:
    """The features of image files by a bundled cell model: its outputs, then their measures, joined.

    Beside the result, memory does not grow with the number of files.

    Raises:
        BundleError: as `open_network`; or the model has no such output.
    """
    engine = Engine(open_network(network).network, outputs=network.outputs)
    shapes = [engine.shape(name) for name in network.outputs]
    values = np.full((len(paths), sum(int(np.prod(shape)) for shape in shapes)), np.nan, np.float32)
    failures: dict[int, tuple[str, str]] = {}
    done = 0
    for batch in engine.run(CellInput(str(row), path) for row, path in enumerate(paths)):
        rows = [int(cell.cell_id) for cell in batch.cells]
        if rows:
            values[rows] = np.concatenate([batch.outputs[name].reshape(len(rows), -1) for name in network.outputs], 1)
        failures |= {int(cell.cell_id): (error.reason, printable(str(error))) for cell, error in batch.failures}
        done += len(batch.cells) + len(batch.failures)
        progress("computing features", done, len(paths))
    if network.measures:
        values = np.concatenate([values, cell_measures(paths, progress)], axis=1)
    return CellFeatures(values, failures)


def make_bags(
    patients: pl.DataFrame, cells: pl.DataFrame, values: NDArray[np.generic], failed: Collection[int] = ()
) -> list[Bag]:
    """The bags of patients, in their order; patients without a cell that could be read are left out.

    Args:
        patients: rows of ``datasets.PATIENT_SCHEMA``.
        cells: rows of ``datasets.PATIENT_CELL_SCHEMA``.
        values: features (N, D) or pictures (N, S, S, 3) of the cells, in their order.
        failed: rows of ``cells`` that could not be read.

    Raises:
        InputError: the cells and their values are not of one length.
    """
    if len(cells) != len(values):
        raise InputError(f"{len(cells):,} cells, but {len(values):,} rows of values. Compute the features again.")
    read = np.ones(len(values), bool)
    read[list(failed)] = False
    owners = cells["patient_id"].to_numpy()
    bags = []
    for row in patients.iter_rows(named=True):
        own = (owners == row["patient_id"]) & read
        if own.any():
            clinical = np.array([np.nan if row[name] is None else row[name] for name in CLINICAL], np.float32)
            bags.append(Bag(row["patient_id"], values[own], clinical, row["label"]))
    return bags
