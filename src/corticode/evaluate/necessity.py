"""Is a set of regions needed, and is it enough? Decoders without it and of it alone, side by side.

Two sets that carry the same information are neither of them needed, and each is enough: a map
that looks at necessity alone finds none of them, one that looks at sufficiency alone finds both
and does not tell that one of them would do.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd

from corticode.errors import DataError, StudyError
from corticode.evaluate.comparisons import check_columns
from corticode.evaluate.intervals import Interval, interval

# A loss that is smaller is near 0; score units (AUC, or R2).
NEAR_ZERO = 0.05
# A set that alone keeps so much of what all regions read above chance is enough.
ENOUGH_SHARE = 0.75
CHANCE = {"auc": 0.5, "r2": 0.0}


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
    *,
    near_zero: float = NEAR_ZERO,
    enough_share: float = ENOUGH_SHARE,
) -> Necessity:
    """What leaving each set of regions out costs, and what each reads alone, over animals.

    A set is needed where the interval of the loss lies above 0 and reaches `near_zero`, not
    needed where it ends below `near_zero`. It is enough where the interval of what it reads alone
    lies above chance and its mean is at least `enough_share` of what all regions read above
    chance; not enough where the mean is less. What intervals leave open is called not settled.

    Parameters
    ----------
    animal_scores
        As from `corticode.evaluate.tables.score_animals`: condition, animal, metric, value.
        Animals without a value under all three conditions are left out of a set's row.
    sets
        One or more; of two or more, each pair is looked at for redundancy.
    near_zero
        A loss below which nothing is needed, in units of the score.
    enough_share
        From 0 to 1.

    Raises
    ------
    DataError
        A condition has no scores, conditions have different metrics, no animal has all three,
        or a column is missing.
    StudyError
        No set, one named twice, or a limit out of range.

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
    if not near_zero > 0 or not 0 < enough_share <= 1:
        raise StudyError(
            f"near_zero is {near_zero:g} and enough_share {enough_share:g}; give a loss above 0 "
            "and a share above 0, at most 1"
        )
    rows = [_row(animal_scores, one, near_zero, enough_share) for one in sets]
    words = [str(row["words"]) for row in rows]
    words += [_together(a, b) for a, b in combinations(rows, 2)]
    return Necessity(pd.DataFrame(rows), tuple(line for line in words if line))


def _row(
    animal_scores: pd.DataFrame, one: SetConditions, near_zero: float, enough_share: float
) -> dict[str, object]:
    values, metric = _values(animal_scores, one)
    chance = CHANCE[metric]
    lost = interval(values["all"] - values["without"])
    alone = interval(values["only"] - chance)
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
        "needed": _is_needed(lost, near_zero),
        "enough": _is_enough(alone, share, enough_share),
    }
    return row | {"words": _words(row)}


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


def _is_needed(lost: Interval, near_zero: float) -> str:
    # NaN ends, of one animal, settle nothing: no comparison with them holds.
    if lost.high < near_zero:
        return "no"
    return "yes" if lost.low > 0 else "not settled"


def _is_enough(alone: Interval, share: float, enough_share: float) -> str:
    if np.isnan(share) or np.isnan(alone.low):
        return "not settled"
    if share < enough_share:
        return "no"
    return "yes" if alone.low > 0 else "not settled"


def _words(row: dict[str, object]) -> str:
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
