"""Measures of many cells: each picture once, one process per core, cached and resumable."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from joblib import cpu_count
from numpy.typing import NDArray

from leukopy.bundle import Bundle
from leukopy.core.errors import ImageError, InputError
from leukopy.core.files import file_digest
from leukopy.core.paths import cache_folder
from leukopy.core.progress import Progress
from leukopy.explore import features
from leukopy.explore.features import Measured, measure
from leukopy.explore.store import Store
from leukopy.imaging import decode, measures, morphology, preprocess, segmentation, stains
from leukopy.imaging.measures import FEATURES
from leukopy.inference import embeddings
from leukopy.inference.workers import in_batches

_EMBEDDED = 512
"""Images embedded between two writes to the cache."""

_PACKED = np.dtype([("size", "<i4", 2), ("values", "<f4", len(FEATURES))])


@dataclass(frozen=True, eq=False)
class Measurements:
    """Results of N images, in their order."""

    values: NDArray[np.float32]
    """Shape (N, features), in the order of ``FEATURES``; not-a-number in rows that failed."""
    sizes: NDArray[np.int32]
    """Shape (N, 2): width and height in pixels, as stored; 0 in rows that failed."""
    digests: list[str]
    """SHA-256 of each file; empty where it cannot be read."""
    failures: dict[int, tuple[str, str]]
    """Reason and message of each row that failed."""
    store: Store

    def pictures(self, rows: Sequence[int]) -> Iterator[bytes]:
        """The small picture (JPEG) of each of ``rows``, some hundreds in memory at a time."""
        for start in range(0, len(rows), _EMBEDDED):
            part = rows[start : start + _EMBEDDED]
            found = self.store.get([self.digests[row] for row in part])
            yield from (found[self.digests[row]][_PACKED.itemsize :] for row in part)


def measure_all(paths: Sequence[str], progress: Progress) -> Measurements:
    """Measure the images of ``paths``; reuse cached measures of identical bytes.

    Memory holds some numbers per image; the small pictures stay in the cache's file. A second call resumes an
    interrupted one.

    Raises:
        OutputError: the cache cannot be written.
        InputError: a worker process was killed.
    """
    digests = _digests(paths, progress)
    store = Store(cache_folder() / "explore" / f"cells-{_version()}.sqlite")
    known = store.known()
    missing = [row for row, digest in enumerate(digests) if digest not in known]
    failures: dict[int, tuple[str, str]] = {}
    done = len(paths) - len(missing)
    progress("measuring", done, len(paths))
    for rows, outcomes in in_batches(_measure_batch, paths, missing):
        read = {row: outcome for row, outcome in zip(rows, outcomes, strict=True) if isinstance(outcome, bytes)}
        failures |= {row: outcome for row, outcome in zip(rows, outcomes, strict=True) if isinstance(outcome, tuple)}
        store.put({digests[row]: content for row, content in read.items()})
        done += len(rows)
        progress("measuring", done, len(paths))
    values = np.full((len(paths), len(FEATURES)), np.nan, np.float32)
    sizes = np.zeros((len(paths), 2), np.int32)
    for start in range(0, len(paths), _EMBEDDED):
        found = store.get(digests[start : start + _EMBEDDED])
        for row in range(start, min(start + _EMBEDDED, len(paths))):
            if row not in failures:
                packed = np.frombuffer(found[digests[row]], _PACKED, count=1)[0]
                values[row], sizes[row] = packed["values"], packed["size"]
    return Measurements(values, sizes, digests, dict(sorted(failures.items())), store)


def embed_all(bundle: Bundle, paths: Sequence[str], digests: Sequence[str], progress: Progress) -> NDArray[np.float32]:
    """Embeddings of readable images by a bundle's network, cached by digest; shape (N, D).

    Raises:
        BundleError: the network has no embedding.
        OutputError: the cache cannot be written.
        InputError: a file can no longer be read.
    """
    spec = hashlib.sha256(f"{bundle.card.model.sha256} {bundle.card.preprocess}".encode()).hexdigest()[:16]
    store = Store(cache_folder() / "explore" / f"embeddings-{spec}.sqlite")
    known = store.known()
    missing = [row for row, digest in enumerate(digests) if digest not in known]
    done = len(paths) - len(missing)
    progress("embedding", done, len(paths))
    for start in range(0, len(missing), _EMBEDDED):
        rows = missing[start : start + _EMBEDDED]
        found, failures = embeddings(bundle, [paths[row] for row in rows], _onwards(progress, done, len(paths)))
        if failures:
            raise InputError(next(iter(failures.values())))
        store.put({digests[row]: vector.tobytes() for row, vector in zip(rows, found, strict=True)})
        done += len(rows)
    kept = store.get(digests)
    store.close()
    return np.stack([np.frombuffer(kept[digest], np.float32) for digest in digests])


def _onwards(progress: Progress, before: int, whole: int) -> Progress:
    """Progress of a part, reported as progress of the whole."""

    def report(stage: str, done: int, total: int | None) -> None:  # noqa: ARG001 (of the part)
        progress("embedding", before + done, whole)

    return report


@cache
def _version() -> str:
    """Fingerprint of the code that measures: another version never reads the numbers of this one."""
    digest = hashlib.sha256()
    for module in (features, measures, decode, preprocess, stains, segmentation, morphology):
        digest.update(Path(str(module.__file__)).read_bytes())
    return digest.hexdigest()[:16]


def _digests(paths: Sequence[str], progress: Progress) -> list[str]:
    digests: list[str] = []
    with ThreadPoolExecutor(cpu_count()) as pool:
        for digest in pool.map(_digest, paths):
            digests.append(digest)
            if len(digests) % 500 == 0 or len(digests) == len(paths):
                progress("reading files", len(digests), len(paths))
    return digests


def _digest(path: str) -> str:
    try:
        return file_digest(Path(path))
    except (OSError, ValueError):  # ValueError: a NUL in the path. Measuring it says what is wrong
        return ""


Outcome = bytes | tuple[str, str]
"""The packed measures and small picture of a cell, or the reason and message of its failure."""


def _measure_batch(paths: Sequence[str]) -> list[Outcome]:
    return [_measure_one(path) for path in paths]


def _measure_one(path: str) -> Outcome:
    try:
        found = measure(Path(path))
    except ImageError as error:
        return error.reason, str(error)
    return _pack(found)


def _pack(found: Measured) -> bytes:
    return np.array(((found.width, found.height), found.values), dtype=_PACKED).tobytes() + found.picture
