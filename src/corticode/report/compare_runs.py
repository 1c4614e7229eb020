"""Two runs set against each other animal by animal, condition by condition, where that is fair.

A pair of values is of one animal: decoded from the same recordings, of the same target, in the same
folds, scored on the same frames. Where any of these differs the condition is kept apart, with the
reason. Decoders, training, preprocessing and versions may differ: that is what is compared.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import isclose, isnan
from typing import Any

import numpy as np
import pandas as pd

from corticode.errors import StudyError, some
from corticode.evaluate.comparisons import PAIRED_T, SIGN_FLIP, compare_pair, with_families
from corticode.evaluate.published import NO_SETTINGS
from corticode.report.headline import metric_of
from corticode.report.values import RunValues, is_permuted, value_at
from corticode.report.words import leaves

ABSENT = "not given"
BY_SAMPLES = "recordings_by_samples"
# What provenance holds of recordings, which has its own place on the page.
OF_CONTENT = ("recordings", BY_SAMPLES, "known_by_samples", "keys")
# Where a file lies says nothing of what it holds; which folds were run is asked of the scores.
NO_STUDY_SETTINGS = ("data.catalogue", "folds.only")
# A condition that another takes its start weights or its regions from.
SOURCES = ("start_from", "regions.from")
# What says which frames of a session were scored.
FRAMES = ("first_frame", "last_frame", "n_windows")
# Where they differ, a frame of one run is no frame of the other.
SAME_FRAMES = ("data.resample_hz", "data.trim_frames")
MOST_NAMED = 3
AGAIN = "'corticode run' with the same study and folder writes it again"
METHODS = (PAIRED_T, SIGN_FLIP)


@dataclass(frozen=True)
class Difference:
    """One key at which two runs differ.

    Parameters
    ----------
    key
        Dots between levels: ``"training.epochs"``.
    a, b
        What stands there in each run, in words.
    """

    key: str
    a: str
    b: str

    def __str__(self) -> str:
        return f"{self.key} {self.a} in A, {self.b} in B"


@dataclass(frozen=True)
class SharedRecordings:
    """Which recordings two runs share, by what their files held; ``animal/session`` each.

    Parameters
    ----------
    same
        Called alike, with the same content.
    changed
        Called alike, with other content.
    only_a, only_b
        In one run alone.
    """

    same: tuple[str, ...]
    changed: tuple[str, ...]
    only_a: tuple[str, ...]
    only_b: tuple[str, ...]


def differences(a: Mapping[str, Any], b: Mapping[str, Any]) -> tuple[Difference, ...]:
    """The keys of two tables whose values differ, those of the first table first.

    Examples
    --------
    >>> found = differences({"window": {"before": 5}}, {"window": {"before": 9}, "causal": True})
    >>> [str(one) for one in found]
    ['window.before 5 in A, 9 in B', 'causal not given in A, yes in B']
    """
    of_a, of_b = dict(leaves(a)), dict(leaves(b))
    return tuple(
        Difference(key, of_a.get(key, ABSENT), of_b.get(key, ABSENT))
        for key in dict.fromkeys([*of_a, *of_b])
        if of_a.get(key, ABSENT) != of_b.get(key, ABSENT)
    )


def condition_differences(a: RunValues, b: RunValues, name: str) -> tuple[Difference, ...]:
    """Settings of a condition that two runs give otherwise.

    Those of a condition that it starts from, or whose maps choose its regions, belong to it.
    """
    return differences(condition_settings(a, name), condition_settings(b, name))


def condition_settings(
    values: RunValues, name: str, seen: Sequence[str] = ()
) -> dict[str, Mapping[str, Any]]:
    """What a condition's decoders depend on, those it takes weights or regions from included."""
    own = values.condition(name)
    settings = {key: value for key, value in own.items() if key not in NO_SETTINGS}
    for key in SOURCES:
        source = value_at(own, key)
        if isinstance(source, str) and source not in (name, *seen):
            settings[f"{key} “{source}”"] = condition_settings(values, source, (*seen, name))
    return settings


def study_differences(a: RunValues, b: RunValues) -> tuple[Difference, ...]:
    """Settings of data and folds that two runs give otherwise."""
    of_a, of_b = (
        {key: values.study.get(key, {}) for key in ("data", "folds")} for values in (a, b)
    )
    return tuple(one for one in differences(of_a, of_b) if one.key not in NO_STUDY_SETTINGS)


def version_differences(a: RunValues, b: RunValues) -> tuple[Difference, ...]:
    """Versions, commit, machine and seeds that differ."""
    of_a, of_b = (
        {key: value for key, value in values.provenance.items() if key not in OF_CONTENT}
        for values in (a, b)
    )
    return differences(of_a, of_b)


def recordings_of(values: RunValues) -> Mapping[str, str]:
    """A hash of what each recording held, by ``animal/session``; empty where it is not known."""
    found = values.provenance.get("recordings")
    return found if isinstance(found, Mapping) else {}


