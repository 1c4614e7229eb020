"""A session's files brought onto one clock: lengths, times, dropped frames, gaps, another rate."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from corticode.data.catalogue import Recording
from corticode.data.on_frames import (
    DROPPED_AFTER_PERIODS,
    EDGE_FRAMES,
    Placed,
    amounts_on_frames,
    categories_on_frames,
    lower_rate,
    place,
    resample_amounts,
    resample_categories,
    spans_change,
    spans_gap,
)
from corticode.data.readers.arrays import ArrayLocation, read_array
from corticode.errors import DataError, Finding, StudyError

SAME_RATE_SHARE = 1e-3
MOST_TIMES = 100
RATE_TOLERANCE = 0.05


def check_times(times: NDArray[np.float64], name: str) -> None:
    """Refuse times that are not finite and strictly increasing.

    Parameters
    ----------
    times
        Seconds, shape (sample,).
    name
        What the error calls them.

    Raises
    ------
    DataError
        Names the first sample at fault.
    """
    if times.ndim != 1 or times.size < 2:
        raise DataError(
            f"{name} has shape {times.shape}; it needs one time in seconds for each of two or "
            "more samples"
        )
    wrong = ~np.isfinite(times)
    if wrong.any():
        k = int(np.argmax(wrong))
        raise DataError(f"{name} holds {times[k]} at sample {k}; give each sample its time")
    falls = np.diff(times) <= 0
    if falls.any():
        k = int(np.argmax(falls)) + 1
        raise DataError(
            f"{name} must rise from sample to sample; sample {k} is at {times[k]:g} s, after "
            f"{times[k - 1]:g} s: sort it or remove what is repeated"
        )


def frame_period(frame_times: NDArray[np.float64]) -> float:
    """Seconds from one frame to the next: the mean step, steps over dropped frames left out.

    Parameters
    ----------
    frame_times
        Start of each frame's exposure, seconds, shape (frame,).

    Examples
    --------
    >>> round(frame_period(np.array([0.0, 0.033, 0.067, 0.1, 0.3, 0.333])), 4)
    0.0333
    """
    step = np.diff(frame_times)
    # Times rounded to milliseconds: their median may be off by a percent, their mean is not.
    return float(step[step <= DROPPED_AFTER_PERIODS * np.median(step)].mean())


def count_dropped(
    frame_times: NDArray[np.float64], period_s: float
) -> tuple[NDArray[np.bool_], int]:
    """Where frames were dropped: True at each frame that follows a gap, and how many are missing.

    A step of more than 1.5 periods between two frames is a gap.

    Parameters
    ----------
    frame_times
        Start of each frame's exposure, seconds, shape (frame,).
    period_s
        Time from one frame to the next, seconds.

    Examples
    --------
    >>> after_gap, n_missing = count_dropped(np.array([0.0, 0.1, 0.4, 0.5]), 0.1)
    >>> after_gap.tolist(), n_missing
    ([False, False, True, False], 2)
    """
    step = np.diff(frame_times, prepend=frame_times[0] - period_s) / period_s
    after_gap = step > DROPPED_AFTER_PERIODS
    return after_gap, int(np.sum(np.round(step[after_gap]) - 1))


def check_clocks(
    frame_times: NDArray[np.float64], behavior_times: NDArray[np.float64], name: str
) -> None:
    """Refuse two clocks that cannot both count seconds.

    Parameters
    ----------
    frame_times, behavior_times
        Shapes (frame,) and (sample,).
    name
        The session's, for the message.

    Raises
    ------
    DataError
        One lasts 100 times as long as the other, or behaviour is sampled 100 times more slowly.
    """
    spans = [float(times[-1] - times[0]) for times in (frame_times, behavior_times)]
    steps = [float(np.median(np.diff(times))) for times in (frame_times, behavior_times)]
    if max(spans) < MOST_TIMES * min(spans) and steps[1] < MOST_TIMES * steps[0]:
        return
    raise DataError(
        f"session {name}: frame_times last {spans[0]:.4g} s in steps of {steps[0]:.4g} s, "
        f"behavior_times {spans[1]:.4g} s in steps of {steps[1]:.4g} s; one of them is not in "
        "seconds (milliseconds, or numbers of samples?): give both in seconds"
    )


def is_same_rate(first_hz: float | None, second_hz: float | None) -> bool:
    """Whether two frame rates agree: within 0.1 %, as clocks measure them, or both unknown."""
    if first_hz is None or second_hz is None:
        return first_hz is second_hz
    return abs(first_hz / second_hz - 1) <= SAME_RATE_SHARE


@dataclass(frozen=True)
class FileArrays:
    """What the files of a session hold, each on its own clock.

    Parameters
    ----------
    recording
        The files.
    arrays
        ``"traces"``, shape (frame, region), ``"movie"``, shape (frame, row, column), or both.
    behavior
        Signals by name, shape (sample,) each.
    frame_times, behavior_times
        Times in seconds, shapes (frame,) and (sample,); both None where frames and samples are
        taken one for one.
    """

    recording: Recording
    arrays: Mapping[str, NDArray[np.generic]]
    behavior: Mapping[str, NDArray[np.generic]]
    frame_times: NDArray[np.float64] | None = None
    behavior_times: NDArray[np.float64] | None = None


@dataclass(frozen=True)
class AlignedArrays:
    """A session's arrays, all with the same frames.

    Parameters
    ----------
    arrays
        As in `FileArrays`.
    behavior
        Signals by name, shape (frame,) each.
    segment
        Shape (frame,); rises by one at each gap in time.
    frame_rate_hz
        Frames per second, or None.
    findings
        What was cut off, dropped or not covered.
    placed
        How each signal was brought onto frames; empty where samples are taken one for one.
    """

    arrays: Mapping[str, NDArray[np.generic]]
    behavior: Mapping[str, NDArray[np.generic]]
    segment: NDArray[np.int32]
    frame_rate_hz: float | None
    findings: tuple[Finding, ...] = ()
    placed: Mapping[str, Placed] = field(default_factory=dict)


def align(
    files: FileArrays, trim_frames: int = 0, on_frames: str | Mapping[str, str] | None = None
) -> AlignedArrays:
    """The arrays of a session on one clock.

    With times, behaviour is brought onto frames by the rule of each signal, dropped frames become
    gaps, and a frame in which the segment column changes belongs to neither segment: it has no
    behaviour, and no window crosses it. Without, frames and samples must be equally many.

    Parameters
    ----------
    files
        What was read.
    trim_frames
        How many frames may be cut from the tail of whatever is longer.
    on_frames
        The rule of each signal by its name, or one for all that hold numbers; see `open_session`.

    Raises
    ------
    DataError
        Lengths, clocks or the frame rate do not fit together.

    Examples
    --------
    >>> traces, speed = np.zeros((5, 2)), np.arange(4.0)
    >>> aligned = align(FileArrays(Recording("m1", "a"), {"traces": traces}, {"speed": speed}), 1)
    >>> aligned.arrays["traces"].shape
    (4, 2)
    >>> print(*aligned.findings)
    animal 'm1', session 'a': 1 frame was cut from the tail of traces
    """
    recording = files.recording
    if (files.frame_times is None) != (files.behavior_times is None):
        raise DataError(
            f"session {recording.name} has one of frame_times and behavior_times; "
            "give both in the catalogue, or neither"
        )
    files, findings = _trim(files, trim_frames)
    column = None if recording.segment is None else files.behavior[recording.segment]
    rate_hz = recording.frame_rate_hz
    behavior = files.behavior
    gaps = np.zeros(len(next(iter(files.arrays.values()))), dtype=np.int64)
    placed: dict[str, Placed] = {}
    if files.frame_times is not None and files.behavior_times is not None:
        frame_times, behavior_times = files.frame_times, files.behavior_times
        if behavior:
            check_clocks(frame_times, behavior_times, recording.name)
        period_s = frame_period(frame_times)
        rate_hz = _frame_rate(recording, 1 / period_s)
        after_gap, n_dropped = count_dropped(frame_times, period_s)
        gaps = np.cumsum(after_gap)
        findings += _dropped(recording, after_gap, n_dropped)
        if behavior:
            findings += _uncovered(recording, frame_times, behavior_times, period_s)
        behavior, placed = _place_all(files, frame_times, behavior_times, period_s, on_frames)
        if column is not None:
            spans = spans_change(column, behavior_times, frame_times, period_s)
            findings += _in_two_segments(recording, spans)
            behavior = {name: _blanked(values, spans) for name, values in behavior.items()}
            column = categories_on_frames(column, behavior_times, frame_times, period_s)
            behavior[str(recording.segment)] = column
            gaps = gaps + np.cumsum(spans | np.append(False, spans[:-1]))
            placed = {
                name: replace(one, as_before=one.as_before and not spans.any())
                for name, one in placed.items()
            }
    if column is not None:
        gaps = gaps + _change_numbers(column)
    segment = _change_numbers(gaps).astype(np.int32)
    return AlignedArrays(files.arrays, behavior, segment, rate_hz, tuple(findings), placed)


def _place_all(
    files: FileArrays,
    frame_times: NDArray[np.float64],
    behavior_times: NDArray[np.float64],
    period_s: float,
    on_frames: str | Mapping[str, str] | None,
) -> tuple[dict[str, NDArray[np.generic]], dict[str, Placed]]:
    """Every signal on frames, and how it came there."""
    behavior, placed = {}, {}
    for name, values in files.behavior.items():
        stated = stated_rule(name, on_frames, files.recording.segment)
        behavior[name], placed[name] = place(values, behavior_times, frame_times, period_s, stated)
    return behavior, placed


def stated_rule(
    name: str, on_frames: str | Mapping[str, str] | None, segment: str | None = None
) -> str | None:
    """The rule that was asked of one signal; a segment is always that of the middle."""
    if name == segment:
        return "middle"
    if on_frames is None or isinstance(on_frames, str):
        return on_frames
    return on_frames.get(name)


def _blanked(values: NDArray[np.generic], where: NDArray[np.bool_]) -> NDArray[np.generic]:
    """Values with nothing at some frames."""
    if values.dtype.kind in "US":
        return np.where(where, np.zeros(1, values.dtype), values)
    return np.where(where, np.nan, values.astype(np.float64))


def _in_two_segments(recording: Recording, spans: NDArray[np.bool_]) -> list[Finding]:
    n_frames = int(spans.sum())
    if not n_frames:
        return []
    lie = "1 frame lies" if n_frames == 1 else f"{n_frames} frames lie"
    reason = f"{lie} in two segments of {recording.segment!r}; no window holds such a frame"
    return [_finding(recording, reason, n_frames)]


def read_times(location: ArrayLocation | None) -> NDArray[np.float64] | None:
    """Times in seconds from a file, checked to rise, shape (sample,); None where none is named.

    Raises
    ------
    DataError
        They are not numbers, not finite, or do not rise.
    """
    if location is None:
        return None
    times = np.asarray(read_array(location))
    if times.dtype.kind not in "iuf":
        raise DataError(f"{location} holds {times.dtype} values; times must be numbers, in seconds")
    times = times.astype(np.float64)
    if times.ndim == 2 and 1 in times.shape:
        times = times.reshape(-1)
    check_times(times, str(location))
    return times


def _lengths(files: FileArrays) -> dict[str, int]:
    """How many frames each array has that must have as many as the others."""
    lengths = {name: int(array.shape[0]) for name, array in files.arrays.items()}
    if files.frame_times is None or files.behavior_times is None:
        return lengths | {
            f"behaviour {name!r}": len(values) for name, values in files.behavior.items()
        }
    for name, values in files.behavior.items():
        if len(values) != files.behavior_times.size:
            raise DataError(
                f"session {files.recording.name}: behaviour {name!r} has {len(values)} samples, "
                f"behavior_times {files.behavior_times.size}; they must be equally many"
            )
    return lengths | {"frame_times": files.frame_times.size}


def _trim(files: FileArrays, trim_frames: int) -> tuple[FileArrays, list[Finding]]:
    """Whatever is longer cut to the shortest, within what is allowed, and what was cut."""
    lengths = _lengths(files)
    shortest, longest = min(lengths.values()), max(lengths.values())
    n_cut = longest - shortest
    if n_cut > trim_frames:
        raise DataError(_length_message(files, lengths, trim_frames))
    if shortest < 2:
        raise DataError(
            f"session {files.recording.name} has {shortest} frames; at least 2 are needed: "
            "take it out of the catalogue"
        )
    if not n_cut:
        return files, []
    cut = ", ".join(name for name, n_frames in lengths.items() if n_frames > shortest)
    frames = "1 frame was" if n_cut == 1 else f"{n_cut} frames were"
    finding = _finding(files.recording, f"{frames} cut from the tail of {cut}", n_cut)
    arrays = {name: array[:shortest] for name, array in files.arrays.items()}
    if files.frame_times is not None:
        return replace(files, arrays=arrays, frame_times=files.frame_times[:shortest]), [finding]
    behavior = {name: values[:shortest] for name, values in files.behavior.items()}
    return replace(files, arrays=arrays, behavior=behavior), [finding]


def _length_message(files: FileArrays, lengths: Mapping[str, int], trim_frames: int) -> str:
    recording = files.recording
    counts = ", ".join(f"{name} {n_frames}" for name, n_frames in lengths.items())
    message = f"session {recording.name} has unequal numbers of frames: {counts}"
    traces = files.arrays.get("traces")
    others = [n_frames for name, n_frames in lengths.items() if name != "traces"]
    if traces is not None and all(abs(n - traces.shape[1]) <= trim_frames for n in others):
        turned = ",".join(reversed(recording.traces_axes))
        return f"{message}; the traces look turned: give traces_axes = {turned!r} in the catalogue"
    if _is_in_pairs(recording, lengths):
        return (
            f"{message}; the movie has two frames for each of the others: if they are of two "
            'wavelengths in turn, give channels = "calcium,reference" (or "reference,calcium") in '
            "the catalogue"
        )
    spread = max(lengths.values()) - min(lengths.values())
    allowed = f"[data] trim_frames = {trim_frames}" if trim_frames else "no [data] trim_frames"
    return (
        f"{message} ({allowed}); give frame_times and behavior_times, or allow the longer to be "
        f"cut with [data] trim_frames = {spread} if the ends are all that differs"
    )


def _is_in_pairs(recording: Recording, lengths: Mapping[str, int]) -> bool:
    """Whether a movie of one channel is twice as long as all that it has to agree with."""
    others = [n_frames for name, n_frames in lengths.items() if name != "movie"]
    pairs = lengths.get("movie", 0) // 2
    return not recording.channels and bool(others) and all(n == pairs for n in others)


def _frame_rate(recording: Recording, measured_hz: float) -> float:
    stated_hz = recording.frame_rate_hz
    if stated_hz is not None and abs(measured_hz / stated_hz - 1) > RATE_TOLERANCE:
        raise DataError(
            f"session {recording.name}: frame_rate_hz is {stated_hz:g} but frame_times step at "
            f"{measured_hz:.4g} frames/s; correct one of them (times are in seconds)"
        )
    return measured_hz if stated_hz is None else stated_hz


def _dropped(recording: Recording, after_gap: NDArray[np.bool_], n_dropped: int) -> list[Finding]:
    if not n_dropped:
        return []
    n_places = int(after_gap.sum())
    frames = "1 frame was" if n_dropped == 1 else f"{n_dropped} frames were"
    places = "1 place" if n_places == 1 else f"{n_places} places"
    reason = f"{frames} dropped in {places}; no window crosses a gap"
    return [_finding(recording, reason, n_dropped)]


def _uncovered(
    recording: Recording,
    frame_times: NDArray[np.float64],
    behavior_times: NDArray[np.float64],
    period_s: float,
) -> list[Finding]:
    """Frames into which no behaviour sample falls; all of them is an error."""
    always = np.ones(behavior_times.size)
    known = np.isfinite(amounts_on_frames(always, behavior_times, frame_times, period_s))
    n_unknown = int(known.size - known.sum())
    if n_unknown == known.size:
        raise DataError(
            f"session {recording.name}: no behaviour sample falls into a frame; frame_times "
            f"run from {frame_times[0]:g} to {frame_times[-1]:g} s, behavior_times from "
            f"{behavior_times[0]:g} to {behavior_times[-1]:g} s: give both in seconds from one zero"
        )
    if not n_unknown:
        return []
    reason = f"{n_unknown} of {known.size} frames have no sample in behavior_times"
    return [_finding(recording, reason, n_unknown)]


def _finding(recording: Recording, reason: str, count: int) -> Finding:
    return Finding("frames", reason, recording.animal, recording.session, count=count)


def _change_numbers(values: NDArray[np.generic]) -> NDArray[np.int64]:
    """Numbers that start at 0 and rise by one at each change; NaN beside NaN is no change."""
    is_change = np.asarray(values[1:] != values[:-1], dtype=np.bool_)
    if values.dtype.kind == "f":
        is_missing = np.isnan(values)
        is_change &= ~(is_missing[1:] & is_missing[:-1])
    numbers = np.zeros(values.size, dtype=np.int64)
    np.cumsum(is_change, out=numbers[1:])
    return numbers


def resample(
    aligned: AlignedArrays,
    rate_hz: float,
    name: str,
    on_frames: str | Mapping[str, str] | None = None,
    segment: str | None = None,
) -> AlignedArrays:
    """A session's traces and behaviour at a lower frame rate.

    Traces of each new frame are the mean of the old ones it spans, behaviour follows the rule of
    each signal. A new frame across a gap in time gets no traces. A rate within 0.1 % of the
    session's own changes nothing but the number.

    Parameters
    ----------
    aligned
        The session's arrays; a movie is refused.
    rate_hz
        The new frame rate.
    name
        The session's name, for messages.
    on_frames
        As in `align`.
    segment
        The signal whose changes mark gaps.

    Raises
    ------
    StudyError
        `rate_hz` is not above 0.
    DataError
        The session has a movie, no frame rate, or a lower one: frames cannot be invented.

    Examples
    --------
    >>> traces = np.array([[1.0], [3.0], [5.0], [9.0]])
    >>> aligned = AlignedArrays({"traces": traces}, {}, np.zeros(4, np.int32), 20.0)
    >>> resample(aligned, 10.0, "m1/a").arrays["traces"].tolist()
    [[2.0], [7.0]]
    """
    if not rate_hz > 0:
        raise StudyError(f"resample_hz is {rate_hz:g}; it must be above 0")
    if "movie" in aligned.arrays:
        raise DataError(f"session {name} holds a movie; resample_hz serves traces alone")
    own_hz = aligned.frame_rate_hz
    if own_hz is None:
        raise DataError(
            f"session {name} has no frame_rate_hz, which resample_hz needs; add it to the catalogue"
        )
    if is_same_rate(own_hz, rate_hz):
        return replace(aligned, frame_rate_hz=rate_hz)
    if rate_hz > own_hz:
        raise DataError(
            f"session {name} has {own_hz:g} frames/s; resample_hz = "
            f"{rate_hz:g} would invent frames: choose at most the lowest rate of the study"
        )
    ratio = own_hz / rate_hz
    n_new = int(aligned.segment.size / ratio + EDGE_FRAMES)
    if not n_new:
        raise DataError(
            f"session {name} has {aligned.segment.size} frames at {own_hz:g} Hz, less than one "
            f"at resample_hz = {rate_hz:g}; choose a higher rate or leave the session out"
        )
    lowered = {
        signal: lower_rate(values, ratio, n_new, stated_rule(signal, on_frames, segment))
        for signal, values in aligned.behavior.items()
    }
    traces = resample_amounts(aligned.arrays["traces"], ratio, n_new)
    traces[spans_gap(aligned.segment, ratio, n_new)] = np.nan
    return replace(
        aligned,
        arrays={"traces": traces},
        behavior={signal: values for signal, (values, _) in lowered.items()},
        placed={
            signal: _both(aligned.placed.get(signal), now) for signal, (_, now) in lowered.items()
        },
        segment=resample_categories(aligned.segment, ratio, n_new).astype(np.int32),
        frame_rate_hz=rate_hz,
    )


def _both(first: Placed | None, then: Placed) -> Placed:
    """What two steps onto frames lost together: that one's which lost more bouts."""
    if first is None:
        return then
    is_first = first.n_between > then.n_between or not then.peaks.size
    lost = first if is_first else then
    return replace(
        lost,
        holds_events=first.holds_events,
        as_before=first.as_before and then.as_before,
    )
