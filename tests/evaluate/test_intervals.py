"""Tests."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.integrate import quad

from corticode.errors import DataError
from corticode.evaluate.intervals import (
    bootstrap_interval,
    detectable_difference,
    equivalence_test,
    holm,
    interval,
    rank_sum_test,
    score_interval,
    sign_flip_test,
    smallest_sign_flip_p,
    t_test,
)

VALUES = st.lists(st.integers(-50, 50), min_size=2, max_size=12)


def test_interval_by_hand():
    # Mean 2, SD 1, t(2, 0.975) = 4.3027: 2 +- 4.3027 / sqrt(3).
    found = interval([1, 2, 3, np.nan])
    assert (found.mean, found.n, found.method) == (2, 3, "t over animals")
    assert found.high - 2 == pytest.approx(4.30265 / 3**0.5, abs=1e-5)
    assert found.low + found.high == pytest.approx(4)


@given(VALUES.filter(lambda values: len(set(values)) > 1))
def test_interval_and_p_are_scipys(values):
    like = stats.ttest_1samp(values, 0)
    ends = like.confidence_interval(0.95)
    found = interval(values)
    assert (found.low, found.high) == pytest.approx((ends.low, ends.high))
    assert t_test(values) == pytest.approx(like.pvalue)


def test_intervals_of_auc_are_on_the_logit_scale_with_few_animals():
    values = np.array([0.90, 0.92, 0.97])
    odds = np.log(values / (1 - values))
    ends = stats.ttest_1samp(odds, 0).confidence_interval(0.95)
    found = score_interval(values)
    assert found.mean == pytest.approx(0.93)
    assert (found.low, found.high) == pytest.approx(
        tuple(1 / (1 + np.exp(-end)) for end in (ends.low, ends.high))
    )
    assert found.high < 1 < interval(values).high
    assert found.method == "t over animals on the logit scale"


def test_intervals_of_scores_stay_where_scores_can_be():
    seven = [0.99, 0.99, 0.98, 0.97, 0.9, 0.999, 0.7]
    assert score_interval(seven).high == 1
    assert score_interval(seven).low == interval(seven).low
    assert score_interval([1.0, 0.9, 0.8]).high == 1
    assert score_interval([0.0, 0.1, 0.3]).low == 0
    assert score_interval([0.9, 0.95, 0.99], "r2").high <= 1
    assert score_interval([-9.0, 0.95, 0.99], "r2").low == interval([-9.0, 0.95, 0.99]).low
    assert score_interval([2.0, 5.0, 9.0], "mae") == interval([2.0, 5.0, 9.0])
    assert np.isnan(score_interval([0.9]).low)


def test_logit_intervals_hold_the_mean_of_five_animals():
    # Nominally 0.95, and more often than on the raw scale.
    rng = np.random.default_rng(5)
    values = 1 / (1 + np.exp(-(2.2 + 0.5 * rng.normal(size=(2000, 5)))))
    mean = float(np.mean(1 / (1 + np.exp(-(2.2 + 0.5 * rng.normal(size=400_000))))))
    logit, raw = (
        np.mean([ends.low <= mean <= ends.high for ends in map(make, values)])
        for make in (score_interval, interval)
    )
    assert raw < logit
    assert 0.92 < logit < 0.96


@pytest.mark.parametrize("values", [[], [0.3], [0.3, 0.1 + 0.2, 0.3], [0, 0]])
def test_too_little_for_an_interval(values):
    found = interval(values)
    assert np.isnan(found.low)
    assert np.isnan(found.high)
    assert np.isnan(t_test(values))
    assert np.isnan(bootstrap_interval(values).low)


def test_p_is_never_zero():
    values = 1 + 1e-8 * np.random.default_rng(0).normal(size=60)
    assert t_test(values) > 0
    assert sign_flip_test(values) == 1e-5
    assert rank_sum_test(np.arange(20_000), np.arange(20_000) + 1e6) > 0


def test_bootstrap_is_labelled_narrow_and_repeatable():
    values = np.random.default_rng(0).normal(size=5)
    found, t = bootstrap_interval(values, seed=3), interval(values)
    assert "too narrow" in found.method
    assert "too narrow" not in bootstrap_interval(np.arange(10)).method
    assert t.low < found.low < found.mean < found.high < t.high
    assert found == bootstrap_interval(values, seed=3)


@pytest.mark.parametrize(
    ("differences", "p"),
    [
        ([0.1, 0.2, 0.3], 2 / 8),
        ([-0.1, -0.2, -0.3], 2 / 8),
        # Of + - combinations of 1, 2, 4 the sums -+7, -+5 are as large as 5.
        ([-1, 2, 4], 4 / 8),
        ([0.1, 0.2, 0.3, 0.1, 0.2], 0.0625),
        ([0, 0, 0], 1),
        ([0.3], 1),
    ],
)
def test_sign_flips_by_hand(differences, p):
    assert sign_flip_test(differences) == p
    assert p >= smallest_sign_flip_p(len(differences))


def test_equivalence_is_two_one_sided_tests():
    rng = np.random.default_rng(3)
    for mean, n in ((0.0, 5), (0.01, 8), (0.05, 4)):
        values = rng.normal(mean, 0.01, n)
        p, low, high = equivalence_test(values, 0.02)
        lower = stats.ttest_1samp(values, -0.02, alternative="greater")
        upper = stats.ttest_1samp(values, 0.02, alternative="less")
        assert p == pytest.approx(max(lower.pvalue, upper.pvalue))
        known = stats.ttest_1samp(values, 0).confidence_interval(0.9)
        assert (low, high) == pytest.approx(tuple(known))
        assert (p < 0.05) == (low > -0.02 and high < 0.02)
    assert np.isnan(equivalence_test([0.01], 0.02)).all()
    for bound in (0.0, -0.1, np.nan):
        with pytest.raises(DataError, match="give a difference above 0"):
            equivalence_test([0.1, 0.2], bound)


def test_sign_flips_of_many_animals_are_drawn():
    values = np.random.default_rng(1).normal(0.2, 1, 20)
    assert sign_flip_test(values) == pytest.approx(t_test(values), abs=0.03)
    assert smallest_sign_flip_p(20) == 1e-5


@pytest.mark.parametrize("n", [1, 4, 10, 16])
def test_smallest_sign_flip_p_is_reached(n):
    assert sign_flip_test(np.linspace(0.1, 0.2, n)) == smallest_sign_flip_p(n)


@given(VALUES, VALUES)
def test_rank_sum_is_scipys_with_ties(a, b):
    found = rank_sum_test(a, b)
    if len(set(a + b)) == 1:
        assert np.isnan(found)
        return
    like = stats.mannwhitneyu(a, b, method="asymptotic").pvalue
    assert found == pytest.approx(like, rel=1e-9)


def test_rank_sum_without_values():
    assert np.isnan(rank_sum_test([], [1.0]))


def test_holm_by_hand():
    # Sorted 0.01, 0.02, 0.04 times 3, 2, 1: the last may not be below the one before.
    assert holm([0.04, np.nan, 0.01, 0.02]).tolist() == pytest.approx(
        [0.04, np.nan, 0.03, 0.04], nan_ok=True
    )
    assert holm([0.6, 0.9]).tolist() == [1, 1]
    assert holm([]).size == 0


@given(st.lists(st.floats(1e-6, 1), min_size=1, max_size=8))
def test_holm_keeps_order_and_never_lowers(p):
    adjusted = holm(p)
    assert np.all(adjusted >= np.array(p))
    assert np.all(np.diff(adjusted[np.argsort(p)]) >= 0)
    assert adjusted.max() <= 1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: interval([[1.0]]), "give one value an animal"),
    ],
)
def test_errors(call, message):
    with pytest.raises(DataError, match=message):
        call()


@pytest.mark.parametrize(
    ("n_animals", "in_sd"), [(3, 3.26), (4, 2.13), (5, 1.68), (6, 1.435), (8, 1.16), (10, 1.00)]
)
def test_known_designs(n_animals, in_sd):
    assert detectable_difference(n_animals) == pytest.approx(in_sd, abs=0.006)
    assert detectable_difference(n_animals, sd=0.02) == pytest.approx(
        0.02 * detectable_difference(n_animals)
    )


@pytest.mark.parametrize("n_animals", [2, 5])
def test_it_is_found_as_often_as_asked(n_animals):
    rng = np.random.default_rng(0)
    shift = detectable_difference(n_animals, sd=1)
    p = stats.ttest_1samp(rng.normal(shift, 1, (20_000, n_animals)), 0, axis=1).pvalue
    assert (p < 0.05).mean() == pytest.approx(0.8, abs=0.015)


@pytest.mark.parametrize("n_animals", [2, 3, 5, 10, 40, 60, 300])
def test_power_is_integrated_over_the_sd_that_is_found(n_animals):
    # Another way to the noncentral t: its mean is normal, its variance a chi square's.
    freedom = n_animals - 1
    limit, reach = stats.t.isf(0.025, freedom), detectable_difference(n_animals) * n_animals**0.5

    def density(sd):
        return stats.chi.pdf(sd * freedom**0.5, freedom) * freedom**0.5

    def passes(sd):
        return stats.norm.sf(limit * sd - reach) + stats.norm.cdf(-limit * sd - reach)

    middle = np.clip(reach / limit + np.array([-9, 0, 9]) / limit, 1e-9, 6)
    power, _ = quad(lambda sd: passes(sd) * density(sd), 0, 6, points=middle, limit=500)
    assert power == pytest.approx(0.8, abs=1e-9)


@given(st.integers(3, 60))
def test_power_is_that_of_the_noncentral_t(n_animals):
    freedom, reach = n_animals - 1, detectable_difference(n_animals) * n_animals**0.5
    limit = stats.t.isf(0.025, freedom)
    power = stats.nct.sf(limit, freedom, reach) + stats.nct.cdf(-limit, freedom, reach)
    assert power == pytest.approx(0.8, abs=1e-9)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: detectable_difference(1), "1 animals and an SD of 1"),
        (lambda: detectable_difference(5, -1), "an SD of 0 or more"),
        (lambda: detectable_difference(5, float("nan")), "an SD of nan"),
        (lambda: detectable_difference(5, float("inf")), "an SD of inf"),
    ],
)
def test_errors_of_detectable_differences(call, message):
    with pytest.raises(DataError, match=message):
        call()
