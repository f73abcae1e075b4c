"""Pictures in object stores, copied to this machine slide by slide; those of a disk are read in place."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from leukopy.cluster.retries import Retries
from leukopy.cluster.storage import ObjectStore, is_uri, split_uri
from leukopy.core.files import output_error

_READERS = 8
"""Objects that are read at the same time."""
_LONGEST_NAME = 200
"""Bytes of a file name that every file system takes."""


@dataclass(frozen=True)
class Staged:
    """The pictures of a slide on this machine."""

    folder: Path
    paths: Mapping[str, Path]
    """Path or URI of the plan -> path on this machine."""
    forbidden: frozenset[str]
    """URIs that the store does not let this user read."""


def stage(slides: Sequence[Sequence[str]], scratch: Path, retries: Retries) -> Iterator[Staged]:
    """The pictures of each slide; the next slide is copied while the present one is analysed.

    Args:
        slides: paths and URIs of each slide.
        scratch: a folder for the copies; those of a slide are removed when the next one is asked for.
        retries: counts repeated calls.

    Raises:
        OutputError: the disk of the copies is full.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="leukopy-stage") as pool:
        following: Future[Staged] | None = None
        for place in range(len(slides)):
            now = following or pool.submit(_stage, slides[place], scratch / f"in-{place}", retries)
            staged = now.result()
            following = None
            if place + 1 < len(slides):
                following = pool.submit(_stage, slides[place + 1], scratch / f"in-{place + 1}", retries)
            yield staged
            shutil.rmtree(staged.folder, ignore_errors=True)


def fetch_all(paths: Sequence[str], folder: Path) -> Mapping[str, Path]:
    """Paths on this machine of some pictures; of one that cannot be read, a path without a file."""
    return _stage(paths, folder, Retries()).paths


def _stage(paths: Sequence[str], folder: Path, retries: Retries) -> Staged:
    remote = [path for path in paths if is_uri(path)]
    places = {path: Path(path) for path in paths}
    places |= {uri: folder / str(number) / _file_name(uri) for number, uri in enumerate(remote)}
    if not remote:
        return Staged(folder, places, frozenset())

    def copy(uri: str) -> bool:
        """False where it is forbidden. Where there is no object, reading the copy says so."""
        bucket, key = split_uri(uri)
        try:
            data = ObjectStore(bucket, "", retries).read(key)
        except FileNotFoundError:
            return True
        except PermissionError:
            return False
        try:
            places[uri].parent.mkdir(parents=True, exist_ok=True)
            places[uri].write_bytes(data)
        except OSError as error:
            raise output_error(places[uri], error) from error
        return True

    with ThreadPoolExecutor(_READERS) as pool:
        read = list(pool.map(copy, remote))
    return Staged(folder, places, frozenset(uri for uri, allowed in zip(remote, read, strict=True) if not allowed))


def _file_name(uri: str) -> str:
    """The name of an object as a file; fields of whole slides are named after it."""
    name = PurePosixPath(uri).name
    return name if len(name.encode()) < _LONGEST_NAME and name != ".." and "\0" not in name else "picture"
