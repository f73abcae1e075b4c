"""Laboratories whose looks are drawn from known distributions: the check finds these, and who is unlike them."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from leukopy.bundle import SlideCheck
from leukopy.core.errors import TrainingError
from leukopy.imaging.appearance import APPEARANCE_FEATURES
from leukopy.slides.fit_check import ENOUGH_IMAGES, SlideCheckSettings, distances_left_out, fit_slide_check
from leukopy.slides.laboratory_check import AppearanceSum, class_free, nearest_laboratory

SIZE = len(APPEARANCE_FEATURES)
CLASSES = {"LY": 0.2, "NEU": 0.0, "PLT": -0.2}
LABORATORIES = {"a": 0.0, "b": 1.0}
HOW = SlideCheckSettings()
Cells = tuple[NDArray[np.float32], NDArray[np.str_], NDArray[np.str_]]


def draw(rng: np.random.Generator, name: str, classes: list[str], *, slide: float = 0.0) -> NDArray[np.float32]:
    """Looks of cells of deviation .1; ``slide`` is how far their slide is from its laboratory, on every axis."""
    shift = LABORATORIES[name] + slide + np.array([CLASSES[code] for code in classes])[:, None]
    return np.asarray(rng.normal(0, 0.1, (len(classes), SIZE)) + shift, np.float32)


def distance(appearance: NDArray[np.float32], classes: list[str], check: SlideCheck) -> float:
    """Of a slide of these cells."""
    slide = AppearanceSum()
    slide.add(class_free(appearance, classes, check))
    found = nearest_laboratory(slide, check)
    assert found is not None
    return found.distance


@pytest.fixture
def cells() -> Cells:
    """Two laboratories with other shares of classes; b has no platelet."""
    rng = np.random.default_rng(0)
    shares = {"a": ["LY"] * 100 + ["NEU"] * 300 + ["PLT"] * 200, "b": ["LY"] * 300 + ["NEU"] * 50}
    appearance = np.concatenate([draw(rng, name, classes) for name, classes in shares.items()])
    laboratories = np.repeat(list(shares), [len(classes) for classes in shares.values()])
    return appearance, np.concatenate([np.array(classes) for classes in shares.values()]), laboratories


def test_laboratories_and_classes_are_told_apart(cells) -> None:
    check = fit_slide_check(*cells, HOW)
    first, second = check.laboratories
    assert (first.name, first.images, second.name, second.images) == ("a", 600, "b", 350)
    assert np.subtract(second.mean, first.mean) == pytest.approx(np.ones(SIZE), abs=0.03)
    assert np.sqrt(np.diag(first.covariance)) == pytest.approx(np.full(SIZE, 0.1), rel=0.1)
    for code, appearance in CLASSES.items():
        assert check.classes[code] == pytest.approx((appearance,) * SIZE, abs=0.03)


def test_ninety_nine_of_a_hundred_slides_of_a_known_laboratory_are_below_one(cells) -> None:
    check = fit_slide_check(*cells, HOW)
    rng = np.random.default_rng(1)
    found = []
    for _ in range(400):
        classes = rng.choice(list(CLASSES), 50).tolist()
        appearance = draw(rng, "a", classes) + rng.normal(0, 0.1 * HOW.between**0.5, SIZE).astype(np.float32)
        found.append(distance(appearance, classes, check))
    assert 0.97 < np.mean(np.array(found) < 1) < 1


def test_a_slide_of_one_class_is_not_strange_and_one_of_another_look_is(cells) -> None:
    check = fit_slide_check(*cells, HOW)
    rng = np.random.default_rng(2)
    for code in CLASSES:
        assert distance(draw(rng, "a", [code] * 50), [code] * 50, check) < 0.4
    assert distance(draw(rng, "a", ["LY"] * 50, slide=0.4), ["LY"] * 50, check) > 2


def test_a_laboratory_left_out_is_far_from_the_other(cells) -> None:
    found = distances_left_out(*cells, HOW)
    assert {name: one.nearest for name, one in found.items()} == {"a": "b", "b": "a"}
    assert min(one.distance for one in found.values()) > 5


def test_one_laboratory_alone_has_no_other(cells) -> None:
    appearance, classes, laboratories = cells
    only = laboratories == "a"
    assert distances_left_out(appearance[only], classes[only], laboratories[only], HOW) == {}


def test_always_the_same_white_is_no_reason_to_be_strange() -> None:
    same = np.zeros((100, SIZE), np.float32)
    check = fit_slide_check(same, np.repeat("LY", 100), np.repeat("a", 100), HOW)
    hundredth = nearest_laboratory(AppearanceSum(np.eye(SIZE)[0] * 0.01 * 100, 100), check)
    assert hundredth is not None
    assert hundredth.distance < 1


def test_laboratories_of_few_images_are_passed_over(cells) -> None:
    appearance, classes, laboratories = cells
    rows = np.r_[0 : ENOUGH_IMAGES - 1, 600:950]
    check = fit_slide_check(appearance[rows], classes[rows], laboratories[rows], HOW)
    assert [one.name for one in check.laboratories] == ["b"]
    few = slice(0, ENOUGH_IMAGES - 1)
    with pytest.raises(TrainingError, match="no laboratory has 50 images"):
        fit_slide_check(appearance[few], classes[few], laboratories[few], HOW)
