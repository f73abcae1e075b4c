"""Fit a shallow model: dimensions reduced, parameters chosen on validation, probabilities calibrated there.

In two stages, as in the 2021 study: the coarse classes first, then the kinds of neutrophil and of immature granulocyte,
each by a classifier of its own; the probability of a fine class is the product of both.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from joblib import cpu_count
from numpy.typing import NDArray
from sklearn.metrics import f1_score

from leukopy.core.errors import MissingExtraError, TrainingError
from leukopy.evaluation.calibration import fit_temperature
from leukopy.models.shallow import SHALLOW
from leukopy.taxonomy import COARSE, FINE, coarse_matrix, find
from leukopy.training.shallow_settings import Reduction, ShallowSettings

Rows = NDArray[np.floating[Any]]
Labelled = tuple[Rows, Sequence[str]]
"""Features (N, D) and N class codes."""

_SMALLEST = 1e-6
"""Lower bound of a probability, so that it has a logarithm."""


@dataclass(frozen=True)
class Trial:
    """One combination of parameters, and its validation figures."""

    stage: str
    parameters: dict[str, Any]
    macro_f1: float
    chosen: bool


@dataclass(frozen=True, eq=False)
class Stage:
    """One fitted classifier among some classes."""

    codes: tuple[str, ...]
    estimator: Any
    temperature: float
    trials: tuple[Trial, ...]

    def probabilities(self, features: Rows) -> NDArray[np.float64]:
        """Calibrated probabilities (N, K), in the order of ``codes``."""
        scaled = _scores(self.estimator, features) / self.temperature
        powers = np.exp(scaled - scaled.max(axis=1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=1, keepdims=True))


@dataclass(frozen=True, eq=False)
class ShallowModel:
    """A fitted model."""

    level: str
    reducer: Any
    """Fitted, with ``transform``; None."""
    stages: tuple[Stage, ...]
    """The first among all classes; in two stages, one more for each coarse class that was divided."""

    @property
    def trials(self) -> tuple[Trial, ...]:
        """All trials."""
        return tuple(trial for stage in self.stages for trial in stage.trials)

    def probabilities(self, features: Rows) -> NDArray[np.float64]:
        """(N, F) in the order of ``FINE``; at the coarse level (N, C) in the order of ``COARSE``."""
        reduced = features if self.reducer is None else self.reducer.transform(features)
        classes = [cell.code for cell in (FINE if self.level == "fine" else COARSE)]
        found = np.zeros((len(features), len(classes)))
        first, *others = self.stages
        divided = {str(find(stage.codes[0]).coarse): stage for stage in others}
        for code, column in zip(first.codes, first.probabilities(reduced).T, strict=True):
            if code in divided:
                parts = divided[code].probabilities(reduced)
                found[:, [classes.index(part) for part in divided[code].codes]] = column[:, None] * parts
            else:
                found[:, classes.index(code)] = column
        return found


def fit_shallow(settings: ShallowSettings, train: Labelled, val: Labelled) -> ShallowModel:
    """Fit on ``train``; choose and calibrate on ``val``.

    Raises:
        TrainingError: too few classes or images for the classifier or the reduction.
        MissingExtraError: UMAP is not installed.
        SettingsError: no such classifier.
    """
    reducer = None
    if settings.reduction is not None:
        reducer = _reducer(settings.reduction, settings.seed, train[0].shape)
        reduced = reducer.fit_transform(train[0])
        train, val = (reduced, train[1]), (reducer.transform(val[0]), val[1])
    if not settings.two_stages:
        return ShallowModel(settings.level, reducer, (_fit_stage(settings, "all", train, val),))
    coarse = ((rows, [str(find(code).coarse) for code in codes]) for rows, codes in (train, val))
    stages = [_fit_stage(settings, "coarse", *coarse)]
    for parent, row in zip(COARSE, coarse_matrix().T, strict=True):
        parts = [cell.code for cell, inside in zip(FINE, row, strict=True) if inside]
        if len(parts) > 1 and parent.code in stages[0].codes:
            stages.append(_fit_stage(settings, parent.code, _only(train, parts), _only(val, parts)))
    return ShallowModel(settings.level, reducer, tuple(stages))


def _only(cells: Labelled, codes: Sequence[str]) -> Labelled:
    features, labels = cells
    rows = [row for row, label in enumerate(labels) if label in codes]
    return features[rows], [labels[row] for row in rows]


def _reducer(reduction: Reduction, seed: int, shape: tuple[int, ...]) -> Any:
    if reduction.components >= min(shape):
        raise TrainingError(
            f"reduction.components {reduction.components}: there are {shape[0]} training images of {shape[1]} "
            "features; take fewer."
        )
    if reduction.method == "pca":
        from sklearn.decomposition import PCA  # noqa: PLC0415

        return PCA(reduction.components, random_state=seed)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ImportWarning)  # of its parts that need TensorFlow
            from umap import UMAP  # noqa: PLC0415  (compiles for some seconds)
    except ImportError as error:
        raise MissingExtraError("UMAP", "study") from error
    return UMAP(
        n_components=reduction.components,
        n_neighbors=reduction.neighbours,
        min_dist=reduction.minimum_distance,
        random_state=seed,
        n_jobs=1,  # a seed allows no more
    )


def _fit_stage(settings: ShallowSettings, name: str, train: Labelled, val: Labelled) -> Stage:
    """Try each combination of parameters; keep the one whose macro F1 on validation is highest, the first of equals."""
    entry = SHALLOW[settings.classifier]
    codes = tuple(cell.code for cell in dict.fromkeys((*FINE, *COARSE)) if cell.code in set(train[1]))
    val = _only(val, codes)
    if len(codes) < 2 or not len(val[1]):
        raise TrainingError(
            f"{settings.name}, {name}: needs training images of two classes and a validation image of one of them."
        )
    grid = {**entry.grid, **settings.grid}
    tried = []
    for values in product(*grid.values()):
        parameters = dict(zip(grid, values, strict=True))
        estimator = entry.build(parameters, settings.seed, cpu_count())
        try:
            estimator.fit(train[0], [codes.index(code) for code in train[1]])
            scores = _scores(estimator, val[0])
        except ValueError as error:  # how scikit-learn refuses data and parameters
            raise TrainingError(f"{settings.name}, {name}, {parameters}: {error}") from error
        truth = [codes.index(code) for code in val[1]]
        f1 = f1_score(truth, scores.argmax(axis=1), average="macro", zero_division=0)
        tried.append((float(f1), parameters, estimator, scores))
    best = max(range(len(tried)), key=lambda row: tried[row][0])
    _, _, estimator, scores = tried[best]
    members = np.array([[code == label for code in codes] for label in val[1]])
    trials = tuple(Trial(name, parameters, f1, row == best) for row, (f1, parameters, *_) in enumerate(tried))
    return Stage(codes, estimator, fit_temperature(scores, members), trials)


def _scores(estimator: Any, features: Rows) -> NDArray[np.float64]:
    """(N, K), whose softmax is a probability: logarithms of probabilities, or distances to the boundaries."""
    if hasattr(estimator, "predict_proba"):
        return np.asarray(np.log(np.clip(estimator.predict_proba(features), _SMALLEST, None)))
    distances = np.asarray(estimator.decision_function(features), dtype=np.float64)
    return np.stack([-distances / 2, distances / 2], axis=1) if distances.ndim == 1 else distances
