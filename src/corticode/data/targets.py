"""Behaviour made into what is decoded: one value, or none, a frame; and labels permuted."""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from corticode.data.preprocess import MOST_FRAMES, moving_mean
from corticode.data.signals import ON_FRAMES, holds_events, holds_numbers
from corticode.errors import DataError, StudyError

KINDS = ("binary", "classes", "value")
MOST_CLASSES = 100
# Beyond it, the squares of errors overflow in float32.
LARGEST_VALUE = 1e15
# Of a target's SD: what rounding to float32 may take.
FLOAT32_SHARE = 1e-4
# The last is for p-values, the others are controls for training.
HOW = ("sessions", "segments", "blocks", "frames", "trials", "any-session")
# What begins a trial in a signal: it rises from 0 to 1, or changes to another trial's number.
EVENT_AT = ("rise", "change")
# Of another signal: which of its frames get no target.
EXCLUDED_AT = ("on", "onset", "offset", "steady")
OF_TRIALS = ("events", "event_at", "times_in", "label_after_frames")
# What has no meaning where one frame of a trial is asked for its label.
CONTINUOUS = (
    "hysteresis",
    "minimum_bout_frames",
    "minimum_gap_frames",
    "exclude_transition_frames",
    "smooth_frames",
)


def bouts(
    values: NDArray[np.floating[Any]], segment: NDArray[Any] | None = None
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.floating[Any]]]:
    """First frame, frame after the last, and value of each run of equal target values.

    Parameters
    ----------
    values
        (frame,); runs end at NaN.
    segment
        (frame,): runs end where it changes; ``None``: there are no gaps in time.

    Returns
    -------
    start, stop, value
        (bout,) each, in frame order.

    Examples
    --------
    >>> start, stop, value = bouts(np.array([0, 0, 1, np.nan, 1]))
    >>> start.tolist(), stop.tolist(), value.tolist()
    ([0, 2, 4], [2, 3, 5], [0.0, 1.0, 1.0])
    """
    if not len(values):
        return np.zeros(0, np.intp), np.zeros(0, np.intp), values
    is_change = values[1:] != values[:-1]
    if segment is not None:
        is_change = is_change | (segment[1:] != segment[:-1])
    start = np.flatnonzero(np.concatenate([[True], is_change]))
    stop = np.append(start[1:], len(values))
    keep = np.isfinite(values[start])
    return start[keep], stop[keep], values[start[keep]]


def number_segments(
    finite: NDArray[np.bool_], segment: NDArray[Any] | None = None
) -> NDArray[np.intp]:
    """(frame,): the number of the stretch of finite, or missing, frames without a gap in time."""
    is_change = np.zeros(len(finite), np.bool_)
    is_change[1:] = finite[1:] != finite[:-1]
    if segment is not None:
        is_change[1:] |= np.asarray(segment[1:] != segment[:-1], np.bool_)
    return np.cumsum(is_change)


def replace_short_runs(
    state: NDArray[np.float64], stretch: NDArray[np.intp], value: int, minimum_frames: int
) -> NDArray[np.float64]:
    """Runs of `value` shorter than `minimum_frames` turned over; zeros only between two ones."""
    if minimum_frames <= 1:
        return state
    start, stop, held = bouts(state, stretch)
    is_short = (held == value) & (stop - start < minimum_frames)
    if value == 0:
        follows = np.zeros(len(start), np.bool_)
        follows[1:] = stretch[start[1:]] == stretch[start[:-1]]
        is_short &= follows & np.append(follows[1:], False)
    result = state.copy()
    result[np.isfinite(state)] = np.repeat(np.where(is_short, 1 - value, held), stop - start)
    return result


def without_transitions(
    values: NDArray[np.float64], n_frames: int, segment: NDArray[Any] | None = None
) -> NDArray[np.float64]:
    """The values, NaN within `n_frames` of a change; missing frames may lie inside the change."""
    part = number_segments(np.ones(len(values), np.bool_), segment)
    known = np.flatnonzero(np.isfinite(values))
    before, after = known[:-1], known[1:]
    is_change = (values[before] != values[after]) & (part[before] == part[after])
    before, after = before[is_change], after[is_change]
    first = np.maximum(before - n_frames + 1, np.searchsorted(part, part[before], "left"))
    stop = np.minimum(after + n_frames, np.searchsorted(part, part[after], "right"))
    return np.where(covered_rows(first, stop, len(values)), np.nan, values)


