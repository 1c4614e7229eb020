"""Times of frames and of behaviour, refused by their likely cause where they cannot be right."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from corticode.data.on_frames import DROPPED_AFTER_PERIODS, amounts_on_frames
from corticode.errors import DataError

LOWEST_HZ, HIGHEST_HZ = 0.5, 1000.0
SAME_RATE_SHARE = 1e-3
RATE_TOLERANCE = 0.05
# Frames that behaviour must cover.
LEAST_COVERED = 0.5
# A clock that lasts, or steps, so many times as long as the other is not in the same unit.
MOST_TIMES = 100
# Clocks of one session last alike within this factor; so close to 60 times they name the minute.
ALIKE, CLEARLY_ALIKE = 2.0, 0.02
# Single precision that is finer does no harm.
COARSE_S = 1e-3
# A pulse this soon after another, in periods, is its bounce.
BOUNCE_PERIODS = 0.3
TYPICAL_HZ = 30.0
# A stray time lies so many periods from the next; bounces, and corrections of a clock, are few.
STRAY_PERIODS, FEW_BOUNCES, FEW_FALLS, MANY_FALLS = 10, 0.1, 0.01, 1000
SWAP_SPAN = 0.65
# Frames this fast, for so short a time, may be in minutes.
MINUTES_FROM_HZ, MINUTES_UP_TO_S = 180.0, 60.0

SECONDS_IN = {
    "milliseconds": 1e-3,
    "microseconds": 1e-6,
    "nanoseconds": 1e-9,
    "minutes": 60.0,
    "hours": 3600.0,
    "days": 86400.0,
}
# Where a counter starts anew: bits of a unit, minutes and hours of a day, cycles of cameras.
COUNTERS = {
    128.0: "a FireWire camera's cycle of 128 s",
    60.0: "seconds of a minute",
    3600.0: "seconds of an hour",
    43200.0: "seconds of half a day",
    86400.0: "seconds of a day",
    86_400_000.0: "milliseconds of a day",
} | {
    2.0**bits * unit: f"a {bits}-bit counter of {name}"
    for name, unit in {
        "single steps": 1.0,
        "milliseconds": 1e-3,
        "microseconds": 1e-6,
        "nanoseconds": 1e-9,
        "100 ns": 1e-7,
    }.items()
    for bits in (16, 24, 31, 32)
}
# First days of 1950 and 2100 as MATLAB and as Excel count them.
DAY_NUMBERS = {"MATLAB's datenum": (712_224.0, 767_011.0), "Excel": (18_264.0, 73_051.0)}


class AlignmentError(DataError):
    """Clocks, or numbers of frames, that cannot be right.

    Parameters
    ----------
    message
        What was found, needed and is the way out.
    cause
        What a program tells it by: sessions of one cause are listed once; empty: each has its own.
    """

    def __init__(self, message: str, cause: str = "") -> None:
        super().__init__(message)
        self.cause = cause


def check_times(times: NDArray[np.float64], name: str) -> None:
    """Refuse times that are not finite and strictly increasing, by their likely cause.

    Parameters
    ----------
    times
        Seconds, shape (sample,).
    name
        What the error calls them.

    Raises
    ------
    AlignmentError
        Names the samples at fault and what may have happened: a counter that ran over or was set
        back, samples exchanged or written twice, a stray first or last one, float32.

    Examples
    --------
    >>> check_times(np.array([0.0, 0.1, 0.3, 0.2, 0.4, 0.5, 0.6, 0.7]), "frame_times")
    Traceback (most recent call last):
    corticode.data.clocks.AlignmentError: frame_times: samples 2 and 3 are exchanged (0.3 s ...
    """
    if times.ndim != 1 or times.size < 2:
        raise AlignmentError(
            f"{name} has shape {times.shape}; it needs one time in seconds for each of two or "
            "more samples",
            "shape",
        )
    wrong = ~np.isfinite(times)
    if wrong.any():
        k, n = int(np.argmax(wrong)), int(wrong.sum())
        more = f" ({n} of {times.size} samples)" if n > 1 else ""
        raise AlignmentError(
            f"{name} holds {times[k]} at sample {k}{more}; give each sample its time", "missing"
        )
    _check_precision(times, name)
    cause, words = _order_fault(times)
    if cause:
        raise AlignmentError(f"{name}: {words}; samples count from 0", cause)


def _check_precision(times: NDArray[np.float64], name: str) -> None:
    """Refuse times that single precision has rounded to steps as long as the clock's own."""
    largest = float(np.abs(times).max())
    with np.errstate(over="ignore"):
        coarse = float(np.spacing(np.float32(largest)))
        is_single = np.array_equal(times, times.astype(np.float32))
    if not is_single or coarse < max(0.5 * float(np.ptp(times)) / (times.size - 1), COARSE_S):
        return
    if np.all(times == np.round(times)) and largest < 2**24:
        return
    epoch = " of the Unix epoch" if 1e9 < largest < 4e9 else ""
    raise AlignmentError(
        f"{name} holds times{epoch} in single precision (float32), which near {largest:.6g} lie "
        f"{coarse:g} s apart; store them as float64, or subtract the first time before they "
        "become float32",
        "float32",
    )


def _order_fault(times: NDArray[np.float64]) -> tuple[str, str]:
    """Why times do not rise, or hold a stray sample: cause and words; empty where all is well."""
    steps = np.diff(times)
    falls = np.flatnonzero(steps < 0) + 1
    if not falls.size:
        repeats = np.flatnonzero(steps == 0) + 1
        return _repeat_fault(times, repeats) if repeats.size else _stray_end(times, steps)
    if falls.size == steps.size:
        return "backwards", "the times fall from sample to sample; turn the rows round"
    rising = steps[steps > 0]
    period_s = float(np.median(rising)) if rising.size else 0.0
    first = int(falls[0])
    at = f"sample {first} is at {times[first]:.10g} s, after {times[first - 1]:.10g} s"
    swapped = [k for k in falls[:MANY_FALLS] if _is_swap(times, int(k), period_s)]
    if len(swapped) == falls.size:
        k = int(swapped[0])
        return "swap", (
            f"samples {k - 1} and {k} are exchanged ({times[k - 1]:.10g} s before {times[k]:.10g} "
            f"s){_and_others(falls.size - 1)}; put the rows, times and signals together, in order"
        )
    stray = _stray_within(times, falls, period_s)
    if stray is not None:
        return "stray", (
            f"sample {stray} is at {times[stray]:.10g} s, the others run from "
            f"{np.delete(times, stray).min():.10g} to {np.delete(times, stray).max():.10g} s; it "
            "is a stray: take its row out (times and what belongs to them), or give it its time"
        )
    drops = times[falls - 1] - times[falls] + period_s
    counter = _counter_of(times, falls, drops, period_s)
    if counter is not None:
        lost, words = counter
        return "wrap", (
            f"{at}{_and_others(falls.size - 1)}: the clock ran over ({words}); add {lost:.10g} s "
            "to all later samples at each such place"
        )
    low = float(times.min())
    is_rotated = falls.size == 1 and times[-1] < times[0]
    if not is_rotated and np.all(times[falls] - low <= 0.05 * np.ptp(times) + 2 * period_s):
        return "reset", (
            f"{at}{_and_others(falls.size - 1)}: the clock was set back there; make each part a "
            "session of its own (a row of the catalogue), or add to the later part the time that "
            "had passed, by another clock"
        )
    if is_rotated:
        return "unsorted", (
            f"{at}: the rows from there on come first, as of two parts that were joined in the "
            "wrong order; put them in order, times and signals together"
        )
    if falls.size <= FEW_FALLS * times.size:
        back_s = float((times[falls - 1] - times[falls]).max())
        return "set back", (
            f"{at}{_and_others(falls.size - 1)}: the clock was set back there, by up to "
            f"{back_s + period_s:.4g} s; add to all later samples what was taken off"
        )
    return "unsorted", (
        f"{at}, and times fall at {falls.size} places in all; sort the rows by time, times and "
        "signals together"
    )


def _repeat_fault(times: NDArray[np.float64], repeats: NDArray[np.integer]) -> tuple[str, str]:
    k, n, size = int(repeats[0]), repeats.size, times.size
    if n == size - 1:
        return "still", f"all samples are at {times[0]:.10g} s; give each sample its own time"
    steps = np.diff(times)
    if n > size // 10:
        return "rounded", (
            f"{n} of {size} samples have the time of the one before (first sample {k}): the times "
            f"are rounded to {steps[steps > 0].min():.3g} s; write them with more digits, or make "
            "them of the sampling rate: first time + sample / rate"
        )
    return "repeated", (
        f"samples {k - 1} and {k} are both at {times[k]:.10g} s{_and_others(n - 1)}: rows "
        "written twice; take one of each pair out, of times and of signals"
    )


def _and_others(n: int) -> str:
    return "" if not n else f", and so at {n} other place{'s' * (n > 1)}"


def _is_swap(times: NDArray[np.float64], k: int, period_s: float) -> bool:
    """Whether samples k - 1 and k, exchanged, rise among their neighbours without a long step."""
    around = times[max(k - 2, 0) : k + 2].copy()
    at = min(k, 2)
    around[[at - 1, at]] = around[[at, at - 1]]
    steps = np.diff(around)
    # A clock that was set back by less than a step would leave shorter ones.
    as_long = float(steps.sum()) >= SWAP_SPAN * steps.size * period_s
    return bool(as_long and np.all(steps > 0) and np.all(steps <= 2.5 * period_s))


def _stray_within(
    times: NDArray[np.float64], falls: NDArray[np.integer], period_s: float
) -> int | None:
    """The one sample, far from its neighbours, without which times rise; None: not one alone."""
    if falls.size > 1 or times.size < 4:
        return None
    for k in (int(falls[0]) - 1, int(falls[0])):
        beside = times[[i for i in (k - 1, k + 1) if 0 <= i < times.size]]
        is_far = np.abs(beside - times[k]).min() > STRAY_PERIODS * period_s
        if is_far and np.all(np.diff(np.delete(times, k)) > 0):
            return k
    return None


def _stray_end(times: NDArray[np.float64], steps: NDArray[np.float64]) -> tuple[str, str]:
    """A first or last sample further from the others than these span; empty where there is none."""
    if times.size < 6:
        return "", ""
    for which, step, rest in (
        ("first", steps[0], times[1:]),
        ("last", steps[-1], times[:-1]),
    ):
        if step > max(float(np.ptp(rest)), MOST_TIMES * float(np.median(steps))):
            k = 0 if which == "first" else times.size - 1
            return "stray", (
                f"the {which} sample is at {times[k]:.10g} s, the others run from {rest[0]:.10g} "
                f"to {rest[-1]:.10g} s; it is a stray: take its row out, of times and of what "
                "belongs to them, or give it its time"
            )
    return "", ""


def _counter_of(
    times: NDArray[np.float64],
    falls: NDArray[np.integer],
    drops: NDArray[np.float64],
    period_s: float,
) -> tuple[float, str] | None:
    """How much a clock lost where it ran over, and what it counts; None where it did not."""
    slack = 2 * period_s
    for size, words in COUNTERS.items():
        if size <= 10 * period_s or np.any(np.abs(drops - size) > slack):
            continue
        low = np.array([0.0, -size / 2])
        if np.all(np.abs(times[falls][:, None] - low).min(axis=1) <= slack):
            return size, words
    return None


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


def find_bounces(frame_times: NDArray[np.float64]) -> NDArray[np.intp]:
    """Pulses that follow another at once, although one came in time before and after.

    A stamp that was written late is none: the step before it is as much longer as its own is short.

    Parameters
    ----------
    frame_times
        Seconds, shape (frame,).

    Examples
    --------
    >>> find_bounces(np.array([0.0, 0.1, 0.2, 0.201, 0.3, 0.4, 0.5])).tolist()
    [3]
    """
    if frame_times.size < 4:
        return np.zeros(0, np.intp)
    steps = np.diff(frame_times)
    period_s = float(np.median(steps))
    is_short = steps < BOUNCE_PERIODS * period_s
    before = np.concatenate([[period_s], steps[:-1]])
    in_time = (before > BOUNCE_PERIODS * period_s) & (before < DROPPED_AFTER_PERIODS * period_s)
    # The next pulse comes in time after the first, not after the bounce.
    then = (steps + np.append(steps[1:], np.nan)) / period_s
    then_in_time = np.isnan(then) | (np.abs(then - np.round(then)) <= BOUNCE_PERIODS / 2)
    bounces = np.flatnonzero(is_short & in_time & then_in_time) + 1
    # Every second pulse is none: it ends an exposure.
    return bounces if bounces.size <= max(FEW_BOUNCES * frame_times.size, 1) else bounces[:0]


def is_within(ratio: float, factor: float) -> bool:
    """Whether a ratio lies between 1 / factor and factor."""
    return bool(1 / factor <= ratio <= factor)


def is_same_rate(first_hz: float | None, second_hz: float | None) -> bool:
    """Whether two frame rates agree: within 0.1 %, as clocks measure them, or both unknown."""
    if first_hz is None or second_hz is None:
        return first_hz is second_hz
    return abs(first_hz / second_hz - 1) <= SAME_RATE_SHARE


def check_stated_rate(rate_hz: float | None, name: str) -> None:
    """Refuse a stated frame rate that no camera for cortex has.

    Raises
    ------
    AlignmentError
        It lies outside 0.5 to 1,000 Hz.

    Examples
    --------
    >>> check_stated_rate(0.0333, "m1/a")
    Traceback (most recent call last):
    corticode.data.clocks.AlignmentError: session m1/a: frame_rate_hz is 0.0333; ... 30.03 Hz
    """
    if rate_hz is None or LOWEST_HZ <= rate_hz <= HIGHEST_HZ:
        return
    likely = "give the number of frames a second"
    for unit, scale in (("seconds", 1.0), *SECONDS_IN.items()):
        if scale <= 1 and LOWEST_HZ <= 1 / (rate_hz * scale) <= HIGHEST_HZ:
            likely = (
                f"if it is the time from frame to frame in {unit}, give "
                f"{1 / (rate_hz * scale):.4g} Hz"
            )
            break
    raise AlignmentError(
        f"session {name}: frame_rate_hz is {rate_hz:g}; it must lie between {LOWEST_HZ:g} and "
        f"{HIGHEST_HZ:,.0f}: {likely}",
        "stated rate",
    )


@dataclass(frozen=True)
class Clocks:
    """The two clocks of a session.

    Parameters
    ----------
    name
        The session's, for messages.
    frame_times, behavior_times
        Seconds, shapes (frame,) and (sample,); each of them rises. `behavior_times` may be None.
    stated_hz
        The frame rate of the catalogue, if it gives one.
    n_interleaved
        How many wavelengths the movie holds in turn; 1 where it holds one.
    """

    name: str
    frame_times: NDArray[np.float64]
    behavior_times: NDArray[np.float64] | None = None
    stated_hz: float | None = None
    n_interleaved: int = 1


def check_clocks(clocks: Clocks) -> None:
    """Refuse two clocks that do not count seconds from one zero, by the likely cause.

    Raises
    ------
    AlignmentError
        Frames come at less than 0.5 or more than 1,000 Hz, or are numbers of frames; they
        contradict the stated rate; the two clocks cannot be in one unit; or behaviour covers less
        than half of the frames.

    Examples
    --------
    >>> frames, behavior = np.arange(400) / 10, np.arange(2000) / 50
    >>> check_clocks(Clocks("m1/a", frames, behavior))
    >>> check_clocks(Clocks("m1/a", 1000 * frames, 1000 * behavior))
    Traceback (most recent call last):
    corticode.data.clocks.AlignmentError: session m1/a: frame_times step by 100 s (0.01 Hz, ...
    """
    period_s = frame_period(clocks.frame_times)
    _check_frames(clocks, period_s)
    if clocks.stated_hz is not None:
        _check_against_stated(clocks, 1 / period_s)
    if clocks.behavior_times is not None:
        _check_units(clocks, clocks.behavior_times, period_s)
        _check_coverage(clocks, clocks.behavior_times, period_s)


def _check_frames(clocks: Clocks, period_s: float) -> None:
    """Refuse frame times that are numbers of frames, or in another unit than seconds."""
    times, stated_hz = clocks.frame_times, clocks.stated_hz
    agrees = stated_hz is not None and abs(stated_hz * period_s - 1) <= RATE_TOLERANCE
    head = (
        f"session {clocks.name}: frame_times step by {period_s:.4g} s ({1 / period_s:.4g} Hz, "
        f"{times.size} frames in {np.ptp(times):.4g} s)"
    )
    if _are_numbers(times) and not (agrees and 1 / period_s >= LOWEST_HZ):
        raise AlignmentError(f"{head}: {_number_words(clocks)}", "frame numbers")
    if LOWEST_HZ <= 1 / period_s <= HIGHEST_HZ:
        return
    needed = f"frames come at {LOWEST_HZ:g} to {HIGHEST_HZ:,.0f} Hz"
    raise AlignmentError(f"{head}; {needed}. {_frame_unit_words(clocks, period_s)}", "unit")


def _frame_unit_words(clocks: Clocks, period_s: float) -> str:
    """In which unit frames would come at a possible rate, and what is to be brought to seconds."""
    times, behavior_times = clocks.frame_times, clocks.behavior_times
    ratio = None if behavior_times is None else float(np.ptp(behavior_times) / np.ptp(times))
    # Clocks of one length are in one unit; else frames last as long as behaviour in theirs.
    is_both = ratio is not None and is_within(ratio, ALIKE)
    unit = _unit_of_frames(clocks, period_s, None if is_both else ratio)
    which = "frame_times and behavior_times" if is_both else "frame_times"
    samples = ""
    if np.all(times == np.round(times)):
        fitting_hz = clocks.stated_hz and period_s * clocks.stated_hz
        if ratio is not None and not is_both:
            fitting_hz = 1 / ratio
        at = f" ({fitting_hz:.4g} Hz would fit)" if fitting_hz else ""
        samples = f"f they are numbers of samples, divide {which} by the sampling rate{at}"
    if unit is None:
        return f"I{samples}" if samples else f"Give {which} in seconds"
    name, scale = unit
    alone = "" if is_both or ratio is None else " alone"
    return (
        f"In {name} they would be {1 / (period_s * scale):.4g} Hz: bring {which}{alone} to seconds "
        f"({_scaling(scale)})" + (f"; i{samples}" if samples else "")
    )


def _are_numbers(times: NDArray[np.float64]) -> bool:
    """Whether times rise in whole steps, most of them of 1 (or 2, of two wavelengths)."""
    steps = np.diff(times)
    return bool(np.median(steps) in (1, 2) and np.all(steps == np.round(steps)))


def _number_words(clocks: Clocks) -> str:
    rate = "the frame rate"
    if clocks.stated_hz is not None:
        rate = f"frame_rate_hz = {clocks.stated_hz:g}"
    elif clocks.behavior_times is not None and not _are_numbers(clocks.behavior_times):
        fitting_hz = np.ptp(clocks.frame_times) / np.ptp(clocks.behavior_times)
        if LOWEST_HZ <= fitting_hz <= HIGHEST_HZ:
            rate = f"the frame rate (at {fitting_hz:.4g} Hz they would last as long as behaviour)"
    return (
        f"they look like numbers of frames; divide them by {rate}. If there really is one frame a "
        "second, state it with frame_rate_hz"
    )


def _unit_of_frames(
    clocks: Clocks, period_s: float, ratio: float | None
) -> tuple[str, float] | None:
    """The likeliest unit in which frames come at the stated rate, or at one that is possible.

    `ratio` is how many times as long behaviour lasts, where it is in seconds.
    """
    stated_hz = clocks.stated_hz
    middle = float(np.median(clocks.frame_times))
    found = []
    for name, scale in SECONDS_IN.items():
        rate_hz = 1 / (period_s * scale)
        if not LOWEST_HZ <= rate_hz <= HIGHEST_HZ:
            continue
        if ratio is not None and not is_within(ratio / scale, ALIKE):
            continue
        if stated_hz is not None and not is_within(rate_hz / stated_hz, 1 + RATE_TOLERANCE):
            continue
        found.append((abs(np.log(rate_hz / TYPICAL_HZ)), name, scale))
        for program, (first, last) in DAY_NUMBERS.items():
            if name == "days" and first <= middle <= last:
                found.append((-1.0, f"days ({program})", scale))
    if not found:
        return None
    _, name, scale = min(found)
    return name, scale


def _scaling(scale: float) -> str:
    if scale > 1:
        return f"times {scale:,.0f}"
    return f"divided by {1 / scale:,.0f}"


def _check_against_stated(clocks: Clocks, measured_hz: float) -> None:
    stated_hz = float(clocks.stated_hz or 0.0)
    ratio = measured_hz / stated_hz
    if abs(ratio - 1) <= RATE_TOLERANCE:
        return
    raise AlignmentError(
        f"session {clocks.name}: frame_rate_hz is {stated_hz:g} but frame_times step at "
        f"{measured_hz:.4g} frames/s; {_ratio_words(clocks, ratio, measured_hz)}",
        "stated rate",
    )


def _ratio_words(clocks: Clocks, ratio: float, measured_hz: float) -> str:
    """What explains that frame times run at a multiple of the stated rate, and the way out."""
    for name, scale in SECONDS_IN.items():
        if abs(ratio / scale - 1) <= RATE_TOLERANCE:
            return f"frame_times look like {name}: bring them to seconds ({_scaling(scale)})"
    for n in range(2, 11):
        if abs(ratio / n - 1) <= RATE_TOLERANCE / n:
            if clocks.n_interleaved == n:
                return (
                    f"with {n} wavelengths in turn, both count one for each set of {n}: keep the "
                    f"time of the first of each {n} exposures"
                )
            return (
                f"they hold {n} times a frame (both ends of an exposure, {n} wavelengths or "
                f"planes?): keep one of {n}, or correct frame_rate_hz"
            )
        if abs(ratio * n - 1) <= RATE_TOLERANCE / n:
            return (
                f"frame_rate_hz is {n} times as high (that of all {n} wavelengths or planes, or "
                f"before frames were binned?): give {measured_hz:.4g}, or correct the times"
            )
    return "correct one of them (times are in seconds)"


def _check_units(clocks: Clocks, behavior_times: NDArray[np.float64], period_s: float) -> None:
    """Refuse behaviour times that last, or step, as another unit would have it."""
    spans = [float(np.ptp(times)) for times in (clocks.frame_times, behavior_times)]
    step_s = float(np.median(np.diff(behavior_times)))
    ratio = spans[1] / spans[0]
    numbers = (
        _are_numbers(behavior_times) and step_s >= ALIKE * period_s and not is_within(ratio, ALIKE)
    )
    # Behaviour may well be recorded for an hour and imaging for a minute, but not at 180 Hz.
    minutes = abs(ratio / 60 - 1) <= CLEARLY_ALIKE and 1 / period_s >= MINUTES_FROM_HZ
    is_alike = is_within(ratio, MOST_TIMES) and step_s < MOST_TIMES * period_s
    if is_alike and not numbers and not minutes:
        return
    raise AlignmentError(
        f"session {clocks.name}: frame_times last {spans[0]:.4g} s in steps of {period_s:.4g} s, "
        f"behavior_times {spans[1]:.4g} s in steps of {step_s:.4g} s; "
        f"{_fitting_words(clocks, behavior_times)}",
        "units",
    )


def _fitting_words(clocks: Clocks, behavior_times: NDArray[np.float64]) -> str:
    """The change of unit or zero that would let one clock last as long as the other, in words."""
    frame_span, span = float(np.ptp(clocks.frame_times)), float(np.ptp(behavior_times))
    if _are_numbers(behavior_times):
        return (
            "behavior_times look like numbers of samples: divide them by the sampling rate "
            f"({(behavior_times.size - 1) / frame_span:.4g} Hz would fit). If there really is one "
            "sample a second, give those of the time that was imaged"
        )
    found: list[tuple[float, str]] = []
    for name, scale in SECONDS_IN.items():
        for which, ratio in (
            ("behavior_times", span * scale / frame_span),
            ("frame_times", span / (frame_span * scale)),
        ):
            if is_within(ratio, ALIKE) and _is_possible(clocks, which, scale):
                words = _unit_words(clocks, behavior_times, which, name)
                found.append((abs(float(np.log(ratio))), words))
    if is_within(span / frame_span, ALIKE):
        shift = float(behavior_times[0] - clocks.frame_times[0])
        side, way = ("later", "subtract") if shift > 0 else ("earlier", "add")
        words = (
            f"behavior_times begin {abs(shift):.10g} s {side}, from another zero: if both began "
            f"together, {way} {abs(shift):.10g} s"
        )
        found.append((abs(float(np.log(span / frame_span))), words))
    if found:
        return min(found)[1]
    return (
        "one of them is not in seconds, or has another zero: give both in seconds from one zero, "
        "or, where behaviour was recorded for so little of the time, the frames of that time alone"
    )


def _unit_words(clocks: Clocks, behavior_times: NDArray[np.float64], which: str, name: str) -> str:
    of_frames = which == "frame_times"
    times, other = clocks.frame_times, behavior_times
    if not of_frames:
        times, other = other, times
    scale, middle = SECONDS_IN[name], float(np.median(times))
    for program, (first, last) in DAY_NUMBERS.items():
        if name == "days" and first <= middle <= last:
            name = f"days ({program})"
    zero = ""
    if abs(times[0] * scale - other[0]) > np.ptp(other):
        zero = ", from the other clock's zero"
    return f"{which} look like {name}: bring them to seconds ({_scaling(scale)}){zero}"


def _is_possible(clocks: Clocks, which: str, scale: float) -> bool:
    """Whether frames, scaled so, come at a possible rate; behaviour has no such limits."""
    if which == "behavior_times":
        return True
    rate_hz = 1 / (frame_period(clocks.frame_times) * scale)
    return LOWEST_HZ <= rate_hz <= HIGHEST_HZ


def odd_rate(frame_times: NDArray[np.float64]) -> str | None:
    """What is odd about a frame rate that is possible: so fast, for so short a time, as of minutes.

    Examples
    --------
    >>> odd_rate(np.arange(400) / 30)
    >>> odd_rate(np.arange(400) / 600)
    'frames come at 600 Hz for 0.665 s; were frame_times in minutes, it would be 10 Hz for 39.9 s'
    """
    rate_hz, span_s = 1 / frame_period(frame_times), float(np.ptp(frame_times))
    if rate_hz < MINUTES_FROM_HZ or span_s >= MINUTES_UP_TO_S:
        return None
    return (
        f"frames come at {rate_hz:.4g} Hz for {span_s:.4g} s; were frame_times in minutes, it "
        f"would be {rate_hz / 60:.4g} Hz for {span_s * 60:.4g} s"
    )


def covered_frames(
    frame_times: NDArray[np.float64], behavior_times: NDArray[np.float64], period_s: float
) -> NDArray[np.bool_]:
    """Which frames have a behaviour sample in their exposure, or one that still holds.

    Parameters
    ----------
    frame_times, behavior_times
        Seconds, shapes (frame,) and (sample,).
    period_s
        Length of an exposure, seconds.

    Examples
    --------
    >>> covered_frames(np.array([0.0, 1.0, 2.0]), np.array([1.0, 1.5]), 1.0).tolist()
    [False, True, True]
    """
    always = np.ones(behavior_times.size)
    return np.isfinite(amounts_on_frames(always, behavior_times, frame_times, period_s))


def _check_coverage(clocks: Clocks, behavior_times: NDArray[np.float64], period_s: float) -> None:
    frame_times = clocks.frame_times
    covered = covered_frames(frame_times, behavior_times, period_s)
    if covered.mean() >= LEAST_COVERED:
        return
    head = (
        f"session {clocks.name}: behaviour covers {int(covered.sum())} of {covered.size} frames; "
        f"frame_times run from {frame_times[0]:.10g} to {frame_times[-1]:.10g} s, behavior_times "
        f"from {behavior_times[0]:.10g} to {behavior_times[-1]:.10g} s"
    )
    overlap_s = min(frame_times[-1], behavior_times[-1]) - max(frame_times[0], behavior_times[0])
    steps = np.diff(behavior_times)
    if overlap_s >= LEAST_COVERED * np.ptp(frame_times):
        k = int(np.argmax(steps))
        raise AlignmentError(
            f"{head}, but pause for {steps[k]:.4g} s after sample {k} and else lie "
            f"{np.median(steps):.3g} s apart; if a sample is written only when something changes, "
            "repeat the last value at regular times; if behaviour was recorded in trials alone, "
            "give the frames of trials alone",
            "pauses",
        )
    raise AlignmentError(f"{head}; {_fitting_words(clocks, behavior_times)}", "coverage")
