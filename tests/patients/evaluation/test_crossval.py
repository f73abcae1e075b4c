from __future__ import annotations

import dataclasses
import json

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit
from scipy.stats import bootstrap, norm, ttest_1samp
from sklearn.metrics import balanced_accuracy_score, brier_score_loss, log_loss, precision_score, roc_auc_score
from sklearn.model_selection import StratifiedKFold

from leukopy.core.errors import InputError
from leukopy.evaluation.intervals import Estimate
from leukopy.patients.evaluation.calibration import calibration_regression
from leukopy.patients.evaluation.crossval import (
    OOF_SCHEMA,
    at_chance,
    choose_threshold,
    choose_triage_threshold,
    evaluate_patients,
    over_permutations,
    paired,
)


def _oof(labels, logits, model="a", threshold=0.5, triage=0.3):
    """Out-of-fold rows from log-odds of shape (repeats, patients)."""
    repeats, patients = np.shape(logits)
    return pl.DataFrame(
        {
            "model": model,
            "repeat": np.repeat(np.arange(repeats), patients),
            "fold": np.tile(np.arange(patients) % 5, repeats),
            "patient_id": [f"P{number}" for number in range(patients)] * repeats,
            "label": np.tile(labels, repeats),
            "logit": np.ravel(logits),
            "probability": expit(np.ravel(logits)),
            "threshold": threshold,
            "triage_threshold": triage,
            "candidate": None,
        },
        schema=OOF_SCHEMA,
    )


def _cohort(patients=60, repeats=3, gap=2.0, seed=0):
    """Patients whose log-odds are known: what they are, one noise of their own, another of each repeat."""
    rng = np.random.default_rng(seed)
    labels = (np.arange(patients) % 3 > 0).astype(int)
    own = gap * (labels - 0.5) + rng.normal(size=patients)
    return labels, own + 0.5 * rng.normal(size=(repeats, patients))


def _slow_figures(table):
    """The same by scikit-learn, repeat after repeat."""
    found = []
    for (_,), rows in table.group_by("repeat"):
        labels, probability = rows["label"].to_numpy(), rows["probability"].to_numpy()
        called = (probability >= rows["threshold"].to_numpy()).astype(int)
        sent = probability >= rows["triage_threshold"].to_numpy()
        found.append({
            "balanced_accuracy": balanced_accuracy_score(labels, called),
            "sensitivity": called[labels == 1].mean(),
            "specificity": 1 - called[labels == 0].mean(),
            "positive_predictive_value": precision_score(labels, called),
            "negative_predictive_value": precision_score(labels, called, pos_label=0),
            "auc": roc_auc_score(labels, probability),
            "brier": brier_score_loss(labels, probability),
            "log_loss": log_loss(labels, probability),
            "triage_sensitivity": sent[labels == 1].mean(),
            "triage_specificity": 1 - sent[labels == 0].mean(),
        })  # fmt: skip
    return {name: np.array([row[name] for row in found]) for name in found[0]}


def test_figures_are_means_over_repeats():
    table = _oof(*_cohort()).sample(fraction=1, shuffle=True, seed=1)  # the order of the rows is nothing
    figures = evaluate_patients(table, replicates=50)
    slow = _slow_figures(table)
    named = {**vars(figures), "triage_sensitivity": figures.triage.sensitivity,
             "triage_specificity": figures.triage.specificity}  # fmt: skip
    for name, by_repeat in slow.items():
        assert named[name].value == pytest.approx(by_repeat.mean()), name
        assert figures.deviations[name] == pytest.approx(by_repeat.std(ddof=1)), name
    assert (figures.patients, figures.tumoral, figures.repeats) == (60, 40, 3)


