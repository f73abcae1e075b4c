"""A slide of an unknown laboratory is judged by its own cells; one of a known laboratory as ever."""

from __future__ import annotations

import numpy as np
import pytest

from leukopy.inference.slides import ENOUGH_CELLS
from leukopy.inference.strangeness import SAMPLE, among, rise, sample_of, usual

RNG = np.random.default_rng(0)


def strangeness(evidence: np.ndarray) -> np.ndarray:
    return np.log1p(np.exp(evidence))


KNOWN = strangeness(RNG.normal(size=4000))
THRESHOLD = np.quantile(KNOWN, 0.97)
HERE = RNG.normal(size=400)
"""The evidence behind the strangeness of 400 cells like the known ones."""


def flagged(evidence: np.ndarray) -> np.ndarray:
    """Of the cells of one slide."""
    found = strangeness(evidence)
    return among(found, rise(found, usual(KNOWN))) > THRESHOLD


def test_where_all_cells_are_stranger_by_as_much_the_same_are_flagged() -> None:
    usual_slide = flagged(HERE)
    assert 0.01 < usual_slide.mean() < 0.05
    assert (strangeness(HERE + 8) > THRESHOLD).all()  # each by itself
    found = strangeness(HERE + 8)
    risen = rise(found, usual(KNOWN))
    assert risen == pytest.approx(8, abs=0.15)
    np.testing.assert_allclose(among(found, 8), strangeness(HERE), atol=1e-4)
    assert flagged(HERE + 8).mean() < 0.05


@pytest.mark.parametrize("share", [0.1, 0.3, 0.6])
@pytest.mark.parametrize("elsewhere", [0, 8])
def test_strange_cells_are_found_among_the_cells_of_their_slide(share, elsewhere) -> None:
    strange = np.arange(400) < 400 * share
    found = flagged(HERE + elsewhere + 6 * strange)
    assert found[strange].mean() > 0.9
    assert found[~strange].mean() < 0.05


def test_a_slide_that_is_less_strange_is_judged_as_it_was() -> None:
    less = strangeness(HERE - 3)
    assert rise(less, usual(KNOWN)) == 0
    assert np.array_equal(among(less, 0), less.astype(np.float32))


def test_of_few_cells_nothing_is_said() -> None:
    found = strangeness(HERE + 8)
    assert rise(found[: ENOUGH_CELLS - 1], usual(KNOWN)) == 0
    assert rise(found[:ENOUGH_CELLS], usual(KNOWN)) > 6


def test_no_strangeness_is_a_number_too() -> None:
    assert np.isfinite(among(np.zeros(3, np.float32), 5)).all()
    assert rise(np.zeros(50), 0.0) == 0


def test_a_sample_is_spread_over_the_slide() -> None:
    assert sample_of(range(7)) == list(range(7))
    assert sample_of(range(0)) == []
    some = sample_of(range(1000))
    assert len(set(some)) == SAMPLE
    assert (some[0], some[-1]) == (0, 999)
    assert max(np.diff(some)) <= 17
