"""Consensus of several annotators, and their agreement.

Dawid and Skene (Applied Statistics 28, 1979) estimate by expectation-maximisation each annotator's confusions and the
probability of each class for each cell: annotators who are often right weigh more, and a systematic confusion of one
annotator counts less than an isolated one. CROWDLAB (Goh, Tkachenko and Mueller, "CROWDLAB: Supervised learning to
infer consensus labels and quality scores for data with multiple annotators", NeurIPS 2022 workshop; by `cleanlab`) also
weighs a classifier that did not learn these cells.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from leukopy.core.errors import MissingExtraError
from leukopy.evaluation.intervals import Estimate, bootstrap

NONE = -1
"""A cell that an annotator did not label."""

_ROUNDS = 200
_PRIOR = 1.0
"""Cells added to each annotator's confusions of a class, spread as the annotators together confuse it."""

Labels = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Consensus:
    """Consensus of M annotators on N cells of C classes."""

    probabilities: NDArray[np.float64]
    """(N, C): of the classes of each cell; not-a-number where nobody labelled it."""
    accuracy: NDArray[np.float64]
    """(M,): estimated chance that an annotator's label is right."""
    confusions: NDArray[np.float64] | None = None
    """(M, C, C): chance of each label (column) for each true class (row); None for CROWDLAB."""

    @property
    def classes(self) -> Labels:
        """(N,): the most probable class of each cell; `NONE` where nobody labelled it."""
        known = ~np.isnan(self.probabilities[:, 0])
        return np.where(known, np.nan_to_num(self.probabilities).argmax(axis=1), NONE)


def votes(labels: Labels, classes: int) -> NDArray[np.float64]:
    """(N, C): number of annotators who gave each class to each cell.

    Args:
        labels: (N, M), class indices; `NONE` where an annotator did not label the cell.
        classes: C.
    """
    return np.asarray((labels[:, :, None] == np.arange(classes)).sum(axis=1), np.float64)


def majority(labels: Labels, classes: int) -> Labels:
    """(N,): class with most votes; `NONE` for a tie, or where nobody labelled the cell. Arguments as for `votes`."""
    counts = votes(labels, classes)
    first = counts.max(axis=1, keepdims=True)
    alone = ((counts == first).sum(axis=1) == 1) & (first[:, 0] > 0)
    return np.where(alone, counts.argmax(axis=1), NONE)


def dawid_skene(labels: Labels, classes: int) -> Consensus:
    """Consensus by Dawid and Skene's model, with missing labels.

    Each annotator's confusions are shrunk towards those of all annotators by the weight of one cell a class, so that an
    annotator with few labels is neither trusted nor distrusted for good.

    Args:
        labels: (N, M), as for `votes`.
        classes: C.
    """
    given = (labels[:, :, None] == np.arange(classes)).astype(np.float64)  # (N, M, C)
    counts = given.sum(axis=1)
    known = counts.sum(axis=1) > 0
    belief = counts[known] / counts[known].sum(axis=1, keepdims=True)
    seen = given[known]
    for _ in range(_ROUNDS):
        confusions, shares = _confusions(belief, seen)
        logs = np.einsum("nmc,mkc->nk", seen, np.log(confusions)) + np.log(shares)
        new = np.exp(logs - logs.max(axis=1, keepdims=True))
        new /= new.sum(axis=1, keepdims=True)
        change, belief = np.abs(new - belief).max(), new
        if change < 1e-6:
            break
    probabilities = np.full((len(labels), classes), np.nan)
    probabilities[known] = belief
    accuracy = np.einsum("k,mkk->m", shares, confusions)
    return Consensus(probabilities, accuracy, confusions)


def _confusions(belief: NDArray[np.float64], seen: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
    """Confusions (M, C, C) of the annotators and shares (C,) of the classes, given beliefs (N, C) and labels."""
    classes = belief.shape[1]
    own = np.einsum("nk,nmc->mkc", belief, seen)
    # One right label for each class keeps classes apart that no two annotators gave to the same cells.
    pooled = own.sum(axis=0) + np.eye(classes) + 1 / classes
    pooled /= pooled.sum(axis=1, keepdims=True)
    own = own + _PRIOR * pooled
    shares = (belief.sum(axis=0) + 1 / classes) / (len(belief) + 1)
    return own / own.sum(axis=2, keepdims=True), shares


def crowdlab(labels: Labels, probabilities: NDArray[np.floating]) -> Consensus:
    """Consensus by CROWDLAB.

    Args:
        labels: (N, M), as for `votes`; every cell has a label, every annotator one.
        probabilities: (N, C), of a classifier that did not learn these cells.

    Raises:
        MissingExtraError: `cleanlab` is not installed.
    """
    try:
        from cleanlab.multiannotator import get_label_quality_multiannotator  # noqa: PLC0415 (an extra)
    except ImportError as error:
        raise MissingExtraError("CROWDLAB", "study") from error
    table = np.where(labels == NONE, np.nan, labels)
    shares = probabilities / probabilities.sum(axis=1, keepdims=True, dtype=np.float64)
    found = get_label_quality_multiannotator(
        table, shares, return_detailed_quality=False, return_annotator_stats=True, verbose=False
    )
    quality = found["label_quality"]
    chosen, sure = quality["consensus_label"].to_numpy(), quality["consensus_quality_score"].to_numpy(np.float64)
    belief = shares.copy()
    belief[np.arange(len(belief)), chosen] = 0  # the rest of the probability, as the classifier divides it
    rest = np.maximum(belief.sum(axis=1, keepdims=True), 1e-12)
    belief *= (1 - sure)[:, None] / rest
    belief[np.arange(len(belief)), chosen] = sure
    accuracy = found["annotator_stats"].sort_index()["agreement_with_consensus"].to_numpy(np.float64)
    return Consensus(belief, accuracy)


def fleiss_kappa(
    labels: Labels, classes: int, *, groups: ArrayLike | None = None, replicates: int = 2000, seed: int = 0
) -> Estimate:
    """Fleiss' kappa of all annotators (Psychological Bulletin 76, 1971), over cells with two labels or more.

    The number of labels may differ between cells: each cell's agreement is the share of its pairs of labels that agree.

    Args:
        labels: (N, M), as for `votes`.
        classes: C.
        groups: (N,), patients or slides; the bootstrap draws whole groups.
        replicates: bootstrap replicates.
        seed: seed of the bootstrap.
    """
    counts = votes(labels, classes)
    number = counts.sum(axis=1)
    several = number >= 2
    if not several.any():
        return Estimate(None, None, None)
    counts, number = counts[several], number[several]
    agreed = (counts * (counts - 1)).sum(axis=1) / (number * (number - 1))
    sums = np.column_stack([agreed, np.ones(len(agreed)), counts])

    def kappa(totals: NDArray[np.float64]) -> NDArray[np.float64]:
        with np.errstate(invalid="ignore", divide="ignore"):
            observed = totals[:, 0] / totals[:, 1]
            shares = totals[:, 2:] / totals[:, 2:].sum(axis=1, keepdims=True)
            chance = (shares**2).sum(axis=1)
            found = (observed - chance) / (1 - chance)
        return np.where(np.isclose(chance, 1), np.nan, found)[:, None]

    drawn = None if groups is None else np.asarray(groups)[several]
    low, high = bootstrap(sums, kappa, groups=drawn, replicates=replicates, seed=seed)
    return Estimate.of(float(kappa(sums.sum(axis=0)[None])[0, 0]), float(low[0]), float(high[0]))
