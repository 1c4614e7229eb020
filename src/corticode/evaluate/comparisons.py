"""Conditions set against each other: over animals, and beside it over splits as published.

Splits share animals and decoders share training data, so that twenty splits of five animals are
not twenty values. The primary comparison therefore has one difference an animal; the rank sum
over splits stands beside it because it was published.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from corticode.errors import DataError, StudyError
from corticode.evaluate.intervals import (
    bootstrap_interval,
    equivalence_test,
    group_permutation_test,
    holm,
    interval,
    rank_sum_test,
    score_interval,
    sign_flip_test,
    smallest_sign_flip_p,
    t_test,
    welch_interval,
)
from corticode.evaluate.scores import score_animals

LEVEL = 0.05
# What names a decoder, and a session that it is scored on.
FOLD = ["fold", "seed"]
SESSION = [*FOLD, "animal", "session"]
PAIRED_T = "paired t over animals"
SIGN_FLIP = "exact sign-flip over animals"
EQUIVALENCE = "two one-sided t over animals (equivalence)"
AS_PUBLISHED = "rank sum over splits (as published)"
COLUMNS = (
    "comparison",
    "condition_a",
    "condition_b",
    "metric",
    "method",
    "unit",
    "n",
    "effect",
    "low",
    "high",
    "p",
    "p_holm",
    "smallest_p",
    "same_direction",
    "disagrees",
    "note",
)


GROUP_COLUMNS = (
    "condition",
    "metric",
    "group",
    "against",
    "method",
    "n",
    "n_against",
    "value",
    "low",
    "high",
    "p",
    "p_holm",
    "smallest_p",
    "note",
)


@dataclass(frozen=True)
class Comparison:
    """Conditions that are set against each other, two by two.

    Parameters
    ----------
    name
        The family, a figure for instance: p-values are adjusted for all pairs of one name.
    conditions
        Names of two or more conditions; an effect is the earlier one less the later one.
    against
        A condition that each of the others is compared with, in the place of one another; an
        effect is then the other less this one, and one other is enough.

    Raises
    ------
    StudyError
        Too few conditions, or one named twice.

    Examples
    --------
    >>> Comparison("networks", ("gru", "lstm", "rnn")).pairs
    (('gru', 'lstm'), ('gru', 'rnn'), ('lstm', 'rnn'))
    >>> Comparison("beside the gru", ("lstm", "rnn"), against="gru").pairs
    (('lstm', 'gru'), ('rnn', 'gru'))
    """

    name: str
    conditions: tuple[str, ...]
    against: str | None = None

    def __post_init__(self) -> None:
        named = [*self.conditions, *([] if self.against is None else [self.against])]
        if len(named) < 2 or len(set(named)) < len(named):
            raise StudyError(
                f"comparison {self.name!r} names {', '.join(map(repr, named)) or 'none'};"
                " give two or more conditions, each once"
            )

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """Every two of the conditions in their order, or each with the one it is set against."""
        if self.against is not None:
            return tuple((name, self.against) for name in self.conditions)
        return tuple(combinations(self.conditions, 2))


def compare_pair(
    animal_scores: pd.DataFrame,
    family: str,
    pair: tuple[str, str],
    *,
    split_scores: pd.DataFrame | None = None,
    within: float | None = None,
) -> pd.DataFrame:
    """Effects of one condition over another, with intervals and p-values, one row a method.

    A pair has a row ``"paired t over animals"``, which is the primary one, one
    ``"exact sign-flip over animals"``, one for the bootstrap (an interval only) and, with
    `split_scores`, one ``"rank sum over splits (as published)"``; with `within`, one
    ``"two one-sided t over animals (equivalence)"``, whose interval is of 90 %. Animals without a
    value under either condition are left out. `with_families` adds what all pairs of a family
    decide.

    Parameters
    ----------
    animal_scores
        As from `corticode.evaluate.scores.score_animals`: condition, animal, metric, value.
    family, pair
        The comparison's name, and two conditions.
    split_scores
        One row a decoder, with condition and a column of the metric, which there is the score of
        all windows of a split pooled; ``None``: nothing is compared as published.
    within
        A difference that is too small to matter; ``None``: equivalence is not tested.

    Returns
    -------
    DataFrame
        comparison, condition_a, condition_b, metric, method, unit (``"animal"`` or ``"split"``),
        n (animals that have both; splits of each condition, of the smaller), effect (a - b),
        low, high (95 %), p, p_holm (blank), smallest_p (what the design allows; NaN where there is
        no such bound), same_direction (``"4 of 5 animals"``), disagrees (blank) and note.

    Raises
    ------
    DataError
        A condition has no scores, two conditions have different metrics, or a column is missing.

    Examples
    --------
    >>> scores = pd.DataFrame({"condition": ["gru"] * 3 + ["rnn"] * 3, "metric": "auc",
    ...     "animal": ["m1", "m2", "m3"] * 2, "value": [0.9, 0.8, 0.95, 0.8, 0.75, 0.9]})
    >>> table = compare_pair(scores, "networks", ("gru", "rnn"))
    >>> table[["method", "n", "effect", "p", "same_direction"]].head(2).round(3)
                             method  n  effect      p  same_direction
    0         paired t over animals  3   0.067  0.057  3 of 3 animals
    1  exact sign-flip over animals  3   0.067  0.250  3 of 3 animals
    """
    check_columns(animal_scores, ("condition", "animal", "metric", "value"), "animal scores")
    a, b = pair
    names = {"comparison": family, "condition_a": a, "condition_b": b}
    metric = _shared_metric(animal_scores, family, a, b)
    differences = _differences(animal_scores, a, b)
    rows = [names | {"metric": metric} | row for row in _over_animals(differences)]
    if within is not None:
        rows.append(names | {"metric": metric} | _equivalence(differences, within))
    if split_scores is not None:
        rows.append(names | _as_published(split_scores, a, b, metric))
    return pd.DataFrame(rows).reindex(columns=list(COLUMNS))


def with_families(rows: pd.DataFrame) -> pd.DataFrame:
    """Pairs with p-values adjusted over each family, and where two verdicts disagree.

    Holm's adjustment is over the pairs of one comparison's name, metric and method; verdicts
    disagree where the one as published and the animals' interval differ.

    Parameters
    ----------
    rows
        Of `compare_pair`, all pairs of every family one below the other.
    """
    table = rows.copy()
    family = table.groupby(["comparison", "metric", "method"], sort=False, dropna=False)["p"]
    table["p_holm"] = family.transform(holm).astype(np.float64)
    table["disagrees"] = _disagreements(table)
    return table


def check_columns(table: pd.DataFrame, needed: Sequence[str], what: str) -> None:
    """Refuse a table that lacks a column.

    Raises
    ------
    DataError
        A column of `needed` is missing; the message names the table as `what`.
    """
    missing = [name for name in needed if name not in table]
    if missing:
        found = ", ".join(map(str, table.columns))
        raise DataError(f"the {what} have no column {', '.join(missing)}; they have {found}")


def _rows_of(table: pd.DataFrame, condition: str, what: str) -> pd.DataFrame:
    rows = table[table["condition"] == condition]
    if rows.empty:
        known = ", ".join(map(repr, table["condition"].unique())) or "none"
        raise DataError(
            f"condition {condition!r} is compared but has no {what}; those that have: {known}"
        )
    return rows


def _shared_metric(animal_scores: pd.DataFrame, comparison: str, a: str, b: str) -> str:
    of_a, of_b = (
        str(_rows_of(animal_scores, name, "animal scores")["metric"].iloc[0]) for name in (a, b)
    )
    if of_a != of_b:
        raise DataError(
            f"comparison {comparison!r} sets {a!r}, which has {of_a}, against {b!r}, which has "
            f"{of_b}; compare conditions that decode the same kind of target"
        )
    return of_a


def _differences(animal_scores: pd.DataFrame, a: str, b: str) -> NDArray[np.float64]:
    """Each animal's value under a less that under b, where it has both."""
    of_a, of_b = (
        _rows_of(animal_scores, name, "animal scores").groupby("animal", sort=False)["value"].mean()
        for name in (a, b)
    )
    # Animals that one condition lacks are NaN here, and go with the blank ones.
    return (of_a - of_b).dropna().to_numpy(dtype=np.float64)


