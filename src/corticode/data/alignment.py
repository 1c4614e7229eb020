"""A session's files brought onto one clock: lengths, times, dropped frames and gaps."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from corticode.data.catalogue import Recording
from corticode.data.clocks import (
    amounts_on_frames,
    categories_on_frames,
    check_clocks,
    check_times,
    count_dropped,
    frame_period,
    sample_on_frames,
)
from corticode.data.readers.arrays import ArrayLocation, read_array
from corticode.errors import DataError, Finding

RATE_TOLERANCE = 0.05


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
    """

    arrays: Mapping[str, NDArray[np.generic]]
    behavior: Mapping[str, NDArray[np.generic]]
    segment: NDArray[np.int32]
    frame_rate_hz: float | None
    findings: tuple[Finding, ...] = ()


def align(files: FileArrays, trim_frames: int = 0) -> AlignedArrays:
    """The arrays of a session on one clock.

    With times, behaviour is averaged over each frame's exposure, a category (and the segment
    column) taken at mid-exposure, and dropped frames become gaps. Without, frames and samples
    must be equally many.

    Parameters
    ----------
    files
        What was read.
    trim_frames
        How many frames may be cut from the tail of whatever is longer.

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
    gaps = np.zeros(_n_frames(files), dtype=np.int64)
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
        behavior = {
            name: sample_on_frames(values, behavior_times, frame_times, period_s)
            for name, values in behavior.items()
        }
        if column is not None:
            # A trial number above the few that pass for categories would be averaged.
            column = categories_on_frames(column, behavior_times, frame_times, period_s)
            behavior[str(recording.segment)] = column
    if column is not None:
        gaps = gaps + _change_numbers(column)
    segment = _change_numbers(gaps).astype(np.int32)
    return AlignedArrays(files.arrays, behavior, segment, rate_hz, tuple(findings))


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


def _n_frames(files: FileArrays) -> int:
    return int(next(iter(files.arrays.values())).shape[0])


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
