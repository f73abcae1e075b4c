"""The classes of a slide from elsewhere are found again from its own cells."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from leukopy.bundle import SlideClasses
from leukopy.slides.class_means import INERTIA, estimate_class_means
from leukopy.taxonomy import COARSE, coarse_matrix

HOW = SlideClasses(weight=0.3, foreign_temperature_factor=2.0, spread=6.0, fitted_on="cells of a test")
KNOWN = (4 * np.eye(8, 6) - 2).astype(np.float32)
"""The means of the classes, in traits of six numbers; the last two classes are one."""


def slide(classes: NDArray[np.intp], shift: float, scatter: float = 1.0) -> NDArray[np.float32]:
    """Cells of these classes, all moved towards the first class by ``shift``."""
    towards = KNOWN[0] - KNOWN[1:6].mean(axis=0)
    noise = np.random.default_rng(1).normal(0, scatter, (len(classes), 6))
    return (KNOWN[classes] + shift * towards + noise).astype(np.float32)


def as_known(traits: NDArray[np.float32]) -> NDArray[np.float32]:
    """The chance of each coarse class, as a model sees it that knows of no shift."""
    scores = traits @ KNOWN.T - 0.5 * (KNOWN**2).sum(axis=1)
    scores[:, 6:] -= 50  # the two that are alike are on no slide
    powers = np.exp(0.3 * (scores - scores.max(axis=1, keepdims=True)))
    return (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)


def right(traits: NDArray[np.float32], classes: NDArray[np.intp], some: slice) -> tuple[float, float]:
    """Share of cells whose class is right: as known, and with what the slide's own classes say, from ``some`` cells."""
    chances = as_known(traits)
    own = estimate_class_means(traits[some], chances[some], KNOWN, HOW)
    coarse = np.log(chances + 1e-12) + own.coarse_evidence(traits)
    return float((chances.argmax(axis=1) == classes).mean()), float((coarse.argmax(axis=1) == classes).mean())


@pytest.mark.parametrize("weights", [[1, 1, 1, 1, 1, 1], [2, 30, 10, 5, 2, 1]])
def test_classes_that_have_all_moved_are_found_again(weights: list[int]) -> None:
    classes = np.random.default_rng(0).choice(6, 600, p=np.array(weights) / sum(weights))
    known, own = right(slide(classes, shift=0.6), classes, slice(None, None, 5))
    assert known < 0.8
    assert own > known + 0.1


def test_a_known_slide_stays_as_it_was() -> None:
    classes = np.arange(600) % 6
    known, own = right(slide(classes, shift=0), classes, slice(None, None, 5))
    assert known > 0.95
    assert own > known - 0.01


def test_a_slide_of_one_class_does_not_lose_it() -> None:
    classes = np.full(120, 3)
    known, own = right(slide(classes, shift=0.3), classes, slice(None))
    assert own >= known


def test_cells_that_scatter_more_say_less() -> None:
    classes = np.arange(120) % 6
    calm, wild = (slide(classes, shift=0, scatter=scatter) for scatter in (0.8, 4.0))
    assert estimate_class_means(calm, as_known(calm), KNOWN, HOW).weight == HOW.weight
    assert estimate_class_means(wild, as_known(wild), KNOWN, HOW).weight < 0.5 * HOW.weight


def test_a_class_without_cells_moves_with_the_others() -> None:
    classes = np.full(3 * int(INERTIA), 1)
    traits = (KNOWN[classes] + 2).astype(np.float32)
    own = estimate_class_means(traits, np.eye(8, dtype=np.float32)[classes], KNOWN, HOW)
    assert own.cells.tolist() == pytest.approx([0, len(classes)] + [0] * 6, abs=1e-3)
    assert own.means[1] - KNOWN[1] == pytest.approx(np.full(6, 1.75), abs=0.2)
    assert own.means[0] - KNOWN[0] == pytest.approx(own.means[4] - KNOWN[4])
    assert (own.means[0] > KNOWN[0]).all()


def test_the_kinds_of_a_class_are_told_apart_as_before() -> None:
    traits = slide(np.arange(60) % 6, shift=0.3)
    evidence = estimate_class_means(traits, as_known(traits), KNOWN, HOW).evidence(traits)
    assert evidence.shape == (60, 11)
    for column in range(len(COARSE)):
        members = np.flatnonzero(coarse_matrix()[:, column])
        assert np.ptp(evidence[:, members], axis=1).max() == 0
