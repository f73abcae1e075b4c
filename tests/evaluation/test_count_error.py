"""Confusion between classes: recovered from drawn slides, and limits that hold the true composition."""

from __future__ import annotations

import numpy as np
import pytest

from leukopy.evaluation.count_error import LEAST_OVERDISPERSION, draw_compositions, fill_rows, fit_confusion

SHARES = np.array([[0.8, 0.1, 0.05, 0.05], [0.1, 0.85, 0.0, 0.05], [0.02, 0.08, 0.8, 0.1]])


def drawn(rng: np.random.Generator, slides: int, cells: int, overdispersion: float) -> np.ndarray:
    """Tables (S, R, C) of slides, each with a confusion of its own."""
    tables = []
    for _ in range(slides):
        own = [rng.dirichlet((1 / overdispersion - 1) * row.clip(1e-3)) for row in SHARES] if overdispersion else SHARES
        tables.append([rng.multinomial(cells, row) for row in own])
    return np.array(tables)


@pytest.mark.parametrize("overdispersion", [0.05, 0.2, 0.4])
def test_shares_and_overdispersion_are_recovered(overdispersion: float) -> None:
    tables = drawn(np.random.default_rng(1), 400, 40, overdispersion)
    shares, found = fit_confusion(tables)
    assert shares.sum(axis=1) == pytest.approx(1)
    assert shares == pytest.approx(SHARES, abs=0.04)
    assert found == pytest.approx(overdispersion, abs=0.3 * overdispersion)


def test_slides_that_differ_by_sampling_alone_are_not_overdispersed() -> None:
    _, found = fit_confusion(drawn(np.random.default_rng(2), 300, 30, 0.0))
    assert found == pytest.approx(LEAST_OVERDISPERSION, abs=0.01)


def test_one_slide_and_a_class_without_a_cell_have_a_row_all_the_same() -> None:
    tables = drawn(np.random.default_rng(3), 1, 50, 0.1)
    tables[:, 1] = 0
    shares, found = fit_confusion(tables)
    assert shares[1].argmax() == 1
    assert np.isfinite(shares).all()
    assert found.tolist() == [LEAST_OVERDISPERSION] * 3


def test_compositions_hold_the_truth_of_new_slides() -> None:
    rng, overdispersion = np.random.default_rng(4), 0.05
    shares, fitted = fit_confusion(drawn(rng, 60, 60, overdispersion))
    truth, held = np.array([0.6, 0.3, 0.1]), np.zeros(3)
    for _ in range(200):
        own = np.array([rng.dirichlet((1 / overdispersion - 1) * row.clip(1e-3)) for row in SHARES])
        cells = rng.multinomial(200, truth)
        counts = np.sum([rng.multinomial(n, row) for n, row in zip(cells, own, strict=True)], axis=0)
        low, high = np.quantile(draw_compositions(counts, shares, fitted), [0.025, 0.975], axis=0)
        held += (low <= truth) & (truth <= high)
    assert (held / 200 >= 0.88).all()


def test_perfect_answers_leave_the_error_of_sampling() -> None:
    counts = np.array([50, 30, 20, 0])
    low, high = np.quantile(
        draw_compositions(counts, np.eye(3, 4).clip(1e-6), np.full(3, 1e-4), draws=4000), [0.025, 0.975], axis=0
    )
    error = 1.96 * np.sqrt(np.array([0.5, 0.3, 0.2]) * np.array([0.5, 0.7, 0.8]) / 100)
    assert (high - low) / 2 == pytest.approx(error, rel=0.1)


def test_the_same_counts_have_the_same_compositions() -> None:
    counts = np.array([5, 3, 2, 1])
    first, again = (draw_compositions(counts, SHARES, np.full(3, 0.1)) for _ in range(2))
    assert (first == again).all()
    assert first.sum(axis=1) == pytest.approx(1)


def test_a_class_with_few_cells_borrows_from_other_slides() -> None:
    rng = np.random.default_rng(5)
    tables, others = drawn(rng, 10, 30, 0.01), drawn(rng, 10, 30, 0.4)
    tables[:, 2] = 0
    tables[0, 2] = [5, 0, 0, 0]  # five cells, all wrong
    own, other = fit_confusion(tables), fit_confusion(others)
    shares, found = fill_rows(own, tables.sum(axis=(0, 2)), other)
    assert shares.sum(axis=1) == pytest.approx(1)
    assert (shares[:2] == own[0][:2]).all()
    assert (found[:2] == own[1][:2]).all()
    assert own[0][2, 2] < shares[2, 2] < other[0][2, 2]
    assert found[2] == max(own[1][2], other[1][2])