@pytest.mark.parametrize("name", ["balanced_accuracy", "auc", "brier"])
def test_intervals_agree_with_scipys_of_patients_drawn_with_all_their_repeats(name):
    labels, logits = _cohort(patients=45, repeats=2)
    score = {
        "balanced_accuracy": lambda truth, log_odds: balanced_accuracy_score(truth, log_odds >= 0),
        "auc": roc_auc_score,
        "brier": lambda truth, log_odds: np.mean((expit(log_odds) - truth) ** 2),
    }[name]

    def of_drawn(*classes):
        drawn = np.concatenate(classes)
        return np.mean([score(labels[drawn], row[drawn]) for row in logits])

    classes = [np.flatnonzero(labels == label) for label in (0, 1)]
    rng = np.random.default_rng(1)
    limits = bootstrap(classes, of_drawn, method="BCa", n_resamples=500, vectorized=False, rng=rng).confidence_interval
    found = getattr(evaluate_patients(_oof(labels, logits), replicates=5000), name)
    assert [found.low, found.high] == pytest.approx(list(limits), abs=0.02)


def test_repeats_of_a_patient_are_no_new_patients():
    labels, logits = _cohort(repeats=1)
    once = evaluate_patients(_oof(labels, logits)).auc
    ten_times = evaluate_patients(_oof(labels, np.repeat(logits, 10, axis=0))).auc
    assert dataclasses.astuple(ten_times) == pytest.approx(dataclasses.astuple(once))


def test_intervals_cover_the_truth_about_as_often_as_they_say():
    """200 cohorts of 30 and 60 patients; log-odds of both classes are normal, so that the true figures are known."""
    gap = 2.0
    truth = {"auc": norm.cdf(gap / 2**0.5), "balanced_accuracy": norm.cdf(gap / 2)}
    labels = np.repeat([0, 1], [30, 60])
    covered = dict.fromkeys(truth, 0)
    for seed in range(200):
        logits = gap * (labels - 0.5) + np.random.default_rng(seed).normal(size=(1, 90))
        figures = evaluate_patients(_oof(labels, logits), replicates=300, seed=seed)
        for name, value in truth.items():
            found = getattr(figures, name)
            covered[name] += found.low <= value <= found.high
    assert all(0.91 <= count / 200 <= 0.985 for count in covered.values()), covered


def test_the_interval_of_a_difference_covers_nothing_gained():
    labels = np.repeat([0, 1], [30, 60])
    covered = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        own = 2 * (labels - 0.5) + rng.normal(size=90)
        a, b = (_oof(labels, own + 0.7 * rng.normal(size=(1, 90)), name) for name in "ab")
        found = paired(a, b, replicates=300, seed=seed).auc
        covered += found.low <= 0 <= found.high
    assert 90 <= covered <= 99


def _cross_validated(labels, features, repeats=3):
    """Out-of-fold log-odds of a nearest-mean rule: learnt on four fifths of the patients, told of the fifth."""
    logits = np.zeros((repeats, len(labels)))
    for repeat in range(repeats):
        for train, test in StratifiedKFold(5, shuffle=True, random_state=repeat).split(features, labels):
            means = [features[train][labels[train] == label].mean(axis=0) for label in (0, 1)]
            direction = means[1] - means[0]
            logits[repeat, test] = (features[test] - (means[0] + means[1]) / 2) @ direction
    return logits


def test_permuted_labels_are_at_chance_and_true_ones_are_not():
    rng = np.random.default_rng(3)
    labels = (np.arange(120) % 3 > 0).astype(int)
    features = rng.normal(size=(120, 4)) + labels[:, None]
    told = [
        evaluate_patients(_oof(dealt, _cross_validated(dealt, features)), replicates=500)
        for dealt in (labels, *(rng.permutation(labels) for _ in range(20)))
    ]
    assert not at_chance(told[0])
    assert sum(map(at_chance, told[1:])) >= 15
    level = over_permutations(told[1:])
    assert level.at_chance
    assert level.permutations == 20
    areas = [run.auc.value for run in told[1:]]
    assert dataclasses.astuple(level.auc)[1:] == pytest.approx(ttest_1samp(areas, 0).confidence_interval(0.95))


def test_a_leak_shows_in_the_mean_of_permutations_before_it_shows_in_one():
    rng = np.random.default_rng(8)
    labels = (np.arange(60) % 3 > 0).astype(int)
    leaky = [
        evaluate_patients(_oof(dealt, 0.4 * (dealt - 0.5) + rng.normal(size=(1, 60))), replicates=200)
        for dealt in (rng.permutation(labels) for _ in range(20))
    ]
    assert sum(map(at_chance, leaky)) >= 8
    assert not over_permutations(leaky).at_chance


