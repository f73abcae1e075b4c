"""A slide is surveyed by a few of its cells, wherever they lie in the list."""

from __future__ import annotations

import numpy as np

from leukopy.slides.class_means import SlideClassMeans
from leukopy.slides.survey import NO_SURVEY, SAMPLE, SlideSurvey, note_of_few, sample_of


def test_a_sample_is_spread_over_the_slide() -> None:
    assert sample_of(range(7)) == list(range(7))
    assert sample_of(range(0)) == []
    some = sample_of(range(1000))
    assert len(set(some)) == SAMPLE
    assert (some[0], some[-1]) == (0, 999)
    assert max(np.diff(some)) <= 17


def test_it_is_told_where_the_slide_itself_says_what_its_classes_are() -> None:
    own = SlideClassMeans(np.zeros((8, 2), np.float32), 0.1, 2.0, np.full(8, 5, np.float32))
    assert NO_SURVEY.note == SlideSurvey(classes=own, foreign_probability=0.2).note == ""
    noted = SlideSurvey(classes=own, foreign_probability=0.93).note
    assert "from 40 cells of this slide" in noted


def test_few_cells_are_told() -> None:
    assert note_of_few(7).startswith("Only 7 cells, fewer than 20: ")
    assert note_of_few(1).startswith("Only 1 cell, ")
