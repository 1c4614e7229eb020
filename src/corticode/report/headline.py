"""The one sentence that a run comes down to, and what must be read before it."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from corticode.errors import DataError
from corticode.evaluate.comparisons import shared_sessions
from corticode.evaluate.confounds import CLAIMED, MEASURED, NONE_BEYOND, ROWS, listed
from corticode.evaluate.intervals import Interval, interval, score_interval
from corticode.evaluate.nulls import COHORT, LEVEL, TRIALS
from corticode.evaluate.scores import SKILL, score_animals
from corticode.report.values import (
    RunValues,
    alike_but,
    headline_condition,
    is_permuted,
    names_of_series,
)

CHANCE = {"auc": 0.5, "r2": 0.0}
METRICS = {"auc": "AUC", "r2": "R²"}
SIMULATED = (
    "These animals are simulated: the results show that the pipeline works, not how cortex does."
)
SHOWN_FINDINGS = 30
# Of fewer animals nothing is claimed.
FEWEST_ANIMALS = 3


def warnings_of(values: RunValues) -> list[str]:
    """What must be read first: what is missing, simulated mice, leaks, and whatever looked odd.

    Findings that many sessions share are one line.
    """
    found = [SIMULATED] if values.is_simulated else []
    found += values.missing
    excluded = values.table("excluded")
    if excluded.empty:
        return found
    ordered = excluded.assign(leak=excluded["what"] != "leak").sort_values("leak", kind="stable")
    grouped = list(ordered.groupby(["what", "reason", "item"], sort=False, dropna=False))
    for (what, reason, item), rows in grouped[:SHOWN_FINDINGS]:
        first = rows.iloc[0]
        named = [("animal", first["animal"]), ("session", first["session"]), (str(what), item)]
        where = ", ".join(f"{noun} {name}" for noun, name in named if name)
        others = f" (and {len(rows) - 1} others alike)" if len(rows) > 1 else ""
        found.append(f"{where}: {reason}{others}" if where else f"{reason}{others}")
    if len(grouped) > SHOWN_FINDINGS:
        found.append(
            f"and {len(grouped) - SHOWN_FINDINGS} more kinds of finding, all in excluded.csv"
        )
    return found


def animal_values(values: RunValues, condition: str) -> pd.Series:
    """The value of each animal under a condition, by animal; NaN ones are left out."""
    scores = values.table("animal_scores")
    if scores.empty:
        return pd.Series(dtype=np.float64)
    own = scores[scores["condition"] == condition]
    return own.set_index("animal")["value"].dropna()


def metric_of(values: RunValues, condition: str) -> str:
    """``"auc"`` or ``"r2"``."""
    scores = values.table("animal_scores")
    own = scores[scores["condition"] == condition]
    return "auc" if own.empty else str(own["metric"].iloc[0])


def headline(values: RunValues) -> str:
    """What was decoded in which animals, how well, and whether that is more than chance.

    "Decoded" is said only where the interval over three animals or more lies above chance and,
    for linear decoders, the cohort's permutation test agrees where there is one.

    Examples
    --------
    >>> headline(RunValues("run"))
    'No score yet: nothing can be said.'
    """
    name = headline_condition(values)
    if name is None:
        return "No score yet: nothing can be said."
    sentences = [
        _claim(values, name),
        *_permutations_in_words(values, name),
        _confounds_in_words(values, name),
        _linear_in_words(values, name),
    ]
    return " ".join(sentences)


def _claim(values: RunValues, name: str) -> str:
    """The first sentence: what follows from the scores of the animals."""
    found, metric = animal_values(values, name), metric_of(values, name)
    over = score_interval(found.to_numpy(), metric)
    what, where = _target(values, name), f"{_source(values, name)} {_unseen(values)}"
    numbers = f"({_numbers(values, name, over)})"
    chance = CHANCE[metric]
    p = _own_cohort_p(values, name)
    if over.n < FEWEST_ANIMALS:
        return f"No claim with {_animals(values, over.n)}: decoding of {what} {where} {numbers}."
    if np.isnan(over.low):
        return f"No claim, as all animals score alike: decoding of {what} {where} {numbers}."
    if over.low > chance and not p >= LEVEL:
        return f"{_capital(what)} was decoded {where} {numbers}."
    if over.high < chance:
        return (
            f"Decoding of {what} {where} was below chance {numbers}: look for labels that are "
            "exchanged or a level that drifts between sessions."
        )
    despite = f"; permuted labels reach it with p = {p:.2g}" if over.low > chance else ""
    return f"Decoding of {what} {where} was not distinguished from chance {numbers}{despite}."


def _numbers(values: RunValues, name: str, over: Interval) -> str:
    """The mean with its interval and range, how many animals, and what permuted labels reach."""
    found, metric = animal_values(values, name), metric_of(values, name)
    ends = (
        f", 95 % CI {over.low:.3f} to {over.high:.3f}, {over.method}"
        if not np.isnan(over.low)
        else ", no interval"
    )
    spread = f"; animals {found.min():.3f} to {found.max():.3f}" if over.n > 1 else ""
    words = (
        f"“{name}”: mean {METRICS[metric]} {over.mean:.3f}{ends}, "
        f"n = {_animals(values, over.n)}{spread}{_without_score(values, name)}"
    )
    for twin in permuted_twins(values, name):
        level = animal_values(values, twin)
        if level.size:
            words += f"; trained on permuted labels: {level.mean():.3f}"
            break
    return words + (_beside_r2(values, name) if metric == "r2" else "")


def animal_skills(values: RunValues, condition: str) -> pd.Series:
    """The skill against the training mean of each animal, by animal; empty where none is known."""
    scores = values.table("animal_scores")
    if SKILL not in scores:
        return pd.Series(dtype=np.float64)
    own = scores[scores["condition"] == condition]
    return own.set_index("animal")[SKILL].dropna()


def _beside_r2(values: RunValues, name: str) -> str:
    """The skill against the training mean; and why an R2 is far below 0, where one is."""
    skills, r2 = animal_skills(values, name), animal_values(values, name)
    words = ""
    if skills.size:
        ends = f", animals {skills.min():.3f} to {skills.max():.3f}" if skills.size > 1 else ""
        words = f"; skill against the training mean {skills.mean():.3f}{ends}"
    if (r2 < -1).any():
        words += (
            "; an R² below −1 means that predictions missed by more than the target varied within "
            "a session, as where its level differs from the one in training or it hardly varies"
        )
    return words


def _animals(values: RunValues, n: int) -> str:
    simulated = "simulated " if values.is_simulated else ""
    return f"{n} {simulated}{'animal' if n == 1 else 'animals'}"


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]


def _without_score(values: RunValues, name: str) -> str:
    """How many animals were tested and have no score; empty where all have one."""
    scores = values.table("animal_scores")
    n = int(scores.loc[scores["condition"] == name, "value"].isna().sum())
    if not n:
        return ""
    return f"; {n} more tested {'animal has' if n == 1 else 'animals have'} no score"


def _nulls_of(values: RunValues, name: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows of a condition's animals, and that of the cohort, in nulls.csv; empty if not done."""
    table = values.table("nulls")
    if table.empty:
        return table, table
    own = table[(table["condition"] == name) & table["p"].notna()]
    return own[own["animal"] != COHORT], own[own["animal"] == COHORT]