def test_one_permutation_has_no_spread():
    one = evaluate_patients(_oof(*_cohort()), replicates=50)
    level = over_permutations([one])
    assert (level.auc.value, level.auc.low, level.at_chance) == (one.auc.value, None, False)
    with pytest.raises(ValueError, match="permuted labels"):
        over_permutations([])


def test_a_model_that_says_always_the_same_is_at_chance():
    labels, logits = _cohort()
    figures = evaluate_patients(_oof(labels, np.zeros_like(logits)))
    assert figures.auc == figures.balanced_accuracy == Estimate(0.5, 0.5, 0.5)
    assert at_chance(figures)
    assert figures.negative_predictive_value == Estimate(None, None, None)  # nobody is called reactive
    assert figures.calibration_slope == Estimate(None, None, None)
    assert figures.roc.sensitivity[1:-1] == pytest.approx(figures.roc.false_positives[1:-1], abs=1e-6)


def test_each_row_is_decided_by_its_own_threshold():
    labels, logits = np.array([0, 0, 1, 1]), np.array([[-2.0, -1.0, 1.0, 2.0]])
    # Fold 1 of this repeat chose badly: its two patients lie on the wrong side of their thresholds.
    table = _oof(labels, logits).with_columns(threshold=pl.Series([0.1, 0.5, 0.5, 0.95]))
    figures = evaluate_patients(table)
    assert (figures.sensitivity.value, figures.specificity.value, figures.auc.value) == (0.5, 0.5, 1.0)


def test_figures_are_json_even_where_there_are_none():
    labels, logits = np.array([0, 0, 1, 1]), np.array([[-2.0, -1.0, 1.0, 2.0]])
    text = json.dumps(dataclasses.asdict(evaluate_patients(_oof(labels, logits))), allow_nan=False)
    figures = json.loads(text)
    assert figures["deviations"]["auc"] is None  # one repeat has no spread
    assert figures["calibration_slope"] == {"value": None, "low": None, "high": None}  # parted by a threshold
    assert figures["auc"]["value"] == 1.0
    assert json.dumps(dataclasses.asdict(paired(_oof(labels, logits), _oof(labels, -logits))), allow_nan=False)


def test_a_pair_is_drawn_together():
    labels, logits = _cohort()
    better = paired(_oof(labels, logits + (labels - 0.5), "better"), _oof(labels, logits, "worse"), replicates=500)
    assert (better.model, better.reference) == ("better", "worse")
    assert 0 < better.auc.low <= better.auc.value <= better.auc.high
    apart = [evaluate_patients(_oof(labels, found), replicates=500).auc for found in (logits + labels - 0.5, logits)]
    assert better.auc.value == pytest.approx(apart[0].value - apart[1].value)
    assert better.auc.high - better.auc.low < apart[1].high - apart[1].low  # what both share falls out
    assert better.delong.p < 0.05
    same = paired(_oof(labels, logits, "x"), _oof(labels, logits, "y"))
    assert same.balanced_accuracy == same.auc == same.brier == Estimate(0.0, 0.0, 0.0)
    assert same.delong.p == 1.0


def test_models_of_other_patients_are_not_compared():
    labels, logits = _cohort()
    with pytest.raises(InputError, match="same patients"):
        paired(_oof(labels, logits), _oof(labels[:30], logits[:, :30]))
    with pytest.raises(InputError, match="same patients"):
        paired(_oof(labels, logits), _oof(1 - labels, logits))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda table: table.drop("threshold"), "column 'threshold' is missing"),
        (lambda table: table.clear(), "holds 0 models"),
        (lambda table: pl.concat([table, table.with_columns(model=pl.lit("b"))]), "holds 2 models"),
        (lambda table: table.with_columns(triage_threshold=None), "empty or not finite"),
        (lambda table: table.with_columns(logit=pl.lit(np.inf), probability=pl.lit(1.0)), "not finite"),
        (lambda table: table.with_columns(probability=pl.col("probability") / 2), "not those of their log-odds"),
        (lambda table: table.with_columns(label=pl.lit(1, pl.Int8)), "needs labels 0 and 1"),
        (lambda table: table.with_columns(label=(pl.col("repeat") > 0).cast(pl.Int8)), "the same for a patient"),
        (lambda table: table.head(-1), "once in each of 3 repeats"),
        (lambda table: pl.concat([table.head(-1), table.head(1)]), "once in each of 3 repeats"),
    ],
)
def test_a_wrong_table_is_refused_with_its_reason(spoil, message):
    with pytest.raises(InputError, match=message):
        evaluate_patients(spoil(_oof(*_cohort())))


