"""What so many animals can find: the detectable difference, and how often a given one is found."""

from math import sqrt

import numpy as np
from scipy.optimize import brentq
from scipy.special import chdtri, gammaln, ndtr, stdtrit

from corticode.errors import DataError
from corticode.evaluate.intervals import check_share

NODES, WEIGHTS = np.polynomial.legendre.leggauss(100)
# Standard deviations of a normal value, and a share, beyond which nothing is left.
WIDTH, NEGLIGIBLE = 9.0, 1e-15
# For plans, pages and methods texts: what is solved for, in one line.
FORMULA = (
    "difference = lambda * SD / sqrt(n), with lambda solving "
    "P(|t(n - 1, lambda)| > t(n - 1, 1 - level / 2)) = power (noncentral t, two-sided, paired)"
)


def detectable_difference(
    n_animals: int, sd: float = 1.0, power: float = 0.8, *, level: float = 0.05
) -> float:
    """The mean difference that a paired t test over so many animals finds as often as asked.

    The formula is `FORMULA`.

    Parameters
    ----------
    n_animals
        Animals, each under both conditions.
    sd
        Standard deviation of the animals' differences; with 1 the result is in such SDs.
    power
        How often the difference is to be found.
    level
        p below which it counts as found, on two sides.

    Returns
    -------
    float
        In the unit of `sd`; from the noncentral t distribution.

    Raises
    ------
    DataError
        Fewer than two animals, an SD that is negative or not finite, or a power that is not
        between the level and 1.

    Examples
    --------
    >>> round(detectable_difference(5, sd=0.02), 4)
    0.0336
    """
    _check_design(n_animals, sd)
    check_share(level, "level")
    if not level < power < 1:
        raise DataError(f"a power of {power:g} is not between the level {level:g} and 1; give 0.8")

    def missed(noncentrality: float) -> float:
        return _found(n_animals, noncentrality, level) - power

    highest = 1.0
    while missed(highest) < 0:
        highest *= 2
    return float(brentq(missed, 0, highest)) / sqrt(n_animals) * sd


def power_of(difference: float, n_animals: int, sd: float, *, level: float = 0.05) -> float:
    """How often a paired t test over so many animals finds a mean difference of a given size.

    Parameters
    ----------
    difference
        The true mean difference, in the unit of `sd`; its sign plays no part.
    n_animals, sd, level
        As in `detectable_difference`; the SD above 0.

    Returns
    -------
    float
        Between the level (no difference) and 1.

    Raises
    ------
    DataError
        As in `detectable_difference`, or an SD of 0.

    Examples
    --------
    >>> round(power_of(0.0336, 5, 0.02), 2)
    0.8
    """
    _check_design(n_animals, sd)
    check_share(level, "level")
    if sd == 0:
        raise DataError("with an SD of 0 every difference is found; give an SD above 0")
    return _found(n_animals, abs(difference) / sd * sqrt(n_animals), level)


def _found(n_animals: int, noncentrality: float, level: float) -> float:
    """Share of experiments whose |t| passes the limit.

    Integrated over the SD that is found, in units of the true one: scipy's noncentral t is NaN
    for two animals.
    """
    freedom = n_animals - 1
    limit = float(stdtrit(freedom, 1 - level / 2))
    largest = sqrt(float(chdtri(freedom, NEGLIGIBLE)) / freedom)
    # Where the chance of passing falls from 1 to 0; narrow where the limit is high.
    edges = np.clip((noncentrality + np.array([-WIDTH, 0, WIDTH])) / limit, 0, largest)
    ends = np.concatenate([[0], edges, [largest]])
    middle, half = (ends[1:] + ends[:-1]) / 2, np.diff(ends) / 2
    sd = middle[:, None] + half[:, None] * NODES
    log_density = (
        (freedom - 1) * np.log(sd, where=sd > 0, out=np.zeros_like(sd))
        - freedom * sd**2 / 2
        + np.log(2)
        + freedom / 2 * np.log(freedom / 2)
        - gammaln(freedom / 2)
    )
    passes = ndtr(noncentrality - limit * sd) + ndtr(-noncentrality - limit * sd)
    return float(np.sum(half[:, None] * WEIGHTS * passes * np.exp(log_density)))


def _check_design(n_animals: int, sd: float) -> None:
    if n_animals < 2 or not 0 <= sd < float("inf"):
        raise DataError(
            f"{n_animals} animals and an SD of {sd:g} tell no detectable difference; "
            "give at least 2 animals and an SD of 0 or more"
        )