def _over_animals(differences: NDArray[np.float64]) -> Iterator[dict[str, object]]:
    """The rows of one pair that have an animal as their unit."""
    n = differences.size
    found = interval(differences)
    drawn = bootstrap_interval(differences)
    floor = smallest_sign_flip_p(n)
    shared = {
        "unit": "animal",
        "n": n,
        "effect": found.mean,
        "same_direction": _agreeing(differences),
    }
    ends = {"low": found.low, "high": found.high}
    unknown = {"low": np.nan, "high": np.nan, "smallest_p": np.nan, "p": np.nan}
    yield (
        shared
        | unknown
        | ends
        | {
            "method": PAIRED_T,
            "p": t_test(differences),
            "note": _no_interval(n, found.low),
        }
    )
    yield (
        shared
        | unknown
        | {
            "method": SIGN_FLIP,
            "p": sign_flip_test(differences),
            "smallest_p": floor,
            "note": cannot_reach(floor, f"{n} {'animal' if n == 1 else 'animals'}"),
        }
    )
    yield (
        shared
        | unknown
        | {
            "method": drawn.method,
            "low": drawn.low,
            "high": drawn.high,
            "note": "beside only: no p-value is made of it",
        }
    )


def compare_groups(
    session_scores: pd.DataFrame, groups: Mapping[tuple[str, str], str]
) -> pd.DataFrame:
    """Scores by group of animals, and the difference between each two groups.

    Where animals have sessions of one group each, groups are set against each other over animals:
    Welch's interval, and p over all ways to deal the animals to groups of these sizes. Where the
    animals have sessions of both (a drug, say), each animal's difference is taken: Student's
    interval, and p by sign-flip. Groups that share some of their animals are not compared.

    Parameters
    ----------
    session_scores
        Tables of `corticode.evaluate.scores.score_sessions` with condition, fold and seed added.
    groups
        The group of each session, by its animal and name; sessions without one play no part.

    Returns
    -------
    DataFrame
        One row a condition and group, and one a condition and pair of groups: condition, metric,
        group, against (empty: the group itself), method, n and n_against (animals with a value),
        value (the mean, or the difference), low, high (95 %), p, p_holm (over the pairs of a
        condition), smallest_p and note.

    Examples
    --------
    >>> table = pd.DataFrame({"condition": "gru", "fold": "f", "seed": 0, "animal": list("abcdef"),
    ...     "session": "s", "first_frame": 0, "last_frame": 9, "n_bouts_0": 3, "n_bouts_1": 3,
    ...     "auc": [0.9, 0.8, 0.95, 0.7, 0.75, 0.6]})
    >>> found = compare_groups(table, {(a, "s"): "wt" if a < "d" else "ko" for a in "abcdef"})
    >>> found[["group", "against", "n", "n_against", "value", "p"]].round(2)
      group against  n  n_against  value    p
    0    wt          3        NaN   0.88  NaN
    1    ko          3        NaN   0.68  NaN
    2    wt      ko  3        3.0   0.20  0.1
    """
    named = pd.Series(
        list(zip(session_scores["animal"], session_scores["session"], strict=True)),
        index=session_scores.index,
    ).map(groups.get)
    known = session_scores.assign(group=named)
    known = known[known["group"].notna() & (known["group"] != "")]
    tables = [
        _groups_of(str(condition), own) for condition, own in known.groupby("condition", sort=False)
    ]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=GROUP_COLUMNS)


