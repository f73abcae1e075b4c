"""How unlike every class a cell is, from what the network's own head says of it.

Two things make a cell strange: little speaks for any class at all (energy: Liu et al., "Energy-based
out-of-distribution detection", NeurIPS 2020), and what does speak is divided between classes (the softmax probability
of Hendrycks and Gimpel, "A baseline for detecting misclassified and out-of-distribution examples in neural networks",
ICLR 2017), both softened by a temperature (Liang et al., "Enhancing the reliability of out-of-distribution image
detection in neural networks", ICLR 2018). Distances in feature space (Mahalanobis with shrinkage, of normalised
features or relative; nearest neighbours; ViM) found the cells of a class worse in the four networks that the settings
were chosen on, where such cells have small features, and flagged most cells of other laboratories. But platelets can be
taken for another class with more certainty than known cells have: a network half trained without them gave them an
AUROC of .43 by this score, and .85 by the Mahalanobis distance of normalised features.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import Field

from leukopy.bundle import Bundle
from leukopy.bundle.head import Head
from leukopy.core.progress import Progress
from leukopy.core.settings import Settings
from leukopy.inference import activations
from leukopy.inference.adaptation import logits_of
from leukopy.taxonomy import coarse_matrix
from leukopy.training.cache import Decoded, decode_all

CHUNK = 512
"""Pictures read at a time."""


class StrangenessSettings(Settings):
    """How strangeness is computed.

    Both were set on validation cells of four networks trained without one class each (one by ``configs/open_set.yaml``,
    three more shortly), and so that blurred, empty and paired pictures come out, and other laboratories' cells do not.
    """

    temperature: float = Field(default=3.0, gt=0)
    """Divides the logits."""
    doubt: float = Field(default=2.0, ge=0)
    """Weight of the divided evidence; 0: energy alone."""

    @property
    def method(self) -> str:
        """For the card."""
        return (
            f"1 / (total evidence x probability of the coarse class^{self.doubt:g}), from the logits divided by "
            f"{self.temperature:g}. It needs no other pictures than those that the classes were learnt from."
        )


def strangeness_of(head: Head, embeddings: NDArray[np.float32], how: StrangenessSettings) -> NDArray[np.float64]:
    """Strangeness (N,) of embeddings (N, D): 1 / (sum of exp(logits / T) x probability of the coarse class ^ doubt)."""
    evidence = np.exp(logits_of(head, embeddings).astype(np.float64) / how.temperature) @ coarse_matrix()
    total = evidence.sum(axis=1)
    return np.asarray(1 / (total * (evidence.max(axis=1) / total) ** how.doubt))


@dataclass(frozen=True, eq=False)
class Seen:
    """Cells, and what a network sees of them."""

    cells: pl.DataFrame
    """N rows of the manifest: those whose picture could be decoded."""
    outputs: dict[str, NDArray[np.float32]]
    """By name, each with N rows."""
    failures: pl.DataFrame
    """``cell_id`` and ``message`` of the others."""
    _decoded: Decoded
    _rows: NDArray[np.intp]

    def pictures(self, rows: NDArray[np.intp]) -> NDArray[np.uint8]:
        """The pictures of some cells, uint8 (len(rows), S, S, 3)."""
        return np.asarray(self._decoded.pictures[self._rows[rows]])


def look(
    bundle: Bundle, cells: pl.DataFrame, cache: Path, progress: Progress, names: Sequence[str] = ("embedding",)
) -> Seen:
    """Run a bundle's network on the cells of a manifest, drawn ones too; decoded pictures are kept in ``cache``.

    Args:
        bundle: an opened bundle.
        cells: rows of ``MANIFEST_SCHEMA`` with a ``source``.
        cache: a folder.
        progress: told of the decoding and the computing.
        names: the outputs wanted, as `Bundle.model_path` lists them.
    """
    side = bundle.card.preprocess.size
    nothing = Decoded(np.zeros((0, side, side, 3), np.uint8), {})  # an empty file cannot be memory-mapped
    decoded = decode_all(cells, bundle.card.preprocess, cache, progress) if len(cells) else nothing
    rows = np.setdiff1d(np.arange(len(cells)), list(decoded.failures))
    parts = []
    for start in range(0, max(1, len(rows)), CHUNK):
        pictures = np.asarray(decoded.pictures[rows[start : start + CHUNK]])
        parts.append(activations(bundle, pictures, names))
        progress("computing", min(start + CHUNK, len(rows)), len(rows))
    failures = cells[list(decoded.failures)].select(
        "cell_id", message=pl.Series(decoded.failures.values(), dtype=pl.String)
    )
    outputs = {name: np.concatenate([part[name] for part in parts]) for name in names}
    return Seen(cells[rows], outputs, failures, decoded, rows)
