"""Contributions per standard deviation of the input: what a map owes to regions that vary much.

A region's contributions grow with how far its trace swings, in decoders that learnt nothing too.
Divided by the input's standard deviation they tell how strongly a decoder answers to a region,
whatever that region does; neither of the two is the map.
"""

from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from corticode.data.windows import Windows
from corticode.decode.decoder import Decoder
from corticode.decode.predict import check_recipe
from corticode.errors import DataError
from corticode.explain.importance_map import ImportanceMap, MapPart
from corticode.explain.stability import rank_correlations


def input_spread(decoder: Decoder, windows: Windows) -> NDArray[np.float64]:
    """Standard deviation of what a decoder's network gets of each region, shape (region,).

    Parameters
    ----------
    decoder
        A fitted decoder of traces; the scale it fitted to its training data is applied.
    windows
        Windows cut with its recipe. Each frame that some window sees counts once; regions that
        the decoder does not see are 0.

    Raises
    ------
    DecoderError
        The windows were not cut with the decoder's recipe.
    """
    check_recipe(decoder, windows)
    seen = windows.traces[windows.covered()].astype(np.float64)
    kept = np.asarray(windows.recipe.kept_regions)
    spread = np.where(kept, seen.std(axis=0), 0.0)
    return np.asarray(spread * np.abs(decoder.network.input_gain.cpu().numpy()))


def divide_by_spread(found: ImportanceMap, spread: NDArray[np.float64]) -> ImportanceMap:
    """A map over regions with each region's contributions divided by its input's SD.

    Parameters
    ----------
    found
        The map.
    spread
        As from `input_spread`, shape (region,). Where it is 0 the quotient is 0.

    Returns
    -------
    ImportanceMap
        With the map's parts; its unit is that of the map ``"/SD"``.

    Raises
    ------
    DataError
        The map is not over regions, or the spread is not one value a region.

    Examples
    --------
    >>> found = ImportanceMap("deep-shap", "logit", ("frame", "region"), np.array([[1.0, 3.0]]),
    ...     names=("1", "2"), frames=(0,))
    >>> divided = divide_by_spread(found, np.array([0.5, 3.0]))
    >>> divided.absolute.tolist(), divided.unit
    ([[2.0, 1.0]], 'logit/SD')
    """
    _check(found, spread)
    # Regions are the last axis of every map that has them.
    factor = np.divide(1.0, spread, out=np.zeros(spread.shape), where=spread > 0)

    def part(given: MapPart) -> MapPart:
        signed = None if given.signed is None else given.signed * factor
        return replace(given, signed=signed, absolute=given.absolute * factor)

    whole = part(MapPart("", 0, found.signed, found.absolute))
    return replace(
        found,
        unit=f"{found.unit}/SD",
        absolute=whole.absolute,
        signed=whole.signed,
        by_class=tuple(map(part, found.by_class)),
        by_animal=tuple(map(part, found.by_animal)),
        by_decoder=tuple(map(part, found.by_decoder)),
    )


def tabulate_spread(found: ImportanceMap, spread: NDArray[np.float64]) -> tuple[pd.DataFrame, str]:
    """Each region's share beside its input's SD and its share once divided by that.

    Parameters
    ----------
    found, spread
        As for `divide_by_spread`.

    Returns
    -------
    DataFrame
        One row a region, in falling order of its share: region, share, rank, input_sd,
        share_per_sd, rank_per_sd. Regions without spread are left out.
    str
        How far shares follow the spread, as a sentence.

    Raises
    ------
    DataError
        As for `divide_by_spread`.

    Examples
    --------
    >>> found = ImportanceMap("deep-shap", "logit", ("frame", "region"), np.array([[1.0, 3, 2]]),
    ...     names=("1", "2", "3"), frames=(0,))
    >>> table, words = tabulate_spread(found, np.array([0.5, 3.0, 2.0]))
    >>> table[["region", "share", "share_per_sd", "rank_per_sd"]]
      region     share  share_per_sd  rank_per_sd
    0      2  0.500000          0.25          2.5
    1      3  0.333333          0.25          2.5
    2      1  0.166667          0.50          1.0
    >>> words
    "a region's share correlates by 1.00 in rank with its input's SD, once divided by it by -0.87"
    """
    divided = divide_by_spread(found, spread).by_region()
    table = pd.DataFrame(
        {
            "region": found.names,
            "share": found.by_region(),
            "input_sd": spread,
            "share_per_sd": divided,
        }
    )
    table = table[table["input_sd"] > 0].sort_values("share", ascending=False, kind="stable")
    for name in ("share", "share_per_sd"):
        table[name.replace("share", "rank")] = table[name].rank(ascending=False)
    columns = ["region", "share", "rank", "input_sd", "share_per_sd", "rank_per_sd"]
    table = table[columns].reset_index(drop=True)
    values = table[["input_sd", "share", "share_per_sd"]].to_numpy().T
    _, as_it_is, once_divided = rank_correlations(values)[0]
    words = (
        f"a region's share correlates by {as_it_is:.2f} in rank with its input's SD, once divided "
        f"by it by {once_divided:.2f}"
    )
    return table, words


def _check(found: ImportanceMap, spread: NDArray[np.float64]) -> None:
    if "region" not in found.axes:
        raise DataError(
            f"a map over {', '.join(found.axes)} cannot be divided by the spread of regions; take "
            "one over regions"
        )
    if spread.shape != (len(found.names),) or not np.isfinite(spread).all() or spread.min() < 0:
        raise DataError(
            f"the spread has shape {spread.shape}, the map {len(found.names)} regions; give a "
            "finite value of 0 or more for each, as from input_spread"
        )
