"""The registry of shallow classifiers: each has a card, a scikit-learn estimator, and a few candidate parameters.

No torch here. They read features (N, D) of a network or of the picture itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from leukopy.core.registry import Registry

LICENCE = "BSD-3-Clause (scikit-learn)"

Value = int | float | str


@dataclass(frozen=True)
class ShallowClassifier:
    """One entry: its card, its builder, and its candidate parameters."""

    paper: str
    build: Callable[[Mapping[str, Any], int, int], Any]
    """Parameters, seed, processes -> an unfitted scikit-learn estimator."""
    grid: Mapping[str, tuple[Value, ...]]
    """Parameter -> candidate values; validation chooses."""
    licence: str = LICENCE


def _scaled(estimator: Any) -> Any:
    """Scale features to mean 0 and deviation 1 first: distances and penalties need one scale."""
    from sklearn.pipeline import make_pipeline  # noqa: PLC0415  (seconds to import)
    from sklearn.preprocessing import StandardScaler  # noqa: PLC0415

    return make_pipeline(StandardScaler(), estimator)


def _knn(parameters: Mapping[str, Any], seed: int, jobs: int) -> Any:  # noqa: ARG001
    from sklearn.neighbors import KNeighborsClassifier  # noqa: PLC0415

    return KNeighborsClassifier(**parameters, n_jobs=jobs)


def _logistic(parameters: Mapping[str, Any], seed: int, jobs: int) -> Any:  # noqa: ARG001
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415

    return _scaled(LogisticRegression(**parameters, max_iter=300, tol=1e-3, random_state=seed))


def _svm_linear(parameters: Mapping[str, Any], seed: int, jobs: int) -> Any:  # noqa: ARG001
    from sklearn.svm import LinearSVC  # noqa: PLC0415

    return _scaled(LinearSVC(**parameters, dual="auto", max_iter=5000, tol=1e-3, random_state=seed))


def _svm_rbf(parameters: Mapping[str, Any], seed: int, jobs: int) -> Any:  # noqa: ARG001
    from sklearn.svm import SVC  # noqa: PLC0415

    return _scaled(SVC(**parameters, cache_size=500, random_state=seed))


def _random_forest(parameters: Mapping[str, Any], seed: int, jobs: int) -> Any:
    from sklearn.ensemble import RandomForestClassifier  # noqa: PLC0415

    return RandomForestClassifier(300, **parameters, random_state=seed, n_jobs=jobs)


def _gradient_boosting(parameters: Mapping[str, Any], seed: int, jobs: int) -> Any:  # noqa: ARG001
    from sklearn.ensemble import HistGradientBoostingClassifier  # noqa: PLC0415

    return HistGradientBoostingClassifier(**parameters, max_iter=150, early_stopping=False, random_state=seed)


SHALLOW: Registry[ShallowClassifier] = Registry(
    "classifier",
    {
        "knn": ShallowClassifier(
            paper="Cover & Hart, Nearest neighbor pattern classification, IEEE Trans. Information Theory 1967",
            build=_knn,
            grid={"n_neighbors": (5, 15, 45)},
        ),
        "logistic": ShallowClassifier(
            paper="Cox, The regression analysis of binary sequences, J. Royal Statistical Society B 1958",
            build=_logistic,
            grid={"C": (0.001, 0.01, 0.1)},
        ),
        "svm_linear": ShallowClassifier(
            paper="Cortes & Vapnik, Support-vector networks, Machine Learning 1995",
            build=_svm_linear,
            grid={"C": (0.0001, 0.001, 0.01)},
        ),
        "svm_rbf": ShallowClassifier(
            paper="Cortes & Vapnik, Support-vector networks, Machine Learning 1995",
            build=_svm_rbf,
            grid={"C": (1, 10, 100)},
        ),
        "random_forest": ShallowClassifier(
            paper="Breiman, Random forests, Machine Learning 2001",
            build=_random_forest,
            grid={"min_samples_leaf": (1, 3)},
        ),
        "gradient_boosting": ShallowClassifier(
            paper="Friedman, Greedy function approximation: a gradient boosting machine, Annals of Statistics 2001",
            build=_gradient_boosting,
            grid={"learning_rate": (0.05, 0.15)},
        ),
    },
)
