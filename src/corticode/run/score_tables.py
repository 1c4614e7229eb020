"""Tables that set results against each other: conditions, permuted labels, sets of regions."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from functools import reduce
from importlib import import_module
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from corticode.data.confounds import least_reliable
from corticode.data.files import write_text
from corticode.data.folds import Fold
from corticode.data.prepared import load_sessions
from corticode.decode.predictions import Predictions, join
from corticode.decode.settings import LINEAR
from corticode.errors import (
    TOO_SHORT,
    CorticodeError,
    DataError,
    DecoderError,
    Finding,
    MissingDataError,
    RunError,
    StudyError,
)
from corticode.evaluate.comparisons import (
    FOLD,
    SESSION,
    Comparison,
    compare_groups,
    compare_pair,
    shared_rows,
    shared_sessions,
    variance_shares,
    with_families,
)
from corticode.evaluate.confounds import (
    ConfoundAnalysis,
    analyse_confounds,
    behavior_control,
    confound_rows,
    confounds_within_animals,
    control_names,
    describe_beside,
)
from corticode.evaluate.detection import calibrate_by_animal, detect_by_animal
from corticode.evaluate.intervals import Interval, holm, interval, score_interval, t_test
from corticode.evaluate.nulls import COHORT, STATISTICS, TRIALS, permute_test_labels, smallest_p
from corticode.evaluate.references import compare_with_references, correlate_regions
from corticode.evaluate.refits import permute_and_refit, permute_trials_and_refit
from corticode.evaluate.region_sets import (
    EVERY,
    LINEAR_DECODER,
    JudgedSet,
    RegionSets,
    SetConditions,
    SetsBeside,
    compare_region_sets,
    dropout_name,
    judge_set,
    set_names,
    set_side_by_side,
)
from corticode.evaluate.scores import (
    BLANKED,
    SKILL,
    blank_findings,
    score_animals,
    score_conditions,
    score_sessions,
    session_rows,
)
from corticode.run.fits import FitTask, condition_windows, left_out
from corticode.run.folder import (
    FitResult,
    MapResult,
    Run,
    hash_of,
    read_csv,
    read_result,
    write_table,
)
from corticode.run.map_tables import write_map_tables
from corticode.run.maps import MapTask, map_findings
from corticode.run.tables import TABLES
from corticode.run.tasks import RELIABILITY, Plan
from corticode.study.conditions import Condition
from corticode.study.keys import (
    ComparisonKeys,
    LearningCurveKeys,
    PermutationTestKeys,
    RegionSetKeys,
)
from corticode.study.study import lags_of, names_of, permutations_of

SHOWN_REASONS = 3
# What two decoders share that saw the same recordings.
# Windows among which labels are permuted and a linear decoder refitted: more are thinned.
MOST_WINDOWS = 100_000
# More frames than a session has.
MOST_FRAMES = 2**40


class Scored(NamedTuple):
    """What tables are made from.

    Parameters
    ----------
    run, plan
        Where, and what was asked.
    fitted
        Every fit that has scores.
    scores, session_scores, animal_scores
        The tables of those names.
    """

    run: Run
    plan: Plan
    fitted: Sequence[FitTask]
    scores: pd.DataFrame
    session_scores: pd.DataFrame
    animal_scores: pd.DataFrame


# Parts of a table, one below the other (none: there is no such table), and what was left out of it.
Made = tuple[Sequence[pd.DataFrame], Sequence[Finding]]


class Tabulated(NamedTuple):
    """What came of a run, once its tables are written.

    Parameters
    ----------
    animal_scores
        One row a condition and animal.
    findings
        What was left out or looks odd.
    n_fits
        Fits in the tables.
    """

    animal_scores: pd.DataFrame
    findings: tuple[Finding, ...]
    n_fits: int


def write_tables(
    run: Run, plan: Plan, results: Sequence[FitResult], map_results: Sequence[MapResult]
) -> Tabulated:
    """Every table of a run folder.

    Parameters
    ----------
    run
        Where they go.
    plan
        What was asked.
    results, map_results
        What came of its fits and of its maps, in the plan's order.

    Raises
    ------
    StudyError
        No fold could be fitted.
    """
    findings = list(dict.fromkeys([*plan.findings, *fit_findings(results)]))
    scored = [result for result in results if result.left_out is None]
    if not scored:
        raise StudyError(_no_fold(findings))
    scores = _in_columns(
        pd.DataFrame(
            [{**one.fit, **one.scores, "look_ahead_s": one.look_ahead_s} for one in scored]
        )
    )
    session_scores = pd.DataFrame(
        [
            {**one.fit, **row, "look_ahead_s": one.look_ahead_s}
            for one in scored
            for row in one.session_scores
        ]
    )
    fitted = [t for t, d in zip(plan.tasks, results, strict=True) if d.left_out is None]
    scores, session_scores = _judged_over_blocks(fitted, scores, session_scores)
    animal_scores = score_animals(session_scores)
    findings += blank_findings(animal_scores, session_scores) + map_findings(map_results)
    scored_run = Scored(run, plan, fitted, scores, session_scores, animal_scores)
    tables: dict[str, Sequence[pd.DataFrame]] = {
        "scores": [scores],
        "session_scores": [session_scores],
        "animal_scores": [animal_scores],
    }
    for name, row in TABLES.items():
        if row.made_by:
            module, _, function = row.made_by.partition(".")
            make = getattr(import_module(f"corticode.run.{module}"), function)
            tables[name], found = make(scored_run)
            findings += found
    tables["excluded"] = [_excluded(findings)]
    for name, parts in tables.items():
        _write_where_there_is(run, name, parts)
    write_map_tables(run, plan.maps, map_results)
    return Tabulated(animal_scores, tuple(findings), len(scored))


def make_comparisons(made: Scored) -> Made:
    """``comparisons.csv``."""
    return comparison_table(made.plan.comparisons, made.scores, made.session_scores)


def make_condition_scores(made: Scored) -> Made:
    """``condition_scores.csv``."""
    return [score_conditions(made.scores)], ()


def make_region_sets(made: Scored) -> Made:
    """``region_sets.csv``."""
    plan = made.plan
    judging = [task for task in plan.maps if task.settings.region_sets]
    return region_set_tables(plan.region_sets, plan.tasks, made.animal_scores, judging)


def make_groups(made: Scored) -> Made:
    """``groups.csv``."""
    groups = made.plan.groups
    if len(set(groups.values())) < 2:
        return (), ()
    return [compare_groups(made.session_scores, groups)], ()


def make_generalisation(made: Scored) -> Made:
    """``generalisation.csv``."""
    tables, findings = [], []
    for condition, tested in made.plan.generalisation:
        try:
            tables.append(generalisation_table(condition, tested, made.fitted))
        except DataError as error:
            reason = f"has no row in generalisation.csv: {error}"
            findings.append(Finding("fold", reason, item=condition))
    return tables, findings


def make_learning_curves(made: Scored) -> Made:
    """``learning_curve.csv``."""
    return learning_curve_table(made.plan.curves, made.fitted, made.animal_scores), ()


def make_nulls(made: Scored) -> Made:
    """``nulls.csv``."""
    found = null_tables(made.run, _without_lags(made))
    findings, own = list(found.findings), {}
    for keys in made.plan.permutation_tests:
        try:
            own[keys.condition] = permutation_row(keys, made)
        except DataError as error:
            findings.append(
                Finding("fold", f"has no permutation test: {error}", item=keys.condition)
            )
    tables = []
    for table in found.by_animal:
        name = table["condition"].iloc[0]
        if name in own:
            # The decoder's own p stands in the place of that of linear ones.
            table = table[table["animal"] != COHORT]
            table = pd.concat([table, pd.DataFrame([own.pop(name)])], ignore_index=True)
        tables.append(table)
    return [*tables, *(pd.DataFrame([row]) for row in own.values())], findings


def permutation_row(keys: PermutationTestKeys, made: Scored) -> dict[str, Any]:
    """The cohort's p by decoders that were trained again with permuted labels.

    Parameters
    ----------
    keys
        What the study asks for.
    made
        Tables of the run.

    Raises
    ------
    DataError
        The condition, or one of its permutations, has no score of an animal.
    """
    scores = made.animal_scores
    scores = scores[scores["value"].notna()]
    observed = scores[scores["condition"] == keys.condition]
    if observed.empty:
        raise DataError(f"{keys.condition!r} has no score of an animal")
    animals = list(observed["animal"])
    values = []
    for name in permutations_of(keys):
        own = scores[scores["condition"] == name].set_index("animal")["value"].reindex(animals)
        if own.isna().any():
            raise DataError(f"{name!r} has no score of animal {own.index[own.isna()][0]!r}")
        values.append(own.mean())
    fits = [task for task in made.fitted if task.condition.name == keys.condition]
    is_trials = fits[0].condition.target.events is not None
    own_sessions = made.session_scores[made.session_scores["condition"] == keys.condition]
    sessions = own_sessions[["animal", "session"]].drop_duplicates()
    value = float(observed["value"].mean())
    reached = int(np.sum(np.array(values) >= value))
    floor = 1 / (1 + len(values))
    if not is_trials:
        floor = max(floor, smallest_p(list(sessions["animal"])))
    return {
        "condition": keys.condition,
        "animal": COHORT,
        "metric": str(observed["metric"].iloc[0]),
        "value": value,
        "permuted_mean": float(np.mean(values)),
        "n_sessions": len(sessions),
        "exchanged": TRIALS if is_trials else "all sessions",
        "n_orders": 1 + len(values),
        "p": (1 + reached) / (1 + len(values)),
        "smallest_p": floor,
        "decoder": f"{fits[0].condition.network.kind}, trained again for each permutation",
        "note": "",
    }


def _without_lags(made: Scored) -> list[FitTask]:
    """Fits of conditions but for those at lags, which have a table of their own."""
    lags = {name for keys in made.plan.trial_times for name in lags_of(keys).values()}
    return [task for task in made.fitted if task.condition.name not in lags]


def make_trial_time(made: Scored) -> Made:
    """``trial_time.csv``: scores at one lag after another from the events of trials."""
    tables, findings = [], []
    for keys in made.plan.trial_times:
        rows = []
        for name in lags_of(keys).values():
            own = [task for task in made.fitted if task.condition.name == name]
            if own:
                rows += _at_lag(made, own, keys.condition)
            else:
                reason = f"{name!r} has no fold, and no row in trial_time.csv"
                findings.append(Finding("fold", reason, item=keys.condition))
        table = pd.DataFrame(rows)
        if len(table):
            # Each lag is a test: those of one animal are a family.
            table["p_holm"] = table.groupby("animal")["p"].transform(holm)
            tables.append(table)
    return tables, findings


def _at_lag(made: Scored, own: Sequence[FitTask], condition: str) -> list[dict[str, Any]]:
    """The rows of one lag: one an animal, and that of all."""
    window = own[0].condition.window
    rate_hz = load_sessions(own[0].prepared).frame_rate_hz
    scores = made.animal_scores[made.animal_scores["condition"] == own[0].condition.name]
    null = _null_of(made.run, own, with_cohort=False)
    p_of = {row["animal"]: row["p"] for row in null["animals"]}
    metric = str(scores["metric"].iloc[0])
    over = score_interval(scores["value"].to_numpy(), metric)
    lag = -window.shift

    def seconds(frames: int) -> float:
        return float("nan") if rate_hz is None else frames / rate_hz

    place = {
        "condition": condition,
        "fitted_as": own[0].condition.name,
        "lag_frames": lag,
        "lag_s": seconds(lag),
        "first_s": seconds(lag - window.before),
        "last_s": seconds(lag + window.after),
        "metric": metric,
    }
    rows = [
        place
        | {
            "animal": row.animal,
            "value": row.value,
            "low": float("nan"),
            "high": float("nan"),
            "n_trials": row.n_trials,
            "n_animals": 1,
            "p": p_of.get(str(row.animal), float("nan")),
        }
        for row in scores.itertuples()
    ]
    together = {
        "animal": COHORT,
        "value": over.mean,
        "low": over.low,
        "high": over.high,
        "n_trials": scores["n_trials"].sum(),
        "n_animals": over.n,
        "p": float("nan"),
    }
    return [*rows, place | together]


def make_day_trends(made: Scored) -> Made:
    """``day_trends.csv``: kept with the nulls, and read again from there."""
    return null_tables(made.run, _without_lags(made)).trends, ()


def make_variance_shares(made: Scored) -> Made:
    """``variance_shares.csv``."""
    return variance_tables(made.scores), ()


def fit_findings(results: Sequence[FitResult]) -> list[Finding]:
    """What was odd about fits, and which were left out."""
    findings: list[Finding] = []
    for result in results:
        findings += result.findings
        if result.left_out is not None:
            named = result.fit
            findings.append(left_out(named["condition"], named["fold"], result.left_out))
    return findings


def _in_columns(scores: pd.DataFrame) -> pd.DataFrame:
    """scores.csv in its order: what a fit is, its scores, and means over sessions last."""
    first = ["condition", "fold", "test_animal", "valid_animal", "seed", "n_windows", "base_rate"]
    last = [f"{metric}_session_mean" for metric in ("auc", "r2")]
    last = [*(name for name in last if name in scores), "look_ahead_s"]
    middle = [name for name in scores.columns if name not in first + last]
    return scores.reindex(columns=[*first, *middle, *last])


def _judged_over_blocks(
    fitted: Sequence[FitTask], scores: pd.DataFrame, session_scores: pd.DataFrame
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Scores in which a session that is tested block by block is left out, or not, as a whole.

    A block alone seldom holds the bouts that a session needs. Where its blocks together do, each
    has its score, which is that of all its windows, as a fold by block tests one session.
    """
    by_block = [task for task in fitted if _is_by_block(task.fold)]
    groups: dict[tuple[str, int, str, str], list[FitTask]] = {}
    for task in by_block:
        if task.condition.target.kind != "value":
            part = task.fold.test[0]
            key = (task.condition.name, task.seed, part.animal, str(part.session))
            groups.setdefault(key, []).append(task)
    if not groups:
        return scores, session_scores
    scores, session_scores = scores.copy(), session_scores.copy()
    for (condition, seed, animal, session), tasks in groups.items():
        parts = [_read_predictions(task.folder).of_part("test") for task in tasks]
        [row] = session_rows(join(parts))
        reason = row["blank_because"]
        names = [task.fold.name for task in tasks]
        own, of_fit = (
            (table["condition"] == condition) & (table["seed"] == seed) & table["fold"].isin(names)
            for table in (session_scores, scores)
        )
        own &= (session_scores["animal"] == animal) & (session_scores["session"] == session)
        session_scores.loc[own, "blank_because"] = reason
        pooled = scores[of_fit].set_index("fold")
        for metric in BLANKED[tasks[0].condition.target.kind]:
            values = session_scores.loc[own, "fold"].map(pooled[metric])
            session_scores.loc[own, metric] = np.nan if reason else values
        scores.loc[of_fit, "auc_session_mean"] = np.nan if reason else scores.loc[of_fit, "auc"]
    return scores, session_scores


