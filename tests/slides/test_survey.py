"""A slide is surveyed by a few of its cells, wherever they lie in the list."""

from __future__ import annotations

import numpy as np

from leukopy.slides.class_means import SlideClassMeans
from leukopy.slides.survey import SAMPLE, SlideSurvey, sample_of


def test_a_sample_is_spread_over_the_slide() -> None:
    assert sample_of(range(7)) == list(range(7))
    assert sample_of(range(0)) == []
    some = sample_of(range(1000))
    assert len(set(some)) == SAMPLE
    assert (some[0], some[-1]) == (0, 999)
    assert max(np.diff(some)) <= 17


def test_re_estimated_class_means_are_told_where_they_weigh() -> None:
    own = SlideClassMeans(np.zeros((8, 2), np.float32), 0.1, 2.0, np.full(8, 5, np.float32))
    assert SlideSurvey().cells_used is SlideSurvey(classes=own, foreign_probability=0.2).cells_used is None
    assert SlideSurvey(classes=own, foreign_probability=0.93).facts()["cells_used"] == 40
