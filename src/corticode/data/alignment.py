"""A session's files brought onto one clock: lengths, times, dropped frames, gaps, another rate."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from corticode.data.catalogue import Recording
from corticode.data.clocks import (
    AlignmentError,
    Clocks,
    check_clocks,
    check_stated_rate,
    check_times,
    count_dropped,
    covered_frames,
    find_bounces,
    frame_period,
    is_same_rate,
    odd_rate,
)
from corticode.data.on_frames import (
    EDGE_FRAMES,
    Placed,
    categories_on_frames,
    lower_rate,
    place,
    resample_amounts,
    resample_categories,
    spans_change,
    spans_gap,
)
from corticode.data.readers.arrays import ArrayLocation, read_array
from corticode.data.readers.lookup import next_part
from corticode.errors import DataError, Finding, StudyError, some

# An end that differs by more, in frames and as a share of the longer, is no end alone.
MOST_TRIMMED, MOST_TRIMMED_SHARE = 10, 0.01
# By so much of the longer, and of the shorter, may lengths miss a whole ratio: frames got lost.
LOST_OF_RATIO, SHARE_OF_RATIO = 0.03, 0.06
# So many times as long, at least, is what a first file of several is a part of.
LEAST_OF_MORE_FILES = 1.25
# A pulse whose step differs by more than this share is none of the frames' own.
PULSE_APART = 0.2
SHOWN_SAMPLES, MOST_END_PULSES = 3, 2


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
    check_stated_rate(rate_hz, recording.name)
    behavior = files.behavior
    gaps = np.zeros(len(next(iter(files.arrays.values()))), dtype=np.int64)
    placed: dict[str, Placed] = {}
    if files.frame_times is not None and files.behavior_times is not None:
        frame_times, behavior_times = files.frame_times, files.behavior_times
        check_clocks(
            Clocks(
                recording.name,
                frame_times,
                behavior_times if behavior else None,
                rate_hz,
                max(len(recording.channels), 1),
            )
        )
        period_s = frame_period(frame_times)
        rate_hz = 1 / period_s if rate_hz is None else rate_hz
        after_gap, n_dropped = count_dropped(frame_times, period_s)
        gaps = np.cumsum(after_gap)
        findings += _odd_frames(recording, frame_times)
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
        raise DataError(
            f"{location} holds {times.dtype} values; times must be numbers, in seconds (dates and "
            "times of day: the seconds since one zero)"
        )
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
            raise AlignmentError(
                f"session {files.recording.name}: behaviour {name!r} has {len(values)} samples, "
                f"behavior_times {files.behavior_times.size}; they must be equally many",
                "behavior_times",
            )
    return lengths | {"frame_times": files.frame_times.size}


def _trim(files: FileArrays, trim_frames: int) -> tuple[FileArrays, list[Finding]]:
    """Whatever is longer cut to the shortest, within what is allowed, and what was cut."""
    lengths = _lengths(files)
    shortest, longest = min(lengths.values()), max(lengths.values())
    n_cut = longest - shortest
    explained = _why_unequal(files, lengths) if n_cut else None
    if explained is not None or n_cut > trim_frames:
        raise _unequal(files, lengths, trim_frames, explained)
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


def _unequal(
    files: FileArrays,
    lengths: Mapping[str, int],
    trim_frames: int,
    explained: tuple[str, str] | None,
) -> AlignmentError:
    """The error of a session whose arrays are not equally long: what explains it, or a way out."""
    recording = files.recording
    counts = ", ".join(f"{name} {n_frames}" for name, n_frames in lengths.items())
    message = f"session {recording.name} has unequal numbers of frames: {counts}"
    traces = files.arrays.get("traces")
    others = [n_frames for name, n_frames in lengths.items() if name != "traces"]
    slack = min(trim_frames, MOST_TRIMMED)
    if traces is not None and all(abs(n - traces.shape[1]) <= slack for n in others):
        turned = ",".join(reversed(recording.traces_axes))
        way_out = f"the traces look turned: give traces_axes = {turned!r} in the catalogue"
        return AlignmentError(f"{message}; {way_out}", "traces turned")
    if explained is not None:
        cause, words = explained
        return AlignmentError(f"{message}; {words}", cause)
    longest = max(lengths.values())
    spread = longest - min(lengths.values())
    allowed = f"[data] trim_frames = {trim_frames}" if trim_frames else "no [data] trim_frames"
    has_times = files.frame_times is not None
    if spread <= min(MOST_TRIMMED, MOST_TRIMMED_SHARE * longest):
        ways = f"if the ends are all that differs, [data] trim_frames = {spread} cuts the longer"
        if not has_times:
            ways += "; if frames are missing elsewhere, give frame_times and behavior_times"
        elif lengths["frame_times"] == longest:
            ways += "; if the first pulse starts the recording and is no frame, take that one out"
        return AlignmentError(f"{message} ({allowed}); {ways}")
    ways = f"{spread} frames are more than an end that was cut: "
    n_more = lengths.get("frame_times", 0) - min(_imaging(lengths).values())
    if has_times and 0 < n_more <= MOST_END_PULSES:
        ways = (
            f"frame_times hold {n_more} more than there are frames: a pulse that starts or ends "
            "the recording? Take it out"
        )
    elif has_times:
        ways += "find out which images and which times belong together, and give those alone"
    else:
        ways += "give frame_times and behavior_times, or find out which frames are missing"
    return AlignmentError(f"{message} ({allowed}); {ways}")


def _why_unequal(files: FileArrays, lengths: Mapping[str, int]) -> tuple[str, str] | None:
    """Why lengths differ, where pulses, more files or a whole ratio explain it: cause and words."""
    movie, n_frames = files.recording.movie, lengths.get("movie", math.inf)
    if movie is not None and n_frames * LEAST_OF_MORE_FILES <= max(lengths.values()):
        following = next_part(movie.path)
        if following is not None:
            words = (
                f"{movie.path.name} seems to go on in {following.name} beside it: write all its "
                "parts into one file, in order"
            )
            return "several files", words
    if files.frame_times is not None:
        pulses = _pulse_words(files.frame_times, min(_imaging(lengths).values()))
        if pulses is not None:
            return pulses
    shortest, longest = min(lengths.values()), max(lengths.values())
    ratio = round(longest / max(shortest, 1))
    rest = abs(longest - ratio * shortest)
    most = min(max(ratio - 1, LOST_OF_RATIO * longest), SHARE_OF_RATIO * shortest)
    if ratio < 2 or shortest < 2 or rest > most:
        return None
    longer = [name for name, n in lengths.items() if abs(n - longest) < abs(n - shortest)]
    return f"{ratio} to 1", _ratio_words(files.recording, longer, ratio)


def _imaging(lengths: Mapping[str, int]) -> dict[str, int]:
    """The lengths of what the camera gave."""
    return {k: n for k, n in lengths.items() if k in ("traces", "movie", "reference")}


def _ratio_words(recording: Recording, longer: Sequence[str], ratio: int) -> str:
    """Why some arrays are whole times as long as the others, and the way out."""
    images = [name for name in longer if name in ("traces", "movie", "reference")]
    if images == ["movie"] and ratio == 2 and not recording.channels:
        return (
            "the movie has two frames for each of the others: if they are of two wavelengths in "
            'turn, give channels = "calcium,reference" (or "reference,calcium") in the catalogue'
        )
    if images:
        return (
            f"{images[0]} {'have' if images[0] == 'traces' else 'has'} {ratio} frames for each of "
            f"the others: {ratio} planes or wavelengths in turn, or files joined twice? Write one "
            "frame of each set to a file of its own"
        )
    files_too = f", or is {_whole(recording)} the first of {ratio} files? Then join them"
    if "frame_times" in longer:
        n_channels = len(recording.channels)
        if n_channels == ratio:
            return (
                f"frame_times hold one time for each exposure of {ratio} wavelengths, and a frame "
                f"is a set of {ratio}: keep the first time of each set (every {_nth(ratio)})"
            )
        likely = "both ends of an exposure, or two" if ratio == 2 else f"{ratio} planes or"
        return (
            f"frame_times hold {ratio} times a frame: {likely} wavelengths? Then keep one of "
            f"{ratio} (every {_nth(ratio)}){files_too}"
        )
    return (
        f"behaviour has {ratio} samples a frame: if it was sampled {ratio} times as fast, give "
        f"frame_times and behavior_times{files_too}"
    )


def _nth(n: int) -> str:
    return {2: "second", 3: "third", 4: "fourth", 5: "fifth"}.get(n, f"{n}th")


def _whole(recording: Recording) -> str:
    location = recording.movie if recording.movie is not None else recording.traces
    return "the recording" if location is None else location.path.name


def _pulse_words(frame_times: NDArray[np.float64], n_images: int) -> tuple[str, str] | None:
    """Pulses that are no frame, or frames without one, where they explain the numbers exactly."""
    n_more = frame_times.size - n_images
    if frame_times.size < 4 or not n_more:
        return None
    period_s = frame_period(frame_times)
    if n_more > 0:
        bounces = find_bounces(frame_times)
        if bounces.size:
            shown = some([str(k) for k in bounces], SHOWN_SAMPLES)
            step_s, n = float(np.diff(frame_times)[bounces - 1].max()), bounces.size
            return "bounces", (
                f"frame_times hold {n} pulse{'s' * (n > 1)} within {step_s:.3g} s of the "
                f"one before (sample {shown}, counted from 0): bounces, no frames; take them out"
            )
        return _ends_in_words(frame_times, n_more, period_s)
    after_gap, n_missing = count_dropped(frame_times, period_s)
    if n_missing != -n_more:
        return None
    shown = some([str(k) for k in np.flatnonzero(after_gap)], SHOWN_SAMPLES)
    n_gaps = int(after_gap.sum())
    return "lost pulses", (
        f"frame_times lack {n_missing} pulse{'s' * (n_missing > 1)} in {n_gaps} gap"
        f"{'s' * (n_gaps > 1)} (before sample {shown}, counted from 0), although there are images: "
        "put the missing times in, at equal steps; cutting the end would shift all frames after a "
        "gap"
    )


def _ends_in_words(
    frame_times: NDArray[np.float64], n_more: int, period_s: float
) -> tuple[str, str] | None:
    """Pulses that start and end a recording: apart from the others by another step."""
    steps = np.diff(frame_times)
    is_apart = np.abs(steps / period_s - 1) > PULSE_APART
    ends = {"first": bool(is_apart[0]), "last": bool(is_apart[-1])}
    odd = [which for which, apart in ends.items() if apart]
    if len(odd) != n_more or is_apart[1:-1].any():
        return None
    named = " and the ".join(odd)
    step_s = float(steps[0 if ends["first"] else -1])
    return "end pulses", (
        f"the {named} time of frame_times lie{'s' * (len(odd) == 1)} {step_s:.4g} s from the next, "
        f"the others {period_s:.4g} s: a pulse that starts or ends the recording and is no frame; "
        "take it out"
    )


def _odd_frames(recording: Recording, frame_times: NDArray[np.float64]) -> list[Finding]:
    """A rate that minutes would explain, and pulses that look like bounces though numbers agree."""
    findings = []
    odd = odd_rate(frame_times)
    if odd is not None:
        findings.append(Finding("unit", odd, recording.animal, recording.session))
    bounces = find_bounces(frame_times)
    if bounces.size:
        n = bounces.size
        reason = (
            f"{n} time{'s' * (n > 1)} of frame_times follow{'s' * (n == 1)} another at once (first "
            f"sample {bounces[0]}): a bounce of the pulse shifts all later frames; take such times "
            "out and see whether the numbers still agree"
        )
        findings.append(_finding(recording, reason, n))
    return findings


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
    """Frames into which no behaviour sample falls."""
    known = covered_frames(frame_times, behavior_times, period_s)
    n_unknown = int(known.size - known.sum())
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
