"""Intervals and tests over a few animals, over many splits, and what so many animals can find.

The distributions come from scipy.special: scipy.stats takes as long to import as the rest of a
table takes to make.
"""

from dataclasses import dataclass
from itertools import combinations
from math import comb, sqrt

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq
from scipy.special import expit, logit, nctdtr, ndtr, stdtr, stdtrit

from corticode.errors import DataError

MOST_FLIPPED = 16
FLIPS = 99_999
BOOTSTRAPS = 9_999
CONFIDENCE = 0.95
# Differences that agree this far, beside the largest of them, differ by rounding only.
ROUNDING = 1e-10
SMALLEST = float(np.finfo(np.float64).tiny)
# What the detectable difference is found with: how often, and at which p.
POWER, LEVEL = 0.8, 0.05
# From so many animals on, Student's t on the raw scale holds an AUC's mean more often than on the
# logit scale (coverage of a nominal 95 % at 5 animals: 0.92 and 0.95; at 10: 0.93 and 0.91).
RAW_SCALE_FROM = 7
# For plans, pages and methods texts: what is solved for, in one line.
FORMULA = (
    "difference = lambda * SD / sqrt(n), with lambda solving "
    "P(|t(n - 1, lambda)| > t(n - 1, 1 - level / 2)) = power (noncentral t, two-sided, paired)"
)


@dataclass(frozen=True)
class Interval:
    """A mean over animals and how far it is known; NaN where the values do not tell.

    Parameters
    ----------
    mean
        Mean over the values.
    low, high
        Ends of the interval.
    n
        How many values there were.
    method
        How the ends were found.
    """

    mean: float
    low: float
    high: float
    n: int
    method: str


def interval(values: ArrayLike) -> Interval:
    """The mean over animals with Student's t interval of 95 %.

    Parameters
    ----------
    values
        One an animal, shape (animal,); NaN is left out.

    Returns
    -------
    Interval
        Its ends are NaN with fewer than two values, and where all are equal.

    Raises
    ------
    DataError
        Values of more than one axis.

    Examples
    --------
    >>> found = interval([0.90, 0.92, 0.97])
    >>> print(f"{found.mean:.3f} [{found.low:.3f}, {found.high:.3f}]")
    0.930 [0.840, 1.020]
    """
    known = _known(values)
    mean = float(known.mean()) if known.size else float("nan")
    if known.size < 2 or _is_constant(known):
        return Interval(mean, np.nan, np.nan, known.size, "t over animals")
    spread = known.std(ddof=1) / sqrt(known.size)
    reach = float(stdtrit(known.size - 1, (1 + CONFIDENCE) / 2) * spread)
    return Interval(mean, mean - reach, mean + reach, known.size, "t over animals")


def score_interval(values: ArrayLike, metric: str = "auc") -> Interval:
    """The mean score over animals with an interval of 95 % that stays where the score can be.

    AUC lies between 0 and 1 and its spread shrinks towards 1: below `RAW_SCALE_FROM` animals the
    ends are Student's on the logit scale, from so many animals on, and where an animal reaches 0
    or 1, on the raw scale, cut at 0 and 1. R2 is cut at 1. The mean is always the arithmetic one.

    Parameters
    ----------
    values
        One an animal, shape (animal,); NaN is left out.
    metric
        ``"auc"``, ``"r2"``; of any other name the ends are those of `interval`.

    Returns
    -------
    Interval
        Its ends are NaN with fewer than two values, and where all are equal.

    Raises
    ------
    DataError
        Values of more than one axis.

    Examples
    --------
    >>> found = score_interval([0.90, 0.92, 0.97])
    >>> print(f"{found.mean:.3f} [{found.low:.3f}, {found.high:.3f}], {found.method}")
    0.930 [0.735, 0.988], t over animals on the logit scale
    """
    found = interval(values)
    highest = {"auc": 1.0, "r2": 1.0}.get(metric, np.inf)
    if np.isnan(found.low) or np.isinf(highest):
        return found
    lowest = 0.0 if metric == "auc" else -np.inf
    known = _known(values)
    if metric == "auc" and known.size < RAW_SCALE_FROM and 0 < known.min() <= known.max() < 1:
        ends = interval(logit(known))
        low, high = float(expit(ends.low)), float(expit(ends.high))
        return Interval(found.mean, low, high, found.n, "t over animals on the logit scale")
    low, high = max(found.low, lowest), min(found.high, highest)
    return Interval(found.mean, low, high, found.n, found.method)


