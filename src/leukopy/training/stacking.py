"""Stacked generalisation (Wolpert, Neural Networks 5, 1992) on the frozen features of several networks.

A logistic regression on the features of each network gives its out-of-fold log-probabilities; a second one, on all of
these together, weighs the networks class by class.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leukopy.core.progress import Progress, silent

PENALTIES = (0.001, 0.01, 0.1, 1.0, 10.0)
"""Values tried for C, the inverse strength of the regularisation; the out-of-fold likelihood chooses."""

_SMALLEST = 1e-6
"""Lower bound of a probability, so that it has a logarithm."""

Rows = NDArray[np.floating[Any]]


@dataclass(frozen=True, eq=False)
class Fitted:
    """A logistic regression, and its out-of-fold probabilities of the cells it was fitted to."""

    estimator: Any
    out_of_fold: NDArray[np.float64]
    """(N, K)."""

    def probabilities(self, features: Rows) -> NDArray[np.float64]:
        """(M, K) of further cells."""
        return np.asarray(self.estimator.predict_proba(features))


def fit_logistic(features: Rows, labels: NDArray[np.intp], folds: NDArray[np.intp], *, scaled: bool = True) -> Fitted:
    """Fit a logistic regression; its penalty is chosen by the out-of-fold likelihood.

    Args:
        features: (N, D).
        labels: (N,), classes 0 to K - 1; each is in two folds at least.
        folds: (N,), fold of each cell.
        scaled: bring every feature to a deviation of 1.
    """
    tried = [(penalty, _out_of_fold(features, labels, folds, _regression(penalty, scaled))) for penalty in PENALTIES]
    rows = np.arange(len(labels))
    penalty, found = max(tried, key=lambda one: np.log(one[1][rows, labels].clip(_SMALLEST)).mean())
    return Fitted(_regression(penalty, scaled).fit(features, labels), found)


def stack(
    features: Mapping[str, Rows], labels: NDArray[np.intp], folds: NDArray[np.intp], progress: Progress = silent
) -> tuple[dict[str, Fitted], Fitted]:
    """Fit a logistic regression to each network's features, and one to the out-of-fold log-probabilities of all.

    Args:
        features: name of a network -> (N, D) of its features.
        labels: as for `fit_logistic`.
        folds: likewise.
        progress: reports the networks.
    """
    single = {}
    for done, (name, values) in enumerate(features.items()):
        progress("fitting", done, len(features) + 1)
        single[name] = fit_logistic(values, labels, folds)
    progress("fitting", len(features), len(features) + 1)
    # Unscaled: the log-probabilities of a network that knows nothing hardly vary, and stay without weight.
    second = fit_logistic(stacked([one.out_of_fold for one in single.values()]), labels, folds, scaled=False)
    progress("fitting", len(features) + 1, len(features) + 1)
    return single, second


def stacked(probabilities: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Features (N, M K) of the second regression: log-probabilities (N, K) of M networks."""
    return np.asarray(np.log(np.concatenate(probabilities, axis=1).clip(_SMALLEST)))


def _out_of_fold(
    features: Rows, labels: NDArray[np.intp], folds: NDArray[np.intp], estimator: Any
) -> NDArray[np.float64]:
    found = np.zeros((len(labels), labels.max() + 1))
    for fold in np.unique(folds):
        own = folds == fold
        estimator.fit(features[~own], labels[~own])
        found[np.ix_(own, estimator.classes_)] = estimator.predict_proba(features[own])
    return found


def _regression(penalty: float, scaled: bool) -> Any:
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415
    from sklearn.pipeline import make_pipeline  # noqa: PLC0415
    from sklearn.preprocessing import StandardScaler  # noqa: PLC0415

    regression = LogisticRegression(C=penalty, max_iter=2000, tol=1e-3)
    return make_pipeline(StandardScaler(), regression) if scaled else regression
