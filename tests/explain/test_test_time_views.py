"""The mean over the eight views of a cell: turned back rightly, and free of the network's own habit."""

from __future__ import annotations

import numpy as np
import pytest

from leukopy.explain import METHODS, Subject, of_all_views
from leukopy.explain.test_time_views import VIEWS, turn, turn_back


@pytest.fixture(scope="module")
def pictures() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (2, 6, 6, 3), dtype=np.uint8)


def test_the_views_are_eight_and_all_different(pictures) -> None:
    assert len({turn(pictures, view).tobytes() for view in range(VIEWS)}) == VIEWS


@pytest.mark.parametrize("view", range(VIEWS))
def test_each_view_is_undone(pictures, view) -> None:
    assert np.array_equal(turn_back(turn(pictures, view), view), pictures)
    assert np.array_equal(turn_back(turn(pictures[..., 0], view), view), pictures[..., 0])


def redness(pictures: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """A method that turns with the picture."""
    return pictures[..., 0].astype(np.float32) / 255


def habit(pictures: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """A method that answers one place, whatever the picture."""
    heat = np.zeros(pictures.shape[:3], np.float32)
    heat[:, 1, 2] = 1
    return heat


def test_a_map_that_turns_with_the_picture_stays(pictures) -> None:
    own = redness(pictures, np.zeros(2))
    low, high = own.min(axis=(1, 2), keepdims=True), own.max(axis=(1, 2), keepdims=True)
    assert of_all_views(redness)(pictures, np.zeros(2)) == pytest.approx((own - low) / (high - low), abs=1e-5)


def test_a_habit_is_spread_evenly(pictures) -> None:
    heat = of_all_views(habit)(pictures, np.zeros(2))
    for view in range(VIEWS):
        assert turn(heat, view) == pytest.approx(heat)


def test_no_evidence_stays_no_heat(pictures) -> None:
    assert not of_all_views(lambda pictures, _: np.zeros(pictures.shape[:3], np.float32))(pictures, np.zeros(2)).any()


def test_the_only_evidence_is_still_found(bundle, quarter) -> None:
    picture, mask = quarter("BA")
    heat = of_all_views(METHODS["cam"].open(Subject(bundle)))(picture[None], np.array([3]))[0]
    assert heat[mask].sum() / heat.sum() > 0.8
