"""What a behaviour signal holds: numbers or names, amounts or categories, a speed in its unit."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from corticode.errors import Finding

EXPECTED_SPEED_CM_PER_S = (3.0, 120.0)
FEW_CATEGORIES = 20
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


def check_signals(behavior: Mapping[str, NDArray[Any]], animal: str, session: str) -> list[Finding]:
    """What looks odd in a session's behaviour signals: speeds not in cm/s, frames without a value.

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
        n_missing = int(np.isnan(values).sum()) if values.dtype.kind == "f" else 0
        if n_missing:
            reason = f"{n_missing} of {values.size} frames have no value; windows avoid them"
            findings.append(Finding("frames", reason, animal, session, name, n_missing))
    return findings