def _is_by_block(fold: Fold) -> bool:
    """Whether the session that is tested trains, too, in other stretches of time."""
    sessions = {(part.animal, part.session) for part in fold.train}
    [first, *others] = fold.test
    return not others and first.session is not None and (first.animal, first.session) in sessions


def _excluded(findings: Sequence[Finding]) -> pd.DataFrame:
    rows = [[f.what, f.animal, f.session, f.item, f.count, f.reason] for f in findings]
    columns = ["what", "animal", "session", "item", "count", "reason"]
    return pd.DataFrame(rows, columns=columns)


class Nulls(NamedTuple):
    """Tables of permuted labels, and what was left out of them.

    Parameters
    ----------
    by_animal
        One table a condition, one row an animal; of the first condition of traces a row of the
        cohort.
    trends
        What changes over an animal's days.
    findings
        Sessions that are too short to take part.
    """

    by_animal: list[pd.DataFrame]
    trends: list[pd.DataFrame]
    findings: list[Finding]


def comparison_table(
    asked: Sequence[ComparisonKeys], scores: pd.DataFrame, session_scores: pd.DataFrame
) -> tuple[list[pd.DataFrame], list[Finding]]:
    """Each pair of conditions that a study compares, over what both of them decoded.

    A pair is compared over the folds, seeds and sessions that both conditions have a score of.

    Parameters
    ----------
    asked
        Families of conditions; those of one name are one family.
    scores, session_scores
        Tables of the run.

    Returns
    -------
    tables, findings
        One table or none; why a pair is missing from it.
    """
    rows, findings = [], []
    seen: set[tuple[str, frozenset[str]]] = set()
    for keys in asked:
        for a, b in Comparison(keys.name, tuple(keys.conditions), keys.against).pairs:
            if (keys.name, frozenset((a, b))) in seen:
                continue
            seen.add((keys.name, frozenset((a, b))))
            try:
                rows.append(_compared(keys, (a, b), scores, session_scores))
            except DataError as error:
                reason = f"{a!r} is not compared with {b!r}: {error}"
                findings.append(Finding("fold", reason, item=keys.name))
    tables = [with_families(pd.concat(rows, ignore_index=True))] if rows else []
    return tables, findings