def _own_cohort_p(values: RunValues, name: str) -> float:
    """The cohort's p where it is of this condition's own kind of decoder; else NaN.

    NaN too where so few sessions have no permutation that could give a p below 0.05.
    """
    _, cohort = _nulls_of(values, name)
    kind = values.condition(name).get("network", {}).get("kind")
    if not len(cohort) or kind != "linear-window" or cohort["smallest_p"].iloc[0] >= LEVEL:
        return float("nan")
    return float(cohort["p"].iloc[0])


def _permutations_in_words(values: RunValues, name: str) -> list[str]:
    """What permuting the labels of whole sessions gives, animal by animal and for the cohort."""
    by_animal, cohort = _nulls_of(values, name)
    found = []
    blocks = _blocks_in_words(values, name)
    if blocks:
        return blocks
    able = by_animal[by_animal["smallest_p"] < LEVEL] if len(by_animal) else by_animal
    if len(able):
        aside = animal_values(values, name).size - len(able)
        others = f"; {aside} have too few sessions for it" if aside > 0 else ""
        of_trials = set(able.get("exchanged", ())) == {TRIALS}
        what = "trials within each session" if of_trials else "whole sessions"
        found.append(
            f"Permuting the labels of {what}: p < {LEVEL:g} in "
            f"{int((able['p'] < LEVEL).sum())} of {len(able)} animals (expected without any "
            f"decoding: {LEVEL * len(able):g}{others})."
        )
    elif len(by_animal):
        found.append(
            f"No animal has enough sessions for a p below {LEVEL:g} by permuting their labels."
        )
    of = ""
    twin = linear_twin(values, name)
    if not len(cohort) and twin is not None:
        _, cohort = _nulls_of(values, twin)
        of = f" (“{twin}”)"
    if len(cohort) and cohort["smallest_p"].iloc[0] >= LEVEL:
        found.append(f"Nor have all animals together{of} enough sessions for one.")
    elif len(cohort):
        row = cohort.iloc[0]
        note = f"; {row['note']}" if row.get("note") else ""
        found.append(
            f"All animals together{of}, {row.get('decoder', 'linear decoders')}: p = {row['p']:.2g}"
            f"{note}."
        )
    return found


