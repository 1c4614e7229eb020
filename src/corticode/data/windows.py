"""Which frames a decoder sees and what it has to say of them: windows, as indices."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from corticode.data.chosen_frames import choose_frames
from corticode.data.clocks import is_same_rate
from corticode.data.cues import WHOLE_SESSION_INPUTS, cue_session, without_cues
from corticode.data.movies.normalise import (
    NormalisedMovie,
    PixelPreprocessing,
    pixel_look_ahead_frames,
)
from corticode.data.on_frames import lost_bouts
from corticode.data.prepared import PreparedSessions, prepare_movies, prepare_sessions
from corticode.data.preprocess import MOST_FRAMES, Preprocessing, look_ahead_frames
from corticode.data.regions import RegionTable, select_regions
from corticode.data.session import Session
from corticode.data.signals import has_value
from corticode.data.targets import (
    Target,
    TargetTrace,
    collect_classes,
    covered_rows,
    event_frames,
    labels_of_trials,
    make_target,
)
from corticode.errors import (
    DataError,
    DecoderError,
    Finding,
    StudyError,
    some,
    warn_about,
)

SHOWN_REGIONS = 5
SHOWN_SESSIONS = 3


@dataclass(frozen=True)
class WindowShape:
    """The frames that a decoder sees around frame t, and the frame whose target it says.

    Parameters
    ----------
    before, after
        Frames before and after the centre t; the window holds before + 1 + after.
    shift
        The target is that of frame t + shift; positive is the future.

    Examples
    --------
    >>> WindowShape(15, 15).n_frames
    31
    """

    before: int = 15
    after: int = 15
    shift: int = 0

    def __post_init__(self) -> None:
        for name in ("before", "after", "shift"):
            n_frames = getattr(self, name)
            if isinstance(n_frames, bool) or not isinstance(n_frames, int | np.integer):
                raise StudyError(
                    f"window {name} is {n_frames!r}; it must be a whole number of frames"
                )
            if abs(int(n_frames)) > MOST_FRAMES:
                raise StudyError(
                    f"window {name} is {n_frames} frames; no session has more than {MOST_FRAMES:,}"
                )
        if self.before < 0 or self.after < 0:
            raise StudyError(
                f"a window of {self.before} frames before and {self.after} after its centre is "
                "not possible; use shift to move the target"
            )

    @property
    def n_frames(self) -> int:
        """Frames in a window."""
        return self.before + 1 + self.after


@dataclass(frozen=True)
class Recipe:
    """All that was decided between recorded frames and a decoder's input and target.

    A decoder keeps it, so that a new recording is treated in the same way.
    """

    regions: tuple[str, ...]
    kept_regions: tuple[bool, ...]
    preprocessing: Preprocessing
    window: WindowShape
    target: Target
    classes: tuple[str, ...]
    frame_rate_hz: float | None
    input: str = "traces"
    left_out_regions: tuple[str, ...] = ()
    pixels: PixelPreprocessing | None = None
    image_shape: tuple[int, int] | None = None

    @property
    def margin(self) -> int:
        """Frames a window needs beyond its first and last: an image of a movie holds three."""
        return 1 if self.input == "movie" else 0

    @property
    def n_frames(self) -> int:
        """Recorded frames that a window spans."""
        return self.window.n_frames + 2 * self.margin


@dataclass(frozen=True)
class Windows:
    """Windows as indices into traces, or movies, that lie end to end; nothing is copied.

    Parameters
    ----------
    traces
        float32, shape (frame, region), sessions one after the other; no region where movies are
        decoded.
    start
        The row of `traces` at which each window begins, shape (window,).
    target
        What to say of each window, shape (window,): a class's index or a value; NaN where
        behaviour is not known. float32, or float64 for values that vary little beside their size.
    animal, session
        Codes into the name tables, shape (window,).
    frame
        Frame of the target in its own session, 0-based, shape (window,).
    animal_names, session_names
        The name tables.
    recipe
        How frames became windows.
    movies
        Where movies are decoded: one a session, end to end as `traces` are.
    """

    traces: NDArray[np.float32]
    start: NDArray[np.int64]
    target: NDArray[np.floating[Any]]
    animal: NDArray[np.int16]
    session: NDArray[np.int16]
    frame: NDArray[np.int32]
    animal_names: tuple[str, ...]
    session_names: tuple[str, ...]
    recipe: Recipe
    movies: tuple[NormalisedMovie, ...] = ()

    @property
    def n_windows(self) -> int:
        """Number of windows."""
        return int(self.start.size)

    @property
    def centre(self) -> NDArray[np.int32]:
        """Frame at the centre of each window, in its own session, shape (window,)."""
        return self.frame - np.int32(self.recipe.window.shift)

    @property
    def target_row(self) -> NDArray[np.int64]:
        """The row of the frame whose target each window is to say, shape (window,)."""
        window = self.recipe.window
        return self.start + (self.recipe.margin + window.before + window.shift)

    def where(self, chosen: NDArray[Any]) -> "Windows":
        """The windows that a mask or an index chooses."""
        return replace(
            self,
            start=self.start[chosen],
            target=self.target[chosen],
            animal=self.animal[chosen],
            session=self.session[chosen],
            frame=self.frame[chosen],
        )

    def values(self, chosen: NDArray[Any] | slice = slice(None)) -> NDArray[np.float32]:
        """The traces in the chosen windows, copied, shape (window, frame, region).

        Regions that are not kept are 0.
        """
        view = sliding_window_view(self.traces, self.recipe.window.n_frames, axis=0)
        taken = view[self.start[chosen]].transpose(0, 2, 1)
        return np.asarray(np.where(np.asarray(self.recipe.kept_regions), taken, np.float32(0)))

    def covered(self) -> NDArray[np.bool_]:
        """The rows of `traces` that some window sees, shape (frame,)."""
        return covered_rows(self.start, self.start + self.recipe.n_frames, self.traces.shape[0])


class Recorded(Protocol):
    """What keeps how its windows were made, as a decoder does."""

    @property
    def recipe(self) -> Recipe:
        """How recorded frames became its windows."""
        ...


def cut_windows(
    sessions: Sequence[Session] | PreparedSessions,
    target: Target | None = None,
    window: WindowShape | None = None,
    *,
    preprocessing: Preprocessing | None = None,
    regions: Sequence[int | str] | None = None,
    table: RegionTable | None = None,
    recipe: Recipe | Recorded | None = None,
) -> Windows:
    """Every window of the sessions whose frames all exist and whose target is known.

    No window crosses a session's end, a gap in time or a frame with NaN.

    Parameters
    ----------
    sessions
        Sessions, which are preprocessed and laid end to end in memory, or prepared ones.
    target
        What to decode.
    window
        Frames before and after the centre, and the target's shift; None: 15, 15 and 0.
    preprocessing
        For sessions that are not prepared yet; None takes the study's: minus the moving mean
        over 1000 frames, min-max over the session.
    regions
        The regions that the decoder may see (numbers, names, groups, sides); None: all.
    table
        Where groups and sides are looked up.
    recipe
        A fitted decoder (or its recipe): windows of other sessions are cut as its own were, and
        everything else is left out. Without the target's signal in every session targets are NaN.

    Raises
    ------
    DataError
        No session is given, no window is left, or the target's signal is missing.
    DecoderError
        A session does not fit the recipe: other regions, another frame rate or image size.
    StudyError
        Neither a target nor a recipe is given, or both.

    Warns
    -----
    CorticodeWarning
        For each finding: a flat region, a session of which no window is left, and why.

    Examples
    --------
    >>> session = Session(
    ...     "m1", "a", np.random.default_rng(0).normal(size=(100, 4)), ("1", "2", "3", "4"),
    ...     {"run": np.arange(100) % 20 > 9}, np.zeros(100, np.int32))
    >>> windows = cut_windows([session], Target("run"), WindowShape(5, 5))
    >>> windows.n_windows, windows.values().shape
    (90, (90, 11, 4))
    >>> cut_windows([session], recipe=windows.recipe).n_windows
    90
    """
    if not isinstance(sessions, PreparedSessions) and not sessions:
        raise DataError("there are no sessions to cut windows from; give at least one")
    if recipe is not None:
        if (target, window, preprocessing, regions) != (None, None, None, None):
            raise StudyError(
                "a recipe says what is decoded, and from what; leave target, window, preprocessing "
                "and regions out"
            )
        return _cut_by_recipe(sessions, recipe if isinstance(recipe, Recipe) else recipe.recipe)
    if target is None:
        raise StudyError("say what to decode: a target, or recipe = a fitted decoder")
    if isinstance(sessions, PreparedSessions):
        prepared = sessions
    else:
        chosen = Preprocessing(detrend_frames=1000) if preprocessing is None else preprocessing
        sessions = [with_rule_of(session, target) for session in sessions]
        prepared = prepare_sessions(sessions, chosen)
        lost = lost_bouts([session.placed for session in sessions], target)
        warn_about([*prepared.findings, *([] if lost is None else [lost])])
    traces = session_targets(prepared, target)
    kept = select_regions(regions, prepared.regions, table)
    windows = windows_of(prepared, target, traces, window or WindowShape(), kept)
    warn_about([*sessions_without_windows(prepared, windows), *trial_findings(prepared, windows)])
    return windows


def _cut_by_recipe(sessions: Sequence[Session] | PreparedSessions, recipe: Recipe) -> Windows:
    """The windows of sessions, cut as a decoder's own were."""
    if isinstance(sessions, PreparedSessions):
        raise StudyError("a recipe prepares sessions itself; give sessions as they were read")
    sessions = [as_in_recipe(with_rule_of(one, recipe.target), recipe) for one in sessions]
    if recipe.pixels is not None:
        prepared = prepare_movies(sessions, recipe.pixels)
        if prepared.image_shape != recipe.image_shape:
            raise DecoderError(
                f"the movies have frames of {prepared.image_shape} pixels (rows, columns), the "
                f"decoder was fitted on {recipe.image_shape}; bring them to that size"
            )
    else:
        prepared = prepare_sessions(sessions, recipe.preprocessing)
    targets = None
    if all(recipe.target.signal in session.behavior for session in sessions):
        # Frames are chosen to train and to test; a new recording is predicted on all of them.
        whole = replace(recipe.target, match=None, exclude=None)
        targets = session_targets(prepared, whole)
    kept: NDArray[np.bool_] = np.asarray(recipe.kept_regions)
    windows = windows_of(prepared, recipe.target, targets, recipe.window, kept, input=recipe.input)
    if targets is None and recipe.target.events in prepared.behavior:
        windows = _at_events(prepared, windows)
    odd = [*sessions_without_windows(prepared, windows), *trial_findings(prepared, windows)]
    warn_about([*prepared.findings, *odd])
    return windows


