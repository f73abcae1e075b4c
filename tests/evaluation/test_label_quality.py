from __future__ import annotations

import sys

import numpy as np
import pytest
from scipy.special import softmax

from leukopy.core.errors import MissingExtraError
from leukopy.evaluation.label_quality import label_quality


@pytest.fixture(scope="module")
def predictions():
    """400 images of 8 of 11 classes, well predicted; the first 12 carry the label of another class."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 8, 400)
    probabilities = softmax(5 * np.eye(11)[truth] + rng.normal(0, 1, (400, 11)), axis=1).astype(np.float32)
    labels = truth.copy()
    labels[:12] = (truth[:12] + 3) % 8
    return labels, probabilities


def _literal(labels, probabilities):
    """Northcutt et al. (2021), section 3.1, image by image."""
    given = probabilities.astype(float)
    threshold = {label: np.mean([p[label] for p, y in zip(given, labels, strict=True) if y == label])
                 for label in set(labels.tolist())}  # fmt: skip
    issues = []
    for p, label in zip(given, labels, strict=True):
        confident = [other for other in threshold if p[other] >= threshold[other]]
        chosen = max(confident, key=lambda other: p[other], default=label)
        issues.append(chosen != label and p.argmax() != label)
    return issues


def test_contradicted_labels_are_found_as_the_paper_says(predictions):
    pytest.importorskip("cleanlab")
    quality, issues = label_quality(*predictions)
    assert issues.tolist() == _literal(*predictions)
    assert issues[:12].sum() >= 6
    assert issues[12:].sum() <= 4
    assert quality == pytest.approx(predictions[1][np.arange(400), predictions[0]])
    assert quality[:12].max() < np.median(quality)


@pytest.mark.parametrize("labels", [[0, 3], [7, 3], [0, 0, 0, 3], [1, 1, 1, 2]])
def test_few_images_and_absent_classes(labels):
    pytest.importorskip("cleanlab")
    quality, issues = label_quality(np.array(labels), np.full((len(labels), 11), 1 / 11, dtype=np.float32))
    assert quality == pytest.approx(1 / 11)
    assert not issues.any()


def test_one_class_is_refused():
    with pytest.raises(ValueError, match="two classes"):
        label_quality(np.array([3, 3]), np.full((2, 11), 1 / 11))


def test_without_cleanlab_the_message_says_how_to_get_it(predictions, monkeypatch):
    monkeypatch.setitem(sys.modules, "cleanlab.filter", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'leukopy\[study\]'"):
        label_quality(*predictions)