def covered_rows(
    first: NDArray[np.integer], stop: NDArray[np.integer], n_rows: int
) -> NDArray[np.bool_]:
    """Which of so many rows lie in some stretch from `first` to before `stop`, shape (row,)."""
    steps = np.zeros(n_rows + 1, np.int64)
    np.add.at(steps, first, 1)
    np.add.at(steps, stop, -1)
    return np.asarray(np.cumsum(steps[:-1]) > 0)


@dataclass(frozen=True)
class Exclude:
    """Frames that get no target for what another signal does there.

    Parameters
    ----------
    signal
        Name of the signal.
    above
        It is on where it is above this, in its unit.
    at
        Which frames: ``"on"``, those on and `within_frames` around them; ``"onset"`` or
        ``"offset"``, those `within_frames` before and after it goes on or off; ``"steady"``, those
        on for longer than `within_frames`, so that onsets are left.
    within_frames
        Frames.

    Raises
    ------
    StudyError
        An unknown `at`, a negative length, or none where nothing would be left out.
    """

    signal: str
    above: float = 0.5
    at: str = "on"
    within_frames: int = 0

    def __post_init__(self) -> None:
        if self.at not in EXCLUDED_AT:
            raise StudyError(
                f"target exclude at is {self.at!r}; it must be one of {', '.join(EXCLUDED_AT)}"
            )
        if not 0 <= self.within_frames <= MOST_FRAMES:
            raise StudyError(
                f"target exclude within_frames is {self.within_frames}; it must be 0 or more, and "
                f"no session has more than {MOST_FRAMES:,} frames"
            )
        if self.at in ("onset", "offset") and not self.within_frames:
            raise StudyError(
                f"target exclude at = {self.at!r} leaves nothing out without a length; "
                "give within_s"
            )


