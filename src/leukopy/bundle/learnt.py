"""Digests of the images that a bundle learnt from, so that an evaluation can leave them out.

A sorted array of the first 64 bits of each file's SHA-256: 8 bytes an image. Among 100,000 learnt and 100,000 other
images, one passes as learnt with a chance of 5 in 10,000,000,000. Only the same file is found: a picture that
was saved again has other bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from leukopy.core.errors import BundleError
from leukopy.core.files import atomic_path, file_digest

LEARNT_FILE = "learnt.npy"

_HEX = 16


def write_learnt(folder: Path, digests: Iterable[str]) -> None:
    """Add images to those that a bundle's folder lists.

    Args:
        folder: of the bundle.
        digests: SHA-256 of each file, hexadecimal.

    Raises:
        BundleError: its list is broken.
        OutputError: it cannot be written.
    """
    _write(folder, _shortened(digests))


def inherit_learnt(folder: Path, origin: Path) -> None:
    """Add what another bundle's folder lists, from whose network or answers this one learnt; nothing without a list.

    Raises:
        BundleError: one of the lists is broken.
        OutputError: it cannot be written.
    """
    inherited = read_learnt(origin)
    if inherited is not None:
        _write(folder, inherited)


def add_learnt(folder: Path, paths: Iterable[str]) -> None:
    """Add files to those that a bundle's folder lists; nothing where it lists none, since a list is whole or absent.

    Raises:
        BundleError: its list is broken.
        OutputError: it cannot be written.
    """
    if read_learnt(folder) is not None:
        write_learnt(folder, (file_digest(Path(path)) for path in paths))


def read_learnt(folder: Path) -> NDArray[np.uint64] | None:
    """The list of a bundle's folder, sorted; None where the bundle keeps none.

    Raises:
        BundleError: it is broken.
    """
    path = folder / LEARNT_FILE
    if not path.exists():
        return None
    try:
        table = np.load(path, allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise BundleError(f"{path}: cannot be read ({error}). Copy the bundle again.") from error
    if table.dtype != np.uint64 or table.ndim != 1:
        raise BundleError(f"{path}: is no list of digests. Copy the bundle again.")
    return np.asarray(table)


def is_learnt(learnt: NDArray[np.uint64], digests: Sequence[str]) -> NDArray[np.bool_]:
    """Whether each file, by its SHA-256, is among those learnt, (N,)."""
    return np.isin(_shortened(digests), learnt)


def _write(folder: Path, found: NDArray[np.uint64]) -> None:
    earlier = read_learnt(folder)
    table = np.unique(found if earlier is None else np.concatenate([earlier, found]))
    with atomic_path(folder / LEARNT_FILE) as temporary, temporary.open("wb") as stream:
        np.save(stream, table)


def _shortened(digests: Iterable[str]) -> NDArray[np.uint64]:
    return np.array([int(digest[:_HEX], 16) for digest in digests], np.uint64)
