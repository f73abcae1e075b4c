"""Fit a model's last layer to the labelled cells of one laboratory, without torch.

The network is unchanged. The new head minimises the partial-label loss of the labelled cells plus a penalty for its
distance from the shipped head: maximum a posteriori, with the shipped head as the mean of a Gaussian prior (Chelba and
Acero, "Adaptation of maximum entropy capitalizer", EMNLP 2004). With few labels it stays near the shipped head; a class
without a label keeps its weights. Each cell is fitted as it is served, and in variants: turned, moved, in other light
and focus. Where the network has the maps for it, the new head also reads their details (`leukopy.network.wide_head`),
which the shipped head ignores.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import scipy  # its parts load on first use
from numpy.typing import NDArray

from leukopy.bundle import Bundle, write_bundle
from leukopy.imaging.augmentation import Augmentation
from leukopy.imaging.decode import Picture, prepare
from leukopy.inference.features import activations
from leukopy.network.head import Head, read_head, with_head
from leukopy.network.probabilities import softmax
from leukopy.network.wide_head import STAGES, WIDE, has_stages, with_wide_embedding, with_wide_head, without_wide_head

_TINY = 1e-12


@dataclass(frozen=True)
class Adaptable:
    """A network with a head to fit."""

    content: bytes
    """Content of its ``model.onnx``, without the parts of an earlier fit."""
    head: Head
    """Head on all readable columns: weights (F, D) and bias (F,)."""
    details: int
    """Number of the D columns outside the embedding; 0: the network lacks the maps for them."""
    bundle: Bundle
    """The network with the output ``output``, (N, D): all readable columns."""
    output: str

    def with_head(self, head: Head) -> bytes:
        """The content of the ``model.onnx`` with another head on all readable columns."""
        return with_wide_head(self.content, head) if self.details else with_head(self.content, head)

    def with_own(self, content: bytes, head: Head, kept: Sequence[int]) -> bytes:
        """A content of `with_head` whose output ``outside`` answers further classes.

        Args:
            content: the content.
            head: (F + K, D) and (F + K,): of the fine classes, then of K own classes, over their temperature.
            kept: columns of its present output to keep.
        """
        from onnx import load_from_string  # noqa: PLC0415 (an extra)

        from leukopy.network.outside import with_more_outside  # noqa: PLC0415 (onnx)

        stages = STAGES if self.details else ()
        return bytes(with_more_outside(load_from_string(content), head, kept, stages).SerializeToString())


@contextmanager
def adaptable(bundle: Bundle) -> Iterator[Adaptable]:
    """Open the readable columns of a bundle's network; its own bundle lasts as long as the context.

    Raises:
        BundleError: the logits are not a linear function of the embedding.
        MissingExtraError: onnx is not installed.
    """
    content, head = without_wide_head(bundle.model_path.read_bytes())
    if not has_stages(content):
        yield Adaptable(content, head, 0, bundle, "embedding")
        return
    looking, width = with_wide_embedding(content)
    file = bundle.card.model.model_copy(update={"sha256": hashlib.sha256(looking).hexdigest()})
    with TemporaryDirectory() as folder:
        shown = write_bundle(Path(folder), bundle.card.model_copy(update={"model": file}), looking)
        details = width - read_head(content)[0].shape[1]
        yield Adaptable(content, widened(head, width), details, shown, WIDE)


@dataclass(frozen=True)
class Labelled:
    """Labelled cells for the fit of a head."""

    embeddings: NDArray[np.float32]
    """(N, D): input of the head; the last ``details`` columns are outside the embedding."""
    members: NDArray[np.bool_]
    """(N, F + K): the fine classes, and own classes, allowed by each label."""
    folds: NDArray[np.intp]
    """(N,): the fold of each cell; a slide or field is in one fold only."""

    variants: NDArray[np.float32] | None = None
    """(N, V, D): the embeddings of V variants of each cell's picture, fitted as well."""
    details: int = 0

    def __getitem__(self, rows: NDArray[np.bool_]) -> Labelled:
        variants = None if self.variants is None else self.variants[rows]
        return Labelled(self.embeddings[rows], self.members[rows], self.folds[rows], variants, self.details)

    def examples(self) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Embeddings and allowed classes of all examples: (N (1 + V), D) and (N (1 + V), F)."""
        if self.variants is None:
            return self.embeddings, self.members
        count, size = self.variants.shape[1:]
        embeddings = np.concatenate([self.embeddings, self.variants.reshape(-1, size)])
        return embeddings, np.concatenate([self.members, np.repeat(self.members, count, axis=0)])


def variants(
    bundle: Bundle,
    pictures: Iterable[Picture],
    count: int,
    seed: int,
    output: str = "embedding",
) -> NDArray[np.float32]:
    """Embeddings (N, count, D) of each picture turned, moved, and in other light, stain and focus.

    Args:
        bundle: an opened bundle.
        pictures: N decoded pictures.
        count: number of variants, 1 or more.
        seed: seed of the variants.
        output: the output to read in place of the embedding.
    """
    rng, spec, vary = np.random.default_rng(seed), bundle.card.preprocess, Augmentation()
    whole = spec.model_copy(update={"size": spec.short_side, "crop": 1.0})  # rotation uses the whole square
    found = []
    for picture in pictures:
        square = prepare(picture, whole).pixels
        varied = np.stack([vary(square, spec.size, spec.crop, rng) for _ in range(count)])
        found.append(activations(bundle, varied, [output])[output])
    return np.stack(found)


def fit_head(head: Head, cells: Labelled, penalty: float) -> Head:
    """The head that fits ``cells``, regularised towards ``head``.

    Args:
        head: weights (F + K, D) and bias (F + K,); without the details, if it reads the embedding alone.
        cells: N of them.
        penalty: weight of the squared change of the weights, for embeddings scaled to a deviation of about 1.
    """
    examples, members = cells.examples()
    embeddings = examples.astype(np.float64)
    weights, bias = (np.asarray(part, np.float64) for part in widened(head, embeddings.shape[1]))
    centre = embeddings.mean(axis=0)
    scale = _scale(embeddings - centre, cells.details)
    axes = _axes((embeddings - centre) / scale)
    reduced = (embeddings - centre) / scale @ axes.T
    before = embeddings @ weights.T + bias
    classes, count = len(bias), len(axes)
    size = classes * count

    def loss(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        change, shift = flat[:size].reshape(classes, count), flat[size:]
        chance = softmax(before + reduced @ change.T + shift)
        within = chance * members
        total = within.sum(axis=1, keepdims=True) + _TINY
        slope = (chance - within / total) / len(embeddings)
        # The bias has a small penalty: without it, a class without labels would be lost.
        value = -np.log(total).mean() + penalty * ((change**2).sum() + 0.01 * (shift**2).sum())
        by_change = slope.T @ reduced + 2 * penalty * change
        by_shift = slope.sum(axis=0) + 0.02 * penalty * shift
        return float(value), np.concatenate([by_change.ravel(), by_shift])

    found = scipy.optimize.minimize(
        loss, np.zeros(size + classes), jac=True, method="L-BFGS-B", options={"maxiter": 200}
    ).x
    change, shift = found[:size].reshape(classes, count) @ axes / scale, found[size:]
    return (weights + change).astype(np.float32), (bias + shift - change @ centre).astype(np.float32)


def widened(head: Head, width: int) -> Head:
    """The head with weights (F, width), zero for new columns."""
    weights, bias = head
    return np.pad(weights, ((0, 0), (0, width - weights.shape[1]))), bias


def _scale(rows: NDArray[np.float64], details: int) -> NDArray[np.float64]:
    """Divisors of the columns of centred rows (N, D): one for the embedding, and each detail's own deviation.

    The embedding's channels share one scale, since channels that vary more are more informative. The details come from
    many maps.
    """
    own = rows.shape[1] - details
    scale = np.full(rows.shape[1], rows[:, :own].std() or 1.0)
    if details:
        deviations = rows[:, own:].std(axis=0)
        # Columns that hardly vary among the labelled cells are not amplified.
        scale[own:] = np.maximum(deviations, 0.1 * np.median(deviations)) + _TINY
    return scale


def _axes(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Orthonormal axes (K, D) that contain the best change: the span of the rows (N, D), by the representer theorem.

    The fit then has K unknowns per class instead of D. With many rows the span is full, and the decomposition costs
    more.
    """
    if len(rows) >= rows.shape[1]:
        return np.eye(rows.shape[1])
    squares, sides = np.linalg.eigh(rows @ rows.T)
    kept = squares > 1e-10 * max(squares.max(initial=0), _TINY)
    return np.asarray((sides[:, kept] / np.sqrt(squares[kept])).T @ rows)


def logits_of(head: Head, embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
    """Logits (N, F) of embeddings (N, D); with own classes (N, F + K)."""
    return np.asarray(embeddings @ head[0].T + head[1], np.float32)


def held_out(head: Head, cells: Labelled, penalty: float) -> NDArray[np.float32]:
    """Logits (N, F) of each cell by a head fitted without its fold."""
    found = logits_of(widened(head, cells.embeddings.shape[1]), cells.embeddings)
    for part in np.unique(cells.folds):
        outside = cells.folds != part
        if outside.any():
            found[~outside] = logits_of(fit_head(head, cells[outside], penalty), cells.embeddings[~outside])
    return found
