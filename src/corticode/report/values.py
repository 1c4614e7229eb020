"""What a report is made of: a run's tables, texts and sessions as values, whichever there are."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from corticode.decode.predictions import Predictions
from corticode.errors import DataError
from corticode.evaluate.metrics import primary, score_windows
from corticode.explain.importance_map import ImportanceMap


@dataclass(frozen=True)
class SessionTrace:
    """One session under one condition, frame after frame.

    Parameters
    ----------
    condition, animal, session
        Whose it is.
    first_frame
        Frame of the session that the arrays begin with.
    score
        What was said, averaged over decoders: the probability of class 1, of several classes that
        of the one that was, or the value. NaN where no window is; shape (frame,).
    target
        What was, NaN where it is not known, shape (frame,).
    kind
        ``"binary"``, ``"classes"`` or ``"value"``.
    frame_rate_hz
        Frames per second, or None.
    auc
        The score of the session by these averaged values: AUC, or R2 of values; NaN where it has
        none. It is no mean over decoders, and serves to order sessions.
    speed
        A signal shown beside it, shape (frame,), or None.
    of_trials
        Whether the arrays hold trials, one after another, and no frames.
    """

    condition: str
    animal: str
    session: str
    first_frame: int
    score: NDArray[np.float32]
    target: NDArray[np.float32]
    kind: str = "binary"
    frame_rate_hz: float | None = None
    auc: float = float("nan")
    speed: NDArray[np.float32] | None = None
    of_trials: bool = False

    @property
    def times_s(self) -> NDArray[np.float64]:
        """Time of each frame in its session: seconds, or frames where no rate is known; trials."""
        return (self.first_frame + np.arange(self.score.size)) / (self.frame_rate_hz or 1.0)

    @property
    def unit(self) -> str:
        """What `times_s` counts."""
        if self.of_trials:
            return "trials"
        return "s" if self.frame_rate_hz else "frames"


def trace_sessions(condition: str, predictions: Iterable[Predictions]) -> list[SessionTrace]:
    """Each session of the test part, averaged over all decoders that predict it.

    Parameters
    ----------
    condition
        Its name.
    predictions
        Of the condition's decoders, one by one: they need not be in memory together.

    Raises
    ------
    DataError
        They differ in kind.

    Examples
    --------
    >>> said = Predictions(
    ...     part=np.full(2, 2, np.int8), animal=np.zeros(2, np.int16),
    ...     session=np.zeros(2, np.int16), frame=np.array([15, 17], np.int32),
    ...     target=np.array([0, 1], np.float32), score=np.array([0.25, 0.75], np.float32),
    ...     kind="binary", animal_names=("m1",), session_names=("monday",))
    >>> trace_sessions("gru", [said])[0].score.tolist()
    [0.25, nan, 0.75]
    """
    tables: dict[tuple[str, str], list[pd.DataFrame]] = {}
    kind, rate_hz, of_trials = "", None, False
    for one in predictions:
        chosen = one.of_part("test")
        if kind and one.kind != kind:
            raise DataError(f"{condition!r} has predictions of kind {kind!r} and {one.kind!r}")
        kind, rate_hz, of_trials = one.kind, one.frame_rate_hz, one.of_trials
        columns = {"frame": chosen.frame, "target": chosen.target, "score": _one_column(chosen)}
        table = pd.DataFrame(columns)
        n_names = max(len(chosen.session_names), 1)
        codes = chosen.animal.astype(np.int64) * n_names + chosen.session
        for code, rows in table.groupby(codes):
            animal, session = divmod(int(code), n_names)  # type: ignore[call-overload]
            name = chosen.animal_names[animal], chosen.session_names[session]
            tables.setdefault(name, []).append(rows)
    traces = [
        _average(condition, name, parts, kind, rate_hz) for name, parts in sorted(tables.items())
    ]
    return [_as_trials(one) for one in traces] if of_trials else traces


def choose_by_rule(traces: Sequence[SessionTrace]) -> tuple[SessionTrace, SessionTrace] | None:
    """The median and the worst session: by score, of those that have one; None without any.

    Of an even number the lower of the middle two is the median; ties go by name.
    """
    scored = sorted(
        (one for one in traces if not np.isnan(one.auc)),
        key=lambda one: (one.auc, one.animal, one.session),
    )
    return (scored[(len(scored) - 1) // 2], scored[0]) if scored else None


def choose_stretch(trace: SessionTrace, n_frames: int) -> slice:
    """The stretch that shows most of both states: the share of 1 is the nearest to one half.

    Stretches begin at multiples of half their length; of equals the first is taken. Of values it
    is the stretch over which they vary most.
    """
    starts = range(0, max(trace.target.size - n_frames, 0) + 1, max(n_frames // 2, 1))
    worth = []
    for start in starts:
        part = trace.target[start : start + n_frames]
        known = part[~np.isnan(part)]
        if known.size == 0:
            worth.append(-np.inf)
        else:
            worth.append(known.var() if trace.kind == "value" else -abs(known.mean() - 0.5))
    start = starts[int(np.argmax(worth))]
    return slice(start, start + n_frames)


def worst_stretch(trace: SessionTrace, n_frames: int) -> slice:
    """The stretch in which what was said is the farthest from what was, in the mean.

    Stretches begin at multiples of their length, as in the page's viewer; of equals the first is
    taken.

    Examples
    --------
    >>> was = np.zeros(9, np.float32)
    >>> said = np.array([0, 0, 0, 1, 1, 0, 1, 0, 0], np.float32)
    >>> worst_stretch(SessionTrace("gru", "m1", "a", 0, said, was), 3)
    slice(3, 6, None)
    """
    # Of several classes the score is the probability of the one that was.
    was = 1.0 if trace.kind == "classes" else trace.target
    distance = np.abs(trace.score - was)
    starts = range(0, max(trace.score.size, 1), max(n_frames, 1))
    means = []
    for start in starts:
        part = distance[start : start + n_frames]
        known = part[~np.isnan(part)]
        means.append(known.mean() if known.size else -np.inf)
    start = starts[int(np.argmax(means))]
    return slice(start, start + n_frames)


def _one_column(chosen: Predictions) -> NDArray[np.float32]:
    """What was said of each window as one number."""
    if chosen.kind != "classes":
        return chosen.score
    was = np.nan_to_num(chosen.target).astype(np.int64)
    said: NDArray[np.float32] = chosen.score[np.arange(was.size), was]
    return np.where(np.isnan(chosen.target), np.float32(np.nan), said)


def _average(
    condition: str,
    name: tuple[str, str],
    parts: Sequence[pd.DataFrame],
    kind: str,
    rate_hz: float | None,
) -> SessionTrace:
    table = pd.concat(parts).groupby("frame").mean()
    first, last = int(table.index.min()), int(table.index.max())
    laid = table.reindex(range(first, last + 1))
    score = laid["score"].to_numpy(np.float32)
    # Labels are permuted by seed in some controls: what was is then not one value a frame.
    target = laid["target"].to_numpy(np.float32)
    if kind != "value":
        target = np.where(target == np.floor(target), target, np.float32(np.nan))
    return SessionTrace(
        condition, *name, first, score, target, kind, rate_hz, _score(target, score, kind)
    )


def _as_trials(trace: SessionTrace) -> SessionTrace:
    """A session's trials one after another, without the frames between their events."""
    held = ~np.isnan(trace.score)
    return replace(
        trace,
        first_frame=1,
        score=trace.score[held],
        target=trace.target[held],
        frame_rate_hz=None,
        of_trials=True,
    )


