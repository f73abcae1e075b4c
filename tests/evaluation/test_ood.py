"""A threshold keeps the share it says, and the figures are those that a literal count gives."""

from __future__ import annotations

import numpy as np
import pytest

from leukopy.evaluation.ood import score_open_set, share_of, threshold_keeping


def test_the_threshold_keeps_its_share_of_new_cells() -> None:
    """Over many draws the chance that a new cell is kept is the share or, with few cells, a little more."""
    rng = np.random.default_rng(0)
    for cells, share in ((99, 0.95), (20, 0.9)):
        kept = [
            (rng.gamma(2, size=200) <= threshold_keeping(rng.gamma(2, size=cells), share)).mean() for _ in range(2000)
        ]
        assert share - 0.003 < np.mean(kept) < share + 1 / cells + 0.003


def test_too_few_cells_promise_nothing() -> None:
    assert threshold_keeping(np.arange(19.0), 0.95) == 18
    with pytest.raises(ValueError, match="18 known cells are too few"):
        threshold_keeping(np.arange(18.0), 0.95)


def test_scores_are_those_of_a_literal_count() -> None:
    rng = np.random.default_rng(1)
    ood_score, unknown = rng.normal(size=300).round(1), np.arange(300) < 60
    ood_score[unknown] += 1.5
    score = score_open_set(ood_score, unknown, 1.0)
    pairs = [(a > b) + (a == b) / 2 for a in ood_score[unknown] for b in ood_score[~unknown]]
    assert score.auroc.value == pytest.approx(np.mean(pairs))
    assert score.auroc.low < score.auroc.value < score.auroc.high
    assert (score.known, score.unknown) == (240, 60)
    assert score.found.value == sum(value > 1 for value in ood_score[:60]) / 60
    assert score.false.value == sum(value > 1 for value in ood_score[60:]) / 240
    assert score.false.low < score.false.value < score.false.high


def test_a_cell_on_the_threshold_is_kept_and_no_cell_tells_nothing() -> None:
    score = score_open_set(np.array([1.0, 1.1, 0.9, 2.0]), np.array([False, False, False, True]), 1.0)
    assert score.false.value == pytest.approx(1 / 3)
    assert share_of(np.zeros(0, bool)).value is None
    with pytest.raises(ValueError, match="both classes"):
        score_open_set(np.ones(3), np.zeros(3, bool), 1.0)