def _compared(
    keys: ComparisonKeys,
    pair: tuple[str, str],
    scores: pd.DataFrame,
    session_scores: pd.DataFrame,
) -> pd.DataFrame:
    """The rows of one pair, over the folds and sessions that both conditions have."""
    shared, metric = shared_sessions(session_scores, pair)
    folds = shared_rows(scores, pair, FOLD, "fold")
    table = compare_pair(
        score_animals(shared), keys.name, pair, split_scores=folds, within=keys.equivalent_within
    )
    sessions = shared_rows(session_scores, pair, FOLD, "fold")
    if metric == "r2":
        beside = {"mae": shared}
        if SKILL in sessions and sessions[SKILL].notna().any():
            # No session is blank of it: it is over all windows that both decoded.
            known = sessions[sessions[SKILL].notna()]
            beside[SKILL] = shared_rows(known, pair, SESSION, "session with a skill")
        parts = [
            compare_pair(score_animals(own, name), keys.name, pair, split_scores=folds)
            for name, own in beside.items()
        ]
        table = pd.concat([table, *parts], ignore_index=True)
    missing = [
        f"{name} is scored on {n} more sessions, which are left out here"
        for name in pair
        if (n := _count(sessions, name, metric) - _count(shared, name, metric))
    ]
    if missing:
        notes = table["note"].fillna("").str.cat(["; ".join(missing)] * len(table), sep="; ")
        table["note"] = notes.str.strip("; ")
    return table


