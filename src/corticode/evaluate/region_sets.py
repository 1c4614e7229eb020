"""Is a set of regions special? What it decodes alone against other sets of the same size.

A set is judged through the condition's own kind of network, by the scores of decoders that were
trained to decode from whatever regions they are given (`judge_sets`), and beside it by linear
decoders (`compare_region_sets`): ridge regressions from means over short blocks of frames. The
products of all inputs with each other and with the label are taken once a session; a set's decoder
needs only its own rows and columns of them, so that hundreds of sets take seconds. A linear decoder
may not see what a network decodes: it then says nothing of the set.

Two sets that carry the same information are neither of them necessary, and each is sufficient: a
map that looks at necessity alone finds none of them, one that looks at sufficiency alone finds both
and does not tell that one of them would do.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from math import comb

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from corticode.data.regions import RegionTable, select_regions
from corticode.data.windows import Windows
from corticode.errors import DataError, Finding, StudyError
from corticode.evaluate.comparisons import check_columns
from corticode.evaluate.intervals import Interval, interval, score_interval
from corticode.evaluate.nulls import mean_known
from corticode.evaluate.refits import (
    PENALTY,
    check_traces,
    cohort_values,
    column_aucs,
    ridge_weights,
)
from corticode.evaluate.scores import scorable_windows

# Sets are told apart by drawing again: of a small number of possible ones all are listed instead.
LISTED = 5000
N_SETS = 200
EVERY = 3
BLOCK_FRAMES = 3
# Flat inputs differ from their mean by rounding.
ROUNDING = 1e-6
# A loss that is smaller is near 0; score units (AUC, or R2).
NEAR_ZERO = 0.05
# A set that alone keeps so much of what all regions decode above chance is sufficient.
SUFFICIENT_SHARE = 0.75
# With fewer other sets there is a rank and no p.
LEAST_SETS = 99
LINEAR_DECODER = "linear decoder"
CHANCE = {"auc": 0.5, "r2": 0.0}


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


@dataclass(frozen=True)
class SetsBeside:
    """A set of regions and others of its size, by places in the list of regions.

    Parameters
    ----------
    chosen
        The set.
    random, symmetric
        Random sets, and random sets of whole pairs of mirrored regions.
    may_overlap
        Whether they may share regions with it, as the regions outside it make up fewer than two
        sets of its size.
    """

    chosen: RegionSet
    random: tuple[RegionSet, ...]
    symmetric: tuple[RegionSet, ...]
    may_overlap: bool = False


def draw_beside(
    regions: Sequence[int | str],
    names: Sequence[str],
    kept: NDArray[np.intp],
    table: RegionTable | None = None,
    n_sets: int = N_SETS,
) -> SetsBeside:
    """Random sets that a set of regions is judged against: of its size, and disjoint from it.

    The same set, regions and number always give the same draw. Where the other regions make up
    fewer than two sets of the size, the sets drawn may share regions with it.

    Parameters
    ----------
    regions
        The set: numbers, names, groups or sides of regions.
    names
        The regions of the traces, in order.
    kept
        Places of those that the decoder sees.
    table
        Where groups, sides and mirrors are looked up. None, or one without mirrors: no symmetric
        sets are drawn.
    n_sets
        Sets to draw of each kind, all different; all there are, where there are fewer.

    Raises
    ------
    StudyError
        The set holds what is no region, one that is not kept, or all of them.

    Examples
    --------
    >>> found = draw_beside(["b"], "abcd", np.arange(4))
    >>> found.random, found.may_overlap
    (((0,), (2,), (3,)), False)
    >>> draw_beside([1, 2, 3], "abcd", np.arange(4)).may_overlap
    True
    """
    chosen = _chosen(regions, names, table, kept)
    outside = np.setdiff1d(kept, chosen)
    may_overlap = comb(outside.size, len(chosen)) < 2
    drawn_from = kept if may_overlap else outside
    rng = np.random.default_rng(0)
    random, symmetric = (
        tuple(draw_sets(units, len(chosen), n_sets, rng, without=chosen))
        for units in ([(int(k),) for k in drawn_from], mirror_pairs(names, drawn_from, table))
    )
    return SetsBeside(chosen, random, symmetric, may_overlap)


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


Floats = NDArray[np.float32]
NO_SETS: NDArray[np.float64] = np.zeros(0)


@dataclass(frozen=True)
class Rank:
    """How a set of regions stands among others of its size.

    Parameters
    ----------
    random, symmetric
        Values of random sets, and of those made of whole pairs of mirrored regions; shape (set,),
        empty where there is none.
    percentile, percentile_symmetric
        Percentage of them whose value is below that of the set; NaN for none.
    p, p_symmetric
        (1 + those that reach the set's value) / (1 + all); NaN where there are fewer than
        `LEAST_SETS` of them, or they may overlap with the set.
    """

    random: NDArray[np.float64]
    symmetric: NDArray[np.float64]
    percentile: float
    percentile_symmetric: float
    p: float
    p_symmetric: float


def rank_set(
    value: float,
    random: NDArray[np.float64],
    symmetric: NDArray[np.float64] = NO_SETS,
    *,
    may_overlap: bool = False,
) -> Rank:
    """How a set's value stands among those of other sets; higher is more.

    Parameters
    ----------
    value
        What the set decodes alone.
    random, symmetric
        Values of random sets of its size, and of those of mirrored pairs, shape (set,).
    may_overlap
        Whether they may share regions with it: there is then no p.

    Examples
    --------
    >>> found = rank_set(0.9, np.linspace(0.4, 0.6, 99))
    >>> found.percentile, found.p, rank_set(0.9, np.array([0.4, 0.95])).p
    (100.0, 0.01, nan)
    """
    places, ps = [], []
    for others in (random, symmetric):
        places.append(100 * float(np.mean(others < value)) if others.size else np.nan)
        enough = others.size >= LEAST_SETS and not may_overlap
        ps.append(
            (1 + int(np.count_nonzero(others >= value))) / (1 + others.size) if enough else np.nan
        )
    return Rank(random, symmetric, places[0], places[1], ps[0], ps[1])


@dataclass(frozen=True)
class RegionSets:
    """The score of a set of regions among those of other sets of the same size.

    Parameters
    ----------
    regions
        Names of the set.
    value
        Mean over animals of the mean within-session AUC of its decoder.
    by_animal
        The same, apart for each animal.
    value_of_all
        That of all regions the windows keep.
    rank
        How the set stands among random sets, and among those of mirrored pairs.
    held_out
        ``"animal"``, or ``"session"`` where there is one animal.
    findings
        Sessions that were left out, and why.
    words
        All of it as a sentence.
    """

    regions: tuple[str, ...]
    value: float
    by_animal: dict[str, float]
    value_of_all: float
    rank: Rank
    held_out: str
    findings: tuple[Finding, ...]
    words: str


def compare_region_sets(
    windows: Windows,
    regions: Sequence[int | str],
    table: RegionTable | None = None,
    *,
    n_sets: int = N_SETS,
    every: int = EVERY,
) -> RegionSets:
    """The value of a set of regions among those of random sets of the same size.

    Each animal (with one animal: each session) is left out in turn; ridge regression is fitted
    to the others and scored on it. Inputs are means over blocks of three frames of the window, each
    standardised within its session, so that a decoder of a set is a linear decoder of its whole
    windows at a coarser time. It tells whether the regions are special to a linear decoder, not
    to a network.

    Parameters
    ----------
    windows
        Windows of traces with a binary target.
    regions
        The set: numbers, names, groups or sides of regions.
    table
        Where groups, sides and mirrors are looked up. None, or one without mirrors: no symmetric
        sets are drawn.
    n_sets
        Sets to draw of each kind, as by `draw_beside`.
    every
        Only windows of every so many frames are used: neighbouring windows hold nearly the same.

    Raises
    ------
    DataError
        The target is not binary, windows hold movies, or there are not two animals or sessions.
    StudyError
        The set holds what is no region, or all of them; a number out of range.

    Examples
    --------
    >>> from corticode.data.session import Session
    >>> from corticode.data.targets import Target
    >>> from corticode.data.windows import WindowShape, cut_windows
    >>> rng = np.random.default_rng(0)
    >>> run = np.arange(400) // 20 % 2
    >>> sessions = [
    ...     Session(f"m{k}", "a", rng.normal(size=(400, 6)) + run[:, None] * [0, 2, 0, 0, 2, 0],
    ...             tuple("abcdef"), {"run": run}, np.zeros(400, int))
    ...     for k in range(3)
    ... ]
    >>> windows = cut_windows(sessions, Target("run"), WindowShape(2, 2))
    >>> found = compare_region_sets(windows, ["b", "e"])
    >>> found.rank.random.size, found.rank.percentile, found.value > 0.9
    (6, 100.0, True)
    """
    check_traces(windows, "comparing sets of regions")
    if n_sets < 1 or every < 1:
        raise StudyError(f"n_sets is {n_sets} and every {every}; give whole numbers from 1")
    names = windows.recipe.regions
    kept = np.flatnonzero(np.asarray(windows.recipe.kept_regions))
    sets = draw_beside(regions, names, kept, table, n_sets)
    scorable, findings = scorable_windows(windows, "the comparison of region sets")
    scorable = scorable.where(scorable.frame % every == 0)
    blocks = _SessionBlocks(scorable)
    aucs = blocks.score([sets.chosen, tuple(map(int, kept)), *sets.random, *sets.symmetric])
    values = cohort_values(aucs, blocks.animals)
    n_random = 2 + len(sets.random)
    rank = rank_set(
        float(values[0]), values[2:n_random], values[n_random:], may_overlap=sets.may_overlap
    )
    value, of_all = float(values[0]), float(values[1])
    return RegionSets(
        regions=tuple(names[k] for k in sets.chosen),
        value=value,
        by_animal=_by_animal(aucs[0], blocks.animals),
        value_of_all=of_all,
        rank=rank,
        held_out=blocks.held_out,
        findings=tuple(findings),
        words=rank_words(LINEAR_DECODER, sets, kept.size, (value, of_all), rank, "auc"),
    )


class _SessionBlocks:
    """The inputs of each session, made anew when asked for, and what is left out together."""

    def __init__(self, windows: Windows) -> None:
        self.windows = windows
        n_frames = windows.recipe.window.n_frames
        # Where the window is no multiple of a block, its last block is shorter.
        self.edges = [*range(0, n_frames, BLOCK_FRAMES), n_frames]
        codes = [int(k) for k in np.unique(windows.session)]
        self.rows = [np.flatnonzero(windows.session == k) for k in codes]
        self.animals = [windows.animal_names[windows.animal[own[0]]] for own in self.rows]
        groups = pd.factorize(np.array(self.animals))[0]
        self.held_out = "animal" if groups.max() > 0 else "session"
        self.groups = groups if groups.max() > 0 else np.arange(len(codes))
        if len(codes) < 2:
            raise DataError(
                "one session can be scored, and a decoder of its regions needs another to be "
                "fitted on; give a second animal or session"
            )

    def inputs(self, session: int) -> Floats:
        """Block means of a session, standardised, (window, region * block)."""
        windows, start = self.windows, self.windows.start[self.rows[session]]
        n_regions = windows.traces.shape[1]
        kept = np.asarray(windows.recipe.kept_regions)
        means = np.empty((start.size, n_regions, len(self.edges) - 1), np.float32)
        for k, (first, stop) in enumerate(zip(self.edges[:-1], self.edges[1:], strict=True)):
            frames = start[:, None] + np.arange(first, stop)
            means[..., k] = np.where(kept, windows.traces[frames].mean(axis=1), 0)
        flat = means.reshape(start.size, -1)
        about = flat - flat.mean(axis=0)
        spread = about.std(axis=0)
        varies = spread > ROUNDING * np.abs(flat).max(axis=0)
        return np.asarray(np.divide(about, spread, out=np.zeros_like(about), where=varies))

    def score(self, sets: Sequence[RegionSet]) -> NDArray[np.float64]:
        """AUC of each set's decoder in each session, (set, session)."""
        weights = self._weights(sets)
        aucs = np.empty((len(sets), len(self.rows)))
        for k, own in enumerate(self.rows):
            label = np.repeat(self.windows.target[own][:, None], len(sets), axis=1)
            aucs[:, k] = column_aucs(self.inputs(k) @ weights[self.groups[k]], label)
        return aucs

    def _weights(self, sets: Sequence[RegionSet]) -> Floats:
        """Weights without each group, (group, input, set); 0 for inputs of other regions."""
        grams, moments = self._products()
        gram, moment = grams.sum(axis=0), moments.sum(axis=0)
        n_blocks = len(self.edges) - 1
        weights = np.zeros((len(grams), moment.size, len(sets)), np.float32)
        for group in range(len(grams)):
            left, wanted = gram - grams[group], moment - moments[group]
            for k, one in enumerate(sets):
                own = (np.array(one)[:, None] * n_blocks + np.arange(n_blocks)).ravel()
                weights[group, own, k] = ridge_weights(left[np.ix_(own, own)], wanted[own], PENALTY)
        return weights

    def _products(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Of each group: inputs with inputs, and with the label about its session's mean."""
        n_groups = int(self.groups.max()) + 1
        n_inputs = self.windows.traces.shape[1] * (len(self.edges) - 1)
        grams = np.zeros((n_groups, n_inputs, n_inputs))
        moments = np.zeros((n_groups, n_inputs))
        for k, own in enumerate(self.rows):
            inputs, label = self.inputs(k), self.windows.target[own]
            grams[self.groups[k]] += inputs.T @ inputs
            moments[self.groups[k]] += inputs.T @ (label - label.mean())
        return grams, moments


def _chosen(
    regions: Sequence[int | str],
    names: Sequence[str],
    table: RegionTable | None,
    kept: NDArray[np.intp],
) -> RegionSet:
    chosen = np.flatnonzero(select_regions(regions, names, table))
    absent = [names[k] for k in np.setdiff1d(chosen, kept)]
    if absent:
        raise StudyError(
            f"the set holds {', '.join(absent[:5])}, which the windows do not keep; take some of "
            f"{', '.join(names[k] for k in kept[:8])}{', ...' * (kept.size > 8)}"
        )
    if chosen.size == kept.size:
        raise StudyError(
            f"the set holds all {kept.size} regions, so there is no other of its size; name fewer"
        )
    return tuple(int(k) for k in chosen)


def _by_animal(aucs: NDArray[np.float64], animals: Sequence[str]) -> dict[str, float]:
    owner = np.array(animals)
    return {name: float(mean_known(aucs[owner == name])) for name in dict.fromkeys(animals)}


def rank_words(
    decoder: str,
    sets: SetsBeside,
    n_regions: int,
    values: tuple[float, float],
    rank: Rank,
    metric: str,
) -> str:
    """How a set stands among others, as a sentence.

    Parameters
    ----------
    decoder
        What judged it.
    sets
        The set and the others.
    n_regions
        Regions that the decoder sees.
    values
        What the set decodes alone, and what all regions do.
    rank
        How it stands.
    metric
        Of the values.

    Examples
    --------
    >>> sets = SetsBeside((1,), ((0,), (2,)), ())
    >>> print(rank_words("gru", sets, 3, (0.9, 0.95), rank_set(0.9, np.array([0.5, 0.6])), "auc"))
    gru: this 1 of 3 regions alone reaches auc 0.900 (all: 0.950); 0 of 2 random disjoint sets ...
    """
    size = len(sets.chosen)
    these = f"this 1 of {n_regions} regions alone reaches"
    if size > 1:
        these = f"these {size} of {n_regions} regions alone reach"
    found = f"{decoder}: {these} {metric} {values[0]:.3f} (all: {values[1]:.3f})"
    kind = "" if sets.may_overlap else " disjoint"
    for name, others, p in (
        ("random", rank.random, rank.p),
        ("mirror-symmetric", rank.symmetric, rank.p_symmetric),
    ):
        if others.size:
            n_as_high = np.count_nonzero(others >= values[0])
            found += (
                f"; {n_as_high} of {others.size} {name}{kind} sets of the same size reach as much "
                f"(median {np.median(others):.3f})"
            )
            found += f", p = {p:.3f}" if np.isfinite(p) else ", a rank without a p"
    if not rank.symmetric.size:
        found += "; no mirror-symmetric set was drawn"
    if sets.may_overlap:
        found += (
            f": the {n_regions - size} other regions make up no two sets of its size, so that "
            "those drawn may share regions with it"
        )
    elif np.isnan(rank.p):
        found += f": a p needs at least {LEAST_SETS} disjoint sets"
    return found


def set_key(regions: RegionSet) -> str:
    """What a set is called where each is decoded alone: its places in the list of regions.

    Examples
    --------
    >>> set_key((5, 7))
    '5 7'
    """
    return " ".join(map(str, regions))


@dataclass(frozen=True)
class JudgedSet:
    """How a set stands among others through the condition's own kind of network.

    Parameters
    ----------
    value, value_of_all
        Mean over animals of what it decodes alone, and of what all regions do.
    rank
        How it stands.
    words
        All of it as a sentence.
    """

    value: float
    value_of_all: float
    rank: Rank
    words: str


def judge_set(
    sets: SetsBeside,
    scores: Sequence[pd.DataFrame],
    metric: str,
    decoder: str,
    n_regions: int,
) -> JudgedSet:
    """How a set of regions stands among others, by decoders that were given each set alone.

    Parameters
    ----------
    sets
        The set and the others.
    scores
        Of each decoder a table with one row a set and session: mask (the set's `set_key`), animal,
        the metric of all regions, and the metric of the set alone (``auc_covered``), as
        `corticode.explain.occlusion.occlude` gives them.
    metric
        ``"auc"`` or ``"r2"``.
    decoder
        What the decoders are, in words.
    n_regions
        Regions that they see.

    Returns
    -------
    JudgedSet
        A value is the mean over animals of the mean over an animal's decoders of their mean over
        sessions; sets that some decoder was not given are left out.

    Examples
    --------
    >>> table = pd.DataFrame({"mask": ["0", "1", "2"] * 2, "animal": ["a"] * 3 + ["b"] * 3,
    ...     "auc": 0.9, "auc_covered": [0.8, 0.5, 0.6, 0.7, 0.6, 0.5]})
    >>> found = judge_set(SetsBeside((0,), ((1,), (2,)), ()), [table], "auc", "gru", 3)
    >>> found.value, found.rank.random.round(2), found.rank.percentile
    (0.75, array([0.55, 0.55]), 100.0)
    """
    own = pd.concat([table.groupby(["animal", "mask"]).mean(numeric_only=True) for table in scores])
    n_given = own.groupby("mask").size()
    by_animal = own.groupby(["animal", "mask"])[[metric, f"{metric}_covered"]].mean()
    means = by_animal.groupby("mask").mean()[n_given == n_given.max()]
    alone = means[f"{metric}_covered"]

    def values_of(drawn: Sequence[RegionSet]) -> NDArray[np.float64]:
        keys = [key for one in drawn if (key := set_key(one)) in alone.index]
        return alone[keys].to_numpy(np.float64)

    value, of_all = (float(column[set_key(sets.chosen)]) for column in (alone, means[metric]))
    rank = rank_set(
        value, values_of(sets.random), values_of(sets.symmetric), may_overlap=sets.may_overlap
    )
    words = rank_words(decoder, sets, n_regions, (value, of_all), rank, metric)
    return JudgedSet(value, of_all, rank, words)


@dataclass(frozen=True)
class SetConditions:
    """The three conditions that tell of one set of regions; each was trained on its own regions.

    Parameters
    ----------
    name
        Of the set.
    all, without, only
        Names of the conditions of all regions, of all but the set, and of the set alone.

    Raises
    ------
    StudyError
        Two of the three are one condition.
    """

    name: str
    all: str
    without: str
    only: str

    def __post_init__(self) -> None:
        if len({self.all, self.without, self.only}) < 3:
            raise StudyError(
                f"set {self.name!r} has the conditions {self.all!r}, {self.without!r} and "
                f"{self.only!r}; give three different ones: all regions, without it, only it"
            )


def set_names(condition: str, name: str) -> tuple[str, str]:
    """Names of the conditions without a set of regions, and of the set alone.

    Examples
    --------
    >>> set_names("gru", "limbs")
    ('gru: without limbs', 'gru: limbs only')
    """
    return f"{condition}: without {name}", f"{condition}: {name} only"


@dataclass(frozen=True)
class Necessity:
    """Necessity and sufficiency of one or more sets of regions.

    Parameters
    ----------
    table
        One row a set: set, metric, n_animals, value_all, value_without, value_only, necessity
        (all minus without), necessity_low, necessity_high, sufficiency (that of the set alone minus
        chance), sufficiency_low, sufficiency_high (95 %, t over animals), share_kept (sufficiency
        as a fraction of what all regions decode above chance; NaN where they decode nothing),
        margin (sufficiency minus `SUFFICIENT_SHARE` of what all regions decode above chance),
        margin_low, margin_high, necessary and sufficient (``"yes"``, ``"no"`` or
        ``"not settled"``) and words.
    words
        What the sets say together.
    """

    table: pd.DataFrame
    words: tuple[str, ...]


def dropout_name(condition: str) -> str:
    """Name of the condition whose decoders learn to decode from whatever regions they are given.

    Examples
    --------
    >>> dropout_name("gru")
    'gru: region dropout'
    """
    return f"{condition}: region dropout"


def set_side_by_side(
    animal_scores: pd.DataFrame,
    sets: Sequence[SetConditions],
) -> Necessity:
    """What leaving each set of regions out costs, and what each decodes alone, over animals.

    A set is necessary where the interval of the loss lies above 0 and reaches `NEAR_ZERO`, not
    necessary where it ends below it. It is sufficient where the interval of what it decodes alone
    lies above chance, and that of its excess over `SUFFICIENT_SHARE` of what all regions decode
    above chance lies above 0; not sufficient where the latter lies below 0. What intervals leave
    open is called not settled.

    Parameters
    ----------
    animal_scores
        As from `corticode.evaluate.scores.score_animals`: condition, animal, metric, value.
        Animals without a value under all three conditions are left out of a set's row.
    sets
        One or more; of two or more, each pair is looked at for redundancy.

    Raises
    ------
    DataError
        A condition has no scores, conditions have different metrics, no animal has all three,
        or a column is missing.
    StudyError
        No set, or one named twice.

    Examples
    --------
    >>> scores = pd.DataFrame({"condition": np.repeat(["gru", "no limbs", "limbs"], 3),
    ...     "metric": "auc", "animal": ["m1", "m2", "m3"] * 3,
    ...     "value": [0.97, 0.98, 0.96, 0.96, 0.98, 0.95, 0.95, 0.96, 0.95]})
    >>> found = set_side_by_side(scores, [SetConditions("limbs", "gru", "no limbs", "limbs")])
    >>> found.table[["necessity", "share_kept", "margin", "necessary", "sufficient"]].round(2)
       necessity  share_kept  margin necessary sufficient
    0       0.01        0.96     0.1        no        yes
    """
    check_columns(animal_scores, ("condition", "animal", "metric", "value"), "animal scores")
    names = [one.name for one in sets]
    if not names or len(set(names)) < len(names):
        raise StudyError(f"sets are {', '.join(names) or 'none'}; give one or more, each once")
    rows = [_row(animal_scores, one) for one in sets]
    words = [str(row["words"]) for row in rows]
    words += [_together(a, b) for a, b in combinations(rows, 2)]
    return Necessity(pd.DataFrame(rows), tuple(line for line in words if line))


def _row(animal_scores: pd.DataFrame, one: SetConditions) -> dict[str, object]:
    values, metric = _values(animal_scores, one)
    chance = CHANCE[metric]
    lost = interval(values["all"] - values["without"])
    only = score_interval(values["only"], metric)
    alone = replace(only, mean=only.mean - chance, low=only.low - chance, high=only.high - chance)
    read = float(values["all"].mean()) - chance
    share = alone.mean / read if read > 0 else float("nan")
    margin = interval(values["only"] - chance - SUFFICIENT_SHARE * (values["all"] - chance))
    row = {
        "set": one.name,
        "metric": metric,
        "n_animals": len(values),
        "value_all": float(values["all"].mean()),
        "value_without": float(values["without"].mean()),
        "value_only": float(values["only"].mean()),
        **_ends("necessity", lost),
        **_ends("sufficiency", alone),
        "share_kept": share,
        **_ends("margin", margin),
        "necessary": _is_necessary(lost),
        "sufficient": _is_sufficient(alone, margin, share),
    }
    return row | {"words": _necessity_words(row)}


def _values(animal_scores: pd.DataFrame, one: SetConditions) -> tuple[pd.DataFrame, str]:
    """Of each animal that has all three: its values, columns all, without, only; the metric."""
    columns, metrics = {}, set()
    for key in ("all", "without", "only"):
        condition = getattr(one, key)
        rows = animal_scores[animal_scores["condition"] == condition]
        if rows.empty:
            known = ", ".join(map(repr, animal_scores["condition"].unique())) or "none"
            raise DataError(
                f"set {one.name!r} needs condition {condition!r}, which has no animal scores; "
                f"those that have: {known}"
            )
        metrics |= set(rows["metric"])
        columns[key] = rows.groupby("animal", sort=False)["value"].mean()
    if len(metrics) > 1:
        raise DataError(
            f"the conditions of set {one.name!r} have {' and '.join(sorted(metrics))}; take "
            "conditions that decode the same target"
        )
    values = pd.DataFrame(columns).dropna()
    if values.empty:
        raise DataError(
            f"no animal has a value under all three conditions of set {one.name!r}; run them over "
            "the same folds"
        )
    return values, str(metrics.pop())


def _ends(name: str, found: Interval) -> dict[str, float]:
    return {name: found.mean, f"{name}_low": found.low, f"{name}_high": found.high}


def _is_necessary(lost: Interval) -> str:
    # NaN ends, of one animal, settle nothing: no comparison with them holds.
    if lost.high < NEAR_ZERO:
        return "no"
    return "yes" if lost.low > 0 else "not settled"


def _is_sufficient(alone: Interval, margin: Interval, share: float) -> str:
    if np.isnan(share):
        return "not settled"
    if margin.high < 0:
        return "no"
    return "yes" if margin.low > 0 and alone.low > 0 else "not settled"


def _necessity_words(row: dict[str, object]) -> str:
    necessary = {"yes": "necessary", "no": "not necessary"}
    sufficient = {"yes": "sufficient alone", "no": "not sufficient alone"}
    lost, alone = (
        f"{row[name]:.3f} [{row[f'{name}_low']:.3f}, {row[f'{name}_high']:.3f}]"
        for name in ("necessity", "sufficiency")
    )
    animals = "1 animal" if row["n_animals"] == 1 else f"{row['n_animals']} animals"
    margin = f"{row['margin']:+.3f} [{row['margin_low']:+.3f}, {row['margin_high']:+.3f}]"
    share = (
        f", {row['share_kept']:.0%} of what all regions do ({margin} beside "
        f"{SUFFICIENT_SHARE:.0%} of it)"
    )
    if np.isnan(float(str(row["share_kept"]))):
        share = ", and all regions decode nothing"
    return (
        f"{row['set']}, {animals}: leaving it out costs {lost} {row['metric']}: "
        f"{necessary.get(str(row['necessary']), 'not settled whether it is necessary')}; alone it "
        f"decodes {alone} above chance{share}: "
        f"{sufficient.get(str(row['sufficient']), 'not settled whether it is sufficient')}"
    )


def _together(a: dict[str, object], b: dict[str, object]) -> str:
    """What two sets say together, where they are alike."""
    pair = f"{a['set']} and {b['set']}"
    told = {(row["necessary"], row["sufficient"]) for row in (a, b)}
    if told == {("no", "yes")}:
        return f"{pair} are redundant: neither is necessary, and each is sufficient"
    if told == {("yes", "no")}:
        return f"{pair} add to each other: each is necessary, and neither is sufficient alone"
    if told == {("no", "no")}:
        return f"{pair}: neither is necessary, and neither is sufficient alone"
    return ""
