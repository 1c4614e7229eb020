"""Trials from a table of intervals, a row a trial: their events on frames, their labels there.

A table is a CSV or TSV file, a group or struct of arrays, or the trials of an NWB file. What is
asked of a trial afterwards (its windows, its label) does not know of tables: each becomes signals
that hold something at the frames of events alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from corticode.data.catalogue import Recording
from corticode.data.on_frames import EDGE_FRAMES, EDGE_PERIODS, exposure_ends
from corticode.data.readers.arrays import ArrayLocation, list_signals, read_signal
from corticode.data.readers.lookup import guess
from corticode.data.signals import holds_numbers
from corticode.errors import DataError, Finding, MissingDataError, StudyError

TIMES_IN = ("seconds", "frames")
# Where an NWB file keeps its trials, and what it and most others call their beginning and end.
NWB_TRIALS, START, STOP = "intervals/trials", "start_time", "stop_time"


@dataclass(frozen=True)
class TrialTimes:
    """Which column of a table of trials gives the moment that a trial is aligned to.

    Parameters
    ----------
    column
        Its name.
    times_in
        ``"seconds"``, on the clock of the frames (`frame_times`; without these, from the first
        frame on), or ``"frames"``, counted from 0.

    Raises
    ------
    StudyError
        Another unit.
    """

    column: str = START
    times_in: str = "seconds"

    def __post_init__(self) -> None:
        if self.times_in not in TIMES_IN:
            raise StudyError(
                f"times_in is {self.times_in!r}; it must be one of {', '.join(TIMES_IN)}"
            )


@dataclass(frozen=True)
class FrameClock:
    """When the frames of a session were recorded.

    Parameters
    ----------
    n_frames
        How many there are, after `ratio` were joined into one.
    rate_hz
        Frames a second as recorded; None where it is not known.
    frame_times
        Start of each frame as recorded, seconds, shape (frame,); None where it is not known.
    ratio
        Frames as recorded for each frame there is (`resample_hz`).
    """

    n_frames: int
    rate_hz: float | None = None
    frame_times: NDArray[np.float64] | None = None
    ratio: float = 1.0


def trials_location(recording: Recording) -> ArrayLocation | None:
    """Where the table of a recording's trials lies; in an NWB file where it keeps its trials."""
    location = recording.trials
    if location is None or location.dataset is not None or location.path.suffix.lower() != ".nwb":
        return location
    return ArrayLocation(location.path, NWB_TRIALS)