@dataclass(frozen=True)
class Target:
    """What is to be decoded, and how it is made from a signal of the behaviour file.

    The steps run in this order: `smooth_frames`, `absolute`, `above` with `hysteresis`,
    `minimum_gap_frames`, `minimum_bout_frames`, `exclude_transition_frames`. Kind ``"value"``
    takes the first two, ``"classes"`` the last, ``"binary"`` all; a kind passes over the others,
    so that a condition may change the kind of a target that it shares.

    Parameters
    ----------
    signal
        Name of the signal.
    kind
        ``"binary"``, ``"classes"`` or ``"value"``.
    above
        1 where the signal is above this, in the signal's unit; ``None``: the signal already
        holds 0 and 1.
    absolute
        Take the signal's absolute value.
    hysteresis
        Once above, stays 1 until the signal falls to `above` minus this, or below.
    minimum_bout_frames
        Stretches of 1 shorter than this become 0, once gaps are filled.
    minimum_gap_frames
        Stretches of 0 shorter than this, between two 1s, become 1.
    exclude_transition_frames
        This many frames before and after each change get no target.
    smooth_frames
        Length of a moving mean (see `corticode.data.preprocess.moving_mean`), which stops at gaps
        in time; 0: none.
    on_frames
        How a signal on its own clock, or at a higher frame rate, is brought onto frames: ``"mean"``
        over a frame's exposure, ``"any"`` (the largest sample in it), ``"count"`` (their sum), or
        the sample that holds in its ``"middle"``. ``None``: as `frame_rule` says.
    events
        Name of the signal that begins trials: each trial has one label, at the frame of its event,
        and other frames have none. ``None``: every frame has a label.
    event_at
        What begins a trial in it: ``"rise"``, from 0 to 1, or ``"change"``, to another number or
        name; 0, NaN and an empty name are no trial.
    times_in
        Where trials begin in a column of a table: ``"seconds"`` or ``"frames"``, see
        `corticode.data.trials.TrialTimes`.
    label_after_frames
        A trial's label is what the signal holds so many frames after the event.
    match
        Another signal: of the frames with a target so many are kept that all classes have the same
        distribution of it within each session (`corticode.data.chosen_frames.matched_frames`).
    exclude
        Frames that get no target for what another signal does; before `match`.

    Raises
    ------
    StudyError
        An unknown kind, a negative number, a setting that needs `above` without it, or a rule
        that the kind cannot have, or a setting of stretches of frames for trials.
    """

    signal: str
    kind: str = "binary"
    above: float | None = None
    absolute: bool = False
    hysteresis: float = 0.0
    minimum_bout_frames: int = 0
    minimum_gap_frames: int = 0
    exclude_transition_frames: int = 0
    smooth_frames: int = 0
    on_frames: str | None = None
    events: str | None = None
    event_at: str = "rise"
    times_in: str = "seconds"
    label_after_frames: int = 0
    match: str | None = None
    exclude: Exclude | None = None

    @property
    def beside(self) -> tuple[str, ...]:
        """The other signals by which frames are chosen."""
        named = (self.match, None if self.exclude is None else self.exclude.signal)
        return tuple(dict.fromkeys(name for name in named if name is not None))

    @property
    def frame_rule(self) -> str:
        """How the signal is brought onto frames, decided by what is asked of it.

        As stated; else the category in the middle of the exposure for classes, any for a signal
        that holds 0 and 1 already, the mean for numbers (with `above`, or as a value).

        Examples
        --------
        >>> Target("lick").frame_rule, Target("speed", above=5.0).frame_rule
        ('any', 'mean')
        >>> Target("act", "classes").frame_rule, Target("wheel", "value").frame_rule
        ('middle', 'mean')
        """
        if self.on_frames is not None:
            return self.on_frames
        if self.kind == "classes":
            return "middle"
        return "any" if self.kind == "binary" and self.above is None else "mean"

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise StudyError(f"target kind is {self.kind!r}; it must be one of {', '.join(KINDS)}")
        for name in (
            "hysteresis",
            "minimum_bout_frames",
            "minimum_gap_frames",
            "exclude_transition_frames",
            "smooth_frames",
        ):
            number = getattr(self, name)
            if not 0 <= number < np.inf:
                raise StudyError(f"target {name} is {number}; it must be 0 or more")
            if name != "hysteresis" and number > MOST_FRAMES:
                raise StudyError(
                    f"target {name} is {number}; no session has more than {MOST_FRAMES:,} frames"
                )
        if self.above is not None and not np.isfinite(self.above):
            raise StudyError(f"target above is {self.above}; give a finite number")
        self._check_rule()
        self._check_trials()
        self._check_match()
        if self.kind != "binary" or self.above is not None:
            return
        for name in ("absolute", "hysteresis", "smooth_frames"):
            if getattr(self, name):
                raise StudyError(
                    f"target {name} is set for signal {self.signal!r} without a threshold; "
                    f"give `above`, or leave out {name} where the signal holds 0 and 1"
                )

    def _check_trials(self) -> None:
        if self.event_at not in EVENT_AT:
            raise StudyError(
                f"target event_at is {self.event_at!r}; it must be one of {', '.join(EVENT_AT)}"
            )
        if abs(self.label_after_frames) > MOST_FRAMES:
            raise StudyError(
                f"target label_after_frames is {self.label_after_frames}; no session has more than "
                f"{MOST_FRAMES:,} frames"
            )
        if self.events is None:
            return
        for name in CONTINUOUS:
            if getattr(self, name):
                raise StudyError(
                    f"target {name} is set beside the trials of {self.events!r}; it treats "
                    "stretches of frames, and a trial has one label: leave it out"
                )

    def _check_match(self) -> None:
        if self.match is None:
            return
        if self.kind == "value":
            raise StudyError(
                f"target match = {self.match!r} matches classes, and a target of kind 'value' has "
                "none; leave match out"
            )
        if self.match == self.signal:
            raise StudyError(
                f"target match names {self.match!r}, which is what is decoded: classes of it share "
                "no value; name another signal"
            )

    def _check_rule(self) -> None:
        rule, signal = self.on_frames, self.signal
        if rule is None:
            return
        if rule not in ON_FRAMES:
            raise StudyError(
                f"target on_frames is {rule!r}; it must be one of {', '.join(ON_FRAMES)}"
            )
        if self.kind == "classes" and rule != "middle":
            raise StudyError(
                f"target on_frames is {rule!r} for the classes of {signal!r}; a class has no mean "
                "and no sum: take 'middle', or leave on_frames out"
            )
        if self.kind == "binary" and self.above is None and rule in ("mean", "count"):
            raise StudyError(
                f"target on_frames is {rule!r} for signal {signal!r} without a threshold; frames "
                "then hold more than 0 and 1: give `above`, or take 'any' or 'middle'"
            )
        if self.absolute and rule == "any":
            raise StudyError(
                f"target on_frames is 'any' and absolute is set for signal {signal!r}; the largest "
                "sample is taken before the absolute value: take 'mean' or 'middle'"
            )


