"""Sets of regions that a study asks about: needed, enough, and how they stand among others."""

from collections.abc import Sequence

import pandas as pd

from corticode.data.prepared import load_sessions
from corticode.errors import DataError, Finding, StudyError
from corticode.evaluate.region_sets import (
    EVERY,
    RegionSets,
    SetConditions,
    compare_region_sets,
    set_names,
    set_side_by_side,
)
from corticode.run.fits import FitTask, condition_windows
from corticode.study.keys import RegionSetKeys

# Windows among which random sets are compared: more are thinned.
MOST_WINDOWS = 100_000


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
