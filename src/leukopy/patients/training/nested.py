"""Inner folds: they choose settings and thresholds, and their models are the ensemble."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.model_selection import StratifiedKFold
from torch import nn

from leukopy.core.errors import TrainingError
from leukopy.core.progress import Progress, silent
from leukopy.patients.card import Bag
from leukopy.patients.evaluation.crossval import choose_threshold, choose_triage_threshold
from leukopy.patients.training.estimators import Fitted, fit
from leukopy.patients.training.settings import PatientRecipe


@dataclass(frozen=True, eq=False)
class Ensemble:
    """The models of the inner folds, with what was chosen on the patients that each had not seen."""

    candidate: str
    """The settings of the least log loss."""
    threshold: float
    """Of the probability, for balanced accuracy."""
    triage_threshold: float
    """For a sensitivity of .95."""
    logits: NDArray[np.float64]
    """Of the watched patients (W,): the mean of the members."""
    held_out: NDArray[np.float64]
    """Of the training patients (P,), each by the member that had not seen it."""
    fits: tuple[Fitted, ...]

    def members(self) -> list[nn.Module]:
        """The members as networks.

        Raises:
            SettingsError: the model has no such form.
            TrainingError: a fit on pictures or features fails.
        """
        return [fitted.module(self.candidate) for fitted in self.fits]


def fit_ensemble(
    recipe: PatientRecipe, train: Sequence[Bag], watch: Sequence[Bag], seed: int, progress: Progress = silent
) -> Ensemble:
    """Fit a recipe on some patients, and judge others.

    Args:
        recipe: the model.
        train: patients with a label.
        watch: patients that nothing is learnt from.
        seed: of the folds and of the fits.
        progress: told of the inner folds.

    Raises:
        TrainingError: too few patients of a label for the inner folds.
    """
    labels = np.array([bag.label for bag in train])
    count = min(recipe.inner_folds, int(np.sum(labels == 0)), int(np.sum(labels == 1)))
    if count < 2:
        raise TrainingError(
            f"{recipe.name}: inner folds need two training patients of each label or more ({np.sum(labels == 0)} "
            f"reactive, {np.sum(labels == 1)} tumoral). Give a larger cohort."
        )
    folds = StratifiedKFold(count, shuffle=True, random_state=seed).split(labels, labels)
    inner: dict[str, NDArray[np.float64]] = defaultdict(lambda: np.full(len(train), np.nan))
    outer: dict[str, list[NDArray[np.float64]]] = defaultdict(list)
    fits = []
    for number, (inside, outside) in enumerate(folds, start=1):
        seen = [train[index] for index in inside]
        fitted = fit(recipe, seen, [*(train[index] for index in outside), *watch], seed)
        for candidate, logits in fitted.logits.items():
            inner[candidate][outside] = logits[: len(outside)]
            outer[candidate].append(logits[len(outside) :])
        fits.append(fitted)
        progress(f"{recipe.name}: inner folds", number, count)
    chosen = min(inner, key=lambda candidate: _log_loss(inner[candidate], labels))
    probabilities = expit(inner[chosen])
    return Ensemble(
        candidate=chosen,
        threshold=choose_threshold(labels, probabilities),
        triage_threshold=choose_triage_threshold(labels, probabilities),
        logits=np.mean(outer[chosen], axis=0),
        held_out=inner[chosen],
        fits=tuple(fits),
    )


def _log_loss(logits: NDArray[np.float64], labels: NDArray[np.intp]) -> float:
    """Infinite for a candidate that not every fold allowed."""
    loss = float(np.mean(np.logaddexp(0, np.where(labels == 1, -logits, logits))))
    return loss if np.isfinite(loss) else np.inf