def _score(target: NDArray[np.float32], score: NDArray[np.float32], kind: str) -> float:
    """AUC or R2 of one session; none of several classes, whose true one alone is kept."""
    known = ~np.isnan(target) & ~np.isnan(score)
    if kind == "classes" or not known.any():
        return float("nan")
    return score_windows(target[known], score[known], kind)[primary(kind)]


@dataclass(frozen=True)
class CurveTables:
    """Curves of the headline condition's decoders, each empty where it cannot be drawn.

    Parameters
    ----------
    roc, history, reliability, onset
        As the figures of `corticode.report.score_figures` take them.
    """

    roc: pd.DataFrame = field(default_factory=pd.DataFrame)
    history: pd.DataFrame = field(default_factory=pd.DataFrame)
    reliability: pd.DataFrame = field(default_factory=pd.DataFrame)
    onset: pd.DataFrame = field(default_factory=pd.DataFrame)


@dataclass(frozen=True)
class RegionTraces:
    """What the regions of one session did, as they were decoded.

    Parameters
    ----------
    animal, session
        Whose.
    names
        Of the regions.
    values
        Shape (frame, region), from the session's first frame on.
    """

    animal: str
    session: str
    names: tuple[str, ...]
    values: NDArray[np.floating]


@dataclass(frozen=True)
class MovieClip:
    """Some seconds of a movie, small enough to be sent.

    Parameters
    ----------
    changes
        Change of each pixel from its mean over the clip, percent of it, shape (picture, row,
        column); NaN where a pixel has no finite value.
    mean
        That mean, counts, shape (row, column).
    first_frame
        Frame of the session that the first picture begins with.
    frames_a_picture
        How many frames each picture is the mean of.
    pixels_a_side
        How many pixels of the movie, along either side, each pixel is the mean of.
    rate_hz
        Pictures a second; None where the movie's frame rate is not known.
    """

    changes: NDArray[np.float32]
    mean: NDArray[np.float32]
    first_frame: int
    frames_a_picture: int
    pixels_a_side: int
    rate_hz: float | None

    @property
    def n_frames(self) -> int:
        """How many frames of the session it holds."""
        return len(self.changes) * self.frames_a_picture


