"""Do maps agree? Compared over seeds, folds and animals by ranks and directions, never sizes."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from corticode.errors import DataError
from corticode.evaluate.intervals import Interval, interval
from corticode.explain.importance_map import ImportanceMap, centre_of_frames

TOP_REGIONS = 4
# An interval wider than this fraction of the window does not determine when.
NARROW = 0.15
# From what is most alike to what is least: what two decoders of a kind have in common falls.
KINDS = ("seed", "fold", "animal")
FEW = "agreement is between maps, and {} is given; give two or more"
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
class DecoderValues:
    """What a map says of each of its parts, and which decoder it is of.

    Parameters
    ----------
    fold, test_animal, seed
        As those of `DecoderMap`.
    values
        One a part (region, cell, mask), shape (part,), the largest the most important; a cost of
        covering may be negative.
    """

    fold: str
    test_animal: str
    seed: int
    values: NDArray[np.float64]


@dataclass(frozen=True)
class Stability:
    """How far maps of several decoders agree.

    Parameters
    ----------
    pairs
        One row a pair of maps: differs (``"seed"``: the seed alone; ``"fold"``: the same animal is
        tested, by decoders of other training animals; ``"animal"``: another animal is tested), a,
        b (fold and seed), rank_correlation, cosine, and shared_top (how many of the first four
        parts, regions or cells, both have).
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
    decoders = [
        DecoderValues(one.fold, one.test_animal, one.seed, row)
        for one, row in zip(maps, seen, strict=True)
    ]
    return compare_values(decoders, n_top=n_top)


def compare_values(
    decoders: Sequence[DecoderValues],
    *,
    what: str = "shares of regions",
    parts: str = "regions",
    n_top: int = TOP_REGIONS,
) -> Stability:
    """Agreement of what every two maps say of their parts.

    Parameters
    ----------
    decoders
        Two or more, with values of the same parts.
    what, parts
        What the values are, and are of, in words.
    n_top
        How many parts come first.

    Raises
    ------
    DataError
        Fewer than two maps, of other numbers of parts, or two of one decoder.

    Examples
    --------
    >>> costs = [DecoderValues("f1", "m1", 0, np.array([0.2, 0.1, -0.1])),
    ...     DecoderValues("f2", "m2", 0, np.array([0.1, 0.2, -0.2]))]
    >>> found = compare_values(costs, what="costs of covering", parts="cells", n_top=1)
    >>> found.words  # doctest: +ELLIPSIS
    'costs of covering in 2 maps: where the tested animal differs ranks correlate by 0.50 (...'
    """
    _check_decoders(decoders)
    values = np.stack([one.values for one in decoders])
    ranked = rank_correlations(values)
    cosines = _cosines(values)
    first = np.argsort(-values, axis=1, kind="stable")[:, :n_top]
    rows = [
        {
            "differs": _difference(decoders[i], decoders[j]),
            "a": f"{decoders[i].fold}, seed {decoders[i].seed}",
            "b": f"{decoders[j].fold}, seed {decoders[j].seed}",
            "rank_correlation": ranked[i, j],
            "cosine": cosines[i, j],
            "shared_top": np.intersect1d(first[i], first[j]).size,
        }
        for i, j in combinations(range(len(decoders)), 2)
    ]
    pairs = pd.DataFrame(rows)
    table = _by_kind(pairs)
    words = f"{what} in {len(decoders)} maps: {_words(table, first.shape[1], parts)}"
    return Stability(pairs, table, words)


@dataclass(frozen=True)
class Moment:
    """When in the window a map lies, over animals or folds.

    Parameters
    ----------
    found
        Mean and t interval, frames.
    is_determined
        Whether three or more have a centre and the interval is at most 0.15 of the window wide.
    """

    found: Interval
    is_determined: bool


def moment_of(centres: NDArray[np.float64], n_frames: int) -> Moment:
    """Whether centres of maps agree on a moment, or on how far it moves.

    Parameters
    ----------
    centres
        As from `corticode.explain.importance_map.centre_of_frames`, or differences of two, one an
        animal or fold; NaN is left out.
    n_frames
        Of the window.

    Examples
    --------
    >>> moment_of(np.array([9.5, 10.0, 10.5]), 31).is_determined
    True
    >>> moment_of(np.array([4.0, 10.0, 16.0]), 31).is_determined
    False
    """
    found = interval(centres)
    # Of centres that are all alike there is no interval: it has no width.
    width = 0.0 if np.isnan(found.low) else found.high - found.low
    return Moment(found, found.n > 2 and width <= NARROW * n_frames)


def moment_of_animals(found: ImportanceMap) -> Moment:
    """When in the window the maps of several animals lie, in frames from its first.

    Parameters
    ----------
    found
        A map over frames, with those of each animal.
    """
    others = tuple(k for k, name in enumerate(found.axes) if name != "frame")
    centres = [centre_of_frames(part.absolute.sum(axis=others)) for part in found.by_animal]
    return moment_of(np.array(centres), len(found.frames))


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


def _difference(a: DecoderValues, b: DecoderValues) -> str:
    if a.test_animal != b.test_animal:
        return "animal"
    return "fold" if a.fold != b.fold else "seed"


def _check_maps(maps: Sequence[DecoderMap]) -> None:
    if len({(one.map.kind, one.map.names) for one in maps}) > 1:
        raise DataError(
            "the maps are of different kinds or regions; compare maps that were made alike"
        )
    if len(maps) < 2:
        raise DataError(FEW.format(len(maps)))


def _check_decoders(decoders: Sequence[DecoderValues]) -> None:
    if len(decoders) < 2:
        raise DataError(FEW.format(len(decoders)))
    sizes = sorted({one.values.size for one in decoders})
    if len(sizes) > 1:
        raise DataError(f"maps of {sizes[0]} and of {sizes[1]} parts cannot be compared")
    known = [(one.fold, one.test_animal, one.seed) for one in decoders]
    twice = next((one for one in known if known.count(one) > 1), None)
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


def _words(table: pd.DataFrame, n_top: int, parts: str) -> str:
    told = []
    for row in table.to_dict("records"):
        n_pairs = "1 pair" if row["n_pairs"] == 1 else f"{row['n_pairs']} pairs"
        told.append(
            f"where {DIFFERS[str(row['differs'])]} ranks correlate by {row['rank_correlation']:.2f}"
            f" (lowest {row['rank_correlation_lowest']:.2f}, {n_pairs}) and "
            f"{row['shared_top']:.1f} of the first {n_top} {parts} are the same"
        )
    return "; ".join(told)