def test_the_replicates_of_a_repeat_are_fitted_at_once(monkeypatch):
    fitted = []

    def noted(labels, logits, weights):
        fitted.append(len(weights))
        return calibration_regression(labels, logits, weights)

    monkeypatch.setattr("leukopy.patients.evaluation.crossval.calibration_regression", noted)
    labels, logits = _cohort(patients=40, repeats=5)
    evaluate_patients(_oof(labels, logits), replicates=300)
    assert fitted == [1 + 40 + 300] * 5  # the cohort, without each patient, and drawn again


_LABELLED = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 20)), min_size=2, max_size=30).filter(
    lambda rows: 0 < sum(row[0] for row in rows) < len(rows)
)


@given(_LABELLED)
def test_no_threshold_beats_the_chosen_one(rows):
    labels, twentieths = (np.array(column) for column in zip(*rows, strict=True))
    probabilities = twentieths / 20
    chosen = choose_threshold(labels, probabilities)
    assert 0 <= chosen <= 1

    def reached(threshold):
        called = probabilities >= threshold
        return (called[labels == 1].mean() + (~called[labels == 0]).mean()) / 2

    tried = np.linspace(0, 1, 81)  # every distinct decision: probabilities are twentieths
    best = max(map(reached, tried))
    assert reached(chosen) == pytest.approx(best)
    # No run of equally good thresholds is wider than the one whose middle was chosen.
    good = np.array([reached(threshold) > best - 1e-9 for threshold in tried])
    runs = "".join("x" if found else " " for found in good).split()
    around = np.flatnonzero(~good) / 80
    low, high = max(around[around < chosen], default=0.0), min(around[around > chosen], default=1.0)
    assert high - low >= max(map(len, runs)) / 80 - 1 / 80
    assert chosen == pytest.approx((low + high) / 2, abs=1 / 80)


def test_ties_are_settled_in_the_middle_of_the_widest_interval():
    assert choose_threshold([0, 1, 0, 1], [0.1, 0.2, 0.3, 0.9]) == pytest.approx(0.6)
    assert choose_threshold([0, 1], [0.4, 0.4]) == 0.5


@given(_LABELLED, st.sampled_from([0.5, 0.8, 0.95, 1.0]))
def test_the_triage_threshold_is_the_greatest_that_keeps_its_sensitivity(rows, wanted):
    labels, twentieths = (np.array(column) for column in zip(*rows, strict=True))
    probabilities = twentieths / 20
    chosen = choose_triage_threshold(labels, probabilities, wanted)
    tumoral = probabilities[labels == 1]
    assert (tumoral >= chosen).mean() >= wanted - 1e-12
    assert (tumoral >= np.nextafter(chosen, 2)).mean() < wanted


def test_a_share_of_95_of_100_is_95():
    probabilities = np.append(0.0, np.arange(1, 101) / 101)
    assert choose_triage_threshold([0] + [1] * 100, probabilities) == pytest.approx(6 / 101)


def test_thresholds_need_both_classes_and_a_share():
    with pytest.raises(ValueError, match="both classes"):
        choose_threshold([1, 1], [0.2, 0.4])
    with pytest.raises(ValueError, match="both classes"):
        choose_triage_threshold([0, 0], [0.2, 0.4])
    with pytest.raises(ValueError, match="up to 1"):
        choose_triage_threshold([0, 1], [0.2, 0.4], 0)
