from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.stats import binomtest

from leukopy.evaluation.intervals import Estimate, bootstrap, clopper_pearson, jackknife, poisson


@pytest.mark.parametrize(
    ("count", "total", "low", "high"),
    [(5, 100, 1.6, 11.3), (10, 200, 2.4, 9.0), (50, 100, 39.8, 60.2), (0, 100, 0.0, 3.6), (100, 100, 96.4, 100.0)],
)
def test_limits_are_those_of_rumkes_table(count, total, low, high):
    assert tuple(round(100 * limit, 1) for limit in clopper_pearson(count, total)) == (low, high)


@given(st.integers(1, 2000).flatmap(lambda total: st.tuples(st.integers(0, total), st.just(total))))
def test_limits_hold_the_share_and_agree_with_scipy(counted):
    count, total = counted
    low, high = clopper_pearson(count, total)
    assert 0 <= low <= count / total <= high <= 1
    expected = binomtest(count, total).proportion_ci(0.95, method="exact")
    assert (low, high) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_no_cell_says_nothing():
    assert clopper_pearson(0, 0) == (0.0, 1.0)


def test_impossible_count_is_refused():
    with pytest.raises(ValueError, match="7 of 5"):
        clopper_pearson(7, 5)


@pytest.mark.parametrize(
    ("count", "low", "high"), [(0, 0.0, 3.689), (1, 0.0253, 5.572), (10, 4.795, 18.390), (100, 81.364, 121.627)]
)
def test_limits_of_a_count_are_those_of_the_printed_table(count, low, high):
    assert poisson(count) == pytest.approx((low, high), abs=5e-4)


@given(st.integers(0, 5000))
def test_limits_of_a_count_are_its_tails_of_2_5_per_cent(count):
    low, high = poisson(count)
    assert low <= count < high
    assert stats.poisson.cdf(count, high) == pytest.approx(0.025, abs=1e-9)
    if count:
        assert stats.poisson.sf(count - 1, low) == pytest.approx(0.025, abs=1e-9)


def test_a_negative_count_is_refused():
    with pytest.raises(ValueError, match="-1"):
        poisson(-1)


def test_jackknife_of_a_mean_is_students_interval():
    values = np.random.default_rng(2).normal(30, 4, 7)
    low, high = jackknife(np.stack([values, np.ones(7)], axis=1), _share)
    expected = stats.t.interval(0.95, 6, values.mean(), stats.sem(values))
    assert (low[0], high[0]) == pytest.approx(expected)


def test_jackknife_of_a_ratio_leaves_out_one_unit_after_another():
    sums = np.random.default_rng(4).poisson((9, 200), (6, 2))
    without = [(total := np.delete(sums, unit, axis=0).sum(axis=0))[0] / total[1] for unit in range(6)]
    error = np.sqrt(5 / 6 * sum((one - np.mean(without)) ** 2 for one in without))
    value, reach = sums[:, 0].sum() / sums[:, 1].sum(), stats.t.ppf(0.975, 5) * error
    assert [limit[0] for limit in jackknife(sums, _share)] == pytest.approx([value - reach, value + reach])


def test_jackknife_holds_the_truth_with_five_units():
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(1000):
        level = rng.gamma(20, 1 / 20, 5)  # fields differ in more than chance
        low, high = jackknife(np.stack([rng.poisson(40 * level), np.ones(5)], axis=1), _share)
        held += low[0] <= 40 <= high[0]
    assert 930 <= held <= 970


def test_one_unit_has_no_limits():
    assert np.isnan(jackknife(np.array([[3.0, 1.0]]), _share)).all()


def _share(sums):
    return sums[:, :1] / sums[:, 1:]


def _slow_bootstrap(contributions, groups, replicates, seed):
    """Literally: draw images (or groups) with replacement, add up, take the percentiles."""
    rng = np.random.default_rng(seed)
    units = [contributions[groups == group].sum(axis=0) for group in np.unique(groups)]
    scores = []
    for _ in range(replicates):
        drawn = sum(units[index] for index in rng.integers(0, len(units), len(units)))
        scores.append(drawn[0] / drawn[1])
    return np.quantile(scores, [0.025, 0.975])


def test_bootstrap_agrees_with_drawing_image_after_image():
    right = np.random.default_rng(3).random(300) < 0.8
    contributions = np.stack([right, np.ones(300)], axis=1)
    low, high = bootstrap(contributions, _share, replicates=4000)
    slow = _slow_bootstrap(contributions, np.arange(300), 4000, seed=1)
    assert [low[0], high[0]] == pytest.approx(slow, abs=0.01)


def test_groups_are_drawn_whole_so_limits_are_wider():
    rng = np.random.default_rng(6)
    groups = np.repeat(np.arange(20), 50)
    right = rng.random(1000) < np.repeat(rng.random(20), 50)  # some slides go well, others badly
    contributions = np.stack([right, np.ones(1000)], axis=1)
    by_image = bootstrap(contributions, _share, replicates=3000)
    by_group = bootstrap(contributions, _share, groups=[f"slide {group}" for group in groups], replicates=3000)
    assert by_group[1][0] - by_group[0][0] > 3 * (by_image[1][0] - by_image[0][0])
    assert [limit[0] for limit in by_group] == pytest.approx(_slow_bootstrap(contributions, groups, 3000, 1), abs=0.03)


def test_same_seed_same_limits():
    contributions = np.stack([np.random.default_rng(0).random(50), np.ones(50)], axis=1)
    assert bootstrap(contributions, _share, seed=4) == bootstrap(contributions, _share, seed=4)
    assert bootstrap(contributions, _share, seed=4) != bootstrap(contributions, _share, seed=5)


def test_drawing_in_chunks_keeps_every_replicate(monkeypatch):
    monkeypatch.setattr("leukopy.evaluation.intervals._DRAWS_AT_ONCE", 10)
    seen = []

    def count(sums):
        seen.append(len(sums))
        return sums[:, :1]

    bootstrap(np.arange(4.0)[:, None], count, replicates=11)
    assert sum(seen) == 11
    assert max(seen) == 2


def test_score_that_no_replicate_knows_has_no_limits():
    low, high = bootstrap(np.ones((5, 1)), lambda sums: np.full((len(sums), 1), np.nan), replicates=10)
    assert np.isnan(low).all()
    assert np.isnan(high).all()
    assert Estimate.of(np.nan, low[0], high[0]) == Estimate(None, None, None)