@dataclass(frozen=True)
class ShownClip:
    """A clip and what was said and was meanwhile.

    Parameters
    ----------
    clip
        The pictures.
    trace
        Of the session that it is from.
    why
        Why this clip: a rule, or that it was asked for.
    """

    clip: MovieClip
    trace: SessionTrace
    why: str


@dataclass(frozen=True)
class RunValues:
    """A run, as much of it as is there.

    Parameters
    ----------
    name
        Of the run, for the title.
    tables
        By name (``"scores"``, ``"animal_scores"``, ...); absent ones were not made.
    study
        The resolved study file; empty where it is missing.
    provenance
        Versions, machine, seeds, recordings; empty where it is missing.
    missing
        What is not there or not finished, in words, with the way out.
    traces
        Sessions for the viewer, those of the headline condition first.
    curves
        See `CurveTables`.
    maps
        Joined maps by condition and name.
    regions
        Where regions lie: name, group, row, column; empty where it is not known.
    region_labels
        Which region each pixel belongs to, shape (row, column), numbers from 1, 0: none; None where
        that is not known.
    region_traces
        What regions did in the median session, see `RegionTraces`; None where that is not kept.
    session_maps
        By condition and name of an occlusion: by ``animal/session`` what covering each cell cost.
    mean_images
        Mean image of each session whose movie was measured, shape (row, column), by
        ``animal/session``.
    clip
        A minute of a movie; None where none is to be shown, and `clip_missing` says why where one
        should have been.
    frame_rate_hz
        Of the recordings as decoded; None where it is not known.
    n_other_conditions
        Conditions whose fits lie in the run folder and are not in the study (any more).
    """

    name: str
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    study: Mapping[str, Any] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)
    missing: Sequence[str] = ()
    traces: Sequence[SessionTrace] = ()
    curves: CurveTables = field(default_factory=CurveTables)
    maps: Mapping[tuple[str, str], ImportanceMap] = field(default_factory=dict)
    regions: pd.DataFrame = field(default_factory=pd.DataFrame)
    region_labels: NDArray[np.int64] | None = None
    region_traces: RegionTraces | None = None
    session_maps: Mapping[tuple[str, str], Mapping[str, Any]] = field(default_factory=dict)
    mean_images: Mapping[str, Any] = field(default_factory=dict)
    clip: ShownClip | None = None
    clip_missing: str = ""
    frame_rate_hz: float | None = None
    n_other_conditions: int = 0

    def table(self, name: str) -> pd.DataFrame:
        """A table; an empty one where it was not made."""
        return self.tables.get(name, pd.DataFrame())

    @property
    def is_simulated(self) -> bool:
        """Whether the recordings are known to be simulated."""
        return bool(self.provenance.get("simulated", False))

    @property
    def conditions(self) -> list[Mapping[str, Any]]:
        """The study's conditions, in its order; of those without a study file the names."""
        listed = self.study.get("condition")
        if listed:
            return list(listed)
        scores = self.table("animal_scores")
        return [] if scores.empty else [{"name": name} for name in scores["condition"].unique()]

    def condition(self, name: str) -> Mapping[str, Any]:
        """A condition by its name; empty where there is none."""
        return next((one for one in self.conditions if one["name"] == name), {})


def sessions_tested(session_scores: pd.DataFrame, condition: str) -> pd.DataFrame:
    """One row a session that a condition tested, whatever the number of decoders and of blocks.

    Windows, bouts and trials are summed over the blocks of a session, each stretch of frames once;
    the base rate is that of all its windows.

    Examples
    --------
    >>> table = pd.DataFrame({"condition": "gru", "fold": ["a", "b"], "seed": 0, "animal": "m1",
    ...     "session": "s1", "first_frame": [0, 50], "last_frame": [49, 99], "n_windows": [50, 50],
    ...     "base_rate": [0.2, 0.4], "n_bouts_1": [2, 3], "blank_because": ""})
    >>> sessions_tested(table, "gru")[["session", "n_windows", "base_rate", "n_bouts_1"]]
      session  n_windows  base_rate  n_bouts_1
    0      s1        100        0.3          5
    """
    own = session_scores[session_scores["condition"] == condition]
    own = own.sort_values("seed", kind="stable") if "seed" in own else own
    names = ["animal", "session"]
    frames = [name for name in ("first_frame", "last_frame") if name in own]
    once = own.drop_duplicates([*names, *(["fold"] if "fold" in own else [])])
    once = once.drop_duplicates([*names, *frames]).sort_index()
    bouts = [name for name in once if str(name).startswith(("n_bouts_", "n_trials"))]
    ones = once["base_rate"] * once["n_windows"]
    grouped = once.assign(ones=ones).groupby(names, sort=False)
    found = grouped[["n_windows", *bouts]].sum(min_count=1)
    found["base_rate"] = grouped["ones"].sum(min_count=1) / found["n_windows"]
    found["blank_because"] = grouped["blank_because"].first().fillna("")
    return found.reset_index()