def _count(sessions: pd.DataFrame, name: str, metric: str) -> int:
    own = sessions[(sessions["condition"] == name) & sessions[metric].notna()]
    return len(own[["animal", "session"]].drop_duplicates())


def variance_tables(scores: pd.DataFrame) -> list[pd.DataFrame]:
    """What the spread over a condition's decoders comes from, for each score they have."""
    tables = []
    for metric in ("auc", "r2"):
        if metric in scores and scores[metric].notna().any():
            shares = variance_shares(scores, metric)
            parts = ("test_animal", "training_set", "seed")
            tables.append(shares.rename(columns={part: f"share_{part}" for part in parts}))
    return tables


def null_tables(run: Run, fitted: Sequence[FitTask]) -> Nulls:
    """Each animal against its own labels in other orders, condition by condition.

    What was found is kept beside the condition's fits, and taken from there while they are the
    same. The first linear condition of traces (without one, the first of traces) is also asked of
    the cohort, by linear decoders that are refitted in every order.

    Parameters
    ----------
    run
        Where it is kept.
    fitted
        Every finished fit.
    """
    nulls = Nulls([], [], [])
    able = [
        task.condition
        for task in fitted
        if task.condition.input == "traces"
        and task.condition.target.kind in ("binary", "value")
        and task.condition.permute_labels in (None, "none")
    ]
    # The cohort's p is of linear decoders of the window: it stands with that condition, if any.
    linear = [one for one in able if one.network.kind == "linear-window"]
    first = next((one.name for one in [*linear, *able]), None)
    for name in dict.fromkeys(task.condition.name for task in fitted):
        own = [task for task in fitted if task.condition.name == name]
        condition = own[0].condition
        if condition.permute_labels not in (None, "none"):
            continue
        found = _null_of(run, own, with_cohort=name == first)
        for kept, rows in ((nulls.by_animal, found["animals"]), (nulls.trends, found["trends"])):
            table = pd.DataFrame(rows)
            if len(table):
                table.insert(0, "condition", name)
                kept.append(table)
        # Sessions that have no score are told of as such already; nulls.csv counts the others.
        told = (Finding(**one) for one in found["findings"])
        nulls.findings.extend(one for one in told if one.code == TOO_SHORT)
    return nulls


def _null_of(run: Run, own: Sequence[FitTask], *, with_cohort: bool) -> dict[str, Any]:
    """The null of one condition: what is kept of it, or made and kept."""
    path = run.condition_folder(own[0].condition.name) / "null.json"
    key = hash_of({"fits": [task.key for task in own], "cohort": with_cohort})
    kept = _read_kept(path, key)
    if kept is not None:
        return kept
    found: dict[str, Any] = {"key": key, "animals": [], "trends": [], "findings": []}
    try:
        null = permute_test_labels([_read_predictions(task.folder) for task in own])
    except DataError as error:
        found["findings"].append(asdict(_no_null(own[0], error)))
    else:
        found |= {
            "animals": _plain(null.animals),
            "trends": _plain(null.trends),
            "findings": [asdict(finding) for finding in null.findings],
        }
    # One animal says nothing of a cohort.
    roles = [(task.fold.train, task.fold.valid, task.fold.test) for task in own]
    n_animals = len({part.animal for fold in roles for role in fold for part in role})
    if with_cohort and n_animals > 1:
        try:
            found["animals"].append(_cohort_row(own[0]))
        except (DataError, StudyError) as error:
            found["findings"].append(asdict(_no_null(own[0], error)))
    write_text(path, json.dumps(found, indent=1))
    return found


def make_detection(made: Scored) -> Made:
    """``detection.csv``: what each animal gets from thresholds set on validation rest."""
    return _detectors(made, "detection")