def _groups_of(condition: str, own: pd.DataFrame) -> pd.DataFrame:
    """The rows of one condition."""
    values: dict[str, pd.Series] = {}
    metric = ""
    for group, sessions in own.groupby("group", sort=False):
        scores = score_animals(sessions)
        metric = str(scores["metric"].iloc[0])
        values[str(group)] = scores.set_index("animal")["value"].dropna()
    rows: list[dict[str, object]] = []
    for group, known in values.items():
        found = score_interval(known.to_numpy(np.float64), metric)
        note = "one animal: how much animals differ is not known" if found.n == 1 else ""
        ends = {"value": found.mean, "low": found.low, "high": found.high}
        rows.append(
            {"group": group, "against": "", "method": found.method, "n": found.n}
            | ends
            | {"note": note}
        )
    rows += [
        {"group": one, "against": other} | _between(values[one], values[other])
        for one, other in combinations(values, 2)
    ]
    table = pd.DataFrame(rows).assign(condition=condition, metric=metric)
    table = table.reindex(columns=list(GROUP_COLUMNS))
    table["p_holm"] = holm(table["p"].astype(np.float64))
    return table


def _between(one: pd.Series, other: pd.Series) -> dict[str, object]:
    """The difference of two groups' values, each a series over animals."""
    shared = one.index.intersection(other.index)
    counts: dict[str, object] = {"n": one.size, "n_against": other.size}
    if len(shared) and (len(shared) < one.size or len(shared) < other.size):
        return counts | {
            "note": f"not compared: {len(shared)} of the animals are in both, the others in one"
        }
    if len(shared):
        differences = (one[shared] - other[shared]).to_numpy(np.float64)
        found, p = interval(differences), sign_flip_test(differences)
        floor, method = smallest_sign_flip_p(found.n), f"{PAIRED_T}; sign-flip"
        design = f"{found.n} animals in both groups"
    else:
        found = welch_interval(one, other)
        p, floor = group_permutation_test(one, other)
        method = f"{found.method}; permutation of the animals' groups"
        design = f"{one.size} and {other.size} animals"
    notes = []
    if min(one.size, other.size) < 2:
        notes.append("a group of one animal: no interval")
    if reach := cannot_reach(floor, design):
        notes.append(reach)
    return counts | {
        "method": method,
        "value": found.mean,
        "low": found.low,
        "high": found.high,
        "p": p,
        "smallest_p": floor,
        "note": "; ".join(notes),
    }


