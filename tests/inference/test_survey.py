"""A slide is surveyed by a few of its cells, wherever they lie in the list."""

from __future__ import annotations

import numpy as np

from leukopy.inference.survey import SAMPLE, sample_of


def test_a_sample_is_spread_over_the_slide() -> None:
    assert sample_of(range(7)) == list(range(7))
    assert sample_of(range(0)) == []
    some = sample_of(range(1000))
    assert len(set(some)) == SAMPLE
    assert (some[0], some[-1]) == (0, 999)
    assert max(np.diff(some)) <= 17
