"""Why a condition of two runs must not be paired animal by animal, in words with the way out."""

from collections.abc import Iterator, Mapping, Sequence
from math import isclose, isnan

from corticode.report.headline import metric_of
from corticode.report.page_values import RunValues, is_permuted
from corticode.report.run_differences import (
    Difference,
    differences,
    recordings_of,
    shared_recordings,
    study_differences,
)

# What says which frames of a session were scored.
FRAMES = ("first_frame", "last_frame", "n_windows")
# Where they differ, a frame of one run is no frame of the other.
SAME_FRAMES = ("data.resample_hz", "data.trim_frames")
MOST_NAMED = 3
AGAIN = "'corticode run' with the same study and folder writes it again"

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


def some(names: Sequence[str]) -> str:
    """The first few of many names.

    Examples
    --------
    >>> some(["a", "b", "c", "d", "e"])
    '“a”, “b”, “c” and 2 more'
    """
    shown = ", ".join(f"“{name}”" for name in names[:MOST_NAMED])
    more = len(names) - MOST_NAMED
    return f"{shown} and {more} more" if more > 0 else shown


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
            told.append(f"{some(own)} {what}")
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
            yield f"the folds differ ({some(alone)} in {run} alone); finish the same in both runs"
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