def _at_events(prepared: PreparedSessions, windows: Windows) -> Windows:
    """The windows of trials, where these are known and their labels are not."""
    target = windows.recipe.target
    rows = [prepared.rows(k) for k in range(prepared.n_sessions)]
    events = prepared.behavior[str(target.events)]
    frames = [own.start + event_frames(events[own], target, prepared.segment[own]) for own in rows]
    return windows.where(np.isin(windows.target_row, np.concatenate(frames)))


def as_in_recipe(session: Session, recipe: Recipe) -> Session:
    """A session with the input that a recipe takes: its traces or confounds, regions by name.

    Raises
    ------
    DecoderError
        Its frame rate or its regions are not those of the recipe.
    MissingDataError
        It lacks what the input is made from.
    """
    if recipe.pixels is None:
        if recipe.preprocessing.regress_out == "confounds":
            raise DecoderError(
                "the decoder was trained on traces from which confounds were removed with the "
                "behaviour known; it serves its study's confound analysis and predicts no other "
                "recording: take the condition's own decoder"
            )
        if recipe.preprocessing.regress_out == "cues":
            session = without_cues(session)
        session = cue_session(session, recipe.input, columns=recipe.regions)
    if session.regions == tuple(str(k + 1) for k in range(len(recipe.regions))):
        # Names that came from a study's region table: the session itself has none.
        session = replace(session, regions=recipe.regions)
    if not is_same_rate(session.frame_rate_hz, recipe.frame_rate_hz):
        raise DecoderError(
            f"session {session.name} has {session.frame_rate_hz or 'no known'} frames/s; the "
            f"decoder was fitted at {recipe.frame_rate_hz or 'an unknown rate'}: bring the "
            "recording to that rate or fit a decoder at this one"
        )
    if recipe.pixels is not None:
        return session
    # Names that the decoder's own sessions did not all have were left out of it.
    regions = tuple(name for name in session.regions if name not in recipe.left_out_regions)
    if regions == recipe.regions:
        kept = [name in regions for name in session.regions]
        traces = session.traces if all(kept) else np.asarray(session.traces)[:, kept]
        return replace(session, traces=traces, regions=regions)
    missing = [name for name in recipe.regions if name not in session.regions]
    detail = f"it lacks {', '.join(missing[:5])}" if missing else "their order or number differs"
    raise DecoderError(
        f"session {session.name} has {len(session.regions)} regions, the decoder "
        f"{len(recipe.regions)}: {detail}; a decoder reads the regions it was fitted on"
    )


