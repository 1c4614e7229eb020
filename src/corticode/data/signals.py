"""What a behaviour signal holds: numbers or names, amounts or categories, a speed in its unit."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from corticode.data.movies.frames import listed_frames
from corticode.errors import BAD, Finding

EXPECTED_SPEED_CM_PER_S = (3.0, 120.0)
FEW_CATEGORIES = 20
LEAST_FRAMES = 50
EXTREME_TIMES = 20.0
# Of positions: what encoders count to, and of that the least that is seen, and the usual step.
PERIODS = (2 * np.pi, 360.0, *(2.0**k for k in range(8, 33)))
WRAP_SPAN, MOST_STEP = 0.98, 0.1
# How a signal on its own clock comes onto frames: its mean over a frame's exposure, the largest of
# its samples there, their sum, or the one that holds in the middle.
ON_FRAMES = ("mean", "any", "count", "middle")


def holds_numbers(signal: NDArray[Any]) -> bool:
    """Whether a signal holds numbers or truth values, not text."""
    return np.asarray(signal).dtype.kind in "biuf"


def holds_events(signal: NDArray[Any]) -> bool:
    """Whether a signal holds 0 and 1 alone (NaN: missing)."""
    signal = np.asarray(signal)
    if signal.dtype.kind == "b":
        return True
    if signal.dtype.kind not in "iuf":
        return False
    return bool(((signal == 0) | (signal == 1) | np.isnan(signal)).all())


def has_value(signal: NDArray[Any]) -> NDArray[np.bool_]:
    """Where a signal holds a finite number, or a name, shape (frame,).

    Examples
    --------
    >>> has_value(np.array(["left", ""])).tolist(), has_value(np.array([0.5, np.nan])).tolist()
    ([True, False], [True, False])
    """
    signal = np.asarray(signal)
    if holds_numbers(signal):
        return np.asarray(np.isfinite(signal), np.bool_)
    # None, and NaN, which alone differs from itself, stand for a missing name.
    named = [one is not None and one == one and str(one) != "" for one in signal.tolist()]
    return np.asarray(named, np.bool_)


def was_category(values: NDArray[np.generic]) -> bool:
    """Whether version 60f4e28 took a signal for categories: by the values of one session.

    Fits that it made keep their keys where its rule and today's give the same numbers.
    """
    if values.dtype.kind in "USOb":
        return True
    finite = values[np.isfinite(values)] if values.dtype.kind == "f" else values
    if finite.size and np.any(finite != np.round(finite)):
        return False
    return np.unique(finite).size <= FEW_CATEGORIES


def speed_unit_finding(speed: NDArray[Any], name: str) -> str | None:
    """What looks wrong with the unit of a speed, or ``None``.

    Looks only at signals with "speed" but not "norm" in their name.

    Parameters
    ----------
    speed
        (frame,), supposed to be in cm/s.
    name
        Name of the signal.

    Examples
    --------
    >>> speed_unit_finding(np.full(100, 0.31), "speed")  # doctest: +ELLIPSIS
    '99th percentile of |speed| is 0.31; between 3 and 120 is expected for cm/s (...)'
    """
    is_speed = "speed" in name.lower() and "norm" not in name.lower()
    if not is_speed or not holds_numbers(speed):
        return None
    finite = np.abs(speed[np.isfinite(speed)].astype(np.float64))
    if not finite.size:
        return None
    high = float(np.percentile(finite, 99))
    low, top = EXPECTED_SPEED_CM_PER_S
    if low <= high <= top:
        return None
    return (
        f"99th percentile of |{name}| is {high:.3g}; between {low:g} and {top:g} is expected "
        "for cm/s (metres per second, or encoder counts?)"
    )


def extreme_finding(values: NDArray[Any]) -> tuple[str, int] | None:
    """Single values far beyond all others, as spikes of an encoder give: the words, and how many.

    Beyond 20 times the 99th percentile of the absolute value. None where there are none, or where
    a signal is 0 in nearly all frames.

    Parameters
    ----------
    values
        (frame,), numbers.

    Examples
    --------
    >>> speed = np.r_[np.linspace(0, 9, 200), 4000.0]
    >>> extreme_finding(speed)
    ('1 frame holds a value beyond 20 times the 99th percentile (200), the largest 4000', 1)
    """
    size = np.abs(np.where(np.isfinite(values), values, 0).astype(np.float64))
    if size.size < LEAST_FRAMES:
        return None
    frames = np.flatnonzero(size > EXTREME_TIMES * np.percentile(size, 99))
    if not frames.size or not np.percentile(size, 99) > 0:
        return None
    holds = "1 frame holds a value" if frames.size == 1 else f"{frames.size} frames hold values"
    largest = float(values[frames[np.argmax(size[frames])]])
    return (
        f"{holds} beyond {EXTREME_TIMES:g} times the 99th percentile ({listed_frames(frames)}), "
        f"the largest {largest:.4g}",
        int(frames.size),
    )


def wrap_finding(values: NDArray[Any]) -> tuple[str, int] | None:
    """Where a position begins anew at the end of an encoder's range: the words, and how often.

    The range is 360 or 2 pi, or a power of two of counts. None where it does not wrap.

    Parameters
    ----------
    values
        (frame,), numbers.

    Examples
    --------
    >>> wrap_finding(np.arange(0, 800.0, 2) % 360)[1]
    2
    """
    known = np.flatnonzero(np.isfinite(values))
    numbers = np.asarray(values, np.float64)[known]
    if numbers.size < LEAST_FRAMES:
        return None
    span = float(np.ptp(numbers))
    period = next((one for one in PERIODS if WRAP_SPAN * one <= span <= one), None)
    if period is None:
        return None
    # A frame may be the mean of samples on both sides.
    step = np.diff(numbers)
    over_two = np.abs(numbers[2:] - numbers[:-2])
    wraps = np.abs(step) > period / 2
    wraps[1:] |= (over_two > 0.75 * period) & ~wraps[:-1]
    if np.median(np.abs(step)) > MOST_STEP * period:
        return None
    at = np.flatnonzero(wraps) + 1
    at = at[np.diff(at, prepend=-2) > 1]
    if not at.size:
        return None
    times = "once" if at.size == 1 else f"{at.size} times"
    return (
        f"it jumps by its whole range {times} (frames {listed_frames(known[at])}), as an encoder "
        f"does that begins anew at {period:.6g}: unwrap it before, or decode a speed",
        int(at.size),
    )


def check_signals(behavior: Mapping[str, NDArray[Any]], animal: str, session: str) -> list[Finding]:
    """What looks odd in a session's behaviour signals.

    Speeds not in cm/s, frames without a value, single extreme values, encoders that wrap.

    Parameters
    ----------
    behavior
        Signals by name, shape (frame,) each.
    animal, session
        Whose they are.

    Examples
    --------
    >>> print(*check_signals({"speed": np.full(9, 0.3), "turn": np.full(9, 0.3)}, "m1", "a"))
    ... # doctest: +ELLIPSIS
    animal 'm1', session 'a', unit 'speed': 99th percentile of |speed| is 0.3; between ...
    """
    findings = []
    for name, values in behavior.items():
        reason = speed_unit_finding(values, name)
        if reason is not None:
            findings.append(Finding("unit", reason, animal, session, name))
        if holds_numbers(values) and not was_category(values):
            found = extreme_finding(values) or wrap_finding(values)
            if found is not None:
                reason, count = found
                findings.append(Finding("frames", reason, animal, session, name, count, code=BAD))
        n_missing = int(np.isnan(values).sum()) if values.dtype.kind == "f" else 0
        if n_missing:
            reason = f"{n_missing} of {values.size} frames have no value; windows avoid them"
            findings.append(Finding("frames", reason, animal, session, name, n_missing))
    return findings