def _blocks_in_words(values: RunValues, name: str) -> list[str]:
    """What permuting blocks of the one session of one animal gives; empty where there are more."""
    table = values.table("nulls")
    if table.empty or "n_blocks" not in table:
        return []
    own = table[(table["condition"] == name) & (table["animal"] != COHORT)]
    if len(own) != 1 or not own["n_blocks"].iloc[0] > 0:
        return []
    row = own.iloc[0]
    shift = f"circular shifts, too liberal under drift: p = {row['p_shift']:.2g}"
    if pd.isna(row["p"]):
        return [f"{_capital(str(row['note']).partition('; p_shift')[0])} ({shift})."]
    return [
        f"Permuting {row['exchanged']} ({int(row['n_blocks'])} blocks): p = {row['p']:.2g} (the "
        f"smallest possible {row['smallest_p']:.2g}; {shift})."
    ]


def _confounds_in_words(values: RunValues, name: str) -> str:
    """What confounds alone reach, and whether decoding exceeds them."""
    twin = linear_twin(values, name)
    for condition in (name, twin):
        own = confounds_of(values, condition)
        if not own.empty:
            by = "" if condition == name else f" (of “{twin}”)"
            found = [
                _block_in_words(str(which), rows, by)
                for which, rows in own.groupby("confounds", sort=False)
            ]
            return " ".join(found)
    return "Confounds: not analysed."


def _block_in_words(which: str, own: pd.DataFrame, by: str) -> str:
    """The same of one block of confounds: those that were measured, or behaviour columns."""
    alone = own.loc[own["input"] == ROWS["confounds"], "value"].mean()
    reached = f"{alone:.3f}" if np.isfinite(alone) else "no score"
    verdict = str(own["verdict"].iloc[0])
    if which != MEASURED:
        names = listed(which.split(", "))
        verb = "reaches" if names == which else "reach"
        return (
            f"As confounds {names} alone {verb} {reached}; decoding is not separable from them{by}."
        )
    shows = {CLAIMED: "", NONE_BEYOND: "shows "}.get(verdict, "is ")
    return f"Confounds alone reach {reached}; decoding {shows}{verdict}{by}."


