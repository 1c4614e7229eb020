"""Is it cortex? Decoders of cues beside decoders of cortex, and a verdict in words."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from corticode.errors import DataError
from corticode.evaluate.intervals import Interval, interval, score_interval

CHANCE = {"auc": 0.5, "r2": 0.0}
ROWS = (
    "cues only",
    "neural",
    "neural, cues regressed out",
    "cues and neural",
    "gain over cues",
    "lost with cues",
)
# Cues explain what is read only where the intervals say so: what is left ends below this share of
# what cortex reads above chance, and what cortex adds below this number. With few animals intervals
# are wide, and what was not found is not absent.
SHARE_LEFT, ADDED = 1 / 3, 0.05


def control_names(condition: str) -> tuple[str, str, str]:
    """Names of the conditions that stand beside one: of cues, of what is left, of both.

    Examples
    --------
    >>> control_names("gru")
    ('gru: cues only', 'gru: cues regressed out', 'gru: with cues')
    """
    return f"{condition}: cues only", f"{condition}: cues regressed out", f"{condition}: with cues"


@dataclass(frozen=True)
class ArtefactTable:
    """What cues and cortex tell, over animals.

    Parameters
    ----------
    rows
        By the names of `ROWS`: mean over animals and its 95 % t interval. The last rows are those
        of (cues and neural) - cues only, and of neural - (neural, cues regressed out).
    metric
        ``"auc"`` or ``"r2"``.
    verdict
        ``"above cues"``, ``"not separable"``, ``"explained by cues"`` or ``"nothing decoded"``.
    words
        The verdict and why, as a sentence.
    """

    rows: Mapping[str, Interval]
    metric: str
    verdict: str
    words: str


def set_against_cues(animal_scores: pd.DataFrame, condition: str) -> ArtefactTable:
    """Whether a condition of traces reads more than cues that are not cortex.

    Decodable is not used: running moves blood and brain, so cues alone decode it in any real
    mouse. What counts is whether anything is left of cortex once cues are regressed out, and
    whether cortex adds to what cues tell. Where the intervals over animals lie above for both, it
    is above cues. Cues explain it only where what is read has fallen beyond doubt with cues
    regressed out, neither lies above, the interval of what is left ends at less than a third of
    what cortex reads above chance, and that of what cortex adds below 0.05. All else, and one
    animal, is not separable.

    Parameters
    ----------
    animal_scores
        Columns condition, animal, metric and value, as in ``animal_scores.csv``; with the
        condition and those of `control_names`.
    condition
        The condition of traces.

    Raises
    ------
    DataError
        One of the conditions is missing, or no animal has a score in all.

    Examples
    --------
    >>> names = ("gru", *control_names("gru"))
    >>> scores = pd.DataFrame(
    ...     [[name, animal, "auc", value + 0.01 * k]
    ...      for name, value in zip(names, (0.9, 0.7, 0.85, 0.9), strict=True)
    ...      for k, animal in enumerate(("m1", "m2", "m3"))],
    ...     columns=["condition", "animal", "metric", "value"])
    >>> scores.loc[5, "value"] += 0.03
    >>> set_against_cues(scores, "gru").verdict
    'above cues'
    """
    names = (condition, *control_names(condition))
    table = animal_scores[animal_scores["condition"].isin(names)]
    missing = [name for name in names if name not in set(table["condition"])]
    if missing:
        raise DataError(f"there is no score of {', '.join(map(repr, missing))}; run them first")
    by_animal = table.pivot_table(index="animal", columns="condition", values="value")
    by_animal = by_animal.reindex(columns=names).dropna()
    if by_animal.empty:
        raise DataError(f"no animal has a score in all of {', '.join(map(repr, names))}")
    neural, cues, left, both = (by_animal[name].to_numpy() for name in names)
    metric = str(table["metric"].iloc[0])
    scores, differences = (cues, neural, left, both), (both - cues, neural - left)
    found = [*(score_interval(one, metric) for one in scores), *map(interval, differences)]
    rows = {name: _with_exact(one) for name, one in zip(ROWS, found, strict=True)}
    verdict, words = _judge(rows, CHANCE[metric])
    return ArtefactTable(rows, metric, verdict, words)


def _with_exact(found: Interval) -> Interval:
    """The interval; of equal values, which have none, the value itself."""
    if found.n > 1 and np.isnan(found.low):
        return Interval(found.mean, found.mean, found.mean, found.n, found.method)
    return found


def _judge(rows: Mapping[str, Interval], chance: float) -> tuple[str, str]:
    _, neural, left, _, gain, lost = (rows[name] for name in ROWS)
    n = f"{neural.n} animals"
    if neural.n < 2:
        return (
            "not separable",
            "one animal alone tells nothing of others: cues and cortex are not separable",
        )
    if not neural.low > chance:
        words = f"over {n} cortex is not above chance: there is nothing to explain"
        return "nothing decoded", words
    is_left, adds = left.low > chance, gain.low > 0
    told = (
        f"with cues regressed out {left.mean:.3f} is left ({left.low:.3f} to {left.high:.3f}, "
        f"chance {chance:g}), and beside cues cortex adds {gain.mean:.3f} ({gain.low:.3f} to "
        f"{gain.high:.3f}), {n}"
    )
    if is_left and adds:
        return "above cues", f"above cues: {told}"
    may_be_left, reads = left.high - chance, neural.mean - chance
    nothing = may_be_left < SHARE_LEFT * reads and gain.high < ADDED
    if nothing and lost.low > 0 and not is_left and not adds:
        return "explained by cues", f"explained by cues: {told}"
    return "not separable", f"not separable from cues: {told}"


def artefact_rows(found: ArtefactTable, condition: str) -> pd.DataFrame:
    """The table as one of a run: a row an input, with the verdict in each."""
    return pd.DataFrame(
        [
            {
                "condition": condition,
                "input": name,
                "metric": found.metric,
                "mean": row.mean,
                "low": row.low,
                "high": row.high,
                "n_animals": row.n,
                "verdict": found.verdict,
                "words": found.words,
            }
            for name, row in found.rows.items()
        ]
    )
