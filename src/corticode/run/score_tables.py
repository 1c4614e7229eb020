"""Tables that set results against each other: conditions, permuted labels, sets of regions."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from corticode.data.files import write_text
from corticode.data.prepared import load_sessions
from corticode.decode.predictions import Predictions
from corticode.errors import DataError, Finding, StudyError
from corticode.evaluate.comparisons import Comparison, compare_pair, variance_shares, with_families
from corticode.evaluate.nulls import COHORT, SHORT, permute_test_labels
from corticode.evaluate.refits import permute_and_refit
from corticode.evaluate.region_sets import (
    EVERY,
    RegionSets,
    SetConditions,
    compare_region_sets,
    set_names,
    set_side_by_side,
)
from corticode.evaluate.scores import score_animals
from corticode.run.fits import FitTask, condition_windows
from corticode.run.folder import Run, hash_of
from corticode.study.keys import ComparisonKeys, RegionSetKeys

# What two decoders share that saw the same recordings.
FOLD = ["fold", "seed"]
SESSION = [*FOLD, "animal", "session"]
# Windows among which labels are permuted and a linear decoder fitted anew: more are thinned.
MOST_WINDOWS = 100_000


ReadPredictions = Callable[[Path], Predictions]


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
        for a, b in Comparison(keys.name, tuple(keys.conditions)).pairs:
            if (keys.name, frozenset((a, b))) in seen:
                continue
            seen.add((keys.name, frozenset((a, b))))
            try:
                rows.append(_compared(keys.name, (a, b), scores, session_scores))
            except DataError as error:
                reason = f"{a!r} is not compared with {b!r}: {error}"
                findings.append(Finding("fold", reason, item=keys.name))
    tables = [with_families(pd.concat(rows, ignore_index=True))] if rows else []
    return tables, findings


def _compared(
    family: str, pair: tuple[str, str], scores: pd.DataFrame, session_scores: pd.DataFrame
) -> pd.DataFrame:
    """The rows of one pair, over the folds and sessions that both conditions have."""
    folds = _shared(scores, pair, FOLD, "fold")
    sessions = _shared(session_scores, pair, FOLD, "fold")
    metric = _metric(sessions)
    known = sessions[sessions[metric].notna()]
    known = _shared(known, pair, SESSION, "session with enough bouts of each class")
    table = compare_pair(score_animals(known), family, pair, split_scores=folds)
    missing = [
        f"{name} is scored on {n} more sessions, which are left out here"
        for name in pair
        if (n := _count(sessions, name, metric) - _count(known, name, metric))
    ]
    if missing:
        notes = table["note"].fillna("").str.cat(["; ".join(missing)] * len(table), sep="; ")
        table["note"] = notes.str.strip("; ")
    return table


def _count(sessions: pd.DataFrame, name: str, metric: str) -> int:
    own = sessions[(sessions["condition"] == name) & sessions[metric].notna()]
    return len(own[["animal", "session"]].drop_duplicates())


def _metric(sessions: pd.DataFrame) -> str:
    """``"auc"`` or ``"r2"``, by which of them a pair has; a study compares like with like.

    Raises
    ------
    DataError
        No session has either.
    """
    for metric in ("auc", "r2"):
        if metric in sessions and sessions[metric].notna().any():
            return metric
    raise DataError(
        "no session of theirs has a score; give longer recordings, or more that hold both classes"
    )


def _shared(
    table: pd.DataFrame, pair: tuple[str, str], columns: list[str], what: str
) -> pd.DataFrame:
    """The rows of two conditions that have their like under the other.

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


def variance_tables(scores: pd.DataFrame) -> list[pd.DataFrame]:
    """What the spread over a condition's decoders comes from, for each score they have."""
    tables = []
    for metric in ("auc", "r2"):
        if metric in scores and scores[metric].notna().any():
            shares = variance_shares(scores, metric)
            parts = ("test_animal", "training_set", "seed")
            tables.append(shares.rename(columns={part: f"share_{part}" for part in parts}))
    return tables


def null_tables(run: Run, fitted: Sequence[FitTask], read_predictions: ReadPredictions) -> Nulls:
    """Each animal against its own labels in other orders, condition by condition.

    What was found is kept beside the condition's fits, and taken from there while they are the
    same. The first condition of traces is also asked of the cohort, by linear decoders that are
    fitted anew in every order.

    Parameters
    ----------
    run
        Where it is kept.
    fitted
        Every finished fit.
    read_predictions
        From a fit's folder.
    """
    nulls = Nulls([], [], [])
    first = next((t.condition.name for t in fitted if t.condition.input == "traces"), None)
    for name in dict.fromkeys(task.condition.name for task in fitted):
        own = [task for task in fitted if task.condition.name == name]
        condition = own[0].condition
        if condition.target.kind != "binary" or condition.permute_labels not in (None, "none"):
            continue
        found = _null_of(run, own, read_predictions, with_cohort=name == first)
        for kept, rows in ((nulls.by_animal, found["animals"]), (nulls.trends, found["trends"])):
            table = pd.DataFrame(rows)
            if len(table):
                table.insert(0, "condition", name)
                kept.append(table)
        # Sessions that have no score are told of as such already; nulls.csv counts the others.
        told = (Finding(**one) for one in found["findings"])
        nulls.findings.extend(one for one in told if SHORT in one.reason)
    return nulls


