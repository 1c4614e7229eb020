"""Two runs set against each other animal by animal, condition by condition, where that is fair.

A pair of values is of one animal: decoded from the same recordings, of the same target, in the same
folds, scored on the same frames. Where any of these differs the condition is kept apart, with the
reason. Decoders, training, preprocessing and versions may differ: that is what is compared.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from corticode.errors import StudyError
from corticode.evaluate.comparisons import PAIRED_T, SIGN_FLIP, compare_pair, with_families
from corticode.report.headline import metric_of
from corticode.report.page_values import RunValues
from corticode.report.pairing_reasons import reasons_apart, seeds_of, some
from corticode.report.run_differences import (
    Difference,
    condition_differences,
    differences,
    study_differences,
)

METHODS = (PAIRED_T, SIGN_FLIP)


@dataclass(frozen=True)
class PairedCondition:
    """A condition of two runs, animal by animal.

    Parameters
    ----------
    name
        Of the condition, in both runs.
    metric
        ``"auc"`` or ``"r2"``.
    animals
        One row an animal: animal, a, b, difference (a - b); NaN where it has no value.
    tests
        Rows of `corticode.evaluate.comparisons.compare` whose condition_a and condition_b are
        ``"A"`` and ``"B"``: paired t and exact sign-flip, p-values adjusted over all paired
        conditions.
    settings
        What differs between the two.
    """

    name: str
    metric: str
    animals: pd.DataFrame
    tests: pd.DataFrame
    settings: tuple[Difference, ...]


@dataclass(frozen=True)
class ApartCondition:
    """A condition of both runs that must not be paired.

    Parameters
    ----------
    name
        Of the condition.
    metric_a, metric_b
        Which score each run has of it.
    values_a, values_b
        Of the animals of each run, shape (animal,).
    reasons
        Why, in words, with the way out.
    settings
        What differs between the two.
    """

    name: str
    metric_a: str
    metric_b: str
    values_a: Sequence[float]
    values_b: Sequence[float]
    reasons: tuple[str, ...]
    settings: tuple[Difference, ...]


@dataclass(frozen=True)
class RunPairing:
    """The conditions of two runs.

    Parameters
    ----------
    paired, apart
        Those that both runs have a score of.
    only_a, only_b
        Those that one run alone has a score of.
    """

    paired: tuple[PairedCondition, ...]
    apart: tuple[ApartCondition, ...]
    only_a: tuple[str, ...]
    only_b: tuple[str, ...]


def pair_runs(a: RunValues, b: RunValues) -> RunPairing:
    """The conditions that two runs share, paired animal by animal where that is fair.

    Parameters
    ----------
    a, b
        The runs; an effect is that of `a` less that of `b`.

    Raises
    ------
    StudyError
        No condition has a score in both.

    Examples
    --------
    >>> pair_runs(RunValues("first"), RunValues("second"))
    Traceback (most recent call last):
    corticode.errors.StudyError: first has no score yet; let 'corticode run' finish a fold of it
    """
    of_a, of_b = _by_condition(a), _by_condition(b)
    shared = [name for name in of_a if name in of_b]
    if not shared:
        raise StudyError(
            f"{a.name} and {b.name} have no condition in common: the first has scores of "
            f"{some(list(of_a))}, the second of {some(list(of_b))}; conditions are matched by "
            "name, so call those alike that are to be compared, or compare them within one study "
            "by [[comparison]]"
        )
    reasons = {name: reasons_apart(of_a[name], of_b[name], name) for name in shared}
    paired = [name for name in shared if not reasons[name]]
    tests = _tests(of_a, of_b, paired)
    return RunPairing(
        tuple(_paired(of_a[name], of_b[name], name, tests[name]) for name in paired),
        tuple(
            _apart(of_a[name], of_b[name], name, reasons[name]) for name in shared if reasons[name]
        ),
        tuple(name for name in of_a if name not in of_b),
        tuple(name for name in of_b if name not in of_a),
    )


def _by_condition(values: RunValues) -> dict[str, RunValues]:
    """A run for each condition that has a score, its tables cut to that condition."""
    scores = values.table("animal_scores")
    known = [] if scores.empty else list(scores.dropna(subset=["value"])["condition"].unique())
    if not known:
        raise StudyError(f"{values.name} has no score yet; let 'corticode run' finish a fold of it")
    names = ("scores", "session_scores", "animal_scores")
    cut = {
        table: dict(list(values.table(table).groupby("condition", sort=False)))
        for table in names
        if not values.table(table).empty
    }
    return {
        str(name): replace(
            values, tables={table: rows[name] for table, rows in cut.items() if name in rows}
        )
        for name in known
    }


def _animal_values(values: RunValues) -> pd.Series:
    """The value of each animal, NaN ones too; of a run that is cut to a condition."""
    return values.table("animal_scores").set_index("animal")["value"].astype(np.float64)


def _tests(
    of_a: Mapping[str, RunValues], of_b: Mapping[str, RunValues], names: Sequence[str]
) -> Mapping[str, pd.DataFrame]:
    """Both tests of each paired condition, which are one family."""
    found = []
    for name in names:
        both = pd.concat(
            [
                values.table("animal_scores").assign(condition=run)
                for run, values in (("A", of_a[name]), ("B", of_b[name]))
            ],
            ignore_index=True,
        )
        tests = compare_pair(both, "runs", ("A", "B"))
        found.append(tests[tests["method"].isin(METHODS)].assign(condition=name))
    if not found:
        return {}
    table = with_families(pd.concat(found, ignore_index=True))
    return {str(name): rows for name, rows in table.groupby("condition", sort=False)}


def _paired(a: RunValues, b: RunValues, name: str, tests: pd.DataFrame) -> PairedCondition:
    animals = pd.DataFrame({"a": _animal_values(a), "b": _animal_values(b)})
    animals = animals.assign(difference=animals["a"] - animals["b"]).rename_axis("animal")
    settings = _settings(a, b, name)
    return PairedCondition(name, metric_of(a, name), animals.reset_index(), tests, settings)


def _apart(a: RunValues, b: RunValues, name: str, reasons: tuple[str, ...]) -> ApartCondition:
    known_a, known_b = (tuple(_animal_values(one).dropna().tolist()) for one in (a, b))
    metrics = metric_of(a, name), metric_of(b, name)
    return ApartCondition(name, *metrics, known_a, known_b, reasons, _settings(a, b, name))


def _settings(a: RunValues, b: RunValues, name: str) -> tuple[Difference, ...]:
    # Of a run without its study file nothing is known to differ.
    if any(len(one.condition(name)) < 2 for one in (a, b)):
        return ()
    seeds = [
        {"seeds": sorted(set().union(*seeds_of(one, name).values()))}
        for one in (a, b)
        if not one.table("scores").empty
    ]
    return (
        *condition_differences(a, b, name),
        *(differences(*seeds) if len(seeds) == 2 else ()),
        *study_differences(a, b),
    )
