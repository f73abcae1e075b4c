"""Scores of generated pictures."""

from __future__ import annotations

import numpy as np
import pytest

from leukopy.evaluation.generated import CellPictures, copies, kernel_distance, nearest

RNG = np.random.default_rng(0)


def _rows(count: int, shift: float = 0) -> np.ndarray:
    return (RNG.normal(size=(count, 16)) + shift).astype(np.float32)


def test_pictures_that_are_alike_have_no_distance_and_others_have_one() -> None:
    alike = kernel_distance([(_rows(200), _rows(300)), (_rows(200, 1), _rows(100, 1))])
    near = kernel_distance([(_rows(200), _rows(200, 0.3))])
    far = kernel_distance([(_rows(200), _rows(200, 1))])
    assert alike.low < 0 < alike.high
    assert 0 < near.low < near.high < far.low


def test_the_distance_is_that_of_its_definition() -> None:
    first, second = _rows(8).astype(float), _rows(8, 0.5).astype(float)
    rng = np.random.default_rng(5)
    one, other = (rows[rng.choice(8, 4, replace=False)] for rows in (first, second))

    def kernel(x, y):
        return (x @ y / 16 + 1) ** 3

    pairs = [(i, j) for i in range(4) for j in range(4)]
    within = sum(kernel(rows[i], rows[j]) for rows in (one, other) for i, j in pairs if i != j) / 12
    between = 2 * sum(kernel(one[i], other[j]) for i, j in pairs) / 16
    found = kernel_distance([(first.astype(np.float32), second.astype(np.float32))], replicates=1, seed=5)
    assert found.value == pytest.approx(within - between, rel=1e-5)


def test_a_copy_is_found_however_it_is_turned() -> None:
    train, held_out = _rows(100), _rows(50)
    turned = np.stack([_rows(3), np.stack([train[7], train[4], _rows(1)[0]])])
    rows, distances = nearest(train, turned)
    assert rows[:2].tolist() == [7, 4]
    assert distances[:2] == pytest.approx(0, abs=1e-3)
    usual = nearest(train, held_out[None])[1]
    assert distances[2] == pytest.approx(
        min(np.linalg.norm(train - view[2], axis=1).min() for view in turned), rel=1e-4
    )
    fresh = copies(nearest(train, _rows(50)[None])[1], usual)
    assert fresh.ratio == pytest.approx(1, abs=0.1)
    assert fresh.close < 0.1
    copied = copies(nearest(train, train[None, :50] + 0.01)[1], usual)
    assert copied.ratio < 0.1
    assert copied.close == 1


def test_pictures_are_found_by_class_and_laboratory() -> None:
    pictures = CellPictures(np.zeros((3, 8, 8, 3), np.uint8), np.array(["EO", "LY", "EO"]), np.array(["a", "a", "b"]))
    assert pictures.of("a", "EO").tolist() == [True, False, False]
    assert len(pictures) == 3