def make_calibration(made: Scored) -> Made:
    """``calibration.csv``: how far probabilities and thresholds hold in each animal."""
    return _detectors(made, "calibration")


def _detectors(made: Scored, what: str) -> Made:
    """One table a condition of two classes whose labels are as they were."""
    tables = []
    fitted = _without_lags(made)
    for name in dict.fromkeys(task.condition.name for task in fitted):
        own = [task for task in fitted if task.condition.name == name]
        condition = own[0].condition
        if condition.target.kind == "binary" and condition.permute_labels in (None, "none"):
            table = pd.DataFrame(_detector_of(made.run, own)[what])
            if len(table):
                table.insert(0, "condition", name)
                tables.append(table)
    return tables, ()


def _detector_of(run: Run, own: Sequence[FitTask]) -> dict[str, Any]:
    """Detection and calibration of one condition: what is kept of them, or made and kept."""
    path = run.condition_folder(own[0].condition.name) / "detection.json"
    key = hash_of({"fits": [task.key for task in own]})
    try:
        kept = json.loads(path.read_text("utf-8"))
        if kept["key"] == key and {"detection", "calibration"} <= set(kept):
            return dict(kept)
    except (OSError, ValueError, KeyError, TypeError):
        pass
    read = {task.folder: _read_predictions(task.folder) for task in own}
    trained = {part.animal for task in own for part in task.fold.train if task.fold == own[0].fold}
    new_animals = not trained & {part.animal for part in own[0].fold.test}
    groups: dict[object, list[Predictions]] = {}
    for task in own:
        # Folds within animals test a part each: those of one seed are one decoder of the animal.
        group = (task.seed, task.fold.name) if new_animals else task.seed
        groups.setdefault(group, []).append(read[task.folder])
    found: dict[str, Any] = {"key": key, "detection": []}
    found["calibration"] = _plain(calibrate_by_animal(list(groups.values())))
    of_trials = own[0].condition.target.events is not None  # between which nothing is decoded
    if next(iter(read.values())).frame_rate_hz is not None and not of_trials:
        ahead_s = _window_ahead_s(own[0].condition, next(iter(read.values())).frame_rate_hz or 1.0)
        table = detect_by_animal(
            list(read.values()), window_ahead_s=ahead_s, new_animals=new_animals
        )
        # JSON knows no infinity.
        table = table.replace({"median_latency_s": {np.inf: "inf"}})
        found["detection"] = _plain(table)
    write_text(path, json.dumps(found, indent=1))
    return found


def _window_ahead_s(condition: Condition, frame_rate_hz: float) -> float:
    """By how much the window of a condition lies after the frame that it decodes, seconds."""
    if condition.network.kind == "linear-frame":
        after = 0
    else:
        # The image of a frame holds the next one too.
        after = condition.window.after + (1 if condition.input == "movie" else 0)
    return max(0, after - condition.window.shift) / frame_rate_hz


def _no_null(task: FitTask, error: Exception) -> Finding:
    reason = f"{task.condition.name!r} is not set against permuted labels: {error}"
    return Finding("fold", reason)


def _read_kept(path: Path, key: str) -> dict[str, Any] | None:
    """What was kept under a key; None where there is none or it is damaged."""
    try:
        kept = json.loads(path.read_text("utf-8"))
        # Findings of older versions have no code, by which they are told apart.
        is_it = (
            kept["key"] == key
            and all("code" in one for one in kept["findings"])
            and all("decoder" in one for one in kept["animals"])
            # Nor did they test an animal with one session.
            and all(one["n_sessions"] > 1 or "n_blocks" in one for one in kept["animals"])
        )
        return dict(kept) if is_it else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _cohort_row(task: FitTask) -> Mapping[str, Any]:
    """The cohort's p, by linear decoders that are refitted in every order of labels."""
    windows = condition_windows(load_sessions(task.prepared), task.condition, table=task.table)
    every = max(1, round(windows.n_windows / MOST_WINDOWS))
    if task.condition.target.events is None:
        null = permute_and_refit(windows, every=max(10, every))
        n_sessions = int(null.trends.drop_duplicates("animal")["n_sessions"].sum())
    else:
        null = permute_trials_and_refit(windows)
        n_sessions = int(np.unique(windows.session).size) - len(null.findings)
    exchanged = sorted(set(null.exchanged.values()))
    row = {
        "animal": COHORT,
        "metric": STATISTICS[task.condition.target.kind],
        "value": null.value,
        "permuted_mean": null.permuted_mean,
        "n_sessions": n_sessions,
        "exchanged": ", ".join(exchanged),
        "n_orders": int(null.values.size),
        "p": null.p,
        "smallest_p": null.smallest_p,
        "decoder": f"linear decoders refitted in each order, each {null.held_out} left out in turn",
        "note": null.note,
    }
    return row


def _plain(table: pd.DataFrame) -> list[dict[str, Any]]:
    """A table as plain values; what is missing is None."""
    rows: list[dict[str, Any]] = json.loads(table.to_json(orient="records", double_precision=15))
    return rows