def without_trials(described: Mapping[str, Any]) -> dict[str, Any]:
    """A target's fields by name, without those of trials, or of chosen frames, where it has none.

    So targets without them are what they were before there were such fields.

    Examples
    --------
    >>> from dataclasses import asdict
    >>> "events" in without_trials(asdict(Target("run")))
    False
    """
    of_trials = () if described["events"] is not None else OF_TRIALS
    unused = {name for name in ("match", "exclude") if described[name] is None}
    return {k: v for k, v in described.items() if k not in of_trials and k not in unused}


@dataclass(frozen=True)
class TargetTrace:
    """What is decoded in one session.

    Parameters
    ----------
    values
        (frame,): the value, 0 and 1, or the index into `classes`; NaN where there is no target.
        float32, or float64 where that would lose digits (see `in_few_bytes`).
    classes
        Names of the classes: ``("0", "1")`` for binary targets, empty for values.
    """

    values: NDArray[np.floating[Any]]
    classes: tuple[str, ...]


def make_target(
    signal_values: NDArray[Any],
    target: Target,
    *,
    segment: NDArray[Any] | None = None,
    classes: Sequence[str] | None = None,
    events: NDArray[Any] | None = None,
) -> TargetTrace:
    """What is decoded at each frame, made from one session's signal.

    Hysteresis, gaps and bouts are followed within stretches of finite frames and never across a
    gap in time: after either the state starts anew (0 between the two thresholds), and a bout
    counts as long as what is seen of it. The moving mean stops at gaps in time too, and leaves out
    frames that are not finite.

    Parameters
    ----------
    signal_values
        (frame,): numbers, booleans, or names of categories. NaN, infinite or empty: no target.
    target
        How it is made.
    segment
        (frame,): a change of its value marks a gap in time; ``None``: there are no gaps.
    classes
        For kind ``"classes"``: the list that holds for all sessions (see `collect_classes`);
        ``None``: the classes of this session.
    events
        (frame,): the signal that begins trials, where the target has one (`Target.events`).

    Returns
    -------
    TargetTrace
        Values (frame,).

    Raises
    ------
    DataError
        Names where numbers are needed, a signal that is not 0 and 1 without `above`, a class not
        in `classes`, or lengths that disagree.

    Examples
    --------
    >>> speed = np.array([0.0, 0.6, 0.45, 0.2, 0.45])
    >>> make_target(speed, Target("speed", above=0.5, hysteresis=0.2)).values.tolist()
    [0.0, 1.0, 1.0, 0.0, 0.0]
    >>> make_target(np.array(["rest", "groom", "rest"]), Target("act", kind="classes"))
    TargetTrace(values=array([1., 0., 1.], dtype=float32), classes=('groom', 'rest'))
    >>> choice, cue = np.array([0.0, 0, 1, 1]), np.array([0.0, 1, 0, 1])
    >>> make_target(choice, Target("choice", events="cue"), events=cue).values.tolist()
    [nan, 0.0, nan, 1.0]
    """
    signal_values = np.asarray(signal_values)
    _check_shapes(signal_values, segment, target.signal)
    signal_values = labels_of_trials(signal_values, target, events, segment)
    if target.kind == "classes":
        names = collect_classes([signal_values]) if classes is None else tuple(classes)
        values = _class_indices(signal_values, names, target.signal)
    else:
        names = ("0", "1") if target.kind == "binary" else ()
        values = _as_numbers(signal_values, target, segment)
    if target.kind == "binary":
        values = _as_binary(values, target, segment)
    if target.kind != "value" and target.exclude_transition_frames:
        values = without_transitions(values, target.exclude_transition_frames, segment)
    return TargetTrace(in_few_bytes(values, target.signal), names)


