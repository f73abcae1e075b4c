from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics

from leukopy.evaluation.agreement import agreement, at_level, cohen_kappa
from leukopy.taxonomy import COARSE, FINE

_READERS = ("annotator 1", "annotator 2")


@pytest.fixture(scope="module")
def readings():
    """300 images that two readers call alike four times in five; one of them sees blasts."""
    rng = np.random.default_rng(0)
    codes = [cell.code for cell in FINE][:8]
    first = rng.choice(codes, 300)
    second = np.where(rng.random(300) < 0.8, first, rng.choice([*codes, "BLAST"], 300))
    return list(zip(first.tolist(), second.tolist(), strict=True))


def test_kappa_is_that_of_scikit_learn(readings):
    first, second = zip(*readings, strict=True)
    found = agreement(readings, FINE, _READERS, replicates=200)
    assert found.kappa.value == pytest.approx(metrics.cohen_kappa_score(first, second))
    assert found.raw.value == pytest.approx(np.mean(np.array(first) == np.array(second)))
    assert found.kappa.low < found.kappa.value < found.kappa.high
    codes = [row.code for row in found.classes]
    assert codes[-1] == "BLAST"
    assert found.table.tolist() == metrics.confusion_matrix(first, second, labels=codes).tolist()


def test_classes_against_the_rest_are_those_of_scikit_learn(readings):
    first, second = (np.array(codes) for codes in zip(*readings, strict=True))
    for row in agreement(readings, FINE, _READERS, replicates=100).classes:
        one, other = first == row.code, second == row.code
        assert (row.first, row.second, row.both) == (one.sum(), other.sum(), (one & other).sum())
        assert row.agreement.value == pytest.approx(metrics.f1_score(one, other))
        if row.first:
            assert row.kappa.value == pytest.approx(metrics.cohen_kappa_score(one, other))


def test_the_published_example():
    """Cohen (1960), table 1, of 200 cases: kappa .492 (there .49)."""
    table = np.array([[88, 14, 18], [10, 40, 10], [2, 6, 12]], dtype=float)
    assert cohen_kappa(table) == pytest.approx(0.492, abs=5e-4)
    assert cohen_kappa(np.stack([table, np.diag([3.0, 4, 5])])).tolist() == pytest.approx([0.492, 1], abs=5e-4)


def test_one_class_has_no_kappa():
    found = agreement([("EO", "EO")] * 5, COARSE, _READERS, replicates=100)
    assert found.raw.value == 1
    assert (found.kappa.value, found.kappa.low, found.kappa.high) == (None, None, None)
    assert found.classes[0].agreement.value == 1


def test_two_images_are_enough():
    found = agreement([("EO", "EO"), ("LY", "EO")], COARSE, _READERS, replicates=100)
    assert found.raw.value == 0.5
    assert found.kappa.value == 0
    assert [row.code for row in found.classes] == ["EO", "LY"]


def test_slides_are_drawn_whole(readings):
    """One slide: nothing varies, and the interval has no width."""
    found = agreement(readings, FINE, _READERS, groups=["slide"] * len(readings), replicates=100)
    assert found.kappa.low == pytest.approx(found.kappa.high)


def test_no_image():
    with pytest.raises(ValueError, match="at least one image"):
        agreement([], FINE, _READERS)


@pytest.mark.parametrize(
    ("code", "coarse", "fine"),
    [("SNE", "NEU", "SNE"), ("NEU", "NEU", None), ("EO", "EO", "EO"), ("BLAST", "BLAST", "BLAST"), (None, None, None)],
)
def test_what_a_code_says_at_each_level(code, coarse, fine):
    assert (at_level(code, COARSE), at_level(code, FINE)) == (coarse, fine)
