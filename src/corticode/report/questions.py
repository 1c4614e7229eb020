"""What a reviewer asks, each with a number from the run, or "not done" and how to do it."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from corticode.evaluate.comparisons import variance_shares
from corticode.evaluate.nulls import COHORT, day_trends
from corticode.report.headline import (
    METRICS,
    animal_values,
    difference_in_words,
    linear_twin,
    metric_of,
    permuted_twins,
)
from corticode.report.page_values import RunValues, alike_but, headline_condition
from corticode.report.study_questions import (
    NOT_DONE,
    blood_words,
    detectable_words,
    excluded_words,
    label_rule_words,
    not_shown_words,
    saw_test_words,
    tried_words,
)

CLASS_SHARE = "share of class 1 (or the commonest)"


@dataclass(frozen=True)
class Answer:
    """A question, and what the run says to it.

    Parameters
    ----------
    question
        As a reviewer asks it.
    answer
        A sentence with its numbers, or what to add to the study for one.
    is_done
        Whether there is an answer.
    """

    question: str
    answer: str
    is_done: bool = True


def answer_questions(values: RunValues) -> list[Answer]:
    """Each question of a reviewer about the headline condition.

    Examples
    --------
    >>> answer_questions(RunValues("run"))[0].is_done
    False
    """
    name = headline_condition(values)
    found = []
    for question, answer in QUESTIONS:
        said = answer(values, name) if name is not None else f"{NOT_DONE}: no score yet"
        found.append(Answer(question, said, not said.startswith(NOT_DONE)))
    return found


def _unseen(values: RunValues, name: str) -> str:
    excluded = values.tables.get("excluded")
    if not values.study:
        return f"{NOT_DONE}: the study file is missing, which says how folds were made"
    if excluded is None:
        return f"{NOT_DONE}: excluded.csv is missing, which says whether leaks were found"
    n_leaks = 0 if excluded.empty else int((excluded["what"] == "leak").sum())
    by = values.study.get("folds", {}).get("by", "animal")
    return f"folds by {by}; {n_leaks} ways from test to training found (see the warnings)"


def _how_many(values: RunValues, name: str) -> str:
    scores = values.table("animal_scores")
    own = scores[(scores["condition"] == name) & scores["value"].notna()]
    n_bouts = own["n_bouts"].sum() if own["n_bouts"].notna().all() else np.nan
    bouts = "" if np.isnan(n_bouts) else f", {int(n_bouts)} bouts"
    return (
        f"{len(own)} {'animal' if len(own) == 1 else 'animals'}, "
        f"{int(own['n_sessions'].sum())} sessions{bouts}; the animal is the unit of every interval"
    )


def _above_chance(values: RunValues, name: str) -> str:
    twins = [one for one in permuted_twins(values, name) if animal_values(values, one).size]
    if not twins:
        return f'{NOT_DONE}: add a condition like "{name}" with permute_labels = "sessions"'
    mean = animal_values(values, twins[0]).mean()
    return (
        f"with permuted labels (“{twins[0]}”) {mean:.3f}; difference "
        f"{difference_in_words(values, name, twins[0])}"
    )


def _cohort_p(values: RunValues, name: str) -> str:
    table = values.table("nulls")
    own = table[table["animal"] == COHORT] if not table.empty else table
    if own.empty:
        return f"{NOT_DONE}: it takes a condition of traces with a target of two classes"
    row = own.iloc[0]
    asked = str(row["condition"])
    of = "" if asked == name else f"asked of “{asked}”, the first condition of traces: "
    return (
        f"{of}p = {row['p']:.3g} ({int(row['n_orders'])} orders of labels, {row['exchanged']}; the "
        f"smallest possible {row['smallest_p']:.2g}): {row['note']}; AUC {row['value']:.3f}, by "
        f"chance {row['chance']:.3f}"
    )


def _linear(values: RunValues, name: str) -> str:
    if values.condition(name).get("network", {}).get("kind") == "linear-window":
        return "it is a linear model of the window"
    twin = linear_twin(values, name)
    if twin is None:
        return f'{NOT_DONE}: add a condition like "{name}" with network.kind = "linear-window"'
    return f"“{name}” less “{twin}”: {difference_in_words(values, name, twin)}"


def _is_it_cortex(values: RunValues, name: str) -> str:
    table = values.table("artefacts")
    for condition in (name, linear_twin(values, name)):
        own = table[table["condition"] == condition] if not table.empty else table
        if not own.empty:
            by = "" if condition == name else f"asked of “{condition}”: "
            return f"{by}{own['words'].iloc[0]}"
    return f"{NOT_DONE}: name the condition under [[artefacts]] (movies are needed)"


def _sessions_hidden(values: RunValues, name: str) -> str:
    table = session_means(values, name)
    known = table.dropna(subset=["value"])
    if known.empty:
        return f"{NOT_DONE}: no session has a score"
    worst = known.sort_values("value", kind="stable").iloc[0]
    metric = METRICS[metric_of(values, name)]
    return (
        f"lowest session: {metric} {worst['value']:.3f} ({worst['animal']}, {worst['session']}); "
        f"median {known['value'].median():.3f}; {len(table) - len(known)} of {len(table)} sessions "
        "have no score, mostly for want of bouts (the table of sessions says why)"
    )


def _calibrated(values: RunValues, name: str) -> str:
    scores = values.table("scores")
    own = scores[scores["condition"] == name] if not scores.empty else scores
    if own.empty or "brier" not in own or own["brier"].isna().all():
        return f"{NOT_DONE}: the target has no two classes"
    # Where one class alone was tested there is no base rate to be better than.
    n_all = len(own)
    own = own[(own["base_rate"] > 0) & (own["base_rate"] < 1)]
    if own.empty:
        return f"{NOT_DONE}: no decoder was tested on both classes"
    skill = 1 - own["brier"] / (own["base_rate"] * (1 - own["base_rate"]))
    carried = f"; {n_all - len(own)} tested on one class aside" if len(own) < n_all else ""
    if "balanced_accuracy_carried" in own and own["balanced_accuracy_carried"].notna().any():
        carried += (
            f"; balanced accuracy {own['balanced_accuracy'].mean():.3f} at 0.5, "
            f"{own['balanced_accuracy_carried'].mean():.3f} at the threshold of the validation"
        )
    return (
        f"Brier score {own['brier'].mean():.3f}, skill over the base rate {skill.mean():.2f} "
        f"(decoders {skill.min():.2f} to {skill.max():.2f}){carried}"
    )


def _base_rate(values: RunValues, name: str) -> str:
    table = session_means(values, name)
    if table.empty:
        return f"{NOT_DONE}: no session is known to be scored"
    if table["base_rate"].isna().all():
        return f"{NOT_DONE}: the target has no classes"
    by_animal = table.groupby("animal", sort=False)["base_rate"].mean()
    return (
        f"share of class 1 (or the commonest) by animal {by_animal.min():.2f} to "
        f"{by_animal.max():.2f}, by session {table['base_rate'].min():.2f} to "
        f"{table['base_rate'].max():.2f}; AUC does not depend on it"
    )


def _look_ahead(values: RunValues, name: str) -> str:
    scores = values.table("scores")
    own = scores.loc[scores["condition"] == name, "look_ahead_s"].dropna()
    if own.empty:
        return f"{NOT_DONE}: no frame rate is known"
    ahead = float(own.max())
    if np.isinf(ahead):
        return "yes: statistics of the whole session enter (detrending or scaling); look-ahead inf"
    return f"it uses frames up to {ahead:+.2f} s from the decoded one (below 0: the past alone)"


def _order_of_days(values: RunValues, name: str) -> str:
    table = session_means(values, name)
    if table.empty:
        return f"{NOT_DONE}: no session"
    asked = table.rename(columns={"value": "score", "base_rate": CLASS_SHARE})
    columns = ["animal", "session", "day", CLASS_SHARE, "score"]
    trends = day_trends(asked[columns].astype({"score": float, CLASS_SHARE: float}))
    known = trends.dropna(subset=["pearson_r"])
    if known.empty:
        return f"{NOT_DONE}: an animal needs two sessions that differ"
    words = []
    for quantity, rows in known.groupby("quantity", sort=False):
        n_tested, n_found = int(rows["p"].notna().sum()), int(rows["trends"].sum())
        words.append(
            f"{quantity}: r with day {rows['pearson_r'].min():+.2f} to "
            f"{rows['pearson_r'].max():+.2f}"
            + (f", a trend in {n_found} of {n_tested} animals" if n_tested else "")
        )
    return "; ".join(words) + (
        "" if known["p"].notna().any() else "; untested: fewer than 6 sessions an animal"
    )


def _spread(values: RunValues, name: str) -> str:
    scores = values.table("animal_scores")
    own = scores[scores["condition"] == name]
    n_seeds = len(values.provenance.get("seeds", [0]))
    sd = own["sd_decoders"].dropna()
    if sd.empty:
        return f"{NOT_DONE}: each animal is tested by one decoder"
    known = own["value"].dropna()
    over = (
        f"; over animals {known.std():.3f}" if known.size > 1 else "; over animals none: 1 animal"
    )
    return (
        f"SD over decoders of one animal {sd.min():.3f} to {sd.max():.3f} "
        f"({int(own['n_decoders'].max())} decoders an animal, {n_seeds} "
        f"{'seed' if n_seeds == 1 else 'seeds'}){over}{_shares(values, name)}"
    )


def _shares(values: RunValues, name: str) -> str:
    """Where the variance over decoders comes from, as far as the design tells."""
    metric = f"{metric_of(values, name)}_session_mean"
    scores = values.table("scores")
    if metric not in scores:
        return ""
    found = variance_shares(scores[scores["condition"] == name], metric)
    if found.empty or found[["test_animal", "training_set"]].isna().any(axis=None):
        return ""
    row = found.iloc[0]
    by_seed = "" if np.isnan(row["seed"]) else f", seed {row['seed']:.0%}"
    training = "training set" + (" and seed" if np.isnan(row["seed"]) else "")
    return (
        f"; of the variance over decoders test animal {row['test_animal']:.0%}, {training} "
        f"{row['training_set']:.0%}{by_seed}"
    )


def _future(values: RunValues, name: str) -> str:
    table = values.table("shift_references")
    alike = [name, *(str(one["name"]) for one in alike_but(values, name, "window.shift"))]
    own = table[table["condition"].isin(alike)] if not table.empty else table
    future = own[own["shift"] > 0] if not own.empty else own
    if future.empty:
        return f'{NOT_DONE}: add conditions like "{name}" with window.shift above 0'
    words = []
    for shift, rows in future.groupby("shift"):
        above = (rows["above_both"].astype(str) == "True").groupby(rows["animal"]).mean() > 0.5
        words.append(f"{shift} frames: {int(above.sum())} of {above.size} animals above both lines")
    return "; ".join(words)


def _which_cortex(values: RunValues, name: str) -> str:
    table = values.table("map_regions")
    if table.empty:
        covered = values.table("occlusion")
        if covered.empty:
            return f"{NOT_DONE}: add [[map]] to the study"
        top = _own_first(covered, name).sort_values("score", ascending=False).iloc[0]
        return (
            f"of “{top['condition']}” covering {top['mask']} costs most: {top['score']:.3f} "
            f"({top['note']})"
        )
    asked = _own_first(table, name)
    first = asked[asked["map"] == asked["map"].iloc[0]].sort_values("rank").head(4)
    return (
        f"first four regions of “{first['map'].iloc[0]}” in “{first['condition'].iloc[0]}”: "
        f"{', '.join(first['region'])}, {first['share'].sum():.2f} of the map"
    )


def _own_first(table: pd.DataFrame, name: str) -> pd.DataFrame:
    """The rows of one condition: of this one, or where it has none of the first that has some."""
    asked = name if (table["condition"] == name).any() else table["condition"].iloc[0]
    return table[table["condition"] == asked]


def _map_checked(values: RunValues, name: str) -> str:
    table = values.table("map_checks")
    if table.empty:
        return f"{NOT_DONE}: maps by Deep SHAP are checked where the study asks for them"
    return " ".join(dict.fromkeys(table["words"].astype(str)))


def _circular(values: RunValues, name: str) -> str:
    if not values.study:
        return f"{NOT_DONE}: the study file is missing"
    chosen = [one for one in values.conditions if isinstance(one.get("regions"), dict)]
    if not chosen:
        return "no condition chooses its regions by a map"
    circular = [str(one["name"]) for one in chosen if one["regions"].get("on") == "test"]
    if circular:
        return f"yes, as published, and it scores too well there: {', '.join(circular)}"
    return "no: regions are chosen on the training animals of the same fold"


def session_means(values: RunValues, name: str) -> pd.DataFrame:
    """One row a session: animal, session, day, base_rate, value; means over decoders.

    `day` is the session's place among its animal's, in the order of the tables, from 1.
    """
    table = values.table("session_scores")
    columns = ["animal", "session", "day", "base_rate", "value"]
    if table.empty:
        return pd.DataFrame(columns=columns)
    own = table[table["condition"] == name]
    metric = metric_of(values, name)
    if own.empty or metric not in own:
        return pd.DataFrame(columns=columns)
    own = own.assign(value=own[metric].astype(float))
    means = own.groupby(["animal", "session"], sort=False)[["base_rate", "value"]].mean()
    found = means.reset_index()
    found.insert(2, "day", found.groupby("animal").cumcount() + 1)
    return found


QUESTIONS: tuple[tuple[str, Callable[[RunValues, str], str]], ...] = (
    ("Were the tested animals (or sessions) kept out of training?", _unseen),
    ("How much data is behind it?", _how_many),
    ("How were labels made?", label_rule_words),
    ("What was left out?", excluded_words),
    ("Which wavelengths, and how was blood corrected for?", blood_words),
    ("How many conditions were tried, and how many are shown?", tried_words),
    ("Which choices saw test data?", saw_test_words),
    ("Is it above what permuted labels give?", _above_chance),
    ("Do mice as a cohort carry it, with labels exchanged and decoders fitted anew?", _cohort_p),
    ("Does a linear model of the same window do as well?", _linear),
    ("Is it cortex, or blood, motion and light? What is left once cues are out?", _is_it_cortex),
    ("Does the mean hide bad sessions?", _sessions_hidden),
    ("Can the probabilities be trusted in a new animal?", _calibrated),
    ("How unbalanced are the classes?", _base_rate),
    ("Does the decoder see the future?", _look_ahead),
    ("Does the order of days matter?", _order_of_days),
    ("How much do training animals and seeds matter?", _spread),
    ("Does it predict what comes, beyond what the present foretells?", _future),
    ("Which cortex is read?", _which_cortex),
    ("Would a decoder that learnt nothing give the same map?", _map_checked),
    ("Were regions chosen on the animals they are tested on?", _circular),
    ("What difference could so few animals have shown?", detectable_words),
    ("What does this result not show?", not_shown_words),
)