def event_frames(
    events: NDArray[Any] | None, target: Target, segment: NDArray[Any] | None = None
) -> NDArray[np.intp]:
    """The frames at which trials begin in one session, shape (trial,).

    A 1, or a trial's number, in the first frame begins a trial there.

    Parameters
    ----------
    events
        (frame,): 0 and 1, or numbers or names of trials; NaN or empty: no trial.
    target
        Which signal that is, and what begins a trial in it.
    segment
        (frame,), as for `make_target`; to hold lengths to.

    Raises
    ------
    DataError
        There is no such signal, its length is another, or it holds more than 0 and 1 where trials
        begin at its rise.

    Examples
    --------
    >>> number = np.array([0, 1, 1, 0, 2, 3])
    >>> event_frames(number, Target("choice", events="trial", event_at="change")).tolist()
    [1, 4, 5]
    """
    name = str(target.events)
    if events is None:
        raise DataError(
            f"the signal {name!r}, which begins trials, is not there; name a column of the "
            "behaviour file or of the catalogue's table of trials under [trials] events"
        )
    events = np.asarray(events)
    _check_shapes(events, segment, name)
    if target.event_at == "change":
        names, codes, known = _class_codes(events)
        number = np.full(len(events), -1)
        number[known] = codes
        is_trial = known.copy()
        is_trial[known] = np.array([one != "0" for one in names], np.bool_)[codes]
        return np.flatnonzero(is_trial & (number != np.append(-2, number[:-1])))
    if not holds_events(events):
        raise DataError(
            f"signal {name!r} holds more than 0 and 1; trials begin where it rises from 0 to 1: "
            "give [trials] event_at = 'change' where it numbers trials, or a signal of 0 and 1"
        )
    is_on = events == 1
    return np.flatnonzero(is_on & ~np.append(False, is_on[:-1]))


def labels_of_trials(
    signal: NDArray[Any],
    target: Target,
    events: NDArray[Any] | None,
    segment: NDArray[Any] | None = None,
) -> NDArray[Any]:
    """A signal as it labels trials: at the frames of their events alone, else NaN or empty.

    Parameters
    ----------
    signal, events, segment
        (frame,) each, as for `make_target`.
    target
        What is decoded; one without events leaves the signal as it is.

    Raises
    ------
    DataError
        As `event_frames`.

    Examples
    --------
    >>> act, cue = np.array(["", "", "lick", "lick"]), np.array([0, 1, 0, 0])
    >>> target = Target("act", "classes", events="cue", label_after_frames=1)
    >>> labels_of_trials(act, target, cue).tolist()
    ['', 'lick', '', '']
    """
    if target.events is None:
        return signal
    frames = event_frames(events, target, segment)
    asked = frames + target.label_after_frames
    is_there = (asked >= 0) & (asked < len(signal))
    if segment is not None:
        same = segment[np.clip(asked, 0, len(signal) - 1)] == segment[frames]
        is_there &= np.asarray(same, np.bool_)
    labels: NDArray[Any] = (
        np.full(len(signal), np.nan)
        if holds_numbers(signal)
        else np.zeros(len(signal), "U1" if signal.dtype.kind == "O" else signal.dtype).astype(
            signal.dtype
        )
    )
    labels[frames[is_there]] = signal[asked[is_there]]
    return labels


def in_few_bytes(values: NDArray[np.float64], signal: str) -> NDArray[np.floating[Any]]:
    """The values as float32, or as they are where that would lose what varies in them.

    float32 keeps about 7 digits: of a time in seconds since 1970, or a counter at 1e7, the changes
    are what it drops.

    Parameters
    ----------
    values
        (frame,); NaN where there is none.
    signal
        Its name, for the message.

    Raises
    ------
    DataError
        A value is beyond what decoders can compute with.

    Examples
    --------
    >>> steps = np.array([0.0, 0.25, 0.5])
    >>> in_few_bytes(steps, "x").dtype, in_few_bytes(1e8 + steps, "x").dtype
    (dtype('float32'), dtype('float64'))
    """
    largest = float(np.fmax.reduce(np.abs(values), initial=0.0))
    if largest > LARGEST_VALUE:
        raise DataError(
            f"signal {signal!r} holds values up to {largest:.3g}; decoders compute with numbers up "
            f"to {LARGEST_VALUE:g}: bring the signal to another unit, or correct its file"
        )
    return values if is_wide(values) else values.astype(np.float32)