def _null_of(
    run: Run, own: Sequence[FitTask], read_predictions: ReadPredictions, *, with_cohort: bool
) -> dict[str, Any]:
    """The null of one condition: what is kept of it, or made and kept."""
    path = run.condition_folder(own[0].condition.name) / "null.json"
    key = hash_of({"fits": [task.key for task in own], "cohort": with_cohort})
    kept = _read_kept(path, key)
    if kept is not None:
        return kept
    found: dict[str, Any] = {"key": key, "animals": [], "trends": [], "findings": []}
    try:
        null = permute_test_labels([read_predictions(task.folder) for task in own])
    except DataError as error:
        found["findings"].append(asdict(_no_null(own[0], error)))
    else:
        found |= {
            "animals": _plain(null.animals),
            "trends": _plain(null.trends),
            "findings": [asdict(finding) for finding in null.findings],
        }
    if with_cohort:
        try:
            found["animals"].append(_cohort_row(own[0]))
        except (DataError, StudyError) as error:
            found["findings"].append(asdict(_no_null(own[0], error)))
    write_text(path, json.dumps(found, indent=1))
    return found


def _no_null(task: FitTask, error: Exception) -> Finding:
    reason = f"{task.condition.name!r} is not set against permuted labels: {error}"
    return Finding("fold", reason)


def _read_kept(path: Path, key: str) -> dict[str, Any] | None:
    """What was kept under a key; None where there is none or it is damaged."""
    try:
        kept = json.loads(path.read_text("utf-8"))
        return dict(kept) if kept["key"] == key else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _cohort_row(task: FitTask) -> Mapping[str, Any]:
    """The cohort's p, by linear decoders that are fitted anew in every order of labels."""
    windows = condition_windows(load_sessions(task.prepared), task.condition, table=task.table)
    every = max(1, round(windows.n_windows / MOST_WINDOWS))
    null = permute_and_refit(windows, every=max(10, every))
    exchanged = sorted(set(null.exchanged.values()))
    row = {
        "animal": COHORT,
        "value": null.value,
        "chance": float(np.nanmean(null.values)),
        "n_sessions": int(null.trends.drop_duplicates("animal")["n_sessions"].sum()),
        "exchanged": ", ".join(exchanged),
        "n_orders": int(null.values.size),
        "p": null.p,
        "smallest_p": null.smallest_p,
        "note": "; ".join(
            part
            for part in (f"a linear decoder, each {null.held_out} left out in turn", null.note)
            if part
        ),
    }
    return row


def _plain(table: pd.DataFrame) -> list[dict[str, Any]]:
    """A table as plain values; what is missing is None."""
    rows: list[dict[str, Any]] = json.loads(table.to_json(orient="records", double_precision=15))
    return rows


def region_set_tables(
    sets: Sequence[RegionSetKeys], fits: Sequence[FitTask], animal_scores: pd.DataFrame
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
        ranks = []
        for one in own:
            try:
                ranks.append(_rank(one, fit))
            except (DataError, StudyError) as error:
                ranks.append({})
                reason = f"not set beside random sets: {error}"
                findings.append(Finding("region", reason, item=one.name))
        table = table.join(pd.DataFrame(ranks, index=table.index))
        pairs = pd.DataFrame({"set": "together", "words": list(found.words[len(own) :])})
        table = pd.concat([table, pairs], ignore_index=True) if len(pairs) else table
        table.insert(0, "condition", condition)
        tables.append(table)
    return tables, findings


def _rank(one: RegionSetKeys, fit: FitTask) -> dict[str, object]:
    """How a set stands among random sets of its size, by linear decoders."""
    if one.n_sets == 0:
        return {}
    windows = condition_windows(load_sessions(fit.prepared), fit.condition, table=fit.table)
    every = max(EVERY, round(windows.n_windows / MOST_WINDOWS))
    found: RegionSets = compare_region_sets(
        windows, one.regions, fit.table, n_sets=one.n_sets, every=every
    )
    return {
        "linear_value": found.value,
        "linear_value_of_all": found.value_of_all,
        "n_random": found.random.size,
        "percentile": found.percentile,
        "n_symmetric": found.symmetric.size,
        "percentile_symmetric": found.percentile_symmetric,
        "linear_words": found.words,
    }