def learning_curve_table(
    curves: Sequence[LearningCurveKeys], fits: Sequence[FitTask], animal_scores: pd.DataFrame
) -> list[pd.DataFrame]:
    """Scores of decoders that were trained on less: a row an animal, and one of their mean.

    Parameters
    ----------
    curves
        What the study asks for.
    fits
        Every fit of the run.
    animal_scores
        Of the run.

    Returns
    -------
    list of DataFrame
        One table a curve: condition, varied (``"animals"`` or ``"minutes"``), amount (of the last
        point: what the condition itself trains on, averaged over folds and animals), animal
        (blank: their mean), metric, value, low, high (95 % over animals), n_animals.
    """
    tables = []
    for curve in curves:
        for varied, names in _points(curve, fits).items():
            rows = []
            for name, amount in names.items():
                own = animal_scores[animal_scores["condition"] == name]
                point = {"condition": curve.condition, "varied": varied, "amount": amount}
                for animal, metric, value in zip(
                    own["animal"], own["metric"], own["value"], strict=True
                ):
                    scored = {"animal": animal, "metric": metric, "value": value}
                    rows.append(point | scored)
                if len(own):
                    metric = str(own["metric"].iloc[0])
                    found = score_interval(own["value"].dropna().to_numpy(np.float64), metric)
                    ends = {"low": found.low, "high": found.high, "n_animals": found.n}
                    mean = {"animal": "", "metric": metric, "value": found.mean}
                    rows.append(point | mean | ends)
            columns = ["condition", "varied", "amount", "animal", "metric", "value"]
            tables.append(
                pd.DataFrame(rows).reindex(columns=[*columns, "low", "high", "n_animals"])
            )
    return tables


def generalisation_table(
    condition: str, tested: Mapping[str, str], fits: Sequence[FitTask]
) -> pd.DataFrame:
    """Scores of one decoder within sessions, across them and across animals, on the same windows.

    Every fit is scored in the pieces of sessions that the smallest test parts are, on the windows
    that all of the conditions tested there; a piece's score is blank for all or for none.

    Parameters
    ----------
    condition
        The condition that is asked about.
    tested
        The conditions by where each is tested, nearest first.
    fits
        Every fit of the run.

    Returns
    -------
    DataFrame
        condition, tested, against (empty: no difference), animal (empty: their mean), metric,
        value, low, high (95 % over animals), n_animals, p (of differences: paired t).

    Raises
    ------
    DataError
        A condition has no fit, or they have no window in common.
    """
    own = {where: _tested_by(name, fits) for where, name in tested.items()}
    names: dict[tuple[str, str], int] = {}
    codes = {where: [_window_codes(one, names) for one in told] for where, told in own.items()}
    shared = reduce(np.intersect1d, [np.concatenate(parts) for parts in codes.values()])
    pieces = min(codes.values(), key=lambda parts: max(part.size for part in parts))
    piece_of = np.full(shared.size, -1)
    for k, part in enumerate(pieces):
        piece_of[np.isin(shared, part)] = k
    rows = []
    for where, told in own.items():
        for seed, (one, code) in enumerate(zip(told, codes[where], strict=True)):
            at = np.searchsorted(shared, code).clip(0, shared.size - 1)
            piece = np.where(shared[at] == code, piece_of[at], -1) if shared.size else code * 0 - 1
            for k in np.unique(piece[piece >= 0]):
                scored = score_sessions(one.where(piece == k))
                rows.append(scored.assign(condition=where, fold=f"{k}", seed=seed))
    if not rows:
        raise DataError("no window is tested in all of them")
    values = score_animals(pd.concat(rows, ignore_index=True))
    table = values.pivot(index="animal", columns="condition", values="value")[list(own)]
    table = table.dropna()
    if table.empty:
        raise DataError(
            "no animal has a score in all of them; blocks may be too short for bouts of each class "
            "(give [folds] blocks = 3, or across = ['sessions', 'animals'])"
        )
    metric = str(values["metric"].iloc[0])
    found: list[dict[str, Any]] = []
    for where in own:
        found += [
            {"tested": where, "against": "", "animal": animal, "value": value}
            for animal, value in table[where].items()
        ]
        ends = score_interval(table[where], metric)
        found.append({"tested": where, "against": "", "animal": ""} | _ends_of(ends))
    for near, far in combinations(own, 2):
        difference = (table[near] - table[far]).to_numpy(np.float64)
        row = {"tested": near, "against": far, "animal": "", "p": t_test(difference)}
        found.append(row | _ends_of(interval(difference)))
    columns = ["tested", "against", "animal", "value", "low", "high", "n_animals", "p"]
    done = pd.DataFrame(found).reindex(columns=columns)
    done.insert(3, "metric", metric)
    done.insert(0, "condition", condition)
    return done


def _ends_of(found: Interval) -> dict[str, Any]:
    return {"value": found.mean, "low": found.low, "high": found.high, "n_animals": found.n}


def _tested_by(name: str, fits: Sequence[FitTask]) -> list[Predictions]:
    """The test parts of a condition's fits.

    Raises
    ------
    DataError
        It has none.
    """
    own = [task for task in fits if task.condition.name == name]
    if not own:
        raise DataError(f"{name!r} has no fit with scores")
    return [Predictions.load(task.folder / "predictions.npz").of_part("test") for task in own]


def _window_codes(told: Predictions, names: dict[tuple[str, str], int]) -> NDArray[np.int64]:
    """A number for each window's session and frame; sessions get theirs as they come."""
    both, inverse = np.unique(
        np.stack([told.animal, told.session], axis=1), axis=0, return_inverse=True
    )
    own = [
        names.setdefault((told.animal_names[a], told.session_names[s]), len(names)) for a, s in both
    ]
    return np.array(own, np.int64)[inverse.ravel()] * MOST_FRAMES + told.frame


def _points(curve: LearningCurveKeys, fits: Sequence[FitTask]) -> dict[str, dict[str, float]]:
    """The conditions of a curve with the amount each trains on, by what is varied; fewest first."""
    found: dict[str, dict[str, float]] = {}
    for name, (varied, amount) in names_of(curve).items():
        found.setdefault(varied, {})[name] = amount
    whole = [task for task in fits if task.condition.name == curve.condition]
    if whole:
        everything = [_trained_on(task) for task in whole]
        for k, varied in enumerate(("animals", "minutes")):
            if varied in found:
                found[varied][curve.condition] = float(np.mean([one[k] for one in everything]))
    return {
        varied: dict(sorted(names.items(), key=lambda one: one[1]))
        for varied, names in found.items()
    }


