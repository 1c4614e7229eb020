"""Which whole label traces may change places, and what p-values follow from it.

Sessions of one animal are exchanged, in all orders or within pairs of neighbours. The observed
order is one of them and is always counted: leaving out the orders in which a session keeps its
own labels makes p-values far too small with few sessions.
"""

from collections.abc import Hashable, Sequence
from itertools import permutations, product
from math import factorial, prod

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from corticode.errors import DataError

N_DRAWS = 999
FEWEST_SESSIONS = 6
LEVEL = 0.05
# Means of the same numbers in another order differ by rounding only.
ROUNDING = 1e-12


def order_blocks(
    animals: Sequence[str], days: ArrayLike, paired: Sequence[str] = ()
) -> NDArray[np.int64]:
    """The block of each session; labels change places within a block only.

    Parameters
    ----------
    animals
        The animal of each session.
    days
        Day, or any number that sorts an animal's sessions, shape (session,).
    paired
        Animals whose blocks are pairs of neighbouring sessions, from the first on; with an odd
        number the last session keeps its labels. Of the others a block is all sessions.

    Returns
    -------
    array
        Shape (session,), whole numbers from 0.

    Examples
    --------
    >>> order_blocks(["m1"] * 3 + ["m2"] * 2, [1, 3, 2, 1, 2], paired=["m1"]).tolist()
    [0, 1, 0, 2, 2]
    """
    days = np.asarray(days, dtype=np.float64)
    if days.shape != (len(animals),):
        raise DataError(f"{len(animals)} sessions came with days of shape {days.shape}")
    blocks = np.zeros(len(animals), dtype=np.int64)
    first = 0
    for animal in dict.fromkeys(animals):
        own = np.array([k for k, owner in enumerate(animals) if owner == animal])
        in_turn = own[np.argsort(days[own], kind="stable")]
        blocks[in_turn] = first + (np.arange(own.size) // 2 if animal in paired else 0)
        first = int(blocks[own].max()) + 1
    return blocks


def draw_orders(
    blocks: Sequence[Hashable] | NDArray[np.int64], n_draws: int = N_DRAWS, *, seed: int = 0
) -> NDArray[np.intp]:
    """Orders of label traces, the observed one first.

    Parameters
    ----------
    blocks
        The block of each session, shape (session,).
    n_draws
        Orders drawn, each with equal chances, beside the observed one. Where there are no more
        orders than would be drawn, all are given, each once.
    seed
        Seed of the draws.

    Returns
    -------
    array
        Shape (order, session): which session's labels each session has.

    Examples
    --------
    >>> draw_orders(["m1", "m1", "m2"]).tolist()
    [[0, 1, 2], [1, 0, 2]]
    """
    members = _members(blocks)
    observed = np.arange(len(blocks))
    if n_orders(blocks) <= n_draws + 1:
        orders = np.tile(observed, (n_orders(blocks), 1))
        for order, chosen in zip(orders, product(*map(permutations, members)), strict=True):
            for own, placed in zip(members, chosen, strict=True):
                order[own] = placed
        return orders
    rng = np.random.default_rng(seed)
    orders = np.tile(observed, (n_draws + 1, 1))
    for own in members:
        orders[1:, own] = rng.permuted(orders[1:, own], axis=1)
    return orders


def n_orders(blocks: Sequence[Hashable] | NDArray[np.int64]) -> int:
    """How many orders there are: the product of the factorials of the blocks' sizes.

    Examples
    --------
    >>> n_orders(["m1"] * 3 + ["m2"] * 2)
    12
    """
    return prod(factorial(own.size) for own in _members(blocks))


def smallest_p(blocks: Sequence[Hashable] | NDArray[np.int64], n_draws: int | None = None) -> float:
    """The smallest p that any data can give; with `n_draws`, that so many draws can give.

    Examples
    --------
    >>> smallest_p(["m1"] * 3), smallest_p(["m1"] * 12, n_draws=999)
    (0.16666666666666666, 0.001)
    """
    possible = n_orders(blocks)
    return 1 / (possible if n_draws is None else min(possible, n_draws + 1))


def order_p(statistics: ArrayLike) -> float:
    """The p of the first, observed statistic among those of all orders: how many are as large.

    It counts itself: (1 + b) / (B + 1) with b of B draws as large. NaN where the observed
    statistic is NaN; orders whose statistic is NaN count as large.

    Parameters
    ----------
    statistics
        One an order, that of the observed order first, shape (order,).

    Examples
    --------
    >>> order_p([0.9, 0.5, 0.9, 0.2])
    0.5
    """
    found = np.asarray(statistics, dtype=np.float64)
    if np.isnan(found[0]):
        return float("nan")
    below = found < found[0] - ROUNDING * max(1.0, abs(found[0]))
    return float(np.count_nonzero(~below) / found.size)


def day_trends(sessions: pd.DataFrame, *, n_draws: int = N_DRAWS, seed: int = 0) -> pd.DataFrame:
    """How quantities of an animal's sessions go with the day, each against its own permutations.

    Sessions that trend over days are not exchangeable. With six or more, a correlation is
    tested by permuting days (in all orders where there are few enough); with fewer, no test
    would find a trend.

    Parameters
    ----------
    sessions
        One row a session: animal, session, day, and one column a quantity; NaN is left out.
    n_draws, seed
        As for `draw_orders`.

    Returns
    -------
    DataFrame
        One row an animal and quantity: animal, quantity, n_sessions, pearson_r (NaN where the
        quantity or the day is constant), p (two-sided; NaN where it was not tested) and trends
        (p < 0.05).

    Raises
    ------
    DataError
        A column is missing.

    Examples
    --------
    >>> table = pd.DataFrame({"animal": "m1", "session": list("abcdefg"), "day": range(7),
    ...     "run_fraction": [0.9, 0.8, 0.8, 0.6, 0.5, 0.3, 0.2]})
    >>> day_trends(table).round(4)
      animal      quantity  n_sessions  pearson_r      p  trends
    0     m1  run_fraction           7    -0.9815  0.002    True
    """
    missing = {"animal", "session", "day"} - set(sessions)
    if missing:
        raise DataError(f"the table of sessions has no column {', '.join(sorted(missing))}")
    quantities = [name for name in sessions if name not in ("animal", "session", "day")]
    rows = []
    for animal, own in sessions.groupby("animal", sort=False):
        for quantity in quantities:
            known = own[["day", quantity]].dropna().to_numpy(dtype=np.float64)
            r, p = _trend(known[:, 0], known[:, 1], n_draws, seed)
            row = {"animal": animal, "quantity": quantity, "n_sessions": len(known)}
            rows.append(row | {"pearson_r": r, "p": p, "trends": bool(p < LEVEL)})
    columns = ["animal", "quantity", "n_sessions", "pearson_r", "p", "trends"]
    return pd.DataFrame(rows, columns=columns)


def _members(blocks: Sequence[Hashable] | NDArray[np.int64]) -> list[NDArray[np.intp]]:
    """The sessions of each block, in the order in which the blocks first come."""
    codes = pd.factorize(pd.Series(list(blocks)))[0]
    return [np.flatnonzero(codes == code) for code in range(codes.max(initial=-1) + 1)]


def _trend(
    days: NDArray[np.float64], values: NDArray[np.float64], n_draws: int, seed: int
) -> tuple[float, float]:
    """Correlation with day and, with sessions enough, its p."""
    if days.size < 2 or np.ptp(days) == 0 or np.ptp(values) == 0:
        return float("nan"), float("nan")
    about_day, about_value = days - days.mean(), values - values.mean()
    scale = np.sqrt(np.sum(about_day**2) * np.sum(about_value**2))
    if days.size < FEWEST_SESSIONS:
        return float(about_day @ about_value / scale), float("nan")
    orders = draw_orders(np.zeros(days.size, dtype=np.int64), n_draws, seed=seed)
    correlations = about_value[orders] @ about_day / scale
    return float(correlations[0]), order_p(np.abs(correlations))