def is_wide(values: NDArray[Any]) -> bool:
    """Whether float32 loses what varies in values, NaN and infinite ones left out."""
    known = values[np.isfinite(values)].astype(np.float64)
    if not known.size:
        return False
    return is_lost_in_float32(float(np.abs(known).max()), float(known.std()))


def is_lost_in_float32(largest: float, sd: float) -> bool:
    """Whether float32 rounds values of this size by more than 1e-4 of their SD.

    Examples
    --------
    >>> is_lost_in_float32(100.0, 1.0), is_lost_in_float32(1e7, 1.0)
    (False, True)
    """
    return sd > 0 and abs(largest) * 2.0**-24 > FLOAT32_SHARE * sd


def collect_classes(signals: Sequence[NDArray[Any]]) -> tuple[str, ...]:
    """Names of the classes over all sessions: numbers in numerical order, text in alphabetical.

    Parameters
    ----------
    signals
        One (frame,) array a session: all of numbers, or all of text.

    Raises
    ------
    DataError
        Numbers in one session and text in another, or more than 100 classes.

    Examples
    --------
    >>> collect_classes([np.array([10.0, 2.0, np.nan]), np.array([0.5, 2.0])])
    ('0.5', '2', '10')
    """
    are_numbers = {holds_numbers(signal) for signal in signals if np.size(signal)}
    if len(are_numbers) > 1:
        raise DataError(
            "the classes are numbers in one session and text in another; "
            "write them the same way in all behaviour files"
        )
    found: set[str] = set().union(*(_class_codes(signal)[0] for signal in signals))
    if len(found) > MOST_CLASSES:
        raise DataError(
            f"the signal holds {len(found)} different values; kind 'classes' takes up to "
            f"{MOST_CLASSES}: choose kind 'value', or 'binary' with `above`"
        )
    return tuple(sorted(found, key=float if are_numbers == {True} else None))


def _check_shapes(signal: NDArray[Any], segment: NDArray[Any] | None, name: str) -> None:
    if signal.ndim != 1:
        raise DataError(
            f"signal {name!r} has shape {signal.shape}; one value a frame is needed: "
            "choose one column of it"
        )
    if segment is not None and np.shape(segment) != signal.shape:
        raise DataError(
            f"signal {name!r} has {len(signal)} frames and its segment column has shape "
            f"{np.shape(segment)}; both need one value for each frame of the session"
        )


def _as_numbers(
    signal: NDArray[Any], target: Target, segment: NDArray[Any] | None
) -> NDArray[np.float64]:
    """The signal as float64, smoothed and rectified; NaN where it is not finite."""
    if not holds_numbers(signal):
        raise DataError(
            f"signal {target.signal!r} holds text; kind {target.kind!r} needs numbers: "
            "choose kind 'classes', or a signal of numbers"
        )
    values = signal.astype(np.float64)
    missing = ~np.isfinite(values)
    if target.smooth_frames and (target.kind == "value" or target.above is not None):
        values = moving_mean(values, target.smooth_frames, segment=segment)
    values[missing] = np.nan
    return np.abs(values) if target.absolute else values


def _as_binary(
    values: NDArray[np.float64], target: Target, segment: NDArray[Any] | None
) -> NDArray[np.float64]:
    finite = np.isfinite(values)
    stretch = number_segments(finite, segment)
    if target.above is None:
        distinct = np.unique(values[finite])
        if not np.isin(distinct, (0, 1)).all():
            raise DataError(
                f"signal {target.signal!r} holds {len(distinct)} different values from "
                f"{distinct[0]:.6g} to {distinct[-1]:.6g}; give `above`, "
                "or a signal of 0 and 1"
            )
        state = values
    else:
        is_on = values > target.above
        # Told from the start of each stretch on; between the thresholds the last word holds.
        is_told = is_on | (values <= target.above - target.hysteresis)
        is_told[np.flatnonzero(np.diff(stretch, prepend=-1))] = True
        last_told = np.maximum.accumulate(np.where(is_told, np.arange(len(values)), 0))
        state = np.where(finite, is_on[last_told], np.nan)
    state = replace_short_runs(state, stretch, 0, target.minimum_gap_frames)
    return replace_short_runs(state, stretch, 1, target.minimum_bout_frames)