def _as_older(values: RunValues) -> Mapping[str, str]:
    found = values.provenance.get(BY_SAMPLES)
    return found if isinstance(found, Mapping) else recordings_of(values)


def shared_recordings(a: RunValues, b: RunValues) -> SharedRecordings:
    """Which recordings two runs share.

    Examples
    --------
    >>> a, b = (RunValues("r", provenance={"recordings": {"m1/s1": one, "m1/s2": "x"}})
    ...     for one in ("x", "y"))
    >>> shared_recordings(a, b)
    SharedRecordings(same=('m1/s2',), changed=('m1/s1',), only_a=(), only_b=())
    """
    of_a, of_b = recordings_of(a), recordings_of(b)
    if not (BY_SAMPLES in a.provenance and BY_SAMPLES in b.provenance):
        # One is of an older version, which knew files by samples alone.
        of_a, of_b = _as_older(a), _as_older(b)
    both = [name for name in of_a if name in of_b]
    return SharedRecordings(
        tuple(name for name in both if of_a[name] == of_b[name]),
        tuple(name for name in both if of_a[name] != of_b[name]),
        tuple(name for name in of_a if name not in of_b),
        tuple(name for name in of_b if name not in of_a),
    )


# Fold, animal, session (and seed, where labels depend on it).
Place = tuple[str, ...]


def reasons_apart(a: RunValues, b: RunValues, name: str) -> tuple[str, ...]:
    """Why a condition of two runs must not be paired; nothing where it may.

    Parameters
    ----------
    a, b
        The runs, called A and B in the words.
    name
        A condition that both have scores of.

    Examples
    --------
    >>> reasons_apart(RunValues("r"), RunValues("r"), "gru")[0]
    "A decoded what is not known: study.toml is missing or damaged; 'corticode run' with the same \
study and folder writes it again"
    """
    unknown = [*_unknown("A", a, name), *_unknown("B", b, name)]
    if unknown:
        return tuple(unknown)
    labels, folds = list(_other_labels(a, b, name)), list(_other_folds(a, b, name))
    # Frames that differ for one of these reasons need no reason of their own.
    frames = [] if labels or folds else _other_frames(a, b, name)
    return (*labels, *_other_recordings(a, b, name), *folds, *frames)


def seeds_of(values: RunValues, name: str) -> dict[str, tuple[int, ...]]:
    """The seeds of a condition's decoders, by fold."""
    scores = values.table("scores")
    own = scores.loc[scores["condition"] == name, ["fold", "seed"]]
    found: dict[str, list[int]] = {}
    for fold, seed in zip(own["fold"].tolist(), own["seed"].tolist(), strict=True):
        found.setdefault(str(fold), []).append(int(seed))
    return {fold: tuple(sorted(seeds)) for fold, seeds in found.items()}


def _few(names: Sequence[str]) -> str:
    """The first few of many names, in quotation marks."""
    return some([f"“{name}”" for name in names], MOST_NAMED)


def _unknown(run: str, values: RunValues, name: str) -> Iterator[str]:
    """What would have to be known of a run."""
    if len(values.condition(name)) < 2:
        yield f"{run} decoded what is not known: study.toml is missing or damaged; {AGAIN}"
    if not recordings_of(values):
        yield (
            f"{run} was made of recordings that are not known: provenance.json is missing or "
            f"damaged; {AGAIN}"
        )
    for table in ("scores", "session_scores"):
        if values.table(table).empty:
            yield f"{run} scored frames that are not known: no row in {table}.csv; {AGAIN}"


def _other_labels(a: RunValues, b: RunValues, name: str) -> Iterator[str]:
    """Targets and labels that differ, and frames that were counted otherwise."""
    of_a, of_b = (values.condition(name) for values in (a, b))
    target = differences(*({"target": one.get("target") or {}} for one in (of_a, of_b)))
    if target:
        yield f"the target differs ({_listed(target)}); give both the same"
    permuted = differences(
        *({"permute_labels": one.get("permute_labels", "none")} for one in (of_a, of_b))
    )
    if permuted:
        yield f"the labels differ ({_listed(permuted)}); call a control by another name"
    frames = [one for one in study_differences(a, b) if one.key in SAME_FRAMES]
    if frames:
        yield f"the frames differ ({_listed(frames)}); give both the same"


def _other_recordings(a: RunValues, b: RunValues, name: str) -> Iterator[str]:
    """Recordings that train or test a condition's decoders in one run alone, or have changed."""
    shared = shared_recordings(a, b)
    told = []
    for names, what in (
        (shared.only_a, "in A alone"),
        (shared.only_b, "in B alone"),
        (shared.changed, "of other content"),
    ):
        own = [one for one in names if _takes_part(one, (a, b), name)]
        if own:
            told.append(f"{_few(own)} {what}")
    if told:
        yield f"the recordings differ ({'; '.join(told)}); run both studies on one catalogue"