def _equivalence(differences: NDArray[np.float64], within: float) -> dict[str, object]:
    """The row that says how far two conditions are the same but for what does not matter."""
    p, low, high = equivalence_test(differences, within)
    return {
        "method": EQUIVALENCE,
        "unit": "animal",
        "n": differences.size,
        "effect": interval(differences).mean,
        "low": low,
        "high": high,
        "p": p,
        "same_direction": _agreeing(differences),
        "note": f"p that they differ by {within:g} or more, either way; low and high are of 90 %",
    }


def shared_sessions(
    session_scores: pd.DataFrame, pair: tuple[str, str]
) -> tuple[pd.DataFrame, str]:
    """The scores of two conditions in the folds, seeds and sessions that both have a score of.

    Whatever is said of their difference is of these sessions.

    Parameters
    ----------
    session_scores
        Tables of `corticode.evaluate.scores.score_sessions` with condition, fold and seed added.
    pair
        Two conditions.

    Returns
    -------
    DataFrame, str
        The rows, and the column that is compared: ``"auc"`` or ``"r2"``.

    Raises
    ------
    DataError
        They share no fold, or no session with a score.

    Examples
    --------
    >>> table = pd.DataFrame({"condition": ["a", "a", "b"], "fold": "f1", "seed": 0,
    ...     "animal": "m1", "session": ["s1", "s2", "s2"], "auc": [0.9, 0.8, 0.7]})
    >>> shared_sessions(table, ("a", "b"))[0]["auc"].tolist()
    [0.8, 0.7]
    """
    own = shared_rows(session_scores, pair, FOLD, "fold")
    scored = [name for name in ("auc", "r2") if name in own and own[name].notna().any()]
    if not scored:
        raise DataError(
            "no session of theirs has a score; give longer recordings, or more that hold both "
            "classes"
        )
    known = own[own[scored[0]].notna()]
    return shared_rows(known, pair, SESSION, "session with enough bouts of each class"), scored[0]


def shared_rows(
    table: pd.DataFrame, pair: tuple[str, str], columns: list[str], what: str
) -> pd.DataFrame:
    """The rows of two conditions that have their like, by some columns, under the other.

    Raises
    ------
    DataError
        There are none.
    """
    own = table[table["condition"].isin(pair)]
    both = own.groupby(columns)["condition"].transform("nunique") == 2
    if not both.any():
        raise DataError(f"they share no {what}; give both the same folds and recordings")
    return own[both]


def cannot_reach(smallest_p: float, design: str) -> str:
    """A sentence where a design cannot give a p below 0.05 whatever the data; else nothing.

    Examples
    --------
    >>> cannot_reach(0.0625, "5 animals")
    'cannot reach 0.05: with 5 animals the smallest p is 0.0625'
    """
    if not smallest_p >= LEVEL:
        return ""
    return f"cannot reach {LEVEL:g}: with {design} the smallest p is {smallest_p:.3g}"


def _no_interval(n: int, low: float) -> str:
    if not np.isnan(low):
        return ""
    if n < 2:
        return (
            f"{n} {'animal has' if n == 1 else 'animals have'} both conditions; an interval needs 2"
        )
    return "all animals differ by the same: no spread to judge by"


def _agreeing(differences: NDArray[np.float64]) -> str:
    """How many animals go the way of the majority, in words."""
    most = max(np.count_nonzero(differences > 0), np.count_nonzero(differences < 0))
    return f"{most} of {differences.size} {'animal' if differences.size == 1 else 'animals'}"


