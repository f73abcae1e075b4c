from __future__ import annotations

import numpy as np
import pytest

from leukopy.evaluation.coarse_gain import summing
from leukopy.taxonomy import COARSE, FINE, find


def _indices(*codes):
    return np.array([[cell.code for cell in FINE].index(code) for code in codes])


def test_errors_inside_a_coarse_class_vanish():
    truth = _indices("SNE", "SNE", "BNE", "MY", "MMY", "EO", "LY", "LY")
    found = _indices("SNE", "BNE", "MMY", "PMY", "MMY", "BNE", "LY", "LY")
    result = summing(truth, found, replicates=200)
    assert (result.images, result.errors, result.vanished) == (8, 4, 2)  # BNE -> MMY and EO -> BNE stay wrong
    assert result.fine_accuracy.value == 4 / 8
    assert result.coarse_accuracy.value == 6 / 8
    assert result.gain.value == pytest.approx(2 / 8)
    rows = {row.code: (row.images, row.errors, row.vanished) for row in result.classes}
    assert list(rows) == [cell.code for cell in COARSE]
    assert rows["NEU"] == (3, 2, 1)
    assert rows["IG"] == (2, 1, 1)
    assert rows["EO"] == (1, 1, 0)
    assert rows["PLT"] == (0, 0, 0)


def _literal(truth, found):
    """Cell by cell, by code."""
    errors = vanished = 0
    for one, other in zip(truth, found, strict=True):
        if FINE[one].code != FINE[other].code:
            errors += 1
            vanished += find(FINE[one].code).coarse == find(FINE[other].code).coarse
    return errors, vanished


def test_the_gain_is_paired():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 11, 400)
    found = np.where(rng.random(400) < 0.7, truth, rng.integers(0, 11, 400))
    result = summing(truth, found)
    assert (result.errors, result.vanished) == _literal(truth, found)
    assert result.coarse_accuracy.value - result.fine_accuracy.value == pytest.approx(result.gain.value)
    # The two accuracies are of the same cells: their difference is known better than either.
    assert result.gain.high - result.gain.low < result.fine_accuracy.high - result.fine_accuracy.low
    assert result.gain.low > 0


def test_nothing_to_gain_has_no_width():
    truth = _indices("EO", "LY", "MO")
    gain = summing(truth, truth, replicates=100).gain
    assert (gain.value, gain.low, gain.high) == (0, 0, 0)


def test_no_image():
    with pytest.raises(ValueError, match="at least one image"):
        summing(_indices(), _indices())
