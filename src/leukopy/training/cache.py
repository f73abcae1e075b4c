"""Cache of decoded pictures: bytes in one memory-mapped array on disk, so that an epoch decodes nothing."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray
from PIL import Image

from leukopy import synthesis
from leukopy.core.errors import ImageError
from leukopy.core.files import atomic_path, read_json, write_json
from leukopy.core.progress import Progress
from leukopy.imaging.decode import read_cell
from leukopy.imaging.preprocess import Preprocess
from leukopy.synthesis import draw_cell, random_appearance
from leukopy.training.sources import DRAWN


@dataclass(frozen=True)
class Decoded:
    """The pictures of some cells."""

    pictures: NDArray[np.uint8]
    """Shape (N, size, size, 3), memory-mapped, in the order of the cells; zeros where the picture failed."""
    failures: dict[int, str]
    """Row of each picture that could not be decoded -> why."""


def decode_all(cells: pl.DataFrame, spec: Preprocess, folder: Path, progress: Progress) -> Decoded:
    """Decode the pictures of ``cells`` as ``spec`` says; made once, then read from ``folder``.

    Args:
        cells: with a ``path``; with a ``crop`` of their own, where it is not null, they are cropped so.
        spec: what the network takes.
        folder: of the cache.
        progress: reports the decoding.
    """
    paths, specs = cells["path"].to_list(), [spec] * len(cells)
    if "crop" in cells.columns:
        own = {crop: spec.model_copy(update={"crop": crop}) for crop in cells["crop"].drop_nulls().unique()}
        specs = [own.get(crop, spec) for crop in cells["crop"]]
    key = _key(paths, spec, specs)
    path, reasons = folder / f"pictures-{key}.npy", folder / f"pictures-{key}.json"
    if not path.exists():
        with atomic_path(path) as temporary:
            write_json(reasons, _fill(paths, specs, temporary, progress))
    return Decoded(np.load(path, mmap_mode="r"), {int(row): why for row, why in read_json(reasons).items()})


def _key(paths: list[str], spec: Preprocess, specs: list[Preprocess]) -> str:
    """Digest of the cached pictures' dependencies; for drawn cells also of the drawing code."""
    look = spec.model_dump_json(exclude={"mean", "std"})  # the network applies mean and std
    digest = hashlib.sha256(f"{look} {'|'.join(paths)}".encode())
    if own := [f"{index}:{one.crop}" for index, one in enumerate(specs) if one is not spec]:
        digest.update("|".join(own).encode())
    if any(path.startswith(f"{DRAWN}:") for path in paths):
        for source in sorted(Path(synthesis.__file__).parent.glob("*.py")):
            digest.update(source.read_bytes())
    return digest.hexdigest()[:16]


def _fill(paths: list[str], specs: list[Preprocess], target: Path, progress: Progress) -> dict[int, str]:
    shape = (len(paths), specs[0].size, specs[0].size, 3)
    pictures = np.lib.format.open_memmap(target, mode="w+", dtype=np.uint8, shape=shape)
    failures: dict[int, str] = {}

    def fill(index: int) -> None:
        try:
            pictures[index] = _picture(paths[index], specs[index])
        except ImageError as error:
            failures[index] = str(error)

    with ThreadPoolExecutor() as pool:
        for done, _ in enumerate(pool.map(fill, range(len(paths))), start=1):
            if done % 100 == 0 or done == len(paths):
                progress("decoding", done, len(paths))
    pictures.flush()
    return dict(sorted(failures.items()))


def _picture(path: str, spec: Preprocess) -> NDArray[np.uint8]:
    if not path.startswith(f"{DRAWN}:"):
        return read_cell(Path(path), spec).pixels
    _, code, seed = path.split(":")
    # Two in three have a random laboratory's appearance, the others the default appearance, as in the demo.
    look = random_appearance(int(seed)) if int(seed) % 3 else None
    drawn = Image.fromarray(draw_cell(code, seed=int(seed), appearance=look, size=spec.short_side).image)
    side = (spec.size, spec.size)
    return np.asarray(drawn.resize(side, Image.Resampling.BILINEAR, box=spec.box(*drawn.size)))
