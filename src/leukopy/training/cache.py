"""Decode once: every picture as bytes in one array on disk, memory-mapped, so that an epoch decodes nothing."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from leukopy.core.files import atomic_path
from leukopy.core.progress import Progress
from leukopy.imaging.decode import read_cell
from leukopy.imaging.preprocess import Preprocess
from leukopy.synthesis import draw_cell, random_appearance
from leukopy.training.sources import DRAWN


def decode_all(cells: pl.DataFrame, spec: Preprocess, folder: Path, progress: Progress) -> NDArray[np.uint8]:
    """Pictures of ``cells`` as uint8 (N, spec.size, spec.size, 3), in their order; made once, then read from disk.

    Raises:
        ImageError: a picture cannot be decoded (audit the data set first).
    """
    key = hashlib.sha256(f"{spec.size} {spec.crop} {'|'.join(cells['path'])}".encode()).hexdigest()[:16]
    path = folder / f"pictures-{key}.npy"
    if not path.exists():
        with atomic_path(path) as temporary:
            _fill(cells["path"].to_list(), spec, temporary, progress)
    pictures: NDArray[np.uint8] = np.load(path, mmap_mode="r")
    return pictures


def _fill(paths: list[str], spec: Preprocess, target: Path, progress: Progress) -> None:
    shape = (len(paths), spec.size, spec.size, 3)
    pictures = np.lib.format.open_memmap(target, mode="w+", dtype=np.uint8, shape=shape)
    with ThreadPoolExecutor() as pool:
        for index, picture in enumerate(pool.map(lambda path: _picture(path, spec), paths)):
            pictures[index] = picture
            if index % 100 == 99 or index + 1 == len(paths):
                progress("decoding", index + 1, len(paths))
    pictures.flush()


def _picture(path: str, spec: Preprocess) -> NDArray[np.uint8]:
    if not path.startswith(f"{DRAWN}:"):
        return read_cell(Path(path), spec).pixels
    _, code, seed = path.split(":")
    # Two in three in the look of a laboratory of its own, the others in the default look, which the demo has.
    look = random_appearance(int(seed)) if int(seed) % 3 else None
    return draw_cell(code, seed=int(seed), appearance=look, size=spec.size).image
