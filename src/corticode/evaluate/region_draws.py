"""Other sets of regions of the same size: drawn at random, singly or in mirrored pairs."""

from collections.abc import Iterable, Sequence
from itertools import combinations
from math import comb

import numpy as np
from numpy.typing import NDArray

from corticode.data.regions import RegionTable

# Sets are told apart by drawing again: of a small number of possible ones all are listed instead.
LISTED = 5000

RegionSet = tuple[int, ...]


def draw_sets(
    units: Sequence[RegionSet],
    size: int,
    n_sets: int,
    rng: np.random.Generator,
    *,
    without: RegionSet = (),
) -> list[RegionSet]:
    """Different random sets of so many regions, each made of whole units.

    Parameters
    ----------
    units
        What a set is made of, all of one length: regions, or pairs of them.
    size
        Regions of a set.
    n_sets
        How many to draw; where there are no more, all of them.
    rng
        Draws.
    without
        A set that is not among them.

    Returns
    -------
    list
        Regions of each set in rising order; empty where units do not make up such a set.

    Examples
    --------
    >>> draw_sets([(0, 3), (1, 4), (2, 5)], 4, 10, np.random.default_rng(0), without=(0, 1, 3, 4))
    [(0, 2, 3, 5), (1, 2, 4, 5)]
    """
    if not units or size % len(units[0]):
        return []
    n_units = size // len(units[0])
    n_possible = comb(len(units), n_units)
    left_out = tuple(sorted(without))
    if n_possible <= max(n_sets + 1, LISTED):
        found = [_joined(units, one) for one in combinations(range(len(units)), n_units)]
        found = [one for one in found if one != left_out]
        if len(found) <= n_sets:
            return found
        return [found[k] for k in np.sort(rng.choice(len(found), n_sets, replace=False))]
    # A dict keeps the order of the draws.
    drawn: dict[RegionSet, None] = {}
    while len(drawn) < n_sets:
        one = _joined(units, rng.choice(len(units), n_units, replace=False))
        if one != left_out:
            drawn[one] = None
    return list(drawn)


def _joined(units: Sequence[RegionSet], which: Iterable[int]) -> RegionSet:
    return tuple(sorted(k for place in which for k in units[place]))


def mirror_pairs(
    names: Sequence[str], kept: NDArray[np.intp], table: RegionTable | None
) -> list[RegionSet]:
    """Pairs of regions that mirror each other.

    Parameters
    ----------
    names
        The regions of the traces, in order.
    kept
        Places of those that may be drawn.
    table
        Who mirrors whom; None: nobody.

    Examples
    --------
    >>> table = RegionTable(("l", "mid", "r"), mirrors=("r", "", "l"))
    >>> mirror_pairs(("l", "mid", "r"), np.arange(3), table)
    [(0, 2)]
    """
    if table is None:
        return []
    partner = dict(zip(table.names, table.mirrors or [""] * len(table.names), strict=True))
    place = {names[k]: int(k) for k in kept}
    found = [(k, place.get(partner.get(name, ""), -1)) for name, k in place.items()]
    return sorted(
        {(min(pair), max(pair)) for pair in found if min(pair) >= 0 and pair[0] != pair[1]}
    )