def bootstrap_interval(values: ArrayLike, *, seed: int = 0) -> Interval:
    """The mean over animals with a percentile bootstrap interval of 95 %, beside `interval`.

    Animals are drawn with replacement. It is too narrow below 10 animals, where a nominal 95 %
    holds the true mean in 75 to 90 % of cases, and its label says so.

    Parameters
    ----------
    values
        One an animal, shape (animal,); NaN is left out.
    seed
        Seed of the draws.

    Raises
    ------
    DataError
        Values of more than one axis.

    Examples
    --------
    >>> bootstrap_interval([0.90, 0.92, 0.97]).method
    'bootstrap over animals (too narrow below 10 animals)'
    """
    known = _known(values)
    method = "bootstrap over animals"
    if known.size < 10:
        method += " (too narrow below 10 animals)"
    mean = float(known.mean()) if known.size else float("nan")
    if known.size < 2 or _is_constant(known):
        return Interval(mean, np.nan, np.nan, known.size, method)
    drawn = np.random.default_rng(seed).integers(known.size, size=(BOOTSTRAPS, known.size))
    ends = np.quantile(known[drawn].mean(axis=1), [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Interval(mean, float(ends[0]), float(ends[1]), known.size, method)


def t_test(differences: ArrayLike) -> float:
    """Two-sided p of Student's t that the mean difference of animals is 0.

    Returns
    -------
    float
        Never 0; NaN with fewer than two values and where all are equal.

    Examples
    --------
    >>> round(t_test([0.1, 0.2, 0.3]), 4)
    0.0742
    """
    known = _known(differences)
    if known.size < 2 or _is_constant(known):
        return float("nan")
    t = known.mean() / (known.std(ddof=1) / sqrt(known.size))
    return max(2 * float(stdtr(known.size - 1, -abs(t))), SMALLEST)


def equivalence_test(differences: ArrayLike, within: float) -> tuple[float, float, float]:
    """Two one-sided t tests that the mean difference of animals lies within a bound on both sides.

    Parameters
    ----------
    differences
        One an animal, shape (animal,); NaN is left out.
    within
        The bound, above 0, in units of the score: what is too little to matter.

    Returns
    -------
    p, low, high
        The larger p of the two tests, and the ends of the 90 % interval: p is below 0.05 where
        both lie within the bound. NaN with fewer than two values and where all are equal.

    Raises
    ------
    DataError
        The bound is not above 0.

    References
    ----------
    Schuirmann (1987), doi:10.1007/BF01068419.

    Examples
    --------
    >>> p, low, high = equivalence_test([0.001, -0.004, 0.006, 0.002, -0.003], within=0.02)
    >>> round(p, 5), round(low, 4), round(high, 4)
    (0.0002, -0.0034, 0.0042)
    """
    if not within > 0:
        raise DataError(
            f"an equivalence bound of {within:g} was given; give a difference above 0 that is too "
            "small to matter, as 0.02"
        )
    known = _known(differences)
    if known.size < 2 or _is_constant(known):
        return float("nan"), float("nan"), float("nan")
    mean, df = float(known.mean()), known.size - 1
    spread = float(known.std(ddof=1)) / sqrt(known.size)
    p = max(float(stdtr(df, -(side * mean + within) / spread)) for side in (1, -1))
    reach = float(stdtrit(df, 1 - LEVEL)) * spread
    return max(p, SMALLEST), mean - reach, mean + reach


def welch_interval(one: ArrayLike, other: ArrayLike) -> Interval:
    """The difference of two groups' means with Welch's interval of 95 %.

    Parameters
    ----------
    one, other
        Values, one an animal, shape (animal,); NaN is left out.

    Returns
    -------
    Interval
        Of the first mean minus the second; n counts both groups. Its ends are NaN where a group
        has fewer than two values, or no group varies.

    References
    ----------
    Welch (1947), doi:10.1093/biomet/34.1-2.28.

    Examples
    --------
    >>> found = welch_interval([0.9, 0.8, 0.95], [0.7, 0.75, 0.6])
    >>> print(f"{found.mean:.2f} [{found.low:.2f}, {found.high:.2f}]")
    0.20 [0.03, 0.37]
    """
    a, b = _known(one), _known(other)
    method = "Welch's t over animals"
    if not (a.size and b.size):
        return Interval(np.nan, np.nan, np.nan, a.size + b.size, method)
    effect = float(a.mean() - b.mean())
    if min(a.size, b.size) < 2 or (_is_constant(a) and _is_constant(b)):
        return Interval(effect, np.nan, np.nan, a.size + b.size, method)
    errors = np.array([group.var(ddof=1) / group.size for group in (a, b)])
    df = errors.sum() ** 2 / np.sum(errors**2 / [a.size - 1, b.size - 1])
    reach = float(stdtrit(df, (1 + CONFIDENCE) / 2) * sqrt(errors.sum()))
    return Interval(effect, effect - reach, effect + reach, a.size + b.size, method)


def group_permutation_test(one: ArrayLike, other: ArrayLike) -> tuple[float, float]:
    """Two-sided p that which group an animal is of makes no difference to the mean, and its floor.

    The animals are dealt to two groups of the same sizes in every way, the observed one counted,
    or in 99,999 random ways where there are more, the observed one counted with them.

    Parameters
    ----------
    one, other
        Values, one an animal, shape (animal,); NaN is left out.

    Returns
    -------
    p, smallest
        NaN where a group has no value.

    Examples
    --------
    >>> group_permutation_test([0.9, 0.8, 0.95], [0.7, 0.75, 0.6])
    (0.1, 0.1)
    """
    a, b = _known(one), _known(other)
    if not (a.size and b.size):
        return float("nan"), float("nan")
    values = np.concatenate([a, b])
    n_ways = comb(values.size, a.size)
    if n_ways <= FLIPS:
        rows = np.array(list(combinations(range(values.size), a.size)))
        smallest = (1 + (a.size == b.size)) / n_ways
    else:
        rng = np.random.default_rng(0)
        order = rng.permuted(np.tile(np.arange(values.size), (FLIPS, 1)), axis=1)
        rows = np.vstack([np.arange(a.size), order[:, : a.size]])
        smallest = 1 / (FLIPS + 1)
    sums = values[rows].sum(axis=1)
    means = np.abs(sums / a.size - (values.sum() - sums) / b.size)
    observed = abs(a.mean() - b.mean())
    return float(np.mean(means >= observed - ROUNDING * np.abs(values).max())), smallest


def sign_flip_test(differences: ArrayLike) -> float:
    """Two-sided p that differences of animals are as likely to be of either sign.

    The observed mean is set against those with every choice of signs: 2 to the power of n, of
    which 2 at least are as large, so that p is never below `smallest_sign_flip_p`. Above 16
    animals 99,999 choices are drawn, and the observed one is counted with them.

    Returns
    -------
    float
        NaN without a value.

    Examples
    --------
    >>> sign_flip_test([0.1, 0.2, 0.3, 0.1, 0.2])
    0.0625
    """
    known = _known(differences)
    n = known.size
    if n == 0:
        return float("nan")
    if n <= MOST_FLIPPED:
        flipped = np.arange(2**n)[:, None] >> np.arange(n) & 1
    else:
        flipped = np.random.default_rng(0).integers(2, size=(FLIPS + 1, n))
        flipped[0] = 0
    sums = np.abs((1 - 2 * flipped) @ known)
    # The sums of one set of values in another order differ by rounding.
    as_large = sums >= sums[0] - ROUNDING * np.abs(known).sum()
    return float(np.count_nonzero(as_large) / as_large.size)


def smallest_sign_flip_p(n_animals: int) -> float:
    """The smallest p that `sign_flip_test` can give with so many animals.

    Examples
    --------
    >>> smallest_sign_flip_p(5), smallest_sign_flip_p(6)
    (0.0625, 0.03125)
    """
    if n_animals < 1:
        return float("nan")
    return 2 / 2**n_animals if n_animals <= MOST_FLIPPED else 1 / (FLIPS + 1)


def rank_sum_test(a: ArrayLike, b: ArrayLike) -> float:
    """Two-sided p of the rank sum in its normal approximation, corrected for ties and continuity.

    This is what MATLAB's ``ranksum`` gives from 10 values on, and scipy's
    ``mannwhitneyu(method="asymptotic")`` always. Over splits that share animals it is not a
    valid test of the animals; it is here because it was published.

    Returns
    -------
    float
        NaN where either side has no value, or all values are equal.

    Examples
    --------
    >>> round(rank_sum_test([1, 2, 3, 4, 5], [4, 6, 7, 8, 9]), 5)
    0.0278
    """
    first, second = _known(a), _known(b)
    n = first.size + second.size
    if first.size == 0 or second.size == 0:
        return float("nan")
    _, place, counts = np.unique(
        np.concatenate([first, second]), return_inverse=True, return_counts=True
    )
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[place]
    ties = float(np.sum(counts.astype(np.float64) ** 3 - counts))
    variance = first.size * second.size / 12 * (n + 1 - ties / (n * (n - 1)))
    if variance <= 0:
        return float("nan")
    distance = abs(float(ranks[: first.size].sum()) - first.size * (n + 1) / 2)
    z = max(distance - 0.5, 0) / sqrt(variance)
    return max(2 * float(ndtr(-z)), SMALLEST)


def holm(p: ArrayLike) -> NDArray[np.float64]:
    """p-values of one family adjusted by Holm's step-down method; NaN is not of the family.

    References
    ----------
    Holm 1979, Scandinavian Journal of Statistics 6: 65-70.

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03]).round(3).tolist()
    [0.03, 0.06, 0.06]
    """
    given = np.asarray(p, dtype=np.float64)
    known = np.flatnonzero(~np.isnan(given))
    order = known[np.argsort(given[known], kind="stable")]
    adjusted = np.full(given.shape, np.nan)
    steps = given[order] * np.arange(order.size, 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1)
    return adjusted


def _is_constant(values: NDArray[np.float64]) -> bool:
    """Whether values, shape (animal,), differ by no more than rounding."""
    return bool(np.ptp(values) <= ROUNDING * np.abs(values).max())


def _known(values: ArrayLike) -> NDArray[np.float64]:
    given = np.asarray(values, dtype=np.float64)
    if given.ndim != 1:
        raise DataError(f"values have shape {given.shape}; give one value an animal, (animal,)")
    return given[~np.isnan(given)]


def detectable_difference(n_animals: int, sd: float = 1.0) -> float:
    """The mean difference that a paired t test over so many animals finds in 80 % of experiments.

    The formula is `FORMULA`, with `POWER` and `LEVEL`.

    Parameters
    ----------
    n_animals
        Animals, each under both conditions.
    sd
        Standard deviation of the animals' differences; with 1 the result is in such SDs.

    Returns
    -------
    float
        In the unit of `sd`; from the noncentral t distribution.

    Raises
    ------
    DataError
        Fewer than two animals, or an SD that is negative or not finite.

    Examples
    --------
    >>> round(detectable_difference(5, sd=0.02), 4)
    0.0336
    """
    if n_animals < 2 or not 0 <= sd < float("inf"):
        raise DataError(
            f"{n_animals} animals and an SD of {sd:g} tell no detectable difference; "
            "give at least 2 animals and an SD of 0 or more"
        )
    freedom = n_animals - 1
    limit = float(stdtrit(freedom, 1 - LEVEL / 2))

    def missed(noncentrality: float) -> float:
        # What scipy gives as NaN is a tail in which nothing is left.
        below, far_below = np.nan_to_num(nctdtr(freedom, noncentrality, [limit, -limit]))
        return float(1 - below + far_below) - POWER

    highest = 1.0
    while missed(highest) < 0:
        highest *= 2
    return float(brentq(missed, 0, highest)) / sqrt(n_animals) * sd
