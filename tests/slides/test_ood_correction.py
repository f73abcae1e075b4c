"""A slide of an unknown laboratory is judged by its own cells; one of a known laboratory as ever."""

from __future__ import annotations

import numpy as np
import pytest

from leukopy.slides.laboratory_check import ENOUGH_CELLS
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


def test_of_few_cells_nothing_is_said() -> None:
    found = ood_score(5 * FAR, REST)
    assert estimate_shift(found[: ENOUGH_CELLS - 1], 5 * FAR[: ENOUGH_CELLS - 1], USUAL) == NO_SHIFT
    assert estimate_shift(found[:ENOUGH_CELLS], 5 * FAR[:ENOUGH_CELLS], USUAL).times > 4


def test_no_ood_score_is_a_number_too() -> None:
    nothing = np.zeros(50, np.float32)
    assert np.isfinite(correct(nothing, nothing, Shift(2, 5))).all()
    assert estimate_shift(nothing, nothing, (0, 0)) == NO_SHIFT
