"""Is a set of regions special? Its linear decoder against those of other sets of the same size.

Each set is a ridge regression from means over short blocks of frames. The products of all inputs
with each other and with the label are taken once a session; a set's decoder needs only its own
rows and columns of them, so that hundreds of sets take seconds.

Two sets that carry the same information are neither of them needed, and each is enough: a map
that looks at necessity alone finds none of them, one that looks at sufficiency alone finds both
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
# A set that alone keeps so much of what all regions read above chance is enough.
ENOUGH_SHARE = 0.75
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
    random, symmetric
        Values of random sets, and of those made of whole pairs of mirrored regions; shape (set,),
        empty where there is none.
    percentile, percentile_symmetric
        Percentage of them whose value is below that of the set; NaN for none.
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
    random: NDArray[np.float64]
    symmetric: NDArray[np.float64]
    percentile: float
    percentile_symmetric: float
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
        Sets to draw of each kind, all different and none the given one; all there are, where
        there are fewer.
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
    >>> found.random.size, found.percentile, found.value > 0.9
    (14, 100.0, True)
    """
    check_traces(windows, "comparing sets of regions")
    if n_sets < 1 or every < 1:
        raise StudyError(f"n_sets is {n_sets} and every {every}; give whole numbers from 1")
    names = windows.recipe.regions
    kept = np.flatnonzero(np.asarray(windows.recipe.kept_regions))
    chosen = _chosen(windows, regions, table, kept)
    scorable, findings = scorable_windows(windows, "the comparison of region sets")
    scorable = scorable.where(scorable.frame % every == 0)
    blocks = _SessionBlocks(scorable)
    rng = np.random.default_rng(0)
    random = draw_sets([(int(k),) for k in kept], len(chosen), n_sets, rng, without=chosen)
    pairs = mirror_pairs(names, kept, table)
    symmetric = draw_sets(pairs, len(chosen), n_sets, rng, without=chosen)
    aucs = blocks.score([chosen, tuple(map(int, kept)), *random, *symmetric])
    values = cohort_values(aucs, blocks.animals)
    n_random = 2 + len(random)
    drawn = {"random": values[2:n_random], "mirror-symmetric": values[n_random:]}
    below = {name: _percentile(values[0], others) for name, others in drawn.items()}
    return RegionSets(
        regions=tuple(names[k] for k in chosen),
        value=float(values[0]),
        by_animal=_by_animal(aucs[0], blocks.animals),
        value_of_all=float(values[1]),
        random=drawn["random"],
        symmetric=drawn["mirror-symmetric"],
        percentile=below["random"],
        percentile_symmetric=below["mirror-symmetric"],
        held_out=blocks.held_out,
        findings=tuple(findings),
        words=_words(len(chosen), len(kept), float(values[0]), float(values[1]), drawn),
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
    windows: Windows,
    regions: Sequence[int | str],
    table: RegionTable | None,
    kept: NDArray[np.intp],
) -> RegionSet:
    names = windows.recipe.regions
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


def _percentile(value: float, others: NDArray[np.float64]) -> float:
    return 100 * float(np.mean(others < value)) if others.size else float("nan")


def _words(
    size: int, n_regions: int, value: float, of_all: float, drawn: dict[str, NDArray[np.float64]]
) -> str:
    found = (
        f"a linear decoder of these {size} of {n_regions} regions reads {value:.3f} "
        f"(of all: {of_all:.3f})"
    )
    for name, others in drawn.items():
        if others.size:
            found += (
                f"; {np.count_nonzero(others < value)} of {others.size} {name} sets of the same "
                f"size read less (median {np.median(others):.3f})"
            )
    if not drawn["mirror-symmetric"].size:
        found += "; no mirror-symmetric set was drawn"
    return found


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
        (all less without), necessity_low, necessity_high, sufficiency (that of the set alone less
        chance), sufficiency_low, sufficiency_high (95 %, t over animals), share_kept (sufficiency
        as a share of what all regions read above chance; NaN where they read nothing), needed and
        enough (``"yes"``, ``"no"`` or ``"not settled"``) and words.
    words
        What the sets say together.
    """

    table: pd.DataFrame
    words: tuple[str, ...]


def set_side_by_side(
    animal_scores: pd.DataFrame,
    sets: Sequence[SetConditions],
) -> Necessity:
    """What leaving each set of regions out costs, and what each reads alone, over animals.

    A set is needed where the interval of the loss lies above 0 and reaches `NEAR_ZERO`, not
    needed where it ends below it. It is enough where the interval of what it reads alone
    lies above chance and its mean is at least `ENOUGH_SHARE` of what all regions read above
    chance; not enough where the mean is less. What intervals leave open is called not settled.

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
    >>> found.table[["necessity", "sufficiency", "share_kept", "needed", "enough"]].round(2)
       necessity  sufficiency  share_kept needed enough
    0       0.01         0.45        0.96     no    yes
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
        "needed": _is_needed(lost),
        "enough": _is_enough(alone, share),
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


def _is_needed(lost: Interval) -> str:
    # NaN ends, of one animal, settle nothing: no comparison with them holds.
    if lost.high < NEAR_ZERO:
        return "no"
    return "yes" if lost.low > 0 else "not settled"


def _is_enough(alone: Interval, share: float) -> str:
    if np.isnan(share) or np.isnan(alone.low):
        return "not settled"
    if share < ENOUGH_SHARE:
        return "no"
    return "yes" if alone.low > 0 else "not settled"


def _necessity_words(row: dict[str, object]) -> str:
    needed = {"yes": "it is needed", "no": "it is not needed"}
    enough = {"yes": "it is enough alone", "no": "it is not enough alone"}
    lost, alone = (
        f"{row[name]:.3f} [{row[f'{name}_low']:.3f}, {row[f'{name}_high']:.3f}]"
        for name in ("necessity", "sufficiency")
    )
    animals = "1 animal" if row["n_animals"] == 1 else f"{row['n_animals']} animals"
    share = f", {row['share_kept']:.0%} of what all regions do"
    if np.isnan(float(str(row["share_kept"]))):
        share = ", and all regions read nothing"
    return (
        f"{row['set']}, {animals}: leaving it out costs {lost} {row['metric']}: "
        f"{needed.get(str(row['needed']), 'not settled whether it is needed')}; alone it reads "
        f"{alone} above chance{share}: "
        f"{enough.get(str(row['enough']), 'not settled whether it is enough')}"
    )


def _together(a: dict[str, object], b: dict[str, object]) -> str:
    """What two sets say together, where they are alike."""
    pair = f"{a['set']} and {b['set']}"
    told = {(row["needed"], row["enough"]) for row in (a, b)}
    if told == {("no", "yes")}:
        return f"{pair} are redundant: neither is needed, and neither is alone in knowing"
    if told == {("yes", "no")}:
        return f"{pair} add to each other: each is needed, and neither is enough alone"
    if told == {("no", "no")}:
        return f"{pair}: neither is needed, and neither is enough alone"
    return ""