def _class_codes(
    signal: NDArray[Any],
) -> tuple[list[str], NDArray[np.intp], NDArray[np.bool_]]:
    """Names of a session's classes, their position at the frames that have one, and which do."""
    signal = np.asarray(signal)
    if holds_numbers(signal):
        known = np.isfinite(signal)
        distinct, codes = np.unique(signal[known], return_inverse=True)
        return [str(int(x)) if x == int(x) else str(x) for x in distinct], codes, known
    if signal.dtype.kind == "S":
        signal = np.char.decode(signal, "utf-8")
    missing = np.zeros(signal.shape, np.bool_)
    if signal.dtype.kind == "O":
        # None, and NaN, which alone differs from itself, stand for a missing name.
        named: NDArray[Any] = np.where(np.equal(signal, np.array(None)), np.nan, signal)
        missing = np.not_equal(named, named).astype(np.bool_)
    text = np.char.strip(signal.astype(np.str_))
    known = ~missing & (text != "")
    names, codes = np.unique(text[known], return_inverse=True)
    return names.tolist(), codes, known


def _class_indices(
    signal: NDArray[Any], classes: tuple[str, ...], name: str
) -> NDArray[np.float64]:
    names, codes, known = _class_codes(signal)
    unknown = [found for found in names if found not in classes]
    if unknown:
        raise DataError(
            f"signal {name!r} holds the class {unknown[0]!r}; the classes are "
            f"{', '.join(classes)}: correct the behaviour file, or fit with sessions that hold it"
        )
    values = np.full(signal.shape, np.nan)
    indices = np.array([classes.index(found) for found in names], np.float64)
    values[known] = indices[codes]
    return values


def permute_labels(
    targets: Sequence[NDArray[np.floating[Any]]],
    animals: Sequence[str],
    how: str,
    seed: int,
    *,
    segments: Sequence[NDArray[Any]] | None = None,
    n_blocks: int = 10,
    names: Sequence[str] | None = None,
) -> list[NDArray[np.floating[Any]]]:
    """Target traces of the label-permuted control, one a session.

    Whole traces keep their own time course, so that only their tie to the cortex is cut; nothing
    that is exchanged stays in its own place, and every such order is equally likely. Where a piece
    comes to a longer place, the rest has no target; to a shorter one, it is cut. These are controls
    for training; p-values need all permutations, which ``"any-session"`` alone draws from.

    Parameters
    ----------
    targets
        One (frame,) trace a session; never changed.
    animals
        The animal of each session.
    how
        ``"sessions"``: traces are exchanged among the sessions of an animal. ``"segments"``: the
        stretches between gaps in time are exchanged within a session. ``"blocks"``: so are
        `n_blocks` equal stretches. ``"frames"``: all frames with a target are shuffled within a
        session, which also destroys the time course. ``"trials"``: the same of trials, whose
        labels alone are targets. ``"any-session"``: as ``"sessions"``, but drawn from all
        permutations, those in which sessions keep their own labels too; animals with one session
        keep theirs.
    seed
        Random numbers depend on it, on the animal and on the session's position within the animal,
        and on nothing else: leaving other animals out changes nothing.
    segments
        For ``"segments"``: one (frame,) array a session; a change of its value marks a gap.
    n_blocks
        For ``"blocks"``: how many.
    names
        Names of the sessions, for messages; ``None``: their numbers, from 0.

    Returns
    -------
    list
        One (frame,) trace a session, each as long as the session's own.

    Raises
    ------
    StudyError
        An unknown `how`, or fewer than two pieces to exchange.
    DataError
        Lists of different lengths.

    Examples
    --------
    >>> traces = [np.zeros(2, np.float32), np.ones(3, np.float32)]
    >>> [trace.tolist() for trace in permute_labels(traces, ["m1", "m1"], "sessions", seed=0)]
    [[1.0, 1.0], [0.0, 0.0, nan]]
    """
    names = [str(k) for k in range(len(targets))] if names is None else names
    _check_request(targets, animals, how, segments, names)
    permuted = list(targets)
    for animal in dict.fromkeys(animals):
        sessions = [k for k, owner in enumerate(animals) if owner == animal]
        if how in ("sessions", "any-session"):
            if how == "sessions":
                _check_pieces(len(sessions), f"animal {animal!r}", how)
            own, rng = [targets[k] for k in sessions], _random(seed, animal)
            draw = _derangement if how == "sessions" else _any_order
            exchanged = _exchange(own, draw(len(own), rng))
            for k, trace in zip(sessions, exchanged, strict=True):
                permuted[k] = trace
            continue
        for position, k in enumerate(sessions):
            rng = _random(seed, animal, position)
            if how in ("frames", "trials"):
                permuted[k] = _shuffle(targets[k], rng)
                continue
            bounds = _gaps(segments[k]) if segments and how == "segments" else None
            pieces = _cut(targets[k], n_blocks, bounds)
            _check_pieces(len(pieces), f"session {names[k]!r} of animal {animal!r}", how)
            permuted[k] = np.concatenate(_exchange(pieces, _derangement(len(pieces), rng)))
    return permuted