def sessions_without_windows(prepared: PreparedSessions, windows: Windows) -> list[Finding]:
    """Sessions of which no window is left, with the reason; those of one animal and reason once."""
    left = np.unique(windows.session)
    findings = []
    for k in np.setdiff1d(np.arange(prepared.n_sessions), left):
        rows = prepared.rows(k)
        empty = [
            name
            for name, column in zip(prepared.regions, prepared.traces[rows].T, strict=False)
            if not np.isfinite(column).any()
        ]
        if empty:
            reason = (
                f"no window is left: {_regions(empty)} no finite value there, and windows avoid "
                "frames with NaN; take the column out of the session's traces, so that all "
                "sessions are decoded without it, or leave the session out"
            )
        else:
            reason = (
                "no window is left: every one crosses a gap in time, holds NaN or has no target"
            )
        findings.append(Finding("session", reason, prepared.animals[k], prepared.sessions[k]))
    return findings


def trial_findings(prepared: PreparedSessions, windows: Windows) -> list[Finding]:
    """Trials that are not decoded, or overlap, and why: one finding a reason, with its sessions.

    Parameters
    ----------
    prepared
        The sessions.
    windows
        Cut from them, for a target with events; of another target nothing is found.
    """
    target = windows.recipe.target
    if target.events is None or target.events not in prepared.behavior:
        return []
    found: dict[str, dict[str, tuple[int, int]]] = {}
    without = []
    for k in range(prepared.n_sessions):
        name = f"{prepared.animals[k]}/{prepared.sessions[k]}"
        n_trials, counts = _count_trials(prepared, windows, k)
        for reason, n in counts.items():
            if n > 0:
                found.setdefault(reason, {})[name] = (n, n_trials)
        if not n_trials:
            without.append(name)
    findings = [_trial_finding(reason, counts, target) for reason, counts in found.items()]
    if without:
        reason = f"{target.events!r} begins no trial in {some(without, SHOWN_SESSIONS)}"
        findings.append(Finding("trials", reason, item=target.signal, count=len(without)))
    return findings


