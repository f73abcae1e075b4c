from __future__ import annotations

import numpy as np
import pytest

from leukopy.evaluation.intervals import Estimate
from leukopy.patients.evaluation.bootstrap import accelerated, resampling

_LABELS = np.array([0, 1, 1, 0, 1, 1, 1])


def test_every_row_keeps_the_size_of_each_class():
    weights = resampling(_LABELS, 200, seed=0)
    assert weights.shape == (1 + 7 + 200, 7)
    assert weights @ _LABELS == pytest.approx(5)
    assert weights @ (1 - _LABELS) == pytest.approx(2)
    assert (weights[0] == 1).all()
    assert (np.diagonal(weights[1:8]) == 0).all()
    assert weights[8:].mean(axis=0) == pytest.approx(1, abs=0.2)  # everyone is drawn as often as the others


def test_the_only_patient_of_a_class_stays():
    weights = resampling(np.array([0, 1, 1]), 50, seed=0)
    assert (weights[:, 0] == 1).all()


def test_same_seed_same_draws():
    assert (resampling(_LABELS, 20, seed=3) == resampling(_LABELS, 20, seed=3)).all()
    assert (resampling(_LABELS, 20, seed=3) != resampling(_LABELS, 20, seed=4)).any()


def test_limits_of_a_mean_are_those_of_the_normal():
    """Of a symmetric figure there is nothing to correct."""
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], 200)
    values = rng.normal(size=400)
    found = accelerated(resampling(labels, 4000, seed=1) @ values / 400, labels)
    error = np.sqrt(sum(values[labels == label].var() / 200 for label in (0, 1))) / 2
    assert [found.low, found.high] == pytest.approx(values.mean() + 1.96 * error * np.array([-1, 1]), abs=0.01)


def test_limits_do_not_depend_on_the_scale_of_the_figure():
    """What percentile and BCa limits have in common, and normal ones have not: limits of exp(x) are exp of limits."""
    labels = np.repeat([0, 1], 40)
    scores = resampling(labels, 2001, seed=1) @ np.random.default_rng(0).exponential(size=80) / 80
    plain, bent = accelerated(scores, labels), accelerated(np.exp(scores), labels)
    assert [np.log(bent.low), np.log(bent.high)] == pytest.approx([plain.low, plain.high], abs=0.01)


def test_what_no_draw_changes_or_tells():
    labels = np.array([0, 1])
    assert accelerated(np.ones(13), labels) == Estimate(1.0, 1.0, 1.0)
    assert accelerated(np.full(13, np.nan), labels) == Estimate(None, None, None)
    assert accelerated(np.array([0.5, *[np.nan] * 12]), labels) == Estimate(None, None, None)
    some = np.array([0.5, 0.4, np.nan, *np.linspace(0.3, 0.7, 9), np.nan])
    found = accelerated(some, labels)
    assert 0.3 <= found.low < 0.5 < found.high <= 0.7
