"""Sets hold the right class as often as promised, for any model, and never hold nothing."""

from __future__ import annotations

import numpy as np
import pytest

from leukopy.evaluation.conformal import prediction_sets, score_sets, set_threshold


def cells(count: int, seed: int, sharpness: float) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities that are too sure (or too shy), and the classes."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(count, 5))
    honest = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    truth = np.array([rng.choice(5, p=row) for row in honest])
    said = np.exp(sharpness * logits)
    return said / said.sum(axis=1, keepdims=True), truth


@pytest.mark.parametrize("sharpness", [0.3, 1, 5])
@pytest.mark.parametrize("coverage", [0.8, 0.9])
def test_the_promise_holds_on_other_cells_however_wrong_the_probabilities(sharpness, coverage) -> None:
    held = []
    for seed in range(20):
        threshold = set_threshold(*cells(400, seed, sharpness), coverage)
        chances, truth = cells(2000, 100 + seed, sharpness)
        held.append(score_sets(prediction_sets(chances, threshold), truth).coverage.value)
    assert np.mean(held) > coverage - 0.01  # three standard errors
    if sharpness <= 1:  # a model that is too sure gets more: its first class alone comes near the promise
        assert np.mean(held) < coverage + 0.02


def test_by_hand() -> None:
    chances = np.array([[0.9, 0.1], [0.6, 0.4], [0.3, 0.7], [0.5, 0.5], [0.2, 0.8], [1, 0], [0, 1], [0.4, 0.6], [1, 0]])
    truth = np.array([0, 1, 1, 0, 1, 0, 1, 0, 0])  # own: .9 .4 .7 .5 .8 1 1 .4 1
    assert set_threshold(chances, truth, 0.9) == pytest.approx(0.4)  # the lowest of nine
    assert set_threshold(chances, truth, 0.7) == pytest.approx(0.5)  # the third lowest
    assert set_threshold(chances, truth, 0.95) == 0
    sets = prediction_sets(chances, 0.4)
    assert sets.sum(axis=1).tolist() == [1, 2, 1, 2, 1, 1, 1, 2, 1]
    found = score_sets(sets, truth)
    assert (found.coverage.value, found.size, found.single) == (1, pytest.approx(12 / 9), pytest.approx(6 / 9))


def test_no_set_is_empty() -> None:
    assert prediction_sets(np.array([[0.4, 0.3, 0.3]]), 0.9).tolist() == [[True, False, False]]
