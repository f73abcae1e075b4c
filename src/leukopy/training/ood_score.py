"""Out-of-distribution score of a cell, for a network that does not change.

The score is the sum of three parts; the sum detects more than any part:

- *far*: the statistics of its early maps are far from those of every class, by the covariance within classes
  (Mahalanobis distance: Lee et al., "A simple unified framework for detecting out-of-distribution samples", NeurIPS
  2018). The early maps keep features that do not separate the known classes; the last map loses them. They are
  weighted towards the middle of the picture, where the cell is. Another laboratory multiplies the distances of all its
  cells; `leukopy.slides.ood_correction` corrects this for a whole slide.
- *new*: in the linear discriminants of the same statistics (Fisher 1936), the cell lies in a direction without training
  cells: its traits fit no class, or several at once (angle to the k-th nearest cell:
  Sun et al., "Out-of-distribution detection with deep nearest neighbors", ICML 2022).
- *doubtful*: the network's head finds little evidence for any class (energy: Liu et al., "Energy-based
  out-of-distribution detection", NeurIPS 2020), and divides it (softmax probability: Hendrycks and Gimpel, ICLR 2017),
  both softened by a temperature (Liang et al., ICLR 2018).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx
import polars as pl
from numpy.typing import NDArray
from pydantic import Field

from leukopy.bundle import Bundle, write_bundle
from leukopy.core.errors import TrainingError
from leukopy.core.progress import Progress
from leukopy.core.settings import Settings
from leukopy.inference import activations
from leukopy.inference.adaptation import logits_of
from leukopy.network.head import Head
from leukopy.network.ood_reference import OodReference
from leukopy.network.outputs import CENTRE, inputs_of, with_centre, without_ood_score
from leukopy.taxonomy import coarse_matrix
from leukopy.training.attribute_heads import card_for
from leukopy.training.cache import Decoded, decode_all
from leukopy.training.settings import TrainSettings
from leukopy.training.sources import member_matrix, sampling_weights

CHUNK = 512
"""Pictures read at a time."""

_LEAST_SPREAD = 1e-3
"""Minimum spread of a part between known cells, so that rounding does not raise the score."""

Array = NDArray[np.float32]


class OodSettings(Settings):
    """Settings of the out-of-distribution score.

    Chosen on validation cells of PBC, one rule for all the classes that were left out in turn; see
    ``configs/open_set.yaml``.
    """

    stages: tuple[str, ...] = ("blocks.1.0.conv_pw", "blocks.2.0.conv_pw", "blocks.3.0.conv_pw", "blocks.4.0.conv_pw")
    """Convolutions, by the name of their weights, whose inputs are used: those that follow the first stages. Later
    stages did not improve the detection of left-out classes."""
    window: float = Field(default=0.15, gt=0)
    """Deviation, in sides of the picture, of the bell around its middle that the statistics are weighted with."""
    cells: int = Field(default=300, ge=1)
    """Training cells of each source and class that are compared with, at most."""
    shrinkage: float = Field(default=0.03, gt=0, le=1)
    """Share of the covariance within classes that is its diagonal alone (Friedman, JASA 1989)."""
    neighbours: int = Field(default=10, ge=1)
    """Rank k of the nearest training cell whose angle is used."""
    temperature: float = Field(default=3.0, gt=0)
    """Divides the logits."""
    doubt: float = Field(default=2.0, ge=0)
    """Weight of the divided evidence against its sum."""
    seed: int = 0

    @property
    def method(self) -> str:
        """Description of the method for the card."""
        return (
            "Sum of three parts: Mahalanobis distance to the nearest class in the statistics of "
            f"{len(self.stages)} early maps, in the middle of the picture; angle to neighbour {self.neighbours} among "
            "training cells, in discriminant space; energy and softmax uncertainty of the class logits. "
            "Fitted to the training cells alone."
        )


def fit_ood_reference(
    centre: Array, codes: NDArray[np.intp], weights: NDArray[np.float64], head: Head, how: OodSettings
) -> OodReference:
    """Fit the reference to training cells; its parts are not yet scaled (`scaled`).

    Args:
        centre: (N, F), what `graph.with_centre` gives for them.
        codes: (N,), their fine class.
        weights: (N,), how much each counts, whatever the sum.
        head: of the network.
        how: the settings.

    Raises:
        TrainingError: they are of one class only.
    """
    classes, index = np.unique(codes, return_inverse=True)
    if len(classes) < 2:
        raise TrainingError("the training cells are of one class: there is nothing to tell apart.")
    values, weights = centre.astype(np.float64), weights / weights.sum()
    middle = weights @ values
    scale = np.sqrt(weights @ (values - middle) ** 2) + 1e-6
    values = (values - middle) / scale
    shares = np.bincount(index, weights)
    means = np.stack([np.bincount(index, weights * column) for column in values.T], axis=1) / shares[:, None]
    around = values - means[index]
    within = (around * weights[:, None]).T @ around
    within = (1 - how.shrinkage) * within + how.shrinkage * np.diag(np.diag(within) + 1e-6)
    sizes, axes = np.linalg.eigh(within)
    white = axes / np.sqrt(sizes)
    means = means @ white
    _, _, apart = np.linalg.svd(means * np.sqrt(shares)[:, None], full_matrices=False)
    discriminants = apart[: len(classes) - 1].T
    return OodReference(
        projection=_single(white / scale[:, None]),
        offset=_single(-(middle / scale) @ white),
        means=_single(means),
        discriminants=_single(discriminants),
        cells=_single(_unit(values @ white @ discriminants)),
        neighbours=min(how.neighbours, len(values)),
        head=head,
        temperature=how.temperature,
        doubt=how.doubt,
        middles=np.zeros(3, np.float32),
        spreads=np.ones(3, np.float32),
    )


def parts_of(reference: OodReference, centre: Array, embeddings: Array) -> NDArray[np.float64]:
    """Far, new and doubtful (N, 3), of cells with these statistics (N, F) and embeddings (N, D)."""
    projected = centre.astype(np.float64) @ reference.projection + reference.offset
    far = np.min([((projected - mean) ** 2).sum(axis=1) for mean in reference.means], axis=0)
    alike = _unit(projected @ reference.discriminants) @ reference.cells.T
    new = -np.partition(alike, -reference.neighbours, axis=1)[:, -reference.neighbours]
    evidence = (
        np.exp(logits_of(reference.head, embeddings).astype(np.float64) / reference.temperature) @ coarse_matrix()
    )
    total = evidence.sum(axis=1)
    doubtful = -np.log(total) - reference.doubt * np.log(evidence.max(axis=1) / total)
    return np.stack([far, new, doubtful], axis=1)


def scaled(reference: OodReference, parts: NDArray[np.float64], keep_rate: float) -> OodReference:
    """``reference``, with each part scaled by known cells (N, 3) that it was not learnt from.

    Their median becomes 0; what a share ``keep_rate`` of them stays below becomes 1.
    """
    middles, ends = np.quantile(parts, [0.5, keep_rate], axis=0)
    return replace(reference, middles=_single(middles), spreads=_single(np.maximum(ends - middles, _LEAST_SPREAD)))


def ood_score_of(reference: OodReference, parts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Out-of-distribution score (N,), above 0, of the `parts_of` cells (N, 3): log(1 + exp(their scaled sum))."""
    return np.asarray(np.logaddexp(0, ((parts - reference.middles) / reference.spreads).sum(axis=1)))