def frames_of_times(
    times: NDArray[np.float64], clock: FrameClock, times_in: str
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """The frame in whose exposure each time lies, NaN where in none; and which lie in a gap.

    Parameters
    ----------
    times
        In the unit that `times_in` names, shape (trial,); NaN where a trial has none.
    clock
        When frames were recorded.
    times_in
        As in `TrialTimes`.

    Raises
    ------
    DataError
        Times are in seconds and neither times of frames nor a frame rate are known, or in frames
        and no whole numbers.

    Examples
    --------
    >>> clock = FrameClock(4, 10.0, np.array([5.0, 5.1, 5.2, 5.5]))
    >>> frames, in_gap = frames_of_times(np.array([5.15, 5.4, 9.0]), clock, "seconds")
    >>> frames.tolist(), in_gap.tolist()
    ([1.0, nan, nan], [False, True, False])
    """
    known = np.isfinite(times)
    in_gap = np.zeros(times.shape, np.bool_)
    if times_in == "frames":
        if np.any(times[known] != np.round(times[known])):
            raise DataError(
                "times of trials are said to be in frames and are no whole numbers (the first is "
                f"{times[known][times[known] != np.round(times[known])][0]:g}); give [trials] "
                "times_in = 'seconds'"
            )
        frame = np.where(known, times, np.nan)
    elif clock.frame_times is not None:
        starts = clock.frame_times
        period_s = float(np.median(np.diff(starts)))
        edge_s = EDGE_PERIODS * period_s
        ends = exposure_ends(starts, period_s)
        at = np.searchsorted(starts, np.where(known, times, -np.inf) + edge_s, side="right") - 1
        # The margin of the frame's start serves its end too: each time has one frame.
        inside = known & (at >= 0) & (times + edge_s < ends[np.maximum(at, 0)] + edge_s)
        in_gap = known & (at >= 0) & ~inside & (times < starts[-1])
        frame = np.where(inside, at, np.nan)
    elif clock.rate_hz is not None:
        frame = np.where(known, np.floor(times * clock.rate_hz + EDGE_FRAMES), np.nan)
    else:
        raise DataError(
            "times of trials are in seconds, and neither frame_times nor frame_rate_hz say when "
            "frames were recorded; give one in the catalogue, or [trials] times_in = 'frames'"
        )
    frame = np.floor(frame / clock.ratio + EDGE_FRAMES)
    return np.where((frame >= 0) & (frame < clock.n_frames), frame, np.nan), in_gap


def trials_on_frames(
    recording: Recording,
    times: TrialTimes,
    clock: FrameClock,
    signals: Sequence[str] | None = None,
) -> tuple[dict[str, NDArray[np.generic]], list[Finding]]:
    r"""The trials of a recording as signals on frames.

    Parameters
    ----------
    recording
        One row of a catalogue, with a table of trials.
    times
        Which column of it gives the event.
    clock
        When frames were recorded.
    signals
        The other columns to take; None: all that hold one value a trial.

    Returns
    -------
    dict
        The event's column, 1 at the frame of each event and else 0, shape (frame,); each other
        column, its value at the frames of events, else NaN or empty.
    list of Finding
        Trials without an event, outside the recording, in a gap between frames, in the frame of an
        earlier one, or that begin before the one before has ended.

    Raises
    ------
    MissingDataError
        The file or a column is not there.
    DataError
        Columns differ in length, times are no numbers, or no trial lies within the recording.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> path = Path(tempfile.mkdtemp()) / "trials.csv"
    >>> _ = path.write_text("start_time,choice\n0.25,left\n0.1,right\n9,left\n")
    >>> recording = Recording("m1", "a", trials=ArrayLocation(path))
    >>> placed, findings = trials_on_frames(recording, TrialTimes(), FrameClock(4, 10.0))
    >>> placed["start_time"].tolist(), placed["choice"].tolist()
    ([0.0, 1.0, 1.0, 0.0], ['', 'right', 'left', ''])
    >>> print(*findings)
    animal 'm1', session 'a': 1 of 3 trials lies outside the recording and is not decoded
    """
    location = trials_location(recording)
    if location is None:
        raise MissingDataError(
            f"session {recording.name} has no table of trials; name one in the catalogue's column "
            "'trials', or under [trials] events a column of the behaviour file"
        )
    names = list_signals(location) if signals is None else signals
    wanted = [name for name in dict.fromkeys(names) if name != times.column]
    given = _read_columns(recording, location, [times.column, *wanted])
    at = _as_times(recording, given.pop(times.column), times.column)
    try:
        frame, in_gap = frames_of_times(at, clock, times.times_in)
    except DataError as error:
        raise DataError(f"session {recording.name}: {location}: {error}") from error
    known = np.isfinite(at)
    if known.any() and not np.isfinite(frame).any():
        raise _none_inside(recording, at[known], times, clock)
    order = np.argsort(frame, kind="stable")
    order = order[np.isfinite(frame[order])]
    is_first = np.diff(frame[order], prepend=-2) > 0
    lost = {
        (f"has no {times.column!r}", f"have no {times.column!r}"): ~known,
        ("begins in a gap between frames", "begin in a gap between frames"): in_gap,
        ("lies outside the recording", "lie outside the recording"): (
            known & ~np.isfinite(frame) & ~in_gap
        ),
        (
            "begins in the frame of another, which is kept,",
            "begin in the frame of another, which is kept,",
        ): ~is_first,
    }
    findings = [
        _lost(recording, at.size, int(which.sum()), words)
        for words, which in lost.items()
        if which.any()
    ]
    chosen = order[is_first]
    rows = frame[chosen].astype(np.intp)
    events = np.zeros(clock.n_frames)
    events[rows] = 1
    placed: dict[str, NDArray[np.generic]] = {times.column: events}
    for name, values in given.items():
        placed[name] = _laid(values, chosen, rows, clock.n_frames)
    return placed, findings


def columns_of_trials(recording: Recording) -> tuple[str, ...]:
    """Names of the columns of a recording's table of trials; none without a table."""
    location = trials_location(recording)
    return () if location is None else list_signals(location)


def _read_columns(
    recording: Recording, location: ArrayLocation, names: Sequence[str]
) -> dict[str, NDArray[np.generic]]:
    """Columns by name, all with one value a trial."""
    there = list_signals(location)
    for name in names:
        if name not in there:
            raise MissingDataError(
                f"session {recording.name}: the trials of {location} have no column {name!r}; they "
                f"have {', '.join(there) or 'none'}{guess(name, there)}"
            )
    given = {name: read_signal(location, name) for name in names}
    lengths = {name: len(values) for name, values in given.items()}
    if len(set(lengths.values())) > 1:
        counts = ", ".join(f"{name!r} {n}" for name, n in lengths.items())
        raise DataError(
            f"session {recording.name}: columns of the trials in {location} are not equally long "
            f"({counts}); each needs one value a trial"
        )
    return given


def _as_times(
    recording: Recording, values: NDArray[np.generic], column: str
) -> NDArray[np.float64]:
    if not holds_numbers(values):
        raise DataError(
            f"session {recording.name}: the trials' column {column!r} holds text; an event needs a "
            "time in seconds or a frame: name another column under [trials] events"
        )
    return values.astype(np.float64)


def _none_inside(
    recording: Recording, at: NDArray[np.float64], times: TrialTimes, clock: FrameClock
) -> DataError:
    """That no trial lies within the recording, with what both ran from and to."""
    unit = {"seconds": " s", "frames": ""}[times.times_in]
    first, last = 0.0, clock.n_frames * clock.ratio - 1
    if times.times_in == "seconds" and clock.frame_times is not None:
        first, last = float(clock.frame_times[0]), float(clock.frame_times[-1])
    elif times.times_in == "seconds":
        last = last / (clock.rate_hz or 1.0)
    other = "frames" if times.times_in == "seconds" else "seconds"
    return DataError(
        f"session {recording.name}: none of {at.size} trials lies within the recording: "
        f"{times.column!r} runs from {at.min():.6g} to {at.max():.6g}{unit}, the frames from "
        f"{first:.6g} to {last:.6g}{unit}; times must be on the clock of the frames, in seconds "
        f"(not milliseconds), or give [trials] times_in = {other!r}"
    )


def _lost(recording: Recording, n_trials: int, n: int, words: tuple[str, str]) -> Finding:
    """That trials are not decoded, and why: `words` of one, and of several."""
    reason = f"{n} of {n_trials} trials {words[n > 1]} and {'are' if n > 1 else 'is'} not decoded"
    return Finding("trials", reason, recording.animal, recording.session, count=n)


def _laid(
    values: NDArray[np.generic], chosen: NDArray[np.intp], rows: NDArray[np.intp], n_frames: int
) -> NDArray[np.generic]:
    """Values of the chosen trials at their frames; elsewhere NaN or empty."""
    if holds_numbers(values):
        numbers = np.full(n_frames, np.nan)
        numbers[rows] = values[chosen].astype(np.float64)
        return numbers
    text = values.astype(np.str_)
    laid = np.zeros(n_frames, text.dtype)
    laid[rows] = text[chosen]
    return laid