def _takes_part(recording: str, runs: Sequence[RunValues], name: str) -> bool:
    """Whether a recording trains or tests a condition: any where whole animals are left out."""
    if any(values.study.get("folds", {}).get("by", "animal") == "animal" for values in runs):
        return True
    tables = [values.table("session_scores") for values in runs]
    animals = {str(one) for table in tables for one in table[table["condition"] == name]["animal"]}
    return any(recording.startswith(f"{animal}/") for animal in animals)


def _other_folds(a: RunValues, b: RunValues, name: str) -> Iterator[str]:
    """Folds of other kinds, that one run alone has, or with seeds of their own."""
    kinds = [one for one in study_differences(a, b) if one.key.startswith("folds.")]
    if kinds:
        yield f"the folds differ ({_listed(kinds)}); give both the same"
        return
    of_a, of_b = seeds_of(a, name), seeds_of(b, name)
    for run, own, other in (("A", of_a, of_b), ("B", of_b, of_a)):
        alone = [fold for fold in own if fold not in other]
        if alone:
            yield f"the folds differ ({_few(alone)} in {run} alone); finish the same in both runs"
        if len(set(own.values())) > 1:
            yield f"not every fold of {run} has the same seeds; let it finish"
    if is_permuted(a.condition(name)) and of_a != of_b:
        yield "labels are permuted by seed, and the seeds differ; give both the same"


def _other_frames(a: RunValues, b: RunValues, name: str) -> Iterator[str]:
    """Sessions of which other frames were scored, or the same were labelled otherwise."""
    of_a, of_b = _scored_sessions(a, name), _scored_sessions(b, name)
    alone = [place for place in (*of_a, *of_b) if (place in of_a) != (place in of_b)]
    if alone:
        yield (
            f"other sessions were scored ({_places(alone)} in one run alone); excluded.csv of each "
            "run says what was left out"
        )
        return
    other = [place for place in of_a if not _alike(of_a[place], of_b[place], FRAMES)]
    if other:
        yield (
            f"other frames were scored ({_places(other)}: {_frames(of_a[other[0]])} in A, "
            f"{_frames(of_b[other[0]])} in B); give both windows of one length and shift"
        )
        return
    other = [place for place in of_a if not _alike(of_a[place], of_b[place])]
    if other:
        yield f"the same frames were labelled otherwise ({_places(other)}); look at both targets"
        return
    blank = [place for place in of_a if of_a[place]["blank"] != of_b[place]["blank"]]
    if blank:
        run = "A" if of_a[blank[0]]["blank"] else "B"
        yield (
            f"sessions have a score in one run alone ({_places(blank)}: none in {run}); "
            f"session_scores.csv of {run} says why"
        )


def _scored_sessions(values: RunValues, name: str) -> Mapping[Place, Mapping[str, float]]:
    """Which frames of each session were scored, what is known of their labels, whether it is blank.

    Labels do not depend on the seed, unless they are permuted.
    """
    table, metric = values.table("session_scores"), metric_of(values, name)
    own = table[table["condition"] == name]
    keys = ["fold", "animal", "session", *(["seed"] if is_permuted(values.condition(name)) else [])]
    counts = [str(one) for one in own if str(one).startswith("n_bouts_")]
    told = [one for one in (*FRAMES, "base_rate", *counts) if one in own]
    found: dict[Place, dict[str, float]] = {}
    named = [str(one) for one in own]
    for cells in zip(*(own[one].tolist() for one in named), strict=True):
        row = dict(zip(named, cells, strict=True))
        place = tuple(str(row[key]) for key in keys)
        is_blank = isnan(float(row[metric])) if metric in row else True
        kept = found.setdefault(place, {one: float(row[one]) for one in told} | {"blank": False})
        # A score that one seed lacks is lacking.
        kept["blank"] = kept["blank"] or is_blank
    return found


def _alike(
    a: Mapping[str, float], b: Mapping[str, float], columns: Sequence[str] | None = None
) -> bool:
    """Whether two rows say the same in columns; None: in all that both have, but for blanks."""
    asked = [one for one in a if one in b and one != "blank"] if columns is None else columns
    return all(
        isclose(a[one], b[one], rel_tol=1e-9) or (isnan(a[one]) and isnan(b[one])) for one in asked
    )


def _frames(row: Mapping[str, float]) -> str:
    first, last, n = (f"{row[one]:.0f}" for one in FRAMES)
    return f"{first} to {last} ({n} windows)"


def _places(several: Sequence[Place]) -> str:
    """The first session of several, and how many more there are."""
    sessions = list(dict.fromkeys(f"{place[1]}/{place[2]}" for place in several))
    more = f" and {len(sessions) - 1} more" if len(sessions) > 1 else ""
    return f"“{sessions[0]}”{more}"


def _listed(several: Sequence[Difference]) -> str:
    return "; ".join(map(str, several))


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
        Rows of `corticode.evaluate.comparisons.with_families` whose condition_a and condition_b are
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
            f"{_few(list(of_a))}, the second of {_few(list(of_b))}; conditions are matched by "
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