def _as_published(split_scores: pd.DataFrame, a: str, b: str, metric: str) -> dict[str, object]:
    check_columns(split_scores, ("condition", metric), "scores by split")
    of_a, of_b = (
        _rows_of(split_scores, name, "scores by split")[metric].dropna().to_numpy(np.float64)
        for name in (a, b)
    )
    n = min(of_a.size, of_b.size)
    return {
        "metric": metric,
        "method": AS_PUBLISHED,
        "unit": "split",
        "n": n,
        "effect": float(of_a.mean() - of_b.mean()) if n else np.nan,
        "p": rank_sum_test(of_a, of_b),
        "same_direction": "",
        "note": "splits share animals: no test of the animals",
    }


def _disagreements(table: pd.DataFrame) -> pd.Series:
    """For all rows of a pair, whether the published verdict and the animals' interval differ."""
    pair = ["comparison", "condition_a", "condition_b", "metric"]
    verdict = pd.Series(0.0, index=table.index)
    sign = np.sign(table["effect"])
    published, primary = table["method"] == AS_PUBLISHED, table["method"] == PAIRED_T
    # -1, 0 or 1: lower, not told apart, higher; NaN where a method could not judge.
    verdict[published] = (sign * (table["p_holm"] < LEVEL)).where(table["p_holm"].notna())
    outside = (table["low"] > 0) | (table["high"] < 0)
    verdict[primary] = (sign * outside).where(table["low"].notna())
    judged = table.assign(published=verdict.where(published), primary=verdict.where(primary))
    both = judged.groupby(pair, sort=False)[["published", "primary"]].transform("first")
    return (both["published"] != both["primary"]) & both.notna().all(axis=1)


def variance_shares(split_scores: pd.DataFrame, metric: str) -> pd.DataFrame:
    """What the spread of a condition's decoders comes from: test animal, training set or seed.

    Components of variance of a nested design (seeds within training sets within test animals),
    from unweighted means; a component that comes out below 0 counts as 0.

    Parameters
    ----------
    split_scores
        One row a decoder: condition, fold, test_animal, seed and a column of `metric`.
    metric
        Which column.

    Returns
    -------
    DataFrame
        One row a condition: condition, metric, n_animals, n_splits (folds), n_seeds (the most of
        one fold), test_animal, training_set and seed (shares, together 1; NaN where the design
        does not tell them). With one seed a fold, seed is NaN and training_set holds both.

    Raises
    ------
    DataError
        A column is missing.

    Examples
    --------
    >>> splits = pd.DataFrame({"condition": "gru", "fold": ["a", "b", "c", "d"], "seed": 0,
    ...     "test_animal": ["m1", "m1", "m2", "m2"], "auc": [0.91, 0.93, 0.71, 0.73]})
    >>> variance_shares(splits, "auc")[["test_animal", "training_set", "seed"]].round(2)
       test_animal  training_set  seed
    0         0.99          0.01   NaN
    """
    needed = ("condition", "fold", "test_animal", "seed", metric)
    check_columns(split_scores, needed, "scores by split")
    known = split_scores[split_scores[metric].notna()]
    rows = [
        {"condition": condition, "metric": metric} | _shares(own, metric)
        for condition, own in known.groupby("condition", sort=False)
    ]
    columns = ["condition", "metric", "n_animals", "n_splits", "n_seeds"]
    return pd.DataFrame(rows, columns=[*columns, "test_animal", "training_set", "seed"])


def _shares(own: pd.DataFrame, metric: str) -> dict[str, object]:
    """Counts and shares of one condition."""
    by_fold = own.groupby(["test_animal", "fold"])[metric].agg(["mean", "var", "count"])
    several = by_fold["count"] > 1
    seed = float(by_fold.loc[several, "var"].mean()) if several.any() else np.nan
    of_seeds = 0.0 if np.isnan(seed) else seed
    by_animal = by_fold.assign(noise=of_seeds / by_fold["count"]).groupby("test_animal")
    spread = by_animal["mean"].var()
    fold = float((spread - by_animal["noise"].mean()).mean())
    means = by_animal["mean"].mean()
    animal = float(means.var() - (spread / by_animal.size()).mean())
    parts = np.array([animal, fold, seed])
    parts = np.where(np.isnan(parts), np.nan, np.maximum(parts, 0))
    total = np.nansum(parts)
    # A missing upper level leaves nothing to divide by.
    known = total > 0 and not np.isnan(parts[:2]).any()
    shares = parts / total if known else np.full(3, np.nan)
    return {
        "n_animals": len(means),
        "n_splits": len(by_fold),
        "n_seeds": int(by_fold["count"].max()),
        **dict(zip(("test_animal", "training_set", "seed"), shares, strict=True)),
    }