def _trained_on(task: FitTask) -> tuple[int, float]:
    """How many animals a fit trains on, and minutes of each; NaN without a frame rate."""
    prepared = load_sessions(task.prepared)
    n_frames = 0
    for k, names in enumerate(zip(prepared.animals, prepared.sessions, strict=True)):
        rows = prepared.rows(k)
        for part in task.fold.train:
            if part.animal == names[0] and part.session in (None, names[1]):
                stop = rows.stop - rows.start if part.stop_frame is None else part.stop_frame
                n_frames += stop - part.first_frame
    n_animals = len({part.animal for part in task.fold.train})
    if prepared.frame_rate_hz is None:
        return n_animals, float("nan")
    return n_animals, n_frames / prepared.frame_rate_hz / 60 / n_animals


def region_set_tables(
    sets: Sequence[RegionSetKeys],
    fits: Sequence[FitTask],
    animal_scores: pd.DataFrame,
    judging: Sequence[MapTask] = (),
) -> tuple[list[pd.DataFrame], list[Finding]]:
    """A table a condition: each set's necessity and sufficiency, its rank, and pairs in words.

    Parameters
    ----------
    sets
        What the study asks about.
    fits
        Every fit of the run.
    animal_scores
        Of the run.
    judging
        What decoders with region dropout were given sets alone for.

    Returns
    -------
    tables, findings
        Why a set is missing from them.
    """
    tables, findings = [], []
    for condition in dict.fromkeys(one.condition for one in sets):
        own = [one for one in sets if one.condition == condition]
        named = [SetConditions(one.name, condition, *set_names(condition, one.name)) for one in own]
        try:
            found = set_side_by_side(animal_scores, named)
        except DataError as error:
            findings.append(Finding("region", f"no region sets of {condition!r}: {error}"))
            continue
        table = found.table.copy()
        fit = next(task for task in fits if task.condition.name == condition)
        alone = [one for one in judging if one.fit.condition.name == dropout_name(condition)]
        ranks = []
        for one in own:
            row, odd = _rank(one, fit, alone)
            ranks.append(row)
            findings += odd
        table = table.join(pd.DataFrame(ranks, index=table.index))
        pairs = pd.DataFrame({"set": "together", "words": list(found.words[len(own) :])})
        table = pd.concat([table, pairs], ignore_index=True) if len(pairs) else table
        table.insert(0, "condition", condition)
        tables.append(table)
    return tables, findings


def _rank(
    one: RegionSetKeys, fit: FitTask, judging: Sequence[MapTask]
) -> tuple[dict[str, object], list[Finding]]:
    """How a set stands among others of its size: by networks, and by linear decoders."""
    if one.n_sets == 0:
        return {}, []
    windows = condition_windows(load_sessions(fit.prepared), fit.condition, table=fit.table)
    fewest = EVERY if fit.condition.target.events is None else 1
    every = max(fewest, round(windows.n_windows / MOST_WINDOWS))
    row: dict[str, object] = {}
    findings = []
    try:
        linear: RegionSets = compare_region_sets(
            windows, one.regions, fit.table, n_sets=one.n_sets, every=every
        )
    except (DataError, StudyError) as error:
        reason = f"not set beside random sets by linear decoders: {error}"
        findings.append(Finding("region", reason, item=one.name))
    else:
        row = {
            "linear_value": linear.value,
            "linear_value_of_all": linear.value_of_all,
            "linear_percentile": linear.rank.percentile,
            "linear_percentile_symmetric": linear.rank.percentile_symmetric,
            "linear_words": linear.words,
        }
        if fit.condition.network.kind in LINEAR:
            own = JudgedSet(linear.value, linear.value_of_all, linear.rank, linear.words)
            return _judged_row(LINEAR_DECODER, own) | row, findings
    judged = _judged(one, fit, judging)
    return ({} if judged is None else _judged_row(*judged)) | row, findings


def _judged_row(decoder: str, judged: JudgedSet) -> dict[str, object]:
    rank = judged.rank
    return {
        "judged_by": decoder,
        "judged_value": judged.value,
        "judged_value_of_all": judged.value_of_all,
        "n_random": rank.random.size,
        "percentile": rank.percentile,
        "p": rank.p,
        "n_symmetric": rank.symmetric.size,
        "percentile_symmetric": rank.percentile_symmetric,
        "p_symmetric": rank.p_symmetric,
        "rank_words": judged.words,
    }


def _judged(
    one: RegionSetKeys, fit: FitTask, judging: Sequence[MapTask]
) -> tuple[str, JudgedSet] | None:
    """How a set stands by decoders with region dropout; None where none was given it alone."""
    made = [
        (task, found)
        for task in judging
        if (found := read_result(task.folder, MapResult)) is not None
        and found.left_out is None
        and one.name in found.details["sets"]
    ]
    if not made:
        return None
    details = made[0][1].details
    drawn = details["sets"][one.name]
    random, symmetric = (tuple(map(tuple, drawn[name])) for name in ("random", "symmetric"))
    sets = SetsBeside(tuple(drawn["chosen"]), random, symmetric, bool(drawn["may_overlap"]))
    scores = [read_csv(task.folder / "occlusion_sessions.csv") for task, _ in made]
    decoder = f"{fit.condition.network.kind} trained with region dropout"
    return decoder, judge_set(sets, scores, details["metric"], decoder, details["n_regions"])


