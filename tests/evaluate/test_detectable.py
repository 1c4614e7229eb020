import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from corticode.errors import DataError
from corticode.evaluate.detectable import detectable_difference, power_of


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
    shift = detectable_difference(n_animals, power=0.6)
    p = stats.ttest_1samp(rng.normal(shift, 1, (20_000, n_animals)), 0, axis=1).pvalue
    assert (p < 0.05).mean() == pytest.approx(0.6, abs=0.015)


@pytest.mark.parametrize("n_animals", [3, 5, 10, 40])
@pytest.mark.parametrize("level", [0.05, 0.001])
def test_power_is_that_of_the_noncentral_t(n_animals, level):
    freedom, noncentrality = n_animals - 1, 0.7 * n_animals**0.5
    limit = stats.t.isf(level / 2, freedom)
    expected = stats.nct.sf(limit, freedom, noncentrality)
    expected += stats.nct.cdf(-limit, freedom, noncentrality)
    assert power_of(0.7, n_animals, 1, level=level) == pytest.approx(expected, abs=1e-6)


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 30), st.floats(0.1, 0.99), st.floats(1e-3, 10))
def test_power_is_its_inverse(n_animals, power, sd):
    difference = detectable_difference(n_animals, sd, power)
    assert power_of(difference, n_animals, sd) == pytest.approx(power, abs=1e-6)
    assert power_of(-difference, n_animals, sd) == pytest.approx(power, abs=1e-6)


def test_no_difference_is_found_as_often_as_the_level():
    assert power_of(0, 7, 1, level=0.01) == pytest.approx(0.01)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: detectable_difference(1), "1 animals and an SD of 1"),
        (lambda: detectable_difference(5, -1), "an SD of 0 or more"),
        (lambda: detectable_difference(5, float("nan")), "an SD of nan"),
        (lambda: detectable_difference(5, float("inf")), "an SD of inf"),
        (lambda: detectable_difference(5, power=1.0), "a power of 1 is not between"),
        (lambda: detectable_difference(5, level=2), "level is 2"),
        (lambda: power_of(0.1, 5, 0), "an SD of 0 every difference"),
        (lambda: power_of(0.1, 1, 1), "1 animals"),
    ],
)
def test_errors(call, message):
    with pytest.raises(DataError, match=message):
        call()