def decodes_trials(condition: Mapping[str, Any]) -> bool:
    """Whether a condition decodes trials, one label each, and no frames.

    Examples
    --------
    >>> decodes_trials({"target": {"signal": "choice", "events": "cue_on"}})
    True
    """
    return bool((condition.get("target") or {}).get("events"))


def counted_by(sessions: pd.DataFrame) -> str:
    """How columns of session_scores begin that count what scores rest on: bouts, or trials.

    Examples
    --------
    >>> counted_by(pd.DataFrame({"n_trials_0": [3.0], "n_bouts_0": [np.nan]}))
    'n_trials_'
    """
    columns = [name for name in sessions if str(name).startswith("n_trials_")]
    return "n_trials_" if sessions[columns].notna().to_numpy().any() else "n_bouts_"


def names_of_series(values: "RunValues") -> set[str]:
    """Conditions that were fitted for a time course or a p-value alone, which have their tables."""
    lags = {str(name) for name in values.table("trial_time").get("fitted_as", ())}
    return lags | {one["name"] for one in values.conditions if one.get("permutation")}


def is_permuted(condition: Mapping[str, Any]) -> bool:
    """Whether a condition's labels are permuted: a control, at chance by design.

    Examples
    --------
    >>> is_permuted({"name": "a", "permute_labels": "sessions"}), is_permuted({"name": "a"})
    (True, False)
    """
    return condition.get("permute_labels", "none") not in (None, "none")


def headline_condition(values: RunValues) -> str | None:
    """The condition a report is about: the first of the study that has a score of an animal.

    Controls (permuted labels, inputs that are not cortex) are passed over unless there is
    nothing else.
    """
    scores = values.table("animal_scores")
    if scores.empty:
        return None
    scored = set(scores.dropna(subset=["value"])["condition"])
    known = [one for one in values.conditions if one["name"] in scored]
    cortex = [one for one in known if one.get("input", "traces") in ("traces", "movie")]
    plain = [one for one in cortex if not is_permuted(one)]
    for choice in (plain, cortex, known):
        if choice:
            return str(choice[0]["name"])
    return None


def alike_but(
    values: RunValues, name: str, key: str, wanted: Mapping[str, Any] | None = None
) -> list[Mapping[str, Any]]:
    """Conditions that are as a given one in everything but one key.

    Parameters
    ----------
    values
        The run.
    name
        The given condition.
    key
        Which key may differ, dots between levels: ``"network"``, ``"window.shift"``.
    wanted
        Values that the others must have at that key; None: any.

    Examples
    --------
    >>> values = RunValues("r", study={"condition": [{"name": "a", "network": {"kind": "gru"}},
    ...     {"name": "b", "network": {"kind": "rnn"}}]})
    >>> [one["name"] for one in alike_but(values, "a", "network", {"kind": "rnn"})]
    ['b']
    """
    own = without_key(values.condition(name), key)
    found = []
    for one in values.conditions:
        if one["name"] == name or without_key(one, key) != own:
            continue
        at_key = value_at(one, key)
        if wanted is None or (isinstance(at_key, Mapping) and wanted.items() <= at_key.items()):
            found.append(one)
    return found


def value_at(condition: Mapping[str, Any], key: str) -> Any:
    """What stands at a key, dots between levels; None where nothing does."""
    for part in key.split("."):
        condition = condition.get(part) if isinstance(condition, Mapping) else None  # type: ignore[assignment]
    return condition


def without_key(condition: Mapping[str, Any], key: str) -> dict[str, Any]:
    """A condition less its name, a key and which predictions it keeps.

    Of how decoders of another kind are trained nothing is asked.
    """
    first, _, rest = key.partition(".")
    left = {k: v for k, v in condition.items() if k not in ("name", "like")}
    if isinstance(left.get("training"), Mapping):
        left["training"] = {k: v for k, v in left["training"].items() if k != "keep_train"}
    if first == "network":
        # Decoders of another kind are trained in another way.
        left.pop("training", None)
    if rest and isinstance(left.get(first), Mapping):
        left[first] = {k: v for k, v in left[first].items() if k != rest}
    else:
        left.pop(first, None)
    return left