def confounds_of(values: RunValues, condition: str | None) -> pd.DataFrame:
    """Rows of a condition's confound analysis that are of all animals; empty where it is not."""
    table = values.table("confounds")
    if table.empty:
        return table
    if "confounds" not in table:  # as runs were written before behaviour could be named
        table = table.assign(confounds=MEASURED)
    return table[(table["condition"] == condition) & (table["animal"] == COHORT)]


def _linear_in_words(values: RunValues, name: str) -> str:
    """What a linear model of the same window reaches."""
    if values.condition(name).get("network", {}).get("kind") == "linear-window":
        return "This is itself a linear decoder of the window."
    linear = linear_twin(values, name)
    if linear is None:
        return "A linear decoder of the same window: not done."
    return f"A linear decoder of the same window: {animal_values(values, linear).mean():.3f}."


def linear_twin(values: RunValues, name: str) -> str | None:
    """The linear condition of the same window, input and target; None where there is none."""
    found = alike_but(values, name, "network", {"kind": "linear-window"})
    scored = [str(one["name"]) for one in found if animal_values(values, str(one["name"])).size]
    return scored[0] if scored else None


def permuted_twins(values: RunValues, name: str) -> list[str]:
    """Controls that are as a condition, but for their permuted labels."""
    found = [one for one in alike_but(values, name, "permute_labels") if is_permuted(one)]
    return [str(one["name"]) for one in found]


def difference_in_words(values: RunValues, a: str, b: str) -> str:
    """The mean difference of two conditions over the sessions that both have a score of."""
    both = animal_differences(values, a, b)
    if both.empty:
        return "no animal has both"
    over = interval(both.to_numpy())
    ends = "no interval" if np.isnan(over.low) else f"95 % CI {over.low:+.3f} to {over.high:+.3f}"
    same = max((both > 0).sum(), (both < 0).sum())
    animals = "animal" if both.size == 1 else "animals"
    return f"{over.mean:+.3f} ({ends}; {same} of {both.size} {animals} in the same direction)"


def animal_differences(values: RunValues, a: str, b: str) -> pd.Series:
    """Of each animal the score under one condition less that under another, by animal.

    As in comparisons.csv, it is of the folds and sessions that both have a score of.
    """
    try:
        shared, _ = shared_sessions(values.table("session_scores"), (a, b))
    except (DataError, KeyError):
        return pd.Series(dtype=np.float64)
    by_animal = score_animals(shared).pivot_table(
        index="animal", columns="condition", values="value", sort=False
    )
    return (by_animal[a] - by_animal[b]).dropna()


def conditions_in_order(values: RunValues) -> Sequence[Mapping[str, Any]]:
    """Conditions that have rows of animals, in the study's order, without those at lags."""
    scores = values.table("animal_scores")
    if scores.empty:
        return []
    known = {one["name"]: one for one in values.conditions}
    lags = names_of_series(values)
    names = [name for name in scores["condition"].unique() if name not in lags]
    return [known.get(name, {"name": name}) for name in names]


def _unseen(values: RunValues) -> str:
    if not values.study:
        return "in folds that are not known (study.toml is missing)"
    by = values.study.get("folds", {}).get("by", "animal")
    never = {
        "animal": "in animals the decoder had never seen",
        "day": "on days the decoder had never seen, of animals it was trained on",
        "session": "in sessions the decoder had never seen, of animals it was trained on",
        "block": "in stretches of time the decoder had never seen, of sessions it was trained on",
    }
    if by not in never:
        raise DataError(f"folds by {by!r} are none of {', '.join(never)}")
    return never[by]


def _source(values: RunValues, name: str) -> str:
    """What was decoded from."""
    sources = {"reference": "the reference channel", "cues": "confounds"}
    return f"from {sources.get(values.condition(name).get('input', ''), 'cortical fluorescence')}"


def _target(values: RunValues, name: str) -> str:
    target = values.condition(name).get("target") or {}
    signal = str(target.get("signal", "behaviour"))
    if signal == "runrest":
        return "running"
    if target.get("events"):
        signal += f" at {target['events']}"
    above = f" > {target['above']:g}" if "above" in target else ""
    return f"“{signal}{above}”"
