"""Cache of decoded pictures: bytes in memory-mapped arrays on disk, so that an epoch decodes nothing."""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray
from PIL import Image

from leukopy import synthesis
from leukopy.core.cache import file_state, keep_recent, mark_used
from leukopy.core.errors import ImageError
from leukopy.core.files import atomic_path, read_json, write_json
from leukopy.core.progress import Progress
from leukopy.imaging.decode import read_cell
from leukopy.imaging.preprocess import Preprocess
from leukopy.synthesis import draw_cell, random_appearance
from leukopy.training.sources import DRAWN


@dataclass(frozen=True)
class Decoded:
    """The pictures of N cells."""

    arrays: tuple[NDArray[np.uint8], ...]
    """Memory-mapped, one for each source and crop: (n, size, size, 3), zeros where a picture failed."""
    places: NDArray[np.intp]
    """(N, 2): the array of each cell, and its row there."""
    failures: dict[int, str]
    """Row of each picture that could not be decoded -> why."""

    def picture(self, row: int) -> NDArray[np.uint8]:
        """The picture of one cell, (size, size, 3)."""
        array, place = self.places[row]
        return np.asarray(self.arrays[array][place])

    def pictures(self, rows: NDArray[np.intp]) -> NDArray[np.uint8]:
        """The pictures of some cells, (len(rows), size, size, 3)."""
        found = np.empty((len(rows), *self.arrays[0].shape[1:]), np.uint8)
        for place, row in enumerate(rows):
            found[place] = self.picture(row)
        return found


def decode_all(cells: pl.DataFrame, spec: Preprocess, folder: Path, progress: Progress) -> Decoded:
    """Decode the pictures of ``cells`` as ``spec`` says; made once, then read from ``folder``.

    Each source is kept apart, so that recipes that share a source share its pictures.

    Args:
        cells: N >= 1 rows with a ``path``; with a ``crop`` of their own, where it is not null, they are cropped so.
        spec: input of the network.
        folder: of the cache; what was not used for longest leaves it (`leukopy.core.cache`).
        progress: reports the decoding.

    Raises:
        OutputError: the cache cannot be written.
    """
    apart = [name for name in ("source", "crop") if name in cells.columns]
    numbered = cells.with_row_index("row")
    parts = numbered.partition_by(apart, maintain_order=True) if apart else [numbered]
    arrays: list[NDArray[np.uint8]] = []
    places, failures = np.empty((len(cells), 2), np.intp), dict[int, str]()
    done = 0
    for number, part in enumerate(parts):
        crop = part["crop"][0] if "crop" in apart else None
        own = spec if crop is None else spec.model_copy(update={"crop": crop})
        count = _Counted(progress, done, len(cells))
        array, failed = _decode_part(part["path"].to_list(), own, folder, count)
        rows = part["row"].to_numpy()
        arrays.append(array)
        places[rows] = np.stack([np.full(len(rows), number), np.arange(len(rows))], axis=1)
        failures |= {int(rows[place]): why for place, why in failed.items()}
        done += len(rows)
        progress("decoding", done, len(cells))
    return Decoded(tuple(arrays), places, dict(sorted(failures.items())))


@dataclass(frozen=True)
class _Counted:
    """Progress over all parts."""

    progress: Progress
    before: int
    total: int

    def __call__(self, done: int) -> None:
        self.progress("decoding", self.before + done, self.total)


def _decode_part(
    paths: list[str], spec: Preprocess, folder: Path, progress: _Counted
) -> tuple[NDArray[np.uint8], dict[int, str]]:
    key = _key(paths, spec)
    path, reasons = folder / f"pictures-{key}.npy", folder / f"pictures-{key}.json"
    if not path.exists() or not reasons.exists():
        with atomic_path(path) as temporary:
            write_json(reasons, _fill(paths, spec, temporary, progress))
        keep_recent(folder, newest=path)
    mark_used(path)
    return np.load(path, mmap_mode="r"), {int(row): why for row, why in read_json(reasons).items()}


def _key(paths: list[str], spec: Preprocess) -> str:
    """Digest of the cached pictures' dependencies: the files' sizes and times; for drawn cells the drawing code."""
    look = spec.model_dump_json(exclude={"mean", "std"})  # the network applies mean and std
    digest = hashlib.sha256(look.encode())
    for path in paths:
        digest.update(f"|{file_state(path)}".encode())
    if any(path.startswith(f"{DRAWN}:") for path in paths):
        for source in sorted(Path(synthesis.__file__).parent.glob("*.py")):
            digest.update(source.read_bytes())
    return digest.hexdigest()[:16]


def _fill(paths: list[str], spec: Preprocess, target: Path, progress: _Counted) -> dict[int, str]:
    shape = (len(paths), spec.size, spec.size, 3)
    pictures = np.lib.format.open_memmap(target, mode="w+", dtype=np.uint8, shape=shape)
    _reserve(target)
    failures: dict[int, str] = {}

    def fill(index: int) -> None:
        try:
            pictures[index] = _picture(paths[index], spec)
        except ImageError as error:
            failures[index] = str(error)

    with ThreadPoolExecutor() as pool:
        for done, _ in enumerate(pool.map(fill, range(len(paths))), start=1):
            if done % 100 == 0 or done == len(paths):
                progress(done)
    pictures.flush()
    return dict(sorted(failures.items()))


def _reserve(target: Path) -> None:
    """Take the file's space now: a full disk is an error here, and kills the process when a mapped page is written.

    Raises:
        OSError: the disk is full.
    """
    if hasattr(os, "posix_fallocate"):
        with target.open("r+b") as stream:
            os.posix_fallocate(stream.fileno(), 0, target.stat().st_size)


def _picture(path: str, spec: Preprocess) -> NDArray[np.uint8]:
    if not path.startswith(f"{DRAWN}:"):
        return read_cell(Path(path), spec).pixels
    _, code, seed = path.split(":")
    # Two in three have a random laboratory's appearance, the others the default appearance, as in the demo.
    look = random_appearance(int(seed)) if int(seed) % 3 else None
    drawn = Image.fromarray(draw_cell(code, seed=int(seed), appearance=look, size=spec.short_side).image)
    side = (spec.size, spec.size)
    return np.asarray(drawn.resize(side, Image.Resampling.BILINEAR, box=spec.box(*drawn.size)))
