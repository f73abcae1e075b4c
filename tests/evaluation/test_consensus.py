"""Consensus of simulated annotators whose skill is known."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from leukopy.evaluation.consensus import NONE, crowdlab, dawid_skene, fleiss_kappa, majority, votes

CLASSES = 4


def simulate(
    accuracies: tuple[float, ...], cells: int = 600, share: float = 1.0, seed: int = 0
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """True classes (N,) and labels (N, M): each annotator errs evenly, and labels a share of the cells."""
    rng = np.random.default_rng(seed)
    truth = rng.choice(CLASSES, cells, p=[0.5, 0.3, 0.15, 0.05])
    labels = np.empty((cells, len(accuracies)), np.intp)
    for place, accuracy in enumerate(accuracies):
        wrong = (truth + rng.integers(1, CLASSES, cells)) % CLASSES
        labels[:, place] = np.where(rng.random(cells) < accuracy, truth, wrong)
        labels[rng.random(cells) >= share, place] = NONE
    return truth, labels


def literal(labels: NDArray[np.intp], classes: int, rounds: int) -> NDArray[np.float64]:
    """Dawid and Skene's algorithm, cell by cell, with the same shrinkage."""
    cells, annotators = labels.shape
    belief = [
        [sum(one == k for one in row) / sum(one != NONE for one in row) for k in range(classes)] for row in labels
    ]
    for _ in range(rounds):
        own = [
            [
                [sum(belief[i][k] for i in range(cells) if labels[i][m] == c) for c in range(classes)]
                for k in range(classes)
            ]
            for m in range(annotators)
        ]
        confusions = []
        for m in range(annotators):
            table = []
            for k in range(classes):
                pooled = [sum(own[a][k][c] for a in range(annotators)) + (c == k) + 1 / classes for c in range(classes)]
                row = [own[m][k][c] + pooled[c] / sum(pooled) for c in range(classes)]
                table.append([value / sum(row) for value in row])
            confusions.append(table)
        shares = [(sum(row[k] for row in belief) + 1 / classes) / (cells + 1) for k in range(classes)]
        new = []
        for i in range(cells):
            likely = [
                shares[k] * np.prod([confusions[m][k][labels[i][m]] for m in range(annotators) if labels[i][m] != NONE])
                for k in range(classes)
            ]
            new.append([value / sum(likely) for value in likely])
        belief = new
    return np.array(belief)


def test_the_consensus_beats_the_majority_where_annotators_differ_in_skill() -> None:
    truth, labels = simulate((0.95, 0.55, 0.5, 0.45, 0.55))
    found = dawid_skene(labels, CLASSES)
    by_majority = (majority(labels, CLASSES) == truth).mean()
    assert (found.classes == truth).mean() > by_majority + 0.05
    np.testing.assert_allclose(found.accuracy, (labels == truth[:, None]).mean(axis=0), atol=0.05)


def test_missing_labels_do_not_harm() -> None:
    truth, labels = simulate((0.95, 0.6, 0.55, 0.6, 0.5), cells=900, share=0.7, seed=3)
    found = dawid_skene(labels, CLASSES)
    labelled = (labels != NONE).any(axis=1)
    assert (found.classes[~labelled] == NONE).all()
    assert (found.classes == truth)[labelled].mean() > (majority(labels, CLASSES) == truth)[labelled].mean() + 0.05


def test_it_is_the_algorithm_of_the_paper() -> None:
    _, labels = simulate((0.9, 0.6, 0.7), cells=40, share=0.8, seed=1)
    labels = labels[(labels != NONE).any(axis=1)]
    np.testing.assert_allclose(dawid_skene(labels, CLASSES).probabilities, literal(labels, CLASSES, 200), atol=1e-4)


def test_a_systematic_confusion_is_seen_through() -> None:
    """An annotator who always swaps two classes tells them apart as well as one who is always right."""
    rng = np.random.default_rng(5)
    truth = rng.choice(3, 600)
    swapped = np.array([0, 2, 1])[truth]
    others = [np.where(rng.random(600) < 0.75, truth, rng.choice(3, 600)) for _ in range(2)]
    labels = np.column_stack([swapped, *others])
    found = dawid_skene(labels, 3)
    assert (found.classes == truth).mean() > (majority(labels, 3) == truth).mean() + 0.15


def test_probabilities_are_calibrated() -> None:
    truth, labels = simulate((0.8, 0.7, 0.75), cells=4000, seed=2)
    found = dawid_skene(labels, CLASSES)
    sure = found.probabilities.max(axis=1)
    assert sure.mean() == pytest.approx((found.classes == truth).mean(), abs=0.02)


def test_a_model_that_knows_more_than_the_annotators_helps() -> None:
    pytest.importorskip("cleanlab")
    truth, labels = simulate((0.7, 0.6, 0.65), seed=4)
    rng = np.random.default_rng(0)
    model = np.where(rng.random(len(truth)) < 0.9, truth, rng.integers(0, CLASSES, len(truth)))
    shares = np.full((len(truth), CLASSES), 0.05)
    shares[np.arange(len(truth)), model] = 1
    found = crowdlab(labels, shares / shares.sum(axis=1, keepdims=True))
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1)
    right = (found.classes == truth).mean()
    assert right > (majority(labels, CLASSES) == truth).mean() + 0.05


def test_fleiss_kappa_is_that_of_the_paper() -> None:
    """The example of Fleiss (1971), as reproduced in textbooks: ten subjects, fourteen raters, kappa .210."""
    table = [
        [0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0], [2, 2, 8, 1, 1],
        [7, 7, 0, 0, 0], [3, 2, 6, 3, 0], [2, 5, 3, 2, 2], [6, 5, 2, 1, 0], [0, 2, 2, 3, 7],
    ]  # fmt: skip
    labels = np.array([np.repeat(np.arange(5), row) for row in table])
    found = fleiss_kappa(labels, 5, replicates=200)
    assert found.value == pytest.approx(0.210, abs=0.0005)
    assert found.low < found.value < found.high
    assert (votes(labels, 5) == table).all()


def test_a_tie_has_no_majority() -> None:
    labels = np.array([[0, 1, NONE], [0, 0, 1], [NONE, NONE, NONE]])
    assert majority(labels, 2).tolist() == [NONE, 0, NONE]
    assert fleiss_kappa(labels[2:], 2).value is None
