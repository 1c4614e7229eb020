"""Do maps agree? Shares of regions compared over seeds, folds and animals, never magnitudes."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from corticode.errors import DataError
from corticode.explain.importance_map import ImportanceMap

TOP_REGIONS = 4
# From what is most alike to what is least: what two decoders of a kind have in common falls.
KINDS = ("seed", "fold", "animal")
DIFFERS = {
    "seed": "the seed alone differs",
    "fold": "the training animals differ",
    "animal": "the tested animal differs",
}


@dataclass(frozen=True)
class DecoderMap:
    """A map over regions, and which decoder it is of.

    Parameters
    ----------
    fold
        Name of the decoder's fold.
    test_animal
        The animal whose windows were explained.
    seed
        Of the decoder.
    map
        Its map.
    """

    fold: str
    test_animal: str
    seed: int
    map: ImportanceMap


@dataclass(frozen=True)
class Stability:
    """How far maps of several decoders agree.

    Parameters
    ----------
    pairs
        One row a pair of maps: differs (``"seed"``: the seed alone; ``"fold"``: the same animal is
        tested, by decoders of other training animals; ``"animal"``: another animal is tested), a,
        b (fold and seed), rank_correlation, cosine, and shared_top (how many of the first four
        regions both have).
    table
        One row a kind of pair: differs, n_pairs, and mean and lowest of each.
    words
        All of it as a sentence.
    """

    pairs: pd.DataFrame
    table: pd.DataFrame
    words: str


def compare_maps(maps: Sequence[DecoderMap], *, n_top: int = TOP_REGIONS) -> Stability:
    """Agreement of the shares of regions between every two maps.

    Pairs share decoders and animals, so that there are fewer values than pairs: no p-value is
    made of them.

    Parameters
    ----------
    maps
        Maps over the same regions. Regions without a share in any of them, which no decoder saw,
        are left out.
    n_top
        How many regions come first.

    Returns
    -------
    Stability
        Correlations are NaN where all shares of a map are equal.

    Raises
    ------
    DataError
        Fewer than two maps, maps of different kinds or regions, or two of one decoder.

    Examples
    --------
    >>> def of(shares):
    ...     return ImportanceMap("deep-shap", "logit", ("frame", "region"), np.array([shares]),
    ...         names=tuple("abcde"), frames=(0,))
    >>> maps = [DecoderMap("f1", "m1", 0, of([5.0, 4, 3, 2, 1])),
    ...     DecoderMap("f1", "m1", 1, of([50.0, 30, 40, 20, 10])),
    ...     DecoderMap("f2", "m2", 0, of([1.0, 2, 3, 4, 5]))]
    >>> compare_maps(maps).table.round(2)[["differs", "n_pairs", "rank_correlation", "cosine"]]
      differs  n_pairs  rank_correlation  cosine
    0    seed        1              0.90    0.98
    1  animal        2             -0.95    0.65
    """
    _check_maps(maps)
    shares = np.stack([one.map.by_region() for one in maps])
    seen = shares[:, shares.any(axis=0)]
    ranked = rank_correlations(seen)
    cosines = _cosines(seen)
    first = np.argsort(-seen, axis=1, kind="stable")[:, :n_top]
    rows = [
        {
            "differs": _difference(maps[i], maps[j]),
            "a": f"{maps[i].fold}, seed {maps[i].seed}",
            "b": f"{maps[j].fold}, seed {maps[j].seed}",
            "rank_correlation": ranked[i, j],
            "cosine": cosines[i, j],
            "shared_top": np.intersect1d(first[i], first[j]).size,
        }
        for i, j in combinations(range(len(maps)), 2)
    ]
    pairs = pd.DataFrame(rows)
    table = _by_kind(pairs)
    return Stability(pairs, table, _words(table, len(maps), first.shape[1]))


def rank_correlations(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Spearman's rank correlation of every two rows; ties have their mean rank.

    Parameters
    ----------
    values
        Shape (row, region).

    Returns
    -------
    NDArray
        Shape (row, row); NaN with rows whose values are all equal.

    Examples
    --------
    >>> rank_correlations(np.array([[1.0, 2, 3], [2, 4, 9], [3, 2, 1]]))[0].round(6).tolist()
    [1.0, 1.0, -1.0]
    """
    ranks = pd.DataFrame(values).rank(axis=1).to_numpy()
    about = ranks - ranks.mean(axis=1, keepdims=True)
    return _cosines(about)


def _cosines(values: NDArray[np.float64]) -> NDArray[np.float64]:
    lengths = np.linalg.norm(values, axis=1)
    scale = np.outer(lengths, lengths)
    empty = np.full(scale.shape, np.nan)
    return np.asarray(np.divide(values @ values.T, scale, out=empty, where=scale > 0))


def _difference(a: DecoderMap, b: DecoderMap) -> str:
    if a.test_animal != b.test_animal:
        return "animal"
    return "fold" if a.fold != b.fold else "seed"


def _check_maps(maps: Sequence[DecoderMap]) -> None:
    if len(maps) < 2:
        raise DataError(f"agreement is between maps, and {len(maps)} is given; give two or more")
    if len({(one.map.kind, one.map.names) for one in maps}) > 1:
        raise DataError(
            "the maps are of different kinds or regions; compare maps that were made alike"
        )
    decoders = [(one.fold, one.test_animal, one.seed) for one in maps]
    twice = next((one for one in decoders if decoders.count(one) > 1), None)
    if twice is not None:
        raise DataError(
            f"two maps are of fold {twice[0]!r}, animal {twice[1]!r} and seed {twice[2]}; give one "
            "map a decoder and animal"
        )


def _by_kind(pairs: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for kind in KINDS:
        own = pairs[pairs["differs"] == kind]
        if own.empty:
            continue
        row: dict[str, object] = {"differs": kind, "n_pairs": len(own)}
        for name in ("rank_correlation", "cosine", "shared_top"):
            row |= {name: own[name].mean(), f"{name}_lowest": own[name].min()}
        rows.append(row)
    return pd.DataFrame(rows)


def _words(table: pd.DataFrame, n_maps: int, n_top: int) -> str:
    parts = []
    for row in table.to_dict("records"):
        n_pairs = "1 pair" if row["n_pairs"] == 1 else f"{row['n_pairs']} pairs"
        parts.append(
            f"where {DIFFERS[str(row['differs'])]} ranks correlate by {row['rank_correlation']:.2f}"
            f" (lowest {row['rank_correlation_lowest']:.2f}, {n_pairs}) and "
            f"{row['shared_top']:.1f} of the first {n_top} regions are the same"
        )
    return f"shares of regions in {n_maps} maps: " + "; ".join(parts)
