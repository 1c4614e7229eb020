"""What a reviewer asks, each with a number from the run, or "not done" and how to do it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from corticode.evaluate.comparisons import variance_shares
from corticode.evaluate.confounds import MEASURED
from corticode.evaluate.intervals import detectable_difference, smallest_sign_flip_p
from corticode.evaluate.nulls import COHORT, TRIALS, day_trends
from corticode.report.headline import (
    METRICS,
    animal_differences,
    animal_values,
    confounds_of,
    difference_in_words,
    linear_twin,
    metric_of,
    permuted_twins,
)
from corticode.report.values import (
    RunValues,
    alike_but,
    decodes_trials,
    headline_condition,
    is_permuted,
)
from corticode.report.words import CORRECTIONS, Passage, label_rule
from corticode.run.tables import TABLES

NOT_DONE = "not done"
BLOOD_INPUTS = ("reference", "cues", "confounds")
STATISTIC_NAMES = {"auc": "AUC", "pearson_r": "r"}
CLASS_SHARE = "share of class 1 (or the commonest)"
TO_FILL_IN = "to be filled in"
# What no run folder can tell.
AUTHORS = (
    ("Animals", "strain, sex, age, how many were recorded and how many are shown; ethics"),
    ("Indicator", "which, how it was brought in, in which cells"),
    (
        "Imaging",
        "wavelengths, exposure, field of view, size of a pixel, camera, light on the brain",
    ),
    ("Head plate, window, treadmill", "how, and how long before the first recording"),
    ("Behaviour", "the sensor, its rate, how it was brought onto the clock of the frames"),
    ("Registration", "how images of one animal, and of all, were brought onto one another"),
    ("Deviation from plan", "what was registered beforehand, and what was decided later"),
)


def label_rule_words(values: RunValues, name: str) -> str:
    """How labels came about."""
    target = values.condition(name).get("target")
    if not target:
        return _not_done("the study file is missing")
    n_rules = len({label_rule(one.get("target") or {}) for one in values.conditions})
    others = f"; the study has {n_rules} label rules in all" if n_rules > 1 else ""
    return f"{label_rule(target)}{others}"


def excluded_words(values: RunValues, name: str) -> str:
    """How much was left out, by what it is."""
    table = values.tables.get("excluded")
    if table is None:
        return _not_done("excluded.csv is missing")
    if table.empty:
        return "nothing was left out"
    counts = table["what"].value_counts(sort=False)
    told = ", ".join(f"{what}: {n}" for what, n in counts.items())
    return f"findings by what they are about: {told}; each with its reason in excluded.csv"


def history_words(values: RunValues) -> str:
    """What the catalogue says was done to recordings before, as a sentence; empty: nothing.

    Examples
    --------
    >>> history_words(RunValues("run", provenance={"histories": {"dF/F, F0: mean": 4}}))
    'Before they came here (the catalogue says): dF/F, F0: mean (4 recordings).'
    """
    told = values.provenance.get("histories", {})
    parts = [f"{what} ({n} {'recording' if n == 1 else 'recordings'})" for what, n in told.items()]
    return f"Before they came here (the catalogue says): {'; '.join(parts)}." if parts else ""


def blood_words(values: RunValues, name: str) -> str:
    """What is known of wavelengths and of the correction for blood."""
    condition = values.condition(name)
    preprocess = condition.get("preprocess", {})
    cues = [str(one["name"]) for one in values.conditions if one.get("input") in BLOOD_INPUTS]
    beside = f"; conditions of the reference channel or of cues: {', '.join(cues)}" if cues else ""
    if preprocess.get("regress_out") == "cues":
        beside += "; cues were regressed out of each trace"
    if condition.get("input") == "movie":
        said = CORRECTIONS.get(str(preprocess.get("correction")), "not told")
        return f"movies: {said}{beside}"
    if told := history_words(values):
        return f"{told}{beside}"
    return _not_done(
        "traces come as they were given, and no run can tell at which wavelengths or "
        f"how corrected; say so in the text{beside}"
    )


def tried_words(values: RunValues, name: str) -> str:
    """How many conditions were fitted, beside those in the tables."""
    shown = values.table("animal_scores")["condition"].nunique()
    n_controls = sum(map(is_permuted, values.conditions))
    asked = len(values.conditions)
    others = (
        f"; the run folder holds fits of {values.n_other_conditions} more conditions, which are in "
        "no table"
        if values.n_other_conditions
        else "; the run folder holds fits of no other"
    )
    return (
        f"{asked} in the study ({n_controls} with permuted labels), {shown} with scores, all in "
        f"the tables{others}; what was tried in other run folders is not known here. Answers are "
        "about the first condition of the study, not about the best"
    )


def saw_test_words(values: RunValues, name: str) -> str:
    """Which choices were made with test data at hand."""
    if not values.study:
        return _not_done("the study file is missing")
    found = []
    circular = [
        str(one["name"])
        for one in values.conditions
        if isinstance(one.get("regions"), Mapping) and one["regions"].get("on") == "test"
    ]
    if circular:
        found.append(f"regions chosen by maps of test animals (circular): {', '.join(circular)}")
    whole = _whole_session(values.condition(name))
    if whole:
        found.append(f"without labels, statistics of the whole test session ({', '.join(whole)})")
    backgrounds = [
        one for one in values.study.get("map", []) if one.get("background_from") == "test"
    ]
    if backgrounds:
        found.append(f"backgrounds of {len(backgrounds)} maps drawn from test windows")
    seen = "; ".join(found) if found else "none that the study file holds"
    return (
        f"{seen}. Epoch, penalty and threshold were chosen on validation data. Whatever was set "
        "after looking at these scores (windows, filters, which condition is shown) has seen them "
        "too"
    )


def _whole_session(condition: Mapping[str, Any]) -> list[str]:
    preprocess = condition.get("preprocess", {})
    found = []
    filtered = any(preprocess.get(f"{key}{unit}") for key in ("detrend", "smooth")
                   for unit in ("_frames", "_s"))  # fmt: skip
    if filtered and not preprocess.get("causal", False):
        found.append("moving means that look ahead")
    if preprocess.get("scale", "none") != "none" and preprocess.get("scale_over") == "session":
        found.append("scaling")
    if preprocess.get("regress_out") == "cues":
        found.append("regression of cues")
    return found


def detectable_words(values: RunValues, name: str) -> str:
    """What so many animals could have shown."""
    own = animal_values(values, name)
    if own.size < 2:
        return _not_done(f"it takes two animals or more, and there is {own.size}")
    words = (
        f"with {own.size} animals a paired t test finds {detectable_difference(own.size):.2f} SD "
        "of the animals' differences in 80 of 100 such experiments; the smallest p of an exact "
        f"sign-flip test is {smallest_sign_flip_p(own.size):.4g}"
    )
    for other in (linear_twin(values, name), *permuted_twins(values, name)):
        if other is None:
            continue
        both = animal_differences(values, name, other)
        sd = float(both.std(ddof=1)) if both.size > 1 else np.nan
        # Differences that are all alike differ by rounding.
        if sd > 1e-9:
            found = detectable_difference(both.size, sd)
            words += f". “{name}” less “{other}”: SD {sd:.3f}, detectable {found:.3f}"
    return words


def not_shown_words(values: RunValues, name: str) -> str:
    """What does not follow."""
    by = values.study.get("folds", {}).get("by", "animal")
    found = [
        "decoding tells of information, not of cause: what can be read from cortex need not be "
        "used by it",
        "nothing is said of other tasks, indicators, ages or strains",
    ]
    if values.is_simulated:
        found.insert(0, "the animals are simulated: nothing is shown of real ones")
    if by != "animal":
        found.append(f"folds are by {by}: nothing is said of an animal that the decoder never saw")
    twin = linear_twin(values, name)
    if not _are_measured(values, name):
        found.append(
            f"blood, motion and light were set against “{twin}” alone, not against this decoder"
            if _are_measured(values, twin)
            else "blood, motion and light were not set against cortex"
        )
    scores = values.table("scores")
    own = scores.loc[scores["condition"] == name, "look_ahead_s"].astype(float)
    if np.isinf(own).any():
        found.append("whole sessions enter: nothing is said of decoding while the animal runs")
    if not values.table("map_regions").empty or not values.table("occlusion").empty:
        found.append("a region that is not needed may still carry the same information")
    return "; ".join(found)


def _are_measured(values: RunValues, condition: str | None) -> bool:
    """Whether measured confounds, not behaviour alone, were set against a condition."""
    beside = confounds_of(values, condition)
    return not beside.empty and MEASURED in set(beside["confounds"])


class _NotDone(str):
    """An answer that says that there is none, and what would give one."""


def _not_done(reason: str) -> str:
    return _NotDone(f"{NOT_DONE}: {reason}")


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
        said = answer(values, name) if name is not None else _not_done("no score yet")
        found.append(Answer(question, said, not isinstance(said, _NotDone)))
    return found


def _unseen(values: RunValues, name: str) -> str:
    excluded = values.tables.get("excluded")
    if not values.study:
        return _not_done("the study file is missing, which says how folds were made")
    if excluded is None:
        return _not_done("excluded.csv is missing, which says whether leaks were found")
    n_leaks = 0 if excluded.empty else int((excluded["what"] == "leak").sum())
    by = values.study.get("folds", {}).get("by", "animal")
    return f"folds by {by}; {n_leaks} risks of a leak or mix-up found (see the warnings)"


def _how_many(values: RunValues, name: str) -> str:
    scores = values.table("animal_scores")
    own = scores[(scores["condition"] == name) & scores["value"].notna()]
    n_bouts = own["n_bouts"].sum() if own["n_bouts"].notna().all() else np.nan
    bouts = "" if np.isnan(n_bouts) else f", {int(n_bouts)} bouts"
    if "n_trials" in own and own["n_trials"].notna().all():
        bouts = f", {int(own['n_trials'].sum())} trials"
    return (
        f"{len(own)} {'animal' if len(own) == 1 else 'animals'}, "
        f"{int(own['n_sessions'].sum())} sessions{bouts}; the animal is the unit of every interval"
    )


def _above_chance(values: RunValues, name: str) -> str:
    twins = [one for one in permuted_twins(values, name) if animal_values(values, one).size]
    if not twins:
        how = "trials" if decodes_trials(values.condition(name)) else "sessions"
        return _not_done(f'add a condition like "{name}" with permute_labels = "{how}"')
    mean = animal_values(values, twins[0]).mean()
    return (
        f"with permuted labels (“{twins[0]}”) {mean:.3f}; difference "
        f"{difference_in_words(values, name, twins[0])}"
    )


def _cohort_p(values: RunValues, name: str) -> str:
    table = values.table("nulls")
    own = table[table["animal"] == COHORT] if not table.empty else table
    if own.empty:
        return _not_done(
            "it takes a condition of traces with a target of two classes, and two animals or more"
        )
    row = own.iloc[0]
    asked, level = str(row["condition"]), float(row.get("permuted_mean", np.nan))
    of = "" if asked == name else f"asked of “{asked}”: "
    of_trials = row.get("exchanged") == TRIALS
    labels = "trial labels" if of_trials else "session labels"
    permuted = "with permuted labels" if of_trials else "where no session keeps its labels"
    return (
        f"{of}p = {row['p']:.3g} by {row.get('decoder', 'linear decoders')} "
        f"({int(row['n_orders'])} permutations of {labels}, {row['exchanged']}; the smallest "
        f"possible {row['smallest_p']:.2g}); "
        f"{STATISTIC_NAMES[str(row.get('metric', 'auc'))]} {row['value']:.3f}"
        + ("" if np.isnan(level) else f", {level:.3f} {permuted}")
        + (f"; {row['note']}" if row["note"] else "")
    )


def _linear(values: RunValues, name: str) -> str:
    if values.condition(name).get("network", {}).get("kind") == "linear-window":
        return "it is a linear model of the window"
    twin = linear_twin(values, name)
    if twin is None:
        return _not_done(f'add a condition like "{name}" with network.kind = "linear-window"')
    return f"“{name}” less “{twin}”: {difference_in_words(values, name, twin)}"


def _is_it_cortex(values: RunValues, name: str) -> str:
    for condition in (name, linear_twin(values, name)):
        own = confounds_of(values, condition)
        if not own.empty:
            by = "" if condition == name else f"asked of “{condition}”: "
            return by + " ".join(own["words"].unique())
    return _not_done(
        "name the condition under [[confounds]] (measured in movies; or columns of behaviour)"
    )


def _sessions_hidden(values: RunValues, name: str) -> str:
    table = session_means(values, name)
    known = table.dropna(subset=["value"])
    if known.empty:
        return _not_done("no session has a score")
    worst = known.sort_values("value", kind="stable").iloc[0]
    metric = METRICS[metric_of(values, name)]
    counted = "trials" if decodes_trials(values.condition(name)) else "bouts"
    return (
        f"lowest session: {metric} {worst['value']:.3f} ({worst['animal']}, {worst['session']}); "
        f"median {known['value'].median():.3f}; {len(table) - len(known)} of {len(table)} sessions "
        f"have no score, mostly for want of {counted} (the table of sessions says why)"
    )


def _calibrated(values: RunValues, name: str) -> str:
    table = _own_rows(values, "calibration", name)
    if len(table):
        slopes, skill = table["slope"].dropna(), table["brier_skill"].dropna()
        words = f"calibration slope {slopes.min():.2f} to {slopes.max():.2f}" if slopes.size else ""
        return "; ".join(
            part
            for part in (
                words,
                f"Brier skill over the animal's base rate {skill.min():.2f} to {skill.max():.2f}"
                if skill.size
                else "no animal was tested on both classes",
                f"the threshold from validation loses {table['lost'].mean():.3f} of balanced "
                f"accuracy in the mean (most {table['lost'].max():.3f})"
                if table["lost"].notna().any()
                else "",
            )
            if part
        )
    scores = values.table("scores")
    own = scores[scores["condition"] == name] if not scores.empty else scores
    if own.empty or "brier" not in own or own["brier"].isna().all():
        return _not_done("the target has no two classes")
    # Where one class alone was tested there is no base rate to be better than.
    n_all = len(own)
    own = own[(own["base_rate"] > 0) & (own["base_rate"] < 1)]
    if own.empty:
        return _not_done("no decoder was tested on both classes")
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
        return _not_done("no session is known to be scored")
    if table["base_rate"].isna().all():
        return _not_done("the target has no classes")
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
        return _not_done("no frame rate is known")
    ahead = float(own.max())
    if np.isinf(ahead):
        return "yes: statistics of the whole session enter (detrending or scaling); look-ahead inf"
    return f"it uses frames up to {ahead:+.2f} s from the decoded one (below 0: the past alone)"


def _order_of_days(values: RunValues, name: str) -> str:
    table = session_means(values, name)
    if table.empty:
        return _not_done("no session")
    asked = table.rename(columns={"value": "score", "base_rate": CLASS_SHARE})
    columns = ["animal", "session", "day", CLASS_SHARE, "score"]
    trends = day_trends(asked[columns].astype({"score": float, CLASS_SHARE: float}))
    known = trends.dropna(subset=["pearson_r"])
    if known.empty:
        return _not_done("an animal needs two sessions that differ")
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
        return _not_done("each animal is tested by one decoder")
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
        return _not_done(f'add conditions like "{name}" with window.shift above 0')
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
            return _not_done("add [[map]] to the study")
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
        return _not_done("maps by Deep SHAP are checked where the study asks for them")
    return " ".join(dict.fromkeys(table["words"].astype(str)))


def _circular(values: RunValues, name: str) -> str:
    if not values.study:
        return _not_done("the study file is missing")
    chosen = [one for one in values.conditions if isinstance(one.get("regions"), dict)]
    if not chosen:
        return "no condition chooses its regions by a map"
    circular = [str(one["name"]) for one in chosen if one["regions"].get("on") == "test"]
    if circular:
        return f"yes, as in the 2024 study, and it scores too well there: {', '.join(circular)}"
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


def detection_passages(values: RunValues) -> list[Passage]:
    """Detection and calibration in each test animal, as tables in plain words.

    Examples
    --------
    >>> [one.rows for one in detection_passages(RunValues("run"))]
    [(), ()]
    """
    name = headline_condition(values)
    return [_detection(values, name), _calibration(values, name)]


def _own_rows(values: RunValues, table: str, name: str | None) -> pd.DataFrame:
    found = values.table(table)
    return found if found.empty else found[found["condition"] == name]


def _detection(values: RunValues, name: str | None) -> Passage:
    own, row = _own_rows(values, "detection", name), TABLES["detection"]
    if own.empty:
        return Passage(row.title, (f"{NOT_DONE}: {row.way}.",))
    animals, worst = own[own["animal"] != COHORT], own[own["animal"] == COHORT]
    words = [
        f"Decoder “{name}”. The threshold lets 5 % of the frames of steady rest (2 s and more from "
        "any change) pass in the validation part; the table has what it lets pass in each test "
        "animal. A false alarm is a stretch of frames above the threshold. Onsets are those of "
        "bouts of at least 2 s after at least 2 s of rest; one is detected where a frame of its "
        "first 2 s is above the threshold, and the median latency counts the others as later than "
        "2 s. “By chance” is the fraction of stretches of rest of the same 2 s that hold an alarm."
    ]
    ahead = float(own["window_ahead_s"].max())
    if ahead > 0:
        words.append(
            f"The window reaches {ahead:.2f} s beyond the decoded frame, so that this decoder may "
            "be above the threshold before the onset: its latency is not one that could be had "
            "while the animal moves."
        )
    if len(worst):
        one = worst.iloc[0]
        words.append(
            f"Worst in a test animal: {_per_minute(one)} false alarms a minute of rest, "
            f"{_percent(one['detected'])} of onsets detected, median latency "
            f"{_latency(one['median_latency_s'])}. For a new animal, each of these is "
            f"{one['note']}."
        )
    heads = (
        "animal",
        "false alarms a minute of rest",
        "minutes of steady rest",
        "frames of rest above the threshold",
        "onsets",
        "detected within 2 s",
        "by chance",
        "above at the onset already",
        "median latency",
    )
    rows = tuple(
        (
            str(one["animal"]),
            _per_minute(one),
            f"{one['rest_min']:.1f}",
            _percent(one["rest_above"]),
            str(int(one["n_onsets"])),
            _percent(one["detected"]),
            _percent(one["detected_by_chance"]),
            _percent(one["above_at_onset"]),
            _latency(one["median_latency_s"]),
        )
        for _, one in animals.iterrows()
    )
    return Passage(row.title, tuple(words), heads=heads, rows=rows)


def _per_minute(row: pd.Series) -> str:
    if pd.isna(row["false_alarms_per_min"]):
        return str(row["note"]) or "no rest"
    if not pd.isna(row["upper_limit_per_min"]):
        return f"none seen (95 %: below {row['upper_limit_per_min']:.2g})"
    return f"{row['false_alarms_per_min']:.2f}"


def _percent(fraction: float) -> str:
    return "" if pd.isna(fraction) else f"{100 * fraction:.0f} %"


def _latency(seconds: float) -> str:
    if pd.isna(seconds):
        return ""
    return "later than 2 s" if np.isinf(seconds) else f"{seconds:.2f} s"


def _calibration(values: RunValues, name: str | None) -> Passage:
    own, row = _own_rows(values, "calibration", name), TABLES["calibration"]
    if own.empty:
        return Passage(row.title, (f"{NOT_DONE}: {row.way}.",))
    words = (
        "An intercept of 0 and a slope of 1 mean probabilities that can be taken at their word; an "
        "intercept above 0 means that class 1 is commoner than was predicted, a slope below 1 "
        "that probabilities are too extreme. The Brier skill is against always predicting "
        "this animal's own base rate: below 0 that would have done better. The threshold is the "
        "best on validation windows; what it loses is against the animal's own best."
    )
    heads = (
        "animal",
        "fraction of class 1",
        "intercept",
        "slope",
        "Brier skill",
        "threshold from validation",
        "balanced accuracy with it",
        "with the animal's best",
        "lost",
    )
    columns = (
        "base_rate",
        "intercept",
        "slope",
        "brier_skill",
        "threshold_carried",
        "balanced_accuracy_carried",
        "balanced_accuracy_best",
        "lost",
    )
    rows = tuple(
        (str(one["animal"]), *("" if pd.isna(one[c]) else f"{one[c]:.2f}" for c in columns))
        for _, one in own.iterrows()
    )
    return Passage(row.title, (words,), heads=heads, rows=rows)


def _as_detector(values: RunValues, name: str) -> str:
    own = _own_rows(values, "detection", name)
    if own.empty:
        return _not_done(TABLES["detection"].way)
    animals = own[own["animal"] != COHORT]
    rates = animals["false_alarms_per_min"].dropna()
    if rates.empty:
        return _not_done("no test animal rested for long enough")
    chance = animals["detected_by_chance"].mean()
    return (
        f"{rates.min():.2f} to {rates.max():.2f} false alarms a minute of rest by animal, at the "
        f"threshold for 5 % of frames of validation rest; {_percent(animals['detected'].mean())} "
        f"of onsets detected within 2 s (by chance {_percent(chance)})"
    )


QUESTIONS: tuple[tuple[str, Callable[[RunValues, str], str]], ...] = (
    ("Were the tested animals (or sessions) kept out of training?", _unseen),
    ("How much data is behind it?", _how_many),
    ("How were labels made?", label_rule_words),
    ("What was left out?", excluded_words),
    ("Which wavelengths, and how was blood corrected for?", blood_words),
    ("How many conditions were tried, and how many are shown?", tried_words),
    ("Which choices saw test data?", saw_test_words),
    ("Is it above what permuted labels give?", _above_chance),
    (
        "Does it hold for the cohort, with labels permuted and decoders refitted?",
        _cohort_p,
    ),
    ("Does a linear model of the same window do as well?", _linear),
    ("Is it cortex, or blood, motion and light? What is left once cues are out?", _is_it_cortex),
    ("Does the mean hide bad sessions?", _sessions_hidden),
    ("Can the probabilities be trusted in a new animal?", _calibrated),
    ("How often would it raise a false alarm, and how many onsets would it find?", _as_detector),
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


def checklist(values: RunValues) -> Passage:
    """The reporting checklist: item, what the run says of it, and whether that is done.

    Examples
    --------
    >>> checklist(RunValues("run")).heads
    ('item', 'state', 'where, or what')
    """
    name = headline_condition(values)
    rows = [(item, *_state(said(values, name) if name else "")) for item, said in ITEMS]
    rows += [(item, TO_FILL_IN, what) for item, what in AUTHORS]
    return Passage(
        "Reporting checklist",
        ("“To be filled in” is what no run folder can tell.",),
        heads=("item", "state", "where, or what"),
        rows=tuple(rows),
    )


def _state(said: str) -> tuple[str, str]:
    return ("reported", said) if said else (NOT_DONE, "")


def _n_tested(values: RunValues, name: str) -> str:
    table = values.table("animal_scores")
    own = table[(table["condition"] == name) & table["value"].notna()]
    return f"{len(own)} animals, {int(own['n_sessions'].sum())} sessions: animal_scores.csv"


def _rule(values: RunValues, name: str) -> str:
    target = values.condition(name).get("target")
    return label_rule(target) if target else ""


def _excluded(values: RunValues, name: str) -> str:
    table = values.tables.get("excluded")
    return "" if table is None else f"{len(table)} findings: excluded.csv"


def _blood(values: RunValues, name: str) -> str:
    condition = values.condition(name)
    if condition.get("input") == "movie":
        return str(condition.get("preprocess", {}).get("correction", ""))
    return ""


def _controls(values: RunValues, name: str) -> str:
    return ", ".join(permuted_twins(values, name))


def _has(table: str, words: str) -> Callable[[RunValues, str], str]:
    return lambda values, name: "" if values.table(table).empty else f"{words}: {table}.csv"


def _versions(values: RunValues, name: str) -> str:
    found = values.provenance.get("versions", {})
    return f"corticode {found['corticode']}: provenance.json" if "corticode" in found else ""


def _seeds(values: RunValues, name: str) -> str:
    n = len(values.provenance.get("seeds", []))
    return f"{n} seeds: scores.csv has a row for each" if n > 1 else ""


def _by(values: RunValues, name: str) -> str:
    folds = values.study.get("folds", {})
    return f"by {folds['by']}: scores.csv names each" if "by" in folds else ""


ITEMS: tuple[tuple[str, Callable[[RunValues, str], str]], ...] = (
    ("Animals and sessions tested", _n_tested),
    ("How labels were made", _rule),
    ("What was left out, and why", _excluded),
    ("Folds", _by),
    ("Score of every session", _has("session_scores", "with bouts of each class")),
    ("Score of every animal", _has("animal_scores", "the unit of inference")),
    ("More than one seed", _seeds),
    ("A control with permuted labels", _controls),
    ("Each animal against its own labels in other orders", _has("nulls", "a p each")),
    ("Correction for blood (movies)", _blood),
    ("Confounds", _has("confounds", "with a verdict")),
    ("Comparisons with adjusted p-values", _has("comparisons", "Holm's rule")),
    ("Maps beside decoders that learnt nothing", _has("map_checks", "with their limits")),
    ("Whether maps agree between decoders", _has("map_stability", "seeds, folds, animals")),
    ("Software and its versions", _versions),
)
