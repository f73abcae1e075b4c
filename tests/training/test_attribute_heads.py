"""Heads learn what there is to learn, and say only what they are sure of."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import f1_score

from leukopy.taxonomy import ATTRIBUTES
from leukopy.training.attribute_heads import (
    HeadSettings,
    _min_confidence,
    apply,
    calibrated_heads,
    fit_heads,
    mean_macro_f1,
    split_heads,
)

SIZES = [len(attribute.values) for attribute in ATTRIBUTES]
QUICK = HeadSettings(hidden=16, epochs=30, batch_size=32, dropout=0.0, learning_rate=0.01)


@pytest.fixture(scope="module")
def cells() -> tuple[np.ndarray, np.ndarray]:
    """Statistics (400, 11) of very different scales, of which column i tells the value of attribute i."""
    rng = np.random.default_rng(0)
    values = np.stack([rng.integers(size, size=400) for size in SIZES], axis=1)
    scales = np.logspace(-3, 3, len(SIZES))
    noise = rng.normal(scale=0.05, size=values.shape)
    return ((values + noise) * scales + 10 * scales).astype(np.float32), values


def test_heads_learn_and_take_statistics_as_they_are(cells) -> None:
    statistics, values = cells
    layers = fit_heads(statistics[:300], values[:300], statistics[300:350], values[300:350], QUICK)
    logits = apply(layers, statistics[350:])
    assert logits.shape == (50, sum(SIZES))
    assert mean_macro_f1(logits, values[350:]) > 0.9
    again = fit_heads(statistics[:300], values[:300], statistics[300:350], values[300:350], QUICK)
    assert all(
        np.array_equal(one, two) for pair in zip(layers, again, strict=True) for one, two in zip(*pair, strict=True)
    )


def test_macro_f1_is_that_of_each_head(cells) -> None:
    logits, values = np.random.default_rng(1).normal(size=(400, sum(SIZES))), cells[1]
    literal = [f1_score(values[:, i], own.argmax(axis=1), average="macro") for i, own in enumerate(split_heads(logits))]
    assert mean_macro_f1(logits, values) == pytest.approx(np.mean(literal))


def test_heads_are_calibrated_one_by_one_and_never_sharpened(cells) -> None:
    values = cells[1]
    rng = np.random.default_rng(2)
    right = np.concatenate([np.eye(size)[values[:, i]] * 4 for i, size in enumerate(SIZES)], axis=1)
    overconfident = right.copy()
    wrong = rng.random(400) < 0.4
    overconfident[wrong, : SIZES[0]] = overconfident[wrong, : SIZES[0]][:, ::-1]  # the first head errs, as sure as ever
    heads = calibrated_heads(overconfident.astype(np.float32), values, target_precision=0.9)
    assert [head.name for head in heads] == [attribute.name for attribute in ATTRIBUTES]
    assert heads[0].temperature > 2
    assert {head.temperature for head in heads[1:]} == {1.0}
    assert heads[0].min_confidence == 1.0  # never nine of ten right
    assert all(head.min_confidence < 1 for head in heads[1:])


@pytest.mark.parametrize(
    ("confidence", "right", "min_confidence"),
    [
        ([0.9, 0.8, 0.7, 0.6], [1, 1, 1, 0], 0.7),
        ([0.9, 0.8, 0.7, 0.6], [1, 1, 1, 1], 0.6),
        ([0.9, 0.8, 0.4, 0.3], [1, 1, 1, 1], 0.5),
        ([0.9, 0.8], [0, 0], 1.0),
        ([0.6, 0.9, 0.7, 0.8], [0, 1, 1, 1], 0.7),
    ],
)
def test_what_is_said_is_right_often_enough(confidence: list[float], right: list[int], min_confidence: float) -> None:
    assert _min_confidence(np.array(confidence), np.array(right, bool), 0.9) == pytest.approx(min_confidence)
