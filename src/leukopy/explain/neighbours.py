"""Explanation by example: the training cells whose embeddings are nearest (Aamodt and Plaza, "Case-based reasoning",
AI Communications 1994; Papernot and McDaniel, "Deep k-nearest neighbors", 2018).

An index holds the embeddings, ids and classes of some training cells of each class: no picture.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from leukopy.bundle import Bundle
from leukopy.core.errors import BundleError
from leukopy.core.files import atomic_path
from leukopy.explain.heat import noise
from leukopy.inference import activations

INDEX_FILE = "neighbours.npz"
"""In the bundle's folder."""

TOLERANCE = 1e-3
"""Largest difference of two probes of one network, as a share of their largest value: machines round differently."""


@dataclass(frozen=True, eq=False)
class NeighbourIndex:
    """Prototypes of the training cells in one network's embedding."""

    embeddings: NDArray[np.float16]
    """(P, D), each of length 1."""
    cell_ids: NDArray[np.str_]
    """(P,), ``<source>/<path below its root>``."""
    codes: NDArray[np.str_]
    """(P,), fine class codes."""
    source: str
    """Name of the data set."""
    root: str
    """Path of the data set below ``LEUKOPY_DATA``; empty if unknown."""
    probe: NDArray[np.float32]
    """(2, D), embeddings of `heat.noise`. They identify the network better than the digest of its file: an added output
    changes the digest, but not the embeddings, and so not the index."""


@dataclass(frozen=True)
class Neighbour:
    """A training cell near to the one explained."""

    cell_id: str
    code: str
    similarity: float
    """Cosine of the angle between the two embeddings."""


def prototypes(codes: NDArray[np.str_], per_class: int, seed: int = 0) -> NDArray[np.intp]:
    """Rows that stand for their class: ``per_class`` of each, by chance.

    On validation images the neighbours among them have the right class more often than among the cells next to the
    centres of as many k-means clusters, which are drawn to the outliers (``benchmarks/results/neighbours.json``).

    Args:
        codes: (N,), the class of each row.
        per_class: at most; a smaller class is taken whole.
        seed: of the draw.

    Returns:
        Indices, ascending.
    """
    rng = np.random.default_rng(seed)
    each = (np.flatnonzero(codes == code) for code in np.unique(codes))
    return np.sort(np.concatenate([rng.permutation(rows)[:per_class] for rows in each]))


def make_index(
    bundle: Bundle, embeddings: NDArray[np.float32], cell_ids: NDArray[np.str_], codes: NDArray[np.str_],
    source: str, root: str,
) -> NeighbourIndex:  # fmt: skip
    """An index of these cells: embeddings (P, D), ids and codes (P,)."""
    directions = _directions(embeddings).astype(np.float16)
    return NeighbourIndex(directions, cell_ids, codes, source, root, _probe(bundle))


def write_index(path: Path, index: NeighbourIndex) -> None:
    """Write an index, atomically.

    Raises:
        OutputError: it cannot be written.
    """
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        np.savez_compressed(
            stream, embeddings=index.embeddings, cell_ids=index.cell_ids, codes=index.codes,
            source=index.source, root=index.root, probe=index.probe,
        )  # fmt: skip


def read_index(bundle: Bundle) -> NeighbourIndex | None:
    """The index in a bundle's folder; None where there is none.

    Raises:
        BundleError: it is damaged, or was made with another network.
    """
    path = bundle.path / INDEX_FILE
    again = "Make it again with 'leukopy model index'."
    if not path.exists():
        return None
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as found:
            index = NeighbourIndex(
                found["embeddings"], found["cell_ids"], found["codes"],
                str(found["source"]), str(found["root"]), found["probe"],
            )  # fmt: skip
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise BundleError(f"{path}: is damaged, or no index of neighbours. {again}") from error
    probe = _probe(bundle)
    if index.probe.shape != probe.shape or not np.abs(index.probe - probe).max() <= TOLERANCE * np.abs(probe).max():
        raise BundleError(f"{path}: was made with another network than this bundle's. {again}")
    if index.embeddings.ndim != 2 or not len(index.embeddings) == len(index.cell_ids) == len(index.codes):
        raise BundleError(f"{path}: its columns have different lengths. {again}")
    return index


def nearest(index: NeighbourIndex, embeddings: NDArray[np.float32], count: int) -> list[list[Neighbour]]:
    """The ``count`` nearest prototypes of each embedding (N, D), the nearest first."""
    similarity = _directions(embeddings) @ index.embeddings.astype(np.float32).T
    order = np.argsort(-similarity, axis=1, kind="stable")[:, :count]
    return [
        [Neighbour(str(index.cell_ids[i]), str(index.codes[i]), float(row[i])) for i in found]
        for row, found in zip(similarity, order, strict=True)
    ]


def picture_path(index: NeighbourIndex, neighbour: Neighbour, data: Path) -> Path | None:
    """Path of a neighbour's picture below the data folder, if it exists."""
    path = data / index.root / neighbour.cell_id.removeprefix(f"{index.source}/")
    return path if index.root and path.is_file() else None


def _probe(bundle: Bundle) -> NDArray[np.float32]:
    return activations(bundle, noise(bundle.card.preprocess.size), ["embedding"])["embedding"]


def _directions(embeddings: NDArray[np.floating]) -> NDArray[np.float32]:
    """Each row scaled to length 1."""
    values = embeddings.astype(np.float32)
    return np.asarray(values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-12))
