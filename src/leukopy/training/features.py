"""Features of cells for shallow models: computed once for each picture, then read from the cache."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from leukopy.bundle import Bundle, open_bundle
from leukopy.core.cache import file_state, keep_recent, mark_used
from leukopy.core.errors import ImageError
from leukopy.core.files import atomic_path, read_json, write_json
from leukopy.core.progress import Progress, silent
from leukopy.imaging import segmentation
from leukopy.imaging.decode import read_cell
from leukopy.imaging.preprocess import Preprocess
from leukopy.inference import activations
from leukopy.models.cell_net import CellNet
from leukopy.models.weights import load_file
from leukopy.training.shallow_settings import Features

BATCH = 64
Pixels = NDArray[np.uint8]
Rows = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Computed:
    """Features of some pictures."""

    values: Rows
    """Shape (N, D), in the order of the pictures; not-a-number where the picture failed."""
    failures: dict[int, str]
    """Row of each picture that could not be decoded -> why."""


class Extractor:
    """Feature extractor: image files to features."""

    def __init__(self, features: Features) -> None:
        """Load the network.

        Raises:
            BundleError: no such model.
            TrainingError: the backbone's weights cannot be had.
        """
        self.features = features
        self.bundle: Bundle | None = None if features.model is None else open_bundle(features.model)
        self.spec: Preprocess = self.bundle.card.preprocess if self.bundle else features.preprocess or Preprocess()
        self._run = self._network()

    def cached(self, paths: Sequence[str], folder: Path, progress: Progress) -> Computed:
        """The features of ``paths``: made once, then read from ``folder``."""
        key = hashlib.sha256("|".join([self._key(), *map(file_state, paths)]).encode()).hexdigest()[:16]
        path, reasons = folder / f"features-{key}.npy", folder / f"features-{key}.json"
        if not path.exists():
            found = self.compute(paths, progress)
            with atomic_path(path) as temporary:
                write_json(reasons, found.failures)
                with temporary.open("wb") as stream:
                    np.save(stream, found.values)
            keep_recent(folder, newest=path)
        mark_used(path)
        return Computed(np.load(path), {int(row): why for row, why in read_json(reasons).items()})

    def compute(self, paths: Sequence[str], progress: Progress = silent) -> Computed:
        """The features of ``paths``, some pictures in memory at a time."""
        failures: dict[int, str] = {}
        parts: list[Rows] = []
        with ThreadPoolExecutor() as pool:
            for start in range(0, len(paths), BATCH):
                rows = range(start, min(start + BATCH, len(paths)))
                read = list(pool.map(self._picture, (paths[row] for row in rows)))
                failures |= {row: error for row, error in zip(rows, read, strict=True) if isinstance(error, str)}
                blank = np.zeros((self.spec.size, self.spec.size, 3), np.uint8)
                part = self._run(np.stack([blank if isinstance(picture, str) else picture for picture in read]))
                part[[isinstance(picture, str) for picture in read]] = np.nan
                parts.append(part)
                progress("features", rows[-1] + 1, len(paths))
        return Computed(np.concatenate(parts), failures)

    def _picture(self, path: str) -> Pixels | str:
        """The prepared picture, or why there is none."""
        try:
            pixels = read_cell(Path(path), self.spec).pixels
        except ImageError as error:
            return str(error)
        if self.features.background == "removed":
            return segmentation.remove_background(pixels, segmentation.segment(pixels))
        return pixels

    def _key(self) -> str:
        """Digest of the features' dependencies besides the pictures."""
        start = self.features.start
        network = self.bundle.card.model.sha256 if self.bundle else f"{start and (start.name, start.first_weights)}"
        drawn = Path(segmentation.__file__).read_text("utf-8") if self.features.background == "removed" else ""
        return f"{network} {self.spec.model_dump_json()} {hashlib.sha256(drawn.encode()).hexdigest()}"

    def _network(self) -> Callable[[Pixels], Rows]:
        if self.bundle is not None:
            bundle = self.bundle
            return lambda pixels: activations(bundle, pixels, ["embedding"])["embedding"].copy()
        start = self.features.start
        if start is None:
            return lambda pixels: pixels.reshape(len(pixels), -1).astype(np.float32) / np.float32(255)
        net = CellNet(start.name, self.spec, pretrained=start.pretrained)
        if start.weights:
            load_file(net.backbone, start.weights)
        net.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]

        def embed(pixels: Pixels) -> Rows:
            with torch.inference_mode():
                found: Rows = net(torch.from_numpy(pixels)).embedding.numpy().copy()
            return found

        return embed