def _count_trials(
    prepared: PreparedSessions, windows: Windows, k: int
) -> tuple[int, dict[str, int]]:
    """The trials of a session, and how many lack something or overlap, by what."""
    target, rows = windows.recipe.target, prepared.rows(k)
    events, segment = prepared.behavior[str(target.events)][rows], prepared.segment[rows]
    frames = event_frames(events, target, segment)
    n_labelled = frames.size
    if target.signal in prepared.behavior:
        labels = labels_of_trials(prepared.behavior[target.signal][rows], target, events, segment)
        n_labelled = int(has_value(labels).sum())
    length = windows.recipe.n_frames
    return frames.size, {
        "a window that overlaps with that of the next": int((np.diff(frames) < length).sum()),
        f"no label in {target.signal!r}: not decoded": frames.size - n_labelled,
        f"no window of {length} frames (it leaves the recording, crosses a gap in time or holds a "
        "frame without values): not decoded": n_labelled - int((windows.session == k).sum()),
    }


def _trial_finding(reason: str, found: Mapping[str, tuple[int, int]], target: Target) -> Finding:
    n, n_trials = (sum(counts) for counts in zip(*found.values(), strict=True))
    each = some([f"{name} {count}" for name, (count, _) in found.items()], SHOWN_SESSIONS)
    words = f"{n} of {n_trials} trials {'has' if n == 1 else 'have'} {reason} ({each})"
    return Finding("trials", words, item=target.signal, count=n)


def _regions(names: Sequence[str]) -> str:
    if len(names) == 1:
        return f"region {names[0]!r} has"
    return f"{len(names)} regions ({some(names, SHOWN_REGIONS)}) have"