def far_of(reference: OodReference, parts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Far (N,), of the `parts_of` cells (N, 3), in units of its spread: what it adds to the sum, and a constant."""
    return np.asarray(parts[:, 0] / reference.spreads[0])


def _unit(rows: NDArray[np.floating]) -> NDArray[np.float64]:
    """Each row brought to length 1."""
    return np.asarray(rows / (np.linalg.norm(rows, axis=1, keepdims=True) + 1e-12))


def _single(values: NDArray[np.floating]) -> Array:
    return values.astype(np.float32)


@dataclass(frozen=True, eq=False)
class NetworkOutputs:
    """Cells, and a network's outputs for them."""

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
        return self._decoded.pictures(self._rows[rows])


def run_network(
    bundle: Bundle, cells: pl.DataFrame, cache: Path, progress: Progress, names: Sequence[str] = ("embedding",)
) -> NetworkOutputs:
    """Run a bundle's network on the cells of a manifest, drawn ones too; decoded pictures are kept in ``cache``.

    Args:
        bundle: an opened bundle.
        cells: rows of ``MANIFEST_SCHEMA`` with a ``source``.
        cache: a folder.
        progress: reports the decoding and the computing.
        names: the outputs wanted, as `Bundle.model_path` lists them.
    """
    side = bundle.card.preprocess.size
    # An empty file cannot be memory-mapped.
    nothing = Decoded((np.zeros((0, side, side, 3), np.uint8),), np.zeros((0, 2), np.intp), {})
    decoded = decode_all(cells, bundle.card.preprocess, cache, progress) if len(cells) else nothing
    rows = np.setdiff1d(np.arange(len(cells)), list(decoded.failures))
    parts = []
    for start in range(0, max(1, len(rows)), CHUNK):
        parts.append(activations(bundle, decoded.pictures(rows[start : start + CHUNK]), names))
        progress("computing", min(start + CHUNK, len(rows)), len(rows))
    failures = cells[list(decoded.failures)].select(
        "cell_id", message=pl.Series(decoded.failures.values(), dtype=pl.String)
    )
    outputs = {name: np.concatenate([part[name] for part in parts]) for name in names}
    return NetworkOutputs(cells[rows], outputs, failures, decoded, rows)


def with_centre_output(bundle: Bundle, how: OodSettings, folder: Path) -> Bundle:
    """Write a bundle with the same network and the output ``CENTRE`` (N, F): centre-weighted statistics of early maps.

    Raises:
        TrainingError: the network has no such stages.
    """
    model = without_ood_score(onnx.load(bundle.model_path))
    content = with_centre(model, inputs_of(model, how.stages), how.window).SerializeToString()
    return write_bundle(folder, card_for(bundle.card, content), content)


def fit_reference(head: Head, recipe: TrainSettings, seen: NetworkOutputs, how: OodSettings) -> OodReference:
    """`fit_ood_reference` to training cells, each weighing as it did in the training.

    Args:
        head: of the network.
        recipe: that it was trained by.
        seen: some of the training cells, with ``CENTRE`` and ``embedding``.
        how: the settings.

    Raises:
        TrainingError: they are of one class only.
    """
    embeddings = seen.outputs["embedding"]
    # A cell of which only the coarse class is known is of the fine one that the network finds in it.
    codes = np.where(member_matrix(seen.cells["code"]), logits_of(head, embeddings), -np.inf).argmax(axis=1)
    return fit_ood_reference(seen.outputs[CENTRE], codes, sampling_weights(seen.cells, recipe), head, how)


def some_of(cells: pl.DataFrame, each: int, seed: int) -> pl.DataFrame:
    """At most ``each`` cells of every source and class, by chance, in their order."""
    return cells.filter(pl.int_range(pl.len()).shuffle(seed).over("source", "code") < each)
