"""A slide of an unknown laboratory is judged by its own cells; one of a known laboratory as ever."""

from __future__ import annotations

import numpy as np
import pytest

from leukopy.slides.ood_correction import NO_SHIFT, Shift, baseline, correct, estimate_shift

RNG = np.random.default_rng(0)


def cells(number: int) -> tuple[np.ndarray, np.ndarray]:
    """Far, and all else that makes a cell strange, of known ones."""
    return RNG.normal(2, 0.4, number), RNG.normal(-2, 0.8, number)


def ood_score(far: np.ndarray, rest: np.ndarray) -> np.ndarray:
    return np.log1p(np.exp(far + rest))


KNOWN_FAR, KNOWN_REST = cells(4000)
KNOWN = ood_score(KNOWN_FAR, KNOWN_REST)
USUAL = baseline(KNOWN, KNOWN_FAR)
THRESHOLD = np.quantile(KNOWN, 0.97)
FAR, REST = cells(400)
"""Of a slide whose cells are like the known ones."""


def flagged(far: np.ndarray, rest: np.ndarray) -> np.ndarray:
    """Of the cells of one slide."""
    found = ood_score(far, rest)
    return correct(found, far, estimate_shift(found, far, USUAL)) > THRESHOLD


def test_what_is_usual_is_what_a_quarter_stay_below() -> None:
    assert (USUAL[0] > KNOWN_FAR).mean() == pytest.approx(0.25, abs=1e-3)
    assert (USUAL[1] > KNOWN_REST).mean() == pytest.approx(0.25, abs=1e-3)


def test_where_all_cells_are_stranger_by_as_much_the_same_are_flagged() -> None:
    assert 0.01 < flagged(FAR, REST).mean() < 0.05
    found = ood_score(5 * FAR, REST + 2)
    assert (found > THRESHOLD).all()  # each by itself
    shift = estimate_shift(found, 5 * FAR, USUAL)
    assert (shift.times, shift.more) == pytest.approx((5, 2), rel=0.1)
    np.testing.assert_allclose(correct(found, 5 * FAR, Shift(5, 2)), ood_score(FAR, REST), atol=1e-4)
    assert flagged(5 * FAR, REST + 2).mean() < 0.06


@pytest.mark.parametrize("share", [0.1, 0.3, 0.6])
@pytest.mark.parametrize("times", [1, 5])
def test_strange_cells_are_found_among_the_cells_of_their_slide(share, times) -> None:
    strange = np.arange(400) < 400 * share
    found = flagged(times * FAR, REST + 6 * strange)
    assert found[strange].mean() > 0.9
    assert found[~strange].mean() < 0.06


def test_a_slide_that_is_less_strange_is_judged_as_it_was() -> None:
    found = ood_score(FAR - 0.5, REST - 1)
    assert estimate_shift(found, FAR - 0.5, USUAL) == NO_SHIFT
    assert np.array_equal(correct(found, FAR - 0.5, NO_SHIFT), found.astype(np.float32))


@pytest.mark.parametrize("number", [1, 3, 5, 10, 19])
def test_few_cells_of_a_foreign_laboratory_are_not_flagged_as_a_whole(number: int) -> None:
    groups = np.arange(380 // number * number).reshape(-1, number)
    assert np.mean([flagged(5 * FAR[rows], REST[rows] + 2).mean() for rows in groups]) < 0.1


def test_one_strange_cell_among_few_of_a_foreign_laboratory_is_flagged() -> None:
    groups = np.arange(380).reshape(-1, 10)
    odd = 8.0 * (np.arange(10) == 3)
    assert np.mean([flagged(5 * FAR[rows], REST[rows] + odd)[3] for rows in groups]) > 0.9


def test_a_cell_alone_is_not_told_by_its_score() -> None:
    assert not flagged(5 * FAR[:1], REST[:1] + 9).any()


def test_no_cell_has_no_shift() -> None:
    assert estimate_shift(np.zeros(0), np.zeros(0), USUAL) == NO_SHIFT


def test_no_ood_score_is_a_number_too() -> None:
    nothing = np.zeros(50, np.float32)
    assert np.isfinite(correct(nothing, nothing, Shift(2, 5))).all()
    assert estimate_shift(nothing, nothing, (0, 0)) == NO_SHIFT