def _check_request(
    targets: Sequence[NDArray[np.floating[Any]]],
    animals: Sequence[str],
    how: str,
    segments: Sequence[NDArray[Any]] | None,
    names: Sequence[str],
) -> None:
    if how not in HOW:
        raise StudyError(f"permute_labels is {how!r}; it must be one of {', '.join(HOW)}")
    if how == "segments" and segments is None:
        raise StudyError(
            "permute_labels = 'segments' needs gaps in time; name the catalogue's `segment` "
            "column, or take 'blocks'"
        )
    for noun, listed in (("animals", animals), ("names", names), ("segments", segments)):
        if listed is not None and len(listed) != len(targets):
            raise DataError(
                f"{len(targets)} target traces came with {len(listed)} {noun}; "
                "give one for each session"
            )
    if how == "segments" and segments is not None:
        for target, segment, name in zip(targets, segments, names, strict=True):
            if len(segment) != len(target):
                raise DataError(
                    f"session {name!r} has {len(target)} frames and {len(segment)} values of "
                    "segment; give one for each frame"
                )


def _check_pieces(n_pieces: int, whose: str, how: str) -> None:
    if n_pieces > 1:
        return
    ways_out = {
        "sessions": "permute_labels = 'segments' or 'blocks'",
        "segments": "permute_labels = 'sessions' or 'blocks'",
        "blocks": "n_blocks of 2 or more, and a session of at least two frames",
    }
    raise StudyError(
        f"{whose} has {n_pieces} of the two or more {how} that permuting labels needs; "
        f"choose {ways_out[how]}"
    )


def _random(seed: int, animal: str, *position: int) -> np.random.Generator:
    return np.random.default_rng([seed, zlib.crc32(animal.encode()), *position])


def _gaps(segment: NDArray[Any]) -> NDArray[np.intp]:
    return np.flatnonzero(segment[1:] != segment[:-1]) + 1


def _cut(
    target: NDArray[np.floating[Any]], n_blocks: int, bounds: NDArray[np.intp] | None
) -> list[NDArray[np.floating[Any]]]:
    if bounds is None:
        n_blocks = max(1, min(n_blocks, len(target)))
        bounds = np.arange(1, n_blocks) * len(target) // n_blocks
    return np.split(target, bounds)


def _derangement(n: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """An order without a fixed point; about one draw in e is one, whatever `n`."""
    while True:
        order = rng.permutation(n)
        if not np.any(order == np.arange(n)):
            return order


def _any_order(n: int, rng: np.random.Generator) -> NDArray[np.intp]:
    return rng.permutation(n)


def _exchange(
    pieces: Sequence[NDArray[np.floating[Any]]], order: NDArray[np.intp]
) -> list[NDArray[np.floating[Any]]]:
    exchanged = []
    for place, source in zip(pieces, order, strict=True):
        moved = np.full(len(place), np.nan, np.result_type(place, pieces[source]))
        shared = min(len(place), len(pieces[source]))
        moved[:shared] = pieces[source][:shared]
        exchanged.append(moved)
    return exchanged


def _shuffle(
    target: NDArray[np.floating[Any]], rng: np.random.Generator
) -> NDArray[np.floating[Any]]:
    shuffled = np.array(target)
    known = np.isfinite(shuffled)
    shuffled[known] = rng.permutation(shuffled[known])
    return shuffled
