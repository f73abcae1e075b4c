"""Likely labelling errors: labels that a model confidently contradicts.

Confident learning (Northcutt, Jiang and Chuang, Journal of Artificial Intelligence Research 70, 2021), by `cleanlab`.
The threshold of a class is its mean probability over the images with this label. An image is contradicted where a class
other than its label is the most probable of those that reach their threshold, and of all.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from leukopy.core.errors import MissingExtraError


def label_quality(
    labels: NDArray[np.intp], probabilities: NDArray[np.floating]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Score labels by out-of-sample predictions: a model has learnt the labels it was trained on.

    Args:
        labels: shape (N,), given classes as indices, at least two classes.
        probabilities: shape (N, C).

    Returns:
        The quality of each label, shape (N,), 0 (wrong) to 1 (right): the model's probability of it; and whether it is
        contradicted, shape (N,).

    Raises:
        MissingExtraError: `cleanlab` is not installed.
        ValueError: the labels hold fewer than two classes.
    """
    if len(np.unique(labels)) < 2:
        raise ValueError("label_quality needs labels of two classes at least")
    try:
        from cleanlab.filter import find_label_issues  # noqa: PLC0415 (an extra)
        from cleanlab.rank import get_label_quality_scores  # noqa: PLC0415
    except ImportError as error:
        raise MissingExtraError("finding likely label errors", "study") from error
    # float32 sums to 1 only within rounding, and cleanlab requires probabilities up to 1.
    given = np.clip(probabilities.astype(np.float64), 0, 1)
    issues = find_label_issues(labels, given, filter_by="confident_learning", n_jobs=1)
    return np.asarray(get_label_quality_scores(labels, given)), np.asarray(issues, dtype=bool)