def make_confounds(made: Scored) -> Made:
    """``confounds.csv``: what each condition tells beside its confounds, and why another is not."""
    tables, findings = [], []
    for asked in made.plan.confounds:
        name = asked.condition
        blocks = [()] * asked.measured + [tuple(asked.behavior)] * bool(asked.behavior)
        for columns in blocks:
            try:
                tables.append(confound_rows(_confounds_of(made, name, columns), name))
            except CorticodeError as error:
                what = f"confounds of {name!r}{' ' * bool(columns)}{', '.join(columns)}"
                findings.append(Finding("fold", f"{what} are not analysed: {error}"))
    return tables, findings


def _confounds_of(made: Scored, name: str, columns: Sequence[str]) -> ConfoundAnalysis:
    """The analysis of one condition, beside measured confounds or behaviour columns."""
    alone, removed = control_names(name)
    alone = behavior_control(name) if columns else alone
    by_fit = {(t.condition.name, t.fold.name, t.seed): t for t in made.fitted}
    described = []
    for task in made.fitted:
        beside = by_fit.get((alone, task.fold.name, task.seed))
        if task.condition.name == name and beside is not None:
            table = describe_beside(*(_read_predictions(t.folder) for t in (task, beside)))
            described.append(table.assign(fold=task.fold.name, seed=task.seed))
    within = _within_animals([t for t in made.fitted if t.condition.name == alone])
    if columns:
        return analyse_confounds(
            described, made.animal_scores, name, within=within, columns=columns
        )
    folders = {t.prepared for t in made.fitted if t.condition.name == removed}
    # Folds within animals have prepared data of their own: the worst of all counts.
    worst = [_least_reliable(folder) for folder in sorted(folders)] or [("", float("nan"))]
    name_of, lowest = min(worst, key=lambda one: -1 if np.isnan(one[1]) else one[1])
    return analyse_confounds(described, made.animal_scores, name, lowest, name_of, within=within)


def _within_animals(fits: Sequence[FitTask]) -> pd.DataFrame:
    """What confounds tell within each animal, of the recordings that fits of them share."""
    found = [
        confounds_within_animals(
            condition_windows(load_sessions(fit.prepared), fit.condition, table=fit.table)
        )
        for fit in {fit.prepared: fit for fit in fits}.values()
    ]
    return pd.concat(found) if found else pd.DataFrame(columns=["animal", "value"])


def _least_reliable(folder: Path) -> tuple[str, float]:
    try:
        return least_reliable(json.loads((folder / RELIABILITY).read_text("utf-8")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise RunError(
            f"{folder / RELIABILITY} is missing or damaged ({error}); delete the folder {folder} "
            "and run the same command again: it is made again, and what is fitted is kept"
        ) from error


def _write_where_there_is(run: Run, name: str, tables: Sequence[pd.DataFrame]) -> None:
    """One table of several; without any, none that an earlier study left is kept."""
    if tables:
        write_table(run.table_path(name), pd.concat(tables, ignore_index=True))
    else:
        run.table_path(name).unlink(missing_ok=True)


def make_shift_references(made: Scored) -> Made:
    """``shift_references.csv``: decoders with a shift beside lines from their like without one."""
    fitted = made.fitted
    unshifted = {
        (without_shift(task.condition), task.fold.name, task.seed): task.folder
        for task in fitted
        if task.condition.window.shift == 0
    }
    tables = []
    for task in fitted:
        shift = task.condition.window.shift
        like = unshifted.get((without_shift(task.condition), task.fold.name, task.seed))
        if shift == 0 or like is None or task.condition.target.kind != "binary":
            continue
        if task.condition.target.events is not None:
            continue  # a trial's label is one: it neither persists nor is foretold
        now, shifted = _read_predictions(like), _read_predictions(task.folder)
        try:
            table = compare_with_references(now, shifted, shift)
        except DataError:
            # Blocks may be shorter than the shift: no frame of one part has its like in the other.
            continue
        named = {"condition": task.condition.name, "fold": task.fold.name, "seed": task.seed}
        tables.append(pd.DataFrame({**named, **table}))
    return tables, ()


def without_shift(condition: Condition) -> Condition:
    """What a condition shares with its like without a shift, whichever predictions both keep."""
    unshifted = replace(condition.window, shift=0)
    return replace(condition, name="", window=unshifted, keep_train=False)


def _read_predictions(folder: Path) -> Predictions:
    try:
        return Predictions.load(folder / "predictions.npz")
    except (MissingDataError, DecoderError) as error:
        raise RunError(
            f"{folder / 'predictions.npz'} is missing or damaged; delete the folder {folder} and "
            "run the same command again: only this fit is redone"
        ) from error


def make_region_correlations(made: Scored) -> Made:
    """``region_correlations.csv``: of the first condition of traces, region by region."""
    fitted = made.fitted
    first = next((t.condition for t in fitted if t.condition.input == "traces"), None)
    if first is None or first.target.kind == "classes" or first.target.events is not None:
        return (), ()
    folders = dict.fromkeys(t.prepared for t in fitted if t.condition == first)
    return [correlate_regions(load_sessions(folder), first.target) for folder in folders], ()


def _no_fold(findings: Sequence[Finding]) -> str:
    """Why nothing can be decoded, each reason once."""
    folds: dict[str, list[str]] = {}
    for finding in findings:
        if finding.what == "fold":
            folds.setdefault(finding.reason, []).append(finding.item)
    reasons = [
        f"{reason} ({len(names)} folds, the first {names[0]!r})"
        for reason, names in list(folds.items())[:SHOWN_REASONS]
    ]
    more = len(folds) - len(reasons)
    return "no fold is left to decode: " + "; ".join(reasons) + f"; and {more} more" * (more > 0)
