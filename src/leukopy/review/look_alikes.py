"""Look-alikes of a cell among the cells of the station's own signed cases, by the network's embedding.

Embeddings are kept below the station's folder, by the digest of the picture; they can be deleted at any time, and are
deleted where a case is erased.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from leukopy.bundle import Bundle, open_bundle
from leukopy.core.errors import ImageError
from leukopy.core.files import atomic_path
from leukopy.imaging.decode import read_cell
from leukopy.inference import activations
from leukopy.review.settings import ReviewSettings
from leukopy.review.store import EMBEDDINGS, ImageStore

AT_ONCE = 64
"""Embeddings that one request computes: some seconds of work. The page asks again for the others."""


class Found(NamedTuple):
    """Signed cells by their similarity."""

    nearest: tuple[tuple[int, float], ...]
    """Index among the digests that were given, and cosine, the most similar first."""
    waiting: int
    """Cells that were not compared yet."""


class LookAlikes:
    """Compares cells with the signed ones. It may be used from several threads."""

    def __init__(self, settings: ReviewSettings, images: ImageStore) -> None:
        self._settings, self._images = settings, images
        self._lock = Lock()
        self._known: dict[str, NDArray[np.float32]] | None = None

    def find(self, wanted: str, digests: Sequence[str], count: int) -> Found:
        """The signed cells that are most similar to a cell.

        Args:
            wanted: sha256 of its picture.
            digests: of the pictures of the signed cells.
            count: how many.

        Raises:
            BundleError: the model's network cannot be run.
            OutputError: the embeddings cannot be written.
        """
        with self._lock:
            known = self._load()
            missing = [one for one in dict.fromkeys((wanted, *digests)) if one not in known]
            if missing:
                self._add(known, missing[:AT_ONCE])
                self._save(known)
            at = [index for index, digest in enumerate(digests) if _usable(known, digest) and digest != wanted]
            if not at or not _usable(known, wanted):
                return Found((), len(missing[AT_ONCE:]))
            cosines = np.stack([known[digests[index]] for index in at]) @ known[wanted]
        order = np.argsort(-cosines, kind="stable")[:count]
        return Found(tuple((at[place], float(cosines[place])) for place in order), len(missing[AT_ONCE:]))

    @cached_property
    def _bundle(self) -> Bundle:
        return open_bundle(self._settings.model)

    @property
    def _file(self) -> Path:
        return self._settings.folder / EMBEDDINGS / f"{self._bundle.card.model.sha256}.npz"

    def _load(self) -> dict[str, NDArray[np.float32]]:
        """What is known; read again where an erasure deleted it."""
        if self._known is None or not self._file.exists():
            self._known = {}
            if self._file.exists():
                with np.load(self._file, allow_pickle=False) as kept:
                    vectors = kept["embeddings"].astype(np.float32)
                    self._known = dict(zip(kept["digests"].tolist(), vectors, strict=True))
        return self._known

    def _add(self, known: dict[str, NDArray[np.float32]], digests: Sequence[str]) -> None:
        """Compute embeddings, each of length 1; that of an unreadable picture is zero."""
        spec = self._bundle.card.preprocess
        pixels = {}
        for digest in digests:
            try:
                pixels[digest] = read_cell(self._images.path(digest), spec).pixels
            except ImageError:
                known[digest] = np.zeros(1, np.float32)
        if pixels:
            found = activations(self._bundle, np.stack(list(pixels.values())), ["embedding"])["embedding"]
            lengths = np.linalg.norm(found, axis=1, keepdims=True)
            known |= dict(zip(pixels, found / np.maximum(lengths, 1e-12), strict=True))

    def _save(self, known: dict[str, NDArray[np.float32]]) -> None:
        usable = [digest for digest in known if _usable(known, digest)]
        if not usable:
            return
        self._file.parent.mkdir(exist_ok=True, mode=0o700)
        vectors = np.stack([known[digest] for digest in usable]).astype(np.float16)
        with atomic_path(self._file) as temporary, temporary.open("wb") as stream:
            np.savez(stream, digests=np.array(usable), embeddings=vectors)


def _usable(known: dict[str, NDArray[np.float32]], digest: str) -> bool:
    return digest in known and known[digest].size > 1
