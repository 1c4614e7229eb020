"""The page of two runs: what differs, what may be paired with its numbers, what may not and why."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from corticode.errors import some
from corticode.evaluate.comparisons import PAIRED_T, SIGN_FLIP
from corticode.evaluate.intervals import score_interval
from corticode.report.compare_runs import (
    ApartCondition,
    Difference,
    PairedCondition,
    RunPairing,
    recordings_of,
    shared_recordings,
    version_differences,
)
from corticode.report.headline import CHANCE, METRICS, SIMULATED, warnings_of
from corticode.report.page import render
from corticode.report.score_figures import NEAR_CHANCE, p_in_words
from corticode.report.values import RunValues, headline_condition

# Of conditions whose animals are shown one by one; of names in a list.
MOST_SHOWN, MOST_NAMED = 200, 12
# Left and right end of a line of values, in the units of its drawing.
LEFT, RIGHT = 6.0, 254.0
# A line of values is no shorter than this: equal ones are not to look far apart.
NARROWEST = 0.01


def render_comparison(a: RunValues, b: RunValues, pairing: RunPairing) -> str:
    """Two runs on one HTML file that needs no other, and holds no script.

    Parameters
    ----------
    a, b
        The runs; the page calls them A and B.
    pairing
        As from `corticode.report.compare_runs.pair_runs`.

    Returns
    -------
    str
        HTML; all text of the user is escaped, and nothing is fetched from anywhere.

    Examples
    --------
    >>> nothing = RunPairing((), (), (), ())
    >>> "&lt;b&gt;" in render_comparison(RunValues("<b>"), RunValues("r"), nothing)
    True
    """
    summary = [_summary_row(one) for one in pairing.paired]
    return render(
        "comparison.html",
        name_a=a.name,
        name_b=b.name,
        simulated=_simulated(a, b),
        warnings=_warnings(a, b),
        headline=comparison_headline(a, pairing),
        n_pairs=len(pairing.paired),
        settings=_settings(pairing),
        summary=summary,
        conditions=[
            row | _animal_rows(one)
            for row, one in zip(summary[:MOST_SHOWN], pairing.paired, strict=False)
        ],
        apart=[_apart_row(one) for one in pairing.apart],
        only_a=some(pairing.only_a, MOST_NAMED),
        only_b=some(pairing.only_b, MOST_NAMED),
        recordings=list(_recordings(a, b)),
        versions=version_differences(a, b),
        studies_known=bool(a.study and b.study),
        provenances_known=bool(a.provenance and b.provenance),
    )


def comparison_headline(a: RunValues, pairing: RunPairing) -> str:
    """How many conditions are paired, and the difference of the one that run A is about.

    Parameters
    ----------
    a
        The first run.
    pairing
        As from `corticode.report.compare_runs.pair_runs`.

    Examples
    --------
    >>> comparison_headline(RunValues("r"), RunPairing((), (), (), ()))
    'No condition that both runs have can be paired: nothing is said of their difference.'
    """
    if not pairing.paired:
        return (
            "No condition that both runs have can be paired: nothing is said of their difference."
        )
    n, n_both = len(pairing.paired), len(pairing.paired) + len(pairing.apart)
    about = headline_condition(a)
    first = next((one for one in pairing.paired if one.name == about), pairing.paired[0])
    row = _summary_row(first)
    same = "" if any(one.settings for one in pairing.paired) else " No setting of them differs."
    return (
        f"{n} of {n_both} {'condition' if n_both == 1 else 'conditions'} that both runs have "
        f"{'is' if n == 1 else 'are'} paired, animal by animal. “{first.name}”: mean "
        f"within-session {row['metric']} {row['a']} in A and {row['b']} in B, "
        f"A − B {row['effect']} ({_ends(row)}; {row['direction']}).{same}"
    )


def _ends(row: Mapping[str, Any]) -> str:
    n = _animals(row["n"])
    if not row["low"]:
        return f"no interval: {n}"
    return f"paired t interval {row['low']} to {row['high']}, {n}"


def _animals(n: int) -> str:
    return f"{n} {'animal' if n == 1 else 'animals'}"


def _simulated(a: RunValues, b: RunValues) -> str:
    if a.is_simulated == b.is_simulated:
        return SIMULATED if a.is_simulated else ""
    which = "A" if a.is_simulated else "B"
    return f"The mice of {which} are simulated, those of the other run are not."


def _warnings(a: RunValues, b: RunValues) -> list[tuple[str, str]]:
    """What must be read first of each run; what is true of both stands once."""
    of_a, of_b = ([one for one in warnings_of(v) if one != SIMULATED] for v in (a, b))
    both = [("A and B", one) for one in of_a if one in of_b]
    alone = [("A", one) for one in of_a if one not in of_b]
    return [*both, *alone, *(("B", one) for one in of_b if one not in of_a)]


def _settings(pairing: RunPairing) -> list[dict[str, str]]:
    """Each differing setting once, with the conditions that it is of."""
    found: dict[Difference, list[str]] = {}
    for condition in pairing.paired:
        for one in condition.settings:
            found.setdefault(one, []).append(f"“{condition.name}”")
    for other in pairing.apart:
        for one in other.settings:
            found.setdefault(one, []).append(f"“{other.name}” (not paired)")
    n_both = len(pairing.paired) + len(pairing.apart)
    return [
        {
            "key": one.key,
            "a": one.a,
            "b": one.b,
            "of": "all that both runs have"
            if len(names) == n_both > 1
            else some(names, MOST_NAMED),
        }
        for one, names in found.items()
    ]


def _summary_row(one: PairedCondition) -> dict[str, Any]:
    both = one.animals.dropna(subset=["difference"])
    t, flip = (one.tests[one.tests["method"] == method].iloc[0] for method in (PAIRED_T, SIGN_FLIP))
    return {
        "name": one.name,
        "metric": METRICS.get(one.metric, one.metric),
        "n": int(t["n"]),
        "a": _number(both["a"].mean()),
        "b": _number(both["b"].mean()),
        "effect": _signed(t["effect"]),
        "low": _signed(t["low"]),
        "high": _signed(t["high"]),
        "p": [p_in_words(test[key]) for test in (t, flip) for key in ("p", "p_holm")],
        "direction": _direction(one),
        "notes": [str(note) for note in (t["note"], flip["note"]) if note],
        "n_settings": len(one.settings),
    }


def _direction(one: PairedCondition) -> str:
    """How many animals score higher in which run."""
    found = one.animals["difference"].dropna()
    n_a, n_b = int((found > 0).sum()), int((found < 0).sum())
    if not (n_a or n_b):
        return "no animal differs"
    run, n = ("A", n_a) if n_a >= n_b else ("B", n_b)
    return f"{n} of {_animals(found.size)} higher in {run}"


def _animal_rows(one: PairedCondition) -> dict[str, Any]:
    """The animals of a condition, each with its two values on a line."""
    rows: Any = list(one.animals.itertuples())
    known = [value for row in rows for value in (row.a, row.b) if not np.isnan(value)]
    chance = CHANCE.get(one.metric, 0.0)
    low, high = min(known), max(known)
    # As in figures: chance is drawn where values come near it, else it would press them together.
    is_near = low - chance < NEAR_CHANCE
    low, high = (min(low, chance), max(high, chance)) if is_near else (low, high)
    margin = max(0.06 * (high - low), (NARROWEST - (high - low)) / 2)
    place = _places(low - margin, high + margin)
    return {
        "settings": one.settings,
        "chance": place(chance) if is_near else None,
        "scale": f"from {low - margin:.3f} to {high + margin:.3f}",
        "animals": [
            {
                "animal": row.animal,
                "a": _number(row.a),
                "b": _number(row.b),
                "difference": _signed(row.difference),
                "x_a": None if np.isnan(row.a) else place(row.a),
                "x_b": None if np.isnan(row.b) else place(row.b),
            }
            for row in rows
        ],
    }


def _places(low: float, high: float) -> Callable[[float], float]:
    """A function from values to places on a line."""
    return lambda value: round(LEFT + (RIGHT - LEFT) * (value - low) / max(high - low, 1e-9), 1)


def _apart_row(one: ApartCondition) -> dict[str, Any]:
    return {
        "name": one.name,
        "reasons": one.reasons,
        "a": _alone(one.metric_a, one.values_a),
        "b": _alone(one.metric_b, one.values_b),
    }


def _alone(metric: str, values: Sequence[float]) -> str:
    over = score_interval(values, metric)
    ends = "" if np.isnan(over.low) else f" [{over.low:.3f}, {over.high:.3f}]"
    return f"{METRICS.get(metric, metric)} {over.mean:.3f}{ends}, {_animals(over.n)}"


def _recordings(a: RunValues, b: RunValues) -> Iterable[tuple[str, int, str]]:
    """How many recordings are shared and how many are not, with some of their names."""
    if not (recordings_of(a) and recordings_of(b)):
        return
    shared = shared_recordings(a, b)
    yield "the same content in both", len(shared.same), some(shared.same, MOST_NAMED)
    yield "called alike, other content", len(shared.changed), some(shared.changed, MOST_NAMED)
    yield "in A alone", len(shared.only_a), some(shared.only_a, MOST_NAMED)
    yield "in B alone", len(shared.only_b), some(shared.only_b, MOST_NAMED)


def _number(value: float) -> str:
    return "" if np.isnan(value) else f"{value:.3f}"


def _signed(value: float) -> str:
    """A difference with its sign, a true minus; empty where there is none."""
    if pd.isna(value):
        return ""
    # Not -0.000: what rounds to nothing has no sign.
    return f"{round(float(value), 3) + 0.0:+.3f}".replace("-", "−").replace("+0.000", "0.000")
