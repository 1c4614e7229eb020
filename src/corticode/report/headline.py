"""The one sentence that a run comes down to, and what must be read before it."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from corticode.errors import DataError
from corticode.evaluate.intervals import interval
from corticode.evaluate.nulls import COHORT, LEVEL
from corticode.report.values import RunValues, alike_but, headline_condition, is_permuted

CHANCE = {"auc": 0.5, "r2": 0.0}
METRICS = {"auc": "AUC", "r2": "R²"}
SIMULATED = (
    "These mice are simulated: the results show that the pipeline works, not how cortex does."
)
SHOWN_FINDINGS = 30


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
    """What was read out, in how many animals, how well; what cues and a linear model reach.

    Examples
    --------
    >>> headline(RunValues("run"))
    'No score yet: nothing can be said.'
    """
    name = headline_condition(values)
    if name is None:
        return "No score yet: nothing can be said."
    found, metric = animal_values(values, name), metric_of(values, name)
    over = interval(found.to_numpy())
    unit = "mouse" if found.size == 1 else "mice"
    ends = (
        f"t interval {over.low:.3f} to {over.high:.3f}, {found.size} {unit}"
        if not np.isnan(over.low)
        else f"no interval: {found.size} {unit}"
    )
    sentence = (
        f"In {_above(values, name)} {'simulated ' if values.is_simulated else ''}{unit} "
        f"{_unseen(values)}, {_target(values, name)} was read out by “{name}” "
        f"{_chance(values, name)}, with mean within-session {METRICS[metric]} {over.mean:.3f} "
        f"({unit} {found.min():.3f} to {found.max():.3f}; {ends}{_without_score(values, name)})"
    )
    return f"{sentence}; {_cues_in_words(values, name)}; {_linear_in_words(values, name)}."


def _without_score(values: RunValues, name: str) -> str:
    """How many animals were tested and have no score; empty where all have one."""
    scores = values.table("animal_scores")
    n = int(scores.loc[scores["condition"] == name, "value"].isna().sum())
    if not n:
        return ""
    return f"; {n} more tested {'mouse has' if n == 1 else 'mice have'} no score"


def _nulls_of(values: RunValues, name: str) -> pd.DataFrame:
    """Each animal of a condition against its own labels in other orders; empty if not done."""
    table = values.table("nulls")
    if table.empty:
        return table
    return table[(table["condition"] == name) & (table["animal"] != COHORT) & table["p"].notna()]


def _above(values: RunValues, name: str) -> str:
    """In how many animals of how many."""
    nulls, found = _nulls_of(values, name), animal_values(values, name)
    if nulls.empty or not (nulls["smallest_p"] < LEVEL).any():
        above = int((found > CHANCE[metric_of(values, name)]).sum())
        return f"{above} of {found.size}"
    return f"{int((nulls['p'] < LEVEL).sum())} of {found.size}"


def _chance(values: RunValues, name: str) -> str:
    """Above what, and by which test of each animal."""
    nulls = _nulls_of(values, name)
    level = f"{CHANCE[metric_of(values, name)]:g}"
    if nulls.empty:
        return f"above chance level ({level}, not tested)"
    unable = int((nulls["smallest_p"] >= LEVEL).sum())
    if unable == len(nulls):
        return f"above chance level ({level}; each has too few sessions to test it)"
    few = f"; {unable} have too few sessions for any p below {LEVEL:g}" if unable else ""
    untested = animal_values(values, name).size - len(nulls)
    few += f"; {untested} not tested" if untested > 0 else ""
    return f"above chance (p < {LEVEL:g} each, labels of its sessions exchanged{few})"


def _cues_in_words(values: RunValues, name: str) -> str:
    """What cues that are not cortex reach, and what is left without them."""
    twin = linear_twin(values, name)
    for condition in (name, twin):
        found = _cue_scores(values, condition)
        if found is not None:
            by = "" if condition == name else f" (both by “{twin}”)"
            alone, left = (f"{one:.3f}" if np.isfinite(one) else "no score" for one in found)
            return f"artefact cues alone reach {alone}; after removing them {left} is left{by}"
    return "artefact cues alone: not done"


def _cue_scores(values: RunValues, condition: str | None) -> tuple[float, float] | None:
    """Mean score of cues alone and of what is left without them; None where it was not asked."""
    table = values.table("artefacts")
    own = table[table["condition"] == condition] if not table.empty else table
    if own.empty:
        return None
    mean = own.set_index("input")["mean"]
    return float(mean.get("cues only", np.nan)), float(
        mean.get("neural, cues regressed out", np.nan)
    )


def _linear_in_words(values: RunValues, name: str) -> str:
    """What a linear model of the same window reaches."""
    if values.condition(name).get("network", {}).get("kind") == "linear-window":
        return "this is itself a linear model of the window"
    linear = linear_twin(values, name)
    if linear is None:
        return "a linear model with the same window: not done"
    return f"a linear model with the same window {animal_values(values, linear).mean():.3f}"


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
    """The mean difference of two conditions over the animals that have both."""
    both = (animal_values(values, a) - animal_values(values, b)).dropna()
    if both.empty:
        return "no animal has both"
    over = interval(both.to_numpy())
    ends = (
        "no interval" if np.isnan(over.low) else f"t interval {over.low:+.3f} to {over.high:+.3f}"
    )
    same = max((both > 0).sum(), (both < 0).sum())
    mice = "mouse" if both.size == 1 else "mice"
    return f"{over.mean:+.3f} ({ends}; {same} of {both.size} {mice} in the same direction)"


def conditions_in_order(values: RunValues) -> Sequence[Mapping[str, Any]]:
    """Conditions that have rows of animals, in the study's order."""
    scores = values.table("animal_scores")
    if scores.empty:
        return []
    known = {one["name"]: one for one in values.conditions}
    return [known.get(name, {"name": name}) for name in scores["condition"].unique()]


def _unseen(values: RunValues) -> str:
    if not values.study:
        return "of folds that are not known (study.toml is missing)"
    by = values.study.get("folds", {}).get("by", "animal")
    never = {
        "animal": "never seen in training",
        "session": "in sessions never seen in training (the mouse itself was)",
        "block": "in stretches of time never seen in training (mouse and session were)",
    }
    if by not in never:
        raise DataError(f"folds by {by!r} are none of {', '.join(never)}")
    return never[by]


def _target(values: RunValues, name: str) -> str:
    target = values.condition(name).get("target") or {}
    signal = str(target.get("signal", "behaviour"))
    if signal == "runrest":
        return "run/rest"
    above = f" > {target['above']:g}" if "above" in target else ""
    return f"{signal}{above}"
