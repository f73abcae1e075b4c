"""Outputs of a network for analysis: embeddings of files, any output for prepared pictures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from leukopy.bundle import Bundle
from leukopy.core.errors import InputError
from leukopy.core.progress import Progress, silent
from leukopy.inference.engine import BATCH, Engine
from leukopy.inference.pictures import Pictures
from leukopy.inference.rows import CellInput, printable


def activations(bundle: Bundle, pixels: NDArray[np.uint8], names: Sequence[str]) -> dict[str, NDArray[np.float32]]:
    """Run a bundle's network on prepared pictures.

    The network is loaded once and cached, so many small calls cost no more than one large one.

    Args:
        bundle: an opened bundle.
        pixels: uint8 (N, S, S, 3), prepared by `imaging.decode.read_cell` for the bundle.
        names: the requested outputs, named as in `Bundle.model_path`.

    Returns:
        Each output by its name, float32, with N rows. All stay in memory: a feature map takes some 100 kB a cell.

    Raises:
        InputError: ``pixels`` are of another type or shape.
        BundleError: the network has no such output, or fails.
    """
    side = bundle.card.preprocess.size
    if pixels.dtype != np.uint8 or pixels.shape[1:] != (side, side, 3):
        raise InputError(
            f"pixels: {pixels.dtype} {pixels.shape}, but {bundle.card.name!r} takes uint8 (N, {side}, {side}, 3). "
            "Prepare them with read_cell."
        )
    engine = Engine(bundle.network, outputs=names)
    with ThreadPoolExecutor(engine.threads, thread_name_prefix="leukopy") as pool:
        parts = list(pool.map(engine.compute, _batches(pixels)))
    return {name: np.concatenate([part[name] for part in parts]) for name in names}


def embeddings(
    bundle: Bundle, paths: Sequence[Path | str], progress: Progress = silent
) -> tuple[NDArray[np.float32], dict[int, str]]:
    """The embedding of each image file: `file_activations` of the output ``embedding``."""
    return file_activations(bundle, paths, "embedding", progress)


def file_activations(
    bundle: Bundle,
    paths: Sequence[Path | str],
    name: str,
    progress: Progress = silent,
    pictures: Pictures | None = None,
) -> tuple[NDArray[np.float32], dict[int, str]]:
    """One output of the network for each image file, on all cores.

    Beside the result, memory does not grow with the number of files.

    Args:
        bundle: an opened bundle.
        paths: N image files.
        name: the requested output, named as in `Bundle.model_path`.
        progress: called with the number of finished images.
        pictures: cache of decoded pictures; None: each file is read.

    Returns:
        Float32 (N, ...), row i for ``paths[i]``, not-a-number where it failed; and the reasons, by i: one sentence
        each, as in a failures table.

    Raises:
        BundleError: the network has no such output, or fails.
    """
    cells = (CellInput(str(index), str(path)) for index, path in enumerate(paths))
    engine = Engine(bundle.network, outputs=(name,))
    found = np.full((len(paths), *engine.shape(name)), np.nan, np.float32)
    failures: dict[int, str] = {}
    done = 0
    for batch in engine.run(cells, read=pictures.keep if pictures else None):
        found[[int(cell.cell_id) for cell in batch.cells]] = batch.outputs[name]
        failures |= {int(cell.cell_id): printable(str(error)) for cell, error in batch.failures}
        done += len(batch.cells) + len(batch.failures)
        progress(f"computing {name}s", done, len(paths))
    return found, failures


def _batches(pixels: NDArray[np.uint8]) -> Iterator[NDArray[np.uint8]]:
    """At least one batch, so that zero pictures give empty outputs of the right shape."""
    for start in range(0, max(1, len(pixels)), BATCH):
        yield pixels[start : start + BATCH]
