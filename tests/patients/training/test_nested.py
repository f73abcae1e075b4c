"""Patients' models: every recipe that ships, nested folds, and each formula against a slow, literal version."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
import yaml
from scipy.stats import norm

from leukopy.core.errors import SettingsError, TrainingError
from leukopy.patients.card import Bag
from leukopy.patients.models.statistics import NaiveBayes, bag_statistics
from leukopy.patients.training import PatientRecipe, fit_ensemble
from leukopy.patients.training.estimators import fit, held_range
from leukopy.patients.training.networks import export_patient_model
from support.recipes import recipes_of

FEATURES = 6


def cohort(patients: int = 60, seed: int = 0, effect: float = 1.0) -> list[Bag]:
    """Patients whose tumoral cells have a raised first feature, who are older and have more lymphocytes."""
    rng = np.random.default_rng(seed)
    bags = []
    for number in range(patients):
        label = number % 2
        cells = rng.normal(0, 1, (int(rng.integers(5, 20)), FEATURES)).astype(np.float32)
        cells[:, 0] += effect * label
        clinical = np.array([rng.normal(60 + 10 * label, 10), math.exp(rng.normal(1.6 + 0.4 * label, 0.4))], np.float32)
        bags.append(Bag(f"P{number}", cells, clinical, label))
    return bags


def recipe(**changes: Any) -> PatientRecipe:
    values = {
        "name": "test",
        "title": "Test",
        "description": "For tests.",
        "model": {"kind": "statistics", "components": [2, 3], "C": [1.0]},
        "fusion": "late",
        "inner_folds": 3,
    }
    return PatientRecipe.build(values | changes)


def quick(path: Path) -> PatientRecipe:
    """A recipe that ships, made small."""
    values = yaml.safe_load(path.read_text())
    values["inner_folds"] = 2
    if values["model"]["kind"] == "net":
        values["model"]["nets"] = [{**net, "epochs": 2, "hidden": 8} for net in values["model"]["nets"]]
    elif values["model"]["kind"] == "statistics":
        values["model"] |= {"components": [2, 4], "C": [1.0]}
    return PatientRecipe.build(values)


@pytest.mark.parametrize("path", recipes_of("patients"), ids=lambda path: path.stem)
class TestEveryRecipe:
    def test_is_named_as_its_file_and_begins_with_its_command(self, path: Path) -> None:
        first = path.read_text().splitlines()[1]
        assert PatientRecipe.build(yaml.safe_load(path.read_text())).name == path.stem
        assert first.startswith("#   leukopy patients ")
        assert f"configs/patients/{path.name}" in first

    def test_judges_bags_of_any_size_and_unknown_numbers_whatever_the_order(self, path: Path) -> None:
        bags = cohort(24)
        one, many = replace(bags[0], cells=bags[0].cells[:1]), replace(bags[0], cells=np.tile(bags[0].cells, (50, 1)))
        turned = replace(bags[1], cells=bags[1].cells[::-1].copy())
        unknown = replace(bags[2], clinical=np.full(2, np.nan, np.float32))
        found = fit_ensemble(quick(path), bags, [one, many, bags[1], turned, bags[2], unknown], seed=0).logits
        assert np.isfinite(found).all()
        assert found[2] == pytest.approx(found[3], abs=1e-4)
        assert found[4] != found[5] or path.stem == "cells_alone"


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"fusion": "voting"},
        {"fusion": "none", "model": {"kind": "clinical"}},
        {"fusion": "none", "model": {"kind": "clinical", "classifier": "logistic"}},
    ],
    ids=["late", "voting", "naive_bayes", "logistic"],
)
def test_what_is_exported_judges_as_the_ensemble_did(changes: dict[str, Any]) -> None:
    bags = cohort()
    found = fit_ensemble(recipe(**changes), bags[:50], bags[50:], seed=0)
    session = onnxruntime.InferenceSession(export_patient_model(found.members()[:2], FEATURES))
    assert len(found.members()) == 3
    for bag, logit in zip(
        bags[50:], np.mean([one.logits[found.candidate][-10:] for one in found.fits[:2]], 0), strict=True
    ):
        logits, weights = session.run(None, {"cells": bag.cells, "clinical": bag.clinical})
        assert logits.mean() == pytest.approx(logit, abs=1e-3)
        assert weights.sum() == pytest.approx(1, abs=1e-5)


def test_held_out_patients_teach_nothing() -> None:
    """Patients that are watched may carry any label."""
    bags = cohort()
    lied = [replace(bag, label=1 - bag.label) for bag in bags[40:]]
    honest, other = (fit_ensemble(recipe(), bags[:40], watch, seed=0) for watch in (bags[40:], lied))
    assert np.array_equal(honest.logits, other.logits)
    assert honest.threshold == other.threshold


def test_it_learns_from_the_cells_what_age_and_count_do_not_say() -> None:
    bags = cohort(120, effect=2.0)
    truth = np.array([bag.label for bag in bags[80:]])
    fused, clinical = (
        fit_ensemble(recipe(**changes), bags[:80], bags[80:], seed=0).logits
        for changes in ({}, {"fusion": "none", "model": {"kind": "clinical"}})
    )
    assert np.mean((fused > 0) == truth) > np.mean((clinical > 0) == truth) > 0.6


def test_permuted_labels_come_out_at_chance() -> None:
    rng = np.random.default_rng(5)
    bags = [
        replace(bag, label=int(label)) for bag, label in zip(cohort(200), rng.permutation([0, 1] * 100), strict=True)
    ]
    found = fit_ensemble(recipe(), bags[:120], bags[120:], seed=0).logits
    truth = np.array([bag.label for bag in bags[120:]])
    assert 0.3 < np.mean((found > 0) == truth) < 0.7


ANYWHERE = (np.array([[0, -9], [120, 9]]), (-99.0, 99.0))
"""Held nowhere, and without limits."""


def clinical_log_odds(net: torch.nn.Module, age: float, count: float) -> float:
    return float(net(torch.zeros(1, 1), torch.tensor([age, count]))[0])


def test_naive_bayes_is_the_sum_of_the_logarithms_of_two_densities() -> None:
    mean, variance = np.array([[50, 1.6], [70, 2.5]]), np.array([[100, 0.1], [120, 0.6]])
    net = NaiveBayes(0.3, (mean, variance), *ANYWHERE)
    age, count = 64.0, 9.0

    def density(label: int, column: int, value: float) -> float:
        return float(norm.logpdf(value, mean[label, column], math.sqrt(variance[label, column])))

    evidence = [
        density(1, column, value) - density(0, column, value) for column, value in ((0, age), (1, math.log(count)))
    ]
    assert clinical_log_odds(net, age, count) == pytest.approx(0.3 + sum(evidence), abs=1e-4)
    assert clinical_log_odds(net, math.nan, count) == pytest.approx(0.3 + evidence[1], abs=1e-4)
    assert clinical_log_odds(net, math.nan, math.nan) == pytest.approx(0.3)


@pytest.fixture(scope="module")
def bags() -> list[Bag]:
    """Reactive counts are narrow and low, tumoral ones wide: the plain log-ratio turns back below the means."""
    rng = np.random.default_rng(3)
    numbers = [
        (rng.normal(50 + 25 * label, 18 - 6 * label), np.exp(rng.normal(1.6 + 1.2 * label, 0.2 + 0.9 * label)))
        for label in [0, 1] * 50
    ]
    nobody = np.zeros((1, 1), np.float32)
    return [Bag(f"P{row}", nobody, np.array(each, np.float32), row % 2) for row, each in enumerate(numbers)]


@pytest.fixture(scope="module")
def net(bags: list[Bag]) -> torch.nn.Module:
    return fit(recipe(fusion="none", model={"kind": "clinical"}), bags, [], seed=0).module("")


class TestClinicalCurve:
    """Age and count by naive Bayes: monotone, constant outside the training, between a floor and a ceiling."""

    @pytest.mark.parametrize("age", [5.0, 40.0, 75.0, 99.0, math.nan])
    def test_more_lymphocytes_never_speak_against_tumoral(self, net: torch.nn.Module, age: float) -> None:
        found = [clinical_log_odds(net, age, count) for count in np.geomspace(0.01, 2000, 400)]
        assert (np.diff(found) >= 0).all()
        assert found[-1] > found[0] + 3

    @pytest.mark.parametrize("count", [0.5, 4.0, 7.0, math.nan])
    def test_more_years_never_speak_against_tumoral(self, net: torch.nn.Module, count: float) -> None:
        found = [clinical_log_odds(net, age, count) for age in np.linspace(0, 120, 241)]
        assert (np.diff(found) >= 0).all()

    @pytest.mark.parametrize(("column", "end"), [(0, min), (0, max), (1, min), (1, max)])
    def test_it_is_constant_outside_the_training(
        self, net: torch.nn.Module, bags: list[Bag], column: int, end: Callable[[Iterable[float]], float]
    ) -> None:
        extreme = end(float(bag.clinical[column]) for bag in bags)
        further, furthest = (extreme + 5, extreme + 9) if end is max else (extreme / 2, extreme / 4)
        numbers = [[50.0, 5.0], [50.0, 5.0]]
        numbers[0][column], numbers[1][column] = further, furthest
        assert clinical_log_odds(net, *numbers[0]) == clinical_log_odds(net, *numbers[1])

    def test_its_odds_are_a_thousand_to_one_at_most(self, net: torch.nn.Module) -> None:
        floor, ceiling = net.bounds()
        assert ceiling == pytest.approx(math.log(1000), abs=0.01)
        assert floor >= -ceiling
        found = [clinical_log_odds(net, age, count) for age in (0, 50, 120) for count in (0.0, 0.1, 5, 2000)]
        assert min(found) == pytest.approx(floor, abs=1e-5)
        assert max(found) == pytest.approx(ceiling, abs=1e-5)

    def test_between_the_means_it_is_the_plain_ratio_of_gaussians(self, net: torch.nn.Module, bags: list[Bag]) -> None:
        numbers = np.array([[bag.clinical[0], math.log(bag.clinical[1])] for bag in bags], np.float64)
        sides = [numbers[label::2] for label in (0, 1)]
        age, count = 58.0, 6.0
        literal = sum(
            norm.logpdf(value, sides[1][:, column].mean(), sides[1][:, column].std())
            - norm.logpdf(value, sides[0][:, column].mean(), sides[0][:, column].std())
            for column, value in ((0, age), (1, math.log(count)))
        )
        assert clinical_log_odds(net, age, count) == pytest.approx(literal, abs=1e-4)

    def test_the_exported_network_holds_what_is_unknown_apart(self, net: torch.nn.Module) -> None:
        session = onnxruntime.InferenceSession(export_patient_model([net], 1))
        for clinical in ((60, 5), (math.nan, 1), (60, math.nan), (math.nan, math.nan), (10, 0.1), (110, 900)):
            inputs = {"cells": np.zeros((1, 1), np.float32), "clinical": np.array(clinical, np.float32)}
            found = session.run(["logits"], inputs)[0]
            assert found[0] == pytest.approx(clinical_log_odds(net, *map(float, clinical)), abs=1e-4)


def test_the_clinical_range_is_rounded_and_tells_of_no_patient(bags: list[Bag]) -> None:
    numbers = [(22.3, 3.2), (61.0, 5.0), (58.0, 7.1), (88.4, 295.0)]
    four = [replace(bag, clinical=np.array(each, np.float32)) for bag, each in zip(bags, numbers, strict=False)]
    held = fit(recipe(fusion="none", model={"kind": "clinical"}), four, [], seed=0).module("").held.numpy()
    assert held[1, 1] == pytest.approx(math.log(295))
    assert held[0, 0] >= 20
    assert held[1, 0] <= 90


@pytest.mark.parametrize(
    ("mean", "variance", "expected"),
    [
        ((1.6, 2.8), (0.04, 1.2), (1.6 - 1.2 * 0.04 / 1.16, 5.0)),  # the first is narrower: turns below it
        ((50.0, 75.0), (400.0, 144.0), (0.0, 75 + 25 * 144 / 256)),  # the second is narrower: turns above it
        ((2.8, 1.6), (1.2, 0.04), (1.6 - 1.2 * 0.04 / 1.16, 5.0)),  # falling with the number
        ((1.0, 2.0), (0.5, 0.5), (0.0, 5.0)),  # a straight line never turns
    ],
)
def test_the_held_range_ends_at_the_turning_point(
    mean: tuple[float, float], variance: tuple[float, float], expected: tuple[float, float]
) -> None:
    ends = (0.0, 5.0 if mean[0] < 10 else 100.0)
    found = held_range(np.array(mean), np.array(variance), ends)
    assert found == pytest.approx(expected)
    grid = np.linspace(*found, 500)
    ratio = norm.logpdf(grid, mean[1], math.sqrt(variance[1])) - norm.logpdf(grid, mean[0], math.sqrt(variance[0]))
    steps = np.diff(ratio) * (1 if mean[1] > mean[0] else -1)
    assert (steps > -1e-9).all()


def test_statistics_leave_out_what_a_cell_has_not() -> None:
    cells = np.random.default_rng(0).normal(size=(9, 3)).astype(np.float32)
    cells[2:5, 1] = np.nan
    cells[:, 2] = np.nan
    found = bag_statistics(torch.from_numpy(cells), ("mean", "deviation")).numpy()
    assert found[[0, 1, 3, 4]] == pytest.approx(
        [*np.nanmean(cells[:, :2], axis=0), *np.nanstd(cells[:, :2], axis=0)], abs=1e-6
    )
    assert np.isnan(found[[2, 5]]).all()


def test_a_number_that_nobody_has_does_no_harm() -> None:
    bags = [replace(bag, clinical=np.array([bag.clinical[0], np.nan], np.float32)) for bag in cohort()]
    for bag in bags:
        bag.cells[:, 3] = np.nan
    for changes in ({}, *({"fusion": "none", "model": {"kind": "clinical", "classifier": name}}
                          for name in ("naive_bayes", "logistic", "svm", "random_forest"))):  # fmt: skip
        assert np.isfinite(fit_ensemble(recipe(**changes), bags[:50], bags[50:], seed=0).logits).all()


def test_thresholds_come_from_patients_that_were_held_out() -> None:
    bags = cohort(effect=0.3)
    found = fit_ensemble(recipe(), bags, [], seed=0)
    probabilities = 1 / (1 + np.exp(-found.held_out))
    truth = np.array([bag.label for bag in bags])
    assert np.mean(probabilities[truth == 1] >= found.triage_threshold) >= 0.95
    assert found.triage_threshold <= found.threshold + 0.5


class TestRefusals:
    def test_too_few_patients_for_the_folds(self) -> None:
        with pytest.raises(TrainingError, match=r"two training patients of each label or more \(1 reactive"):
            fit_ensemble(recipe(), cohort(3)[1:], [], seed=0)

    def test_one_label(self) -> None:
        with pytest.raises(TrainingError, match="both labels"):
            fit(recipe(), cohort()[::2], [], seed=0)

    def test_more_components_than_patients_allow(self) -> None:
        with pytest.raises(TrainingError, match="Take smaller numbers"):
            fit_ensemble(recipe(model={"kind": "statistics", "components": [50]}), cohort(), [], seed=0)

    def test_a_model_to_compare_with_gives_no_bundle(self) -> None:
        model = {"kind": "clinical", "classifier": "random_forest"}
        found = fit_ensemble(recipe(fusion="none", model=model), cohort(), [], seed=0)
        with pytest.raises(SettingsError, match="to compare with and gives no bundle"):
            found.members()

    def test_age_and_count_twice(self) -> None:
        with pytest.raises(SettingsError, match="set clinical: false"):
            recipe(model={"kind": "net", "nets": [{"net": "mean"}]})