def with_rule_of(session: Session, target: Target) -> Session:
    """A session whose signal is on frames as its target asks, where nobody stated another rule.

    `open_session` does not know what will be asked, and averages numbers. From the means of a
    signal of 0 and 1 it can be told in which frames there is a 1; a category cannot be told.

    Raises
    ------
    DataError
        The signal was averaged and is asked for by another rule.

    Examples
    --------
    >>> from corticode.data.on_frames import Placed
    >>> licks = {"lick": np.array([0.0, 0.25, 0.0])}
    >>> session = Session("m1", "a", None, (), licks, np.zeros(3, np.int32),
    ...                   placed={"lick": Placed("mean", holds_events=True, as_before=False)})
    >>> with_rule_of(session, Target("lick")).behavior["lick"].tolist()
    [0.0, 1.0, 0.0]
    """
    placed, wanted = session.placed.get(target.signal), target.frame_rule
    if placed is None or placed.is_stated or placed.as_before or placed.rule in (wanted, "middle"):
        return session
    if wanted != "any" or not placed.holds_events:
        raise DataError(
            f"session {session.name}: {target.signal!r} was brought onto frames by "
            f"{placed.rule!r}, and kind {target.kind!r} needs {wanted!r}: open the session with "
            f"open_session(..., on_frames={{{target.signal!r}: {wanted!r}}})"
        )
    means = np.asarray(session.behavior[target.signal], dtype=np.float64)
    is_one = np.where(np.isfinite(means), (means > 0).astype(np.float64), np.nan)
    placed = replace(placed, rule="any", peaks=np.ones(placed.peaks.size))
    return replace(
        session,
        behavior={**session.behavior, target.signal: is_one},
        placed={**session.placed, target.signal: placed},
    )


def session_targets(
    prepared: PreparedSessions, target: Target, *, classes: Sequence[str] | None = None
) -> list[TargetTrace]:
    """The target of every frame, one trace a session, with the same classes in all.

    Parameters
    ----------
    prepared
        The sessions.
    target
        What to decode.
    classes
        The classes of a decoder that is to predict these sessions; None: those found here.

    Raises
    ------
    DataError
        The signal is missing, does not fit the kind of target, or holds a class not in `classes`.
    """
    if target.signal not in prepared.behavior:
        known = ", ".join(sorted(prepared.behavior)) or "none"
        raise DataError(
            f"target signal {target.signal!r} is not in the behaviour of every session; "
            f"signals there: {known}"
        )
    names = [f"{a}/{s}" for a, s in zip(prepared.animals, prepared.sessions, strict=True)]
    rows = [prepared.rows(k) for k in range(prepared.n_sessions)]
    signals = [{k: values[own] for k, values in prepared.behavior.items()} for own in rows]
    return _made(signals, [prepared.segment[own] for own in rows], names, target, classes)


def _made(
    behavior: Sequence[Mapping[str, NDArray[Any]]],
    segments: Sequence[NDArray[Any]],
    names: Sequence[str],
    target: Target,
    classes: Sequence[str] | None = None,
) -> list[TargetTrace]:
    """The target of each session, its behaviour at hand; an error names the session."""
    signals = [own[target.signal] for own in behavior]
    events = [own.get(str(target.events)) for own in behavior]
    labels, made = [], []
    for signal, event, segment, name in zip(signals, events, segments, names, strict=True):
        with _naming(name):
            labels.append(labels_of_trials(signal, target, event, segment))
    if classes is None and target.kind == "classes":
        classes = collect_classes(labels)
    for signal, event, segment, name in zip(signals, events, segments, names, strict=True):
        with _naming(name):
            trace = make_target(signal, target, segment=segment, classes=classes, events=event)
            made.append(trace)
    if target.events is not None and not any(np.isfinite(one.values).any() for one in made):
        raise DataError(
            f"none of {len(made)} sessions has a trial with a label: {target.events!r} begins no "
            f"trial, or {target.signal!r} holds nothing there; check both, and [trials] "
            "label_after_frames"
        )
    return choose_frames(made, target, behavior, segments, names)


@contextmanager
def _naming(session: str) -> Iterator[None]:
    try:
        yield
    except (DataError, StudyError) as error:
        raise type(error)(f"session {session}: {error}") from error


