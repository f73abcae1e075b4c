"""Fit one model of patients: its answers for others by each of its candidate settings, and itself as a network."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from leukopy.core.errors import SettingsError, TrainingError
from leukopy.patients.card import CLINICAL, Bag
from leukopy.patients.models.statistics import (
    LateFusion,
    LinearClinical,
    NaiveBayes,
    SoftVoting,
    StatisticsNet,
    bag_statistics,
)
from leukopy.patients.training.networks import fit_bags
from leukopy.patients.training.settings import ClinicalModel, NetModel, PatientRecipe, StatisticsModel

Logits = NDArray[np.float64]
_SUREST = 6.9
"""Floor and ceiling of log-odds, a thousand to one: forests, boosted trees and Gaussians claim longer odds than so few
patients can show."""


@dataclass(frozen=True, eq=False)
class Fitted:
    """A model fitted on some patients."""

    logits: Mapping[str, Logits]
    """Candidate settings -> log-odds (W,) of the patients that were watched."""
    module: Callable[[str], nn.Module]
    """Candidate -> the fitted network, as `export_patient_model` takes it.

    Raises TrainingError for a model that has no such form.
    """


def fit(recipe: PatientRecipe, train: Sequence[Bag], watch: Sequence[Bag], seed: int) -> Fitted:
    """Fit the model of a recipe.

    Args:
        recipe: which.
        train: patients with a label.
        watch: patients that are judged, and have no part in the fit.
        seed: of all that is random.

    Raises:
        TrainingError: the patients do not suffice.
    """
    if len({bag.label for bag in train}) < 2:
        raise TrainingError("patients of both labels are needed to train. Give a larger cohort, or fewer folds.")
    model = recipe.model
    if isinstance(model, ClinicalModel):
        return _clinical(model, train, watch, seed)
    fitted = (
        _statistics(model, train, watch, seed)
        if isinstance(model, StatisticsModel)
        else _nets(model, train, watch, seed)
    )
    if recipe.fusion == "none":
        return fitted
    other = _clinical(ClinicalModel(), train, watch, seed)
    clinical, prior = other.module(""), _prior(_labels(train))
    join: Callable[[nn.Module, nn.Module], nn.Module] = (
        partial(LateFusion, prior=prior) if recipe.fusion == "late" else SoftVoting
    )
    theirs = other.logits[""]
    joined = {
        candidate: own + theirs - prior if recipe.fusion == "late" else _voted(own, theirs)
        for candidate, own in fitted.logits.items()
    }
    return Fitted(joined, lambda candidate: join(fitted.module(candidate), clinical))


def statistics_table(bags: Sequence[Bag], names: Sequence[Any]) -> NDArray[np.float64]:
    """The statistics (P, S) of some patients."""
    return np.stack([bag_statistics(torch.from_numpy(bag.cells), names).double().numpy() for bag in bags])


def _statistics(model: StatisticsModel, train: Sequence[Bag], watch: Sequence[Bag], seed: int) -> Fitted:
    from sklearn.decomposition import PCA  # noqa: PLC0415  (seconds to import)
    from sklearn.ensemble import HistGradientBoostingClassifier  # noqa: PLC0415
    from sklearn.impute import SimpleImputer  # noqa: PLC0415
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415
    from sklearn.pipeline import make_pipeline  # noqa: PLC0415
    from sklearn.preprocessing import StandardScaler  # noqa: PLC0415

    table, labels = statistics_table(train, model.statistics), _labels(train)
    others = statistics_table(watch, model.statistics)
    if model.classifier == "gradient_boosting":
        trees = HistGradientBoostingClassifier(max_iter=60, max_leaf_nodes=4, learning_rate=0.05, random_state=seed)
        trees.fit(table, labels)
        return Fitted({"": _clipped(trees, others)}, _no_network("gradient boosting"))
    imputer = SimpleImputer(strategy="median", keep_empty_features=True)
    kept = [count for count in model.components if count < min(table.shape)]
    if not kept:
        raise TrainingError(
            f"model.components {list(model.components)}: {len(table)} patients with {table.shape[1]} statistics allow "
            "fewer. Take smaller numbers."
        )
    pipelines: dict[str, Any] = {}
    for count in kept:
        steps = (StandardScaler(), PCA(count, svd_solver="full"), StandardScaler())
        reduced = make_pipeline(imputer, *steps)
        rows = reduced.fit_transform(table)
        for penalty in model.C:
            last = LogisticRegression(C=penalty, max_iter=500).fit(rows, labels)
            pipelines[f"{count} components, C {penalty:g}"] = make_pipeline(reduced, last)

    def module(candidate: str) -> nn.Module:
        usual = imputer.statistics_
        return StatisticsNet(model.statistics, usual, _affine(pipelines[candidate].decision_function, len(usual)))

    return Fitted({name: pipeline.decision_function(others) for name, pipeline in pipelines.items()}, module)


def _clinical(model: ClinicalModel, train: Sequence[Bag], watch: Sequence[Bag], seed: int) -> Fitted:
    from sklearn.ensemble import RandomForestClassifier  # noqa: PLC0415
    from sklearn.impute import SimpleImputer  # noqa: PLC0415
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415
    from sklearn.pipeline import make_pipeline  # noqa: PLC0415
    from sklearn.preprocessing import StandardScaler  # noqa: PLC0415
    from sklearn.svm import SVC  # noqa: PLC0415

    numbers, labels, others = _numbers(train), _labels(train), _numbers(watch)
    if model.classifier == "naive_bayes":
        net = _naive_bayes(numbers, labels)
        return Fitted({"": _answers(net, watch)}, lambda _: net)
    imputer = SimpleImputer(strategy="median", keep_empty_features=True)
    classifiers = {
        "logistic": LogisticRegression(class_weight="balanced"),
        "svm": SVC(C=1.0),
        "random_forest": RandomForestClassifier(300, min_samples_leaf=3, random_state=seed),
    }
    pipeline = make_pipeline(imputer, StandardScaler(), classifiers[model.classifier]).fit(numbers, labels)
    if model.classifier == "logistic":
        return Fitted(
            {"": pipeline.decision_function(others)},
            lambda _: LinearClinical(imputer.statistics_, _affine(pipeline.decision_function, numbers.shape[1])),
        )
    if model.classifier == "svm":  # Platt's scaling on training patients: thresholds are chosen on inner folds anyway
        scale = LogisticRegression().fit(pipeline.decision_function(numbers)[:, None], labels)
        return Fitted({"": scale.decision_function(pipeline.decision_function(others)[:, None])}, _no_network("an SVM"))
    return Fitted({"": _clipped(pipeline, others)}, _no_network("a random forest"))


def _naive_bayes(numbers: NDArray[np.float64], labels: NDArray[np.intp]) -> NaiveBayes:
    """Each number for itself, from the patients of whom it is known."""
    from sklearn.naive_bayes import GaussianNB  # noqa: PLC0415

    mean, variance, held = np.zeros((2, 2)), np.ones((2, 2)), np.zeros((2, 2))  # a number known of nobody says nothing
    for column, values in enumerate(numbers.T):
        known = ~np.isnan(values)
        if len(set(labels[known])) == 2:
            fitted = GaussianNB().fit(values[known, None], labels[known])
            mean[:, column], variance[:, column] = fitted.theta_[:, 0], fitted.var_[:, 0]
            held[:, column] = held_range(mean[:, column], variance[:, column], _ends(column, values[known]))
    return NaiveBayes(_prior(labels), (mean, variance), held, (-_SUREST, _SUREST))


def held_range(
    mean: NDArray[np.float64], variance: NDArray[np.float64], ends: tuple[float, float]
) -> tuple[float, float]:
    """The part of a range in which the log-ratio of two Gaussians does not turn back.

    The log-ratio is a parabola whose turning point lies outside the interval between the two means, on the side of the
    narrower Gaussian. The branch that holds both means is kept.

    Args:
        mean: (2,), of either class.
        variance: (2,).
        ends: of the range; they enclose both means.
    """
    low, high = ends
    if variance[0] == variance[1]:
        return low, high
    turn = float((mean[1] * variance[0] - mean[0] * variance[1]) / (variance[0] - variance[1]))
    return (max(low, turn), high) if turn <= mean.min() else (low, min(high, turn))


def _ends(column: int, values: NDArray[np.float64]) -> tuple[float, float]:
    """The range of ages, or of logarithms of counts, as a card states it: rounded, so that it tells of no patient."""
    if CLINICAL[column] == "age":
        return rounded_range(values, 5)
    low, high = rounded_range(np.exp(values).round(4), 1)
    return math.log(max(low, 0.1)), math.log(high)


def _nets(model: NetModel, train: Sequence[Bag], watch: Sequence[Bag], seed: int) -> Fitted:
    logits: dict[str, Logits] = {}
    origin: dict[str, tuple[int, int]] = {}
    for index, settings in enumerate(model.nets):
        found = fit_bags(settings, train, watch, seed)
        for epoch in range(model.every, settings.epochs + 1, model.every):
            name = f"{settings.net} {index + 1}, epoch {epoch}"
            logits[name], origin[name] = found.logits[epoch - 1], (index, epoch)

    def module(candidate: str) -> nn.Module:
        index, epoch = origin[candidate]
        return fit_bags(model.nets[index], train, [], seed, epochs=epoch).net

    return Fitted(logits, module)


def rounded_range(numbers: NDArray[np.floating], step: float) -> tuple[float, float]:
    """Least and greatest known number, brought outwards to multiples of ``step``: a card tells of no single patient."""
    return float(np.nanmin(numbers) // step * step), float(-(-np.nanmax(numbers) // step) * step)


def _affine(function: Callable[[NDArray[np.float64]], NDArray[np.float64]], size: int) -> NDArray[np.float64]:
    """Weights and constant (size + 1,) of a chain of scalings and projections that ends in one number."""
    constant = function(np.zeros((1, size)))
    return np.concatenate([function(np.eye(size)) - constant, constant])


def _answers(net: nn.Module, bags: Sequence[Bag]) -> Logits:
    with torch.inference_mode():
        found = [net(torch.from_numpy(bag.cells), torch.from_numpy(bag.clinical))[0].item() for bag in bags]
    return np.array(found, dtype=np.float64)


def _numbers(bags: Sequence[Bag]) -> NDArray[np.float64]:
    """Age and the logarithm of the count, (P, 2)."""
    clinical = np.array([bag.clinical for bag in bags], dtype=np.float64).reshape(-1, 2)
    return np.column_stack([clinical[:, 0], np.log(clinical[:, 1])])


def _labels(bags: Sequence[Bag]) -> NDArray[np.intp]:
    return np.array([bag.label for bag in bags], dtype=np.intp)


def _prior(labels: NDArray[np.intp]) -> float:
    share = float(labels.mean())
    return math.log(share / (1 - share))


def _voted(own: Logits, theirs: Logits) -> Logits:
    share = (1 / (1 + np.exp(-own)) + 1 / (1 + np.exp(-theirs))) / 2
    return np.asarray(np.log(share) - np.log1p(-share))


def _clipped(estimator: Any, rows: NDArray[np.float64]) -> Logits:
    share = estimator.predict_proba(rows)[:, 1] if len(rows) else np.empty(0)
    with np.errstate(divide="ignore"):
        return np.asarray((np.log(share) - np.log1p(-share)).clip(-_SUREST, _SUREST))


def _no_network(what: str) -> Callable[[str], nn.Module]:
    def refuse(candidate: str) -> nn.Module:  # noqa: ARG001
        raise SettingsError(f"{what} is here to compare with and gives no bundle. Train another recipe.")

    return refuse