def targets_of(sessions: Sequence[Session], target: Target) -> list[TargetTrace]:
    """The target of every frame of each session, as `session_targets` of prepared ones.

    Raises
    ------
    DataError, StudyError
        The signal does not fit the kind of target.
    """
    return _made(
        [session.behavior for session in sessions],
        [session.segment for session in sessions],
        [session.name for session in sessions],
        target,
    )


def windows_of(
    prepared: PreparedSessions,
    target: Target,
    targets: Sequence[TargetTrace] | None,
    window: WindowShape,
    kept: NDArray[np.bool_],
    *,
    input: str = "traces",
) -> Windows:
    """Windows of prepared sessions for target traces at hand; None: behaviour is not known.

    Raises
    ------
    DataError
        A session is shorter than a window, or no window is left in any.
    """
    recipe = Recipe(
        prepared.regions,
        tuple(bool(k) for k in kept),
        prepared.preprocessing,
        window,
        target,
        _classes(target, targets),
        prepared.frame_rate_hz,
        input,
        prepared.left_out_regions,
        prepared.pixels,
        prepared.image_shape,
    )
    n_frames = recipe.n_frames
    # Counted by its changes: a number that comes back later is another stretch of time.
    run = np.concatenate([[0], np.cumsum(prepared.segment[1:] != prepared.segment[:-1])])
    lengths = np.diff(prepared.first_frame)
    if lengths.min() < n_frames:
        k = int(np.argmin(lengths))
        raise DataError(
            f"session '{prepared.animals[k]}/{prepared.sessions[k]}' has {lengths[k]} frames; a "
            f"window needs {n_frames} ({_spelled(recipe)}): shorten it, or take the session out of "
            "the catalogue"
        )
    n_rows = run.size
    start = np.arange(n_rows - n_frames + 1)
    n_invalid = np.concatenate([[0], np.cumsum(~prepared.valid)])
    usable = (run[start] == run[start + n_frames - 1]) & (
        n_invalid[start + n_frames] == n_invalid[start]
    )
    target_row = start + recipe.margin + window.before + window.shift
    inside = (target_row >= 0) & (target_row < n_rows)
    target_row = np.clip(target_row, 0, n_rows - 1)
    usable &= inside & (run[target_row] == run[start])
    values: NDArray[np.floating[Any]] = np.full(n_rows, np.nan, dtype=np.float32)
    if targets is not None:
        values = np.concatenate([trace.values for trace in targets])
        usable &= np.isfinite(values[target_row])
    start, target_row = start[usable], target_row[usable]
    if start.size == 0:
        raise DataError(
            f"no window of {n_frames} frames is left: every one crosses a gap, holds NaN or has "
            "no target; shorten the window or check the target's signal"
        )
    session = np.searchsorted(prepared.first_frame, target_row, side="right") - 1
    animals = tuple(dict.fromkeys(prepared.animals))
    animal_of_session = np.asarray([animals.index(name) for name in prepared.animals])
    return Windows(
        prepared.traces,
        start,
        values[target_row],
        animal_of_session[session].astype(np.int16),
        session.astype(np.int16),
        (target_row - prepared.first_frame[session]).astype(np.int32),
        animals,
        prepared.sessions,
        recipe,
        prepared.movies,
    )


def _classes(target: Target, targets: Sequence[TargetTrace] | None) -> tuple[str, ...]:
    if targets is not None:
        return targets[0].classes
    return ("0", "1") if target.kind == "binary" else ()


def _spelled(recipe: Recipe) -> str:
    window = recipe.window
    spelled = f"{window.before} before + 1 + {window.after} after"
    return f"{spelled} + 1 more on each side, as an image is three frames" * bool(
        recipe.margin
    ) or (spelled)


def look_ahead_s(recipe: Recipe, *, centre_alone: bool = False) -> float | None:
    """Seconds by which the latest raw frame used lies after the frame that is decoded.

    ``inf`` where statistics of the whole session enter; None without a frame rate. A decoder of
    the centre frame alone does not see the frames after it.
    """
    after = 0 if centre_alone else recipe.window.after
    if recipe.pixels is None:
        filters = look_ahead_frames(recipe.preprocessing)
    else:
        filters = pixel_look_ahead_frames(recipe.pixels) + recipe.margin
    frames = filters + after - recipe.window.shift
    if np.isinf(frames) or recipe.input in WHOLE_SESSION_INPUTS:
        return float("inf")
    return None if recipe.frame_rate_hz is None else frames / recipe.frame_rate_hz
