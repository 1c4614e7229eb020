"""What preprocessing found on its way through a session, and what it has to do with behaviour."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from corticode.data.preprocessing.correction import sustained_running
from corticode.errors import Finding

BEFORE_S, AFTER_S = 1.0, 3.0
LEAST_ONSETS = 5
# How a look-ahead without an end is written down.
WHOLE_SESSION = "whole session"
# The page of a folder of preprocessed recordings.
PAGE = "quality.html"
STAGES = ("calcium", "reference", "corrected")


@dataclass(frozen=True)
class Quality:
    """What was found on the way, for the page of a cohort.

    Parameters
    ----------
    numbers
        By name: counts, sizes, shares; None where there is none.
    images
        By name, (row, column).
    courses
        By name, (frame,) or (frame, axis): shift in pixels, means in percent.
    findings
        What looks odd.
    state
        The signal whose onsets courses are shown around; empty: none.
    """

    numbers: dict[str, float | None]
    images: dict[str, NDArray[Any]]
    courses: dict[str, NDArray[Any]]
    findings: tuple[Finding, ...] = ()
    state: str = ""


def with_behavior(
    quality: Quality,
    behavior: Mapping[str, NDArray[Any]],
    n_per_bin: int,
    frame_rate_hz: float | None,
    keeps: Callable[[NDArray[np.float64]], NDArray[np.float64]] = lambda course: course,
) -> Quality:
    """The same, with what shifts and means have to do with behaviour.

    Parameters
    ----------
    quality
        Of a session.
    behavior
        Signals on its frames as recorded, (frame,) each; those that are no numbers are passed over.
    n_per_bin
        Frames that became one.
    frame_rate_hz
        Of frames as recorded; None: not known, and no onsets are looked at.
    keeps
        What the filters of the steps leave of a course (frame,), binned frames. They are run over
        running itself: in the calcium channel it adds to blood, or cancels it.

    Examples
    --------
    >>> shift = np.stack([np.arange(8.0) % 2, np.zeros(8)], axis=1)
    >>> told = with_behavior(Quality({}, {}, {"shift": shift}), {"run": np.arange(8) % 2}, 1, None)
    >>> told.numbers
    {'shift_with_run': 1.0, 'shift_locked_run': 0.5}
    """
    signals = {
        name: np.asarray(values, np.float64)
        for name, values in behavior.items()
        if values.dtype.kind in "iufb" and values.ndim == 1
    }
    numbers, courses = dict(quality.numbers), dict(quality.courses)
    shift = courses.get("shift")
    for name, values in signals.items():
        if shift is not None and len(shift) == values.size:
            r = np.array([_correlation(axis, values) for axis in shift.T])
            numbers[f"shift_with_{name}"] = float(max(r, key=abs))
            size = float(np.hypot(*(r * np.nanstd(shift, axis=0))))
            numbers[f"shift_locked_{name}"] = round(size, 6)
    states = {name: values for name, values in signals.items() if _is_state(values)}
    if not states or frame_rate_hz is None or "corrected" not in courses:
        return replace(quality, numbers=numbers)
    name, values = next(iter(states.items()))
    n_bins = len(courses["corrected"])
    state = values[: n_bins * n_per_bin].reshape(-1, n_per_bin).max(axis=1) > 0
    rate_hz = frame_rate_hz / n_per_bin
    before, after = round(BEFORE_S * rate_hz), round(AFTER_S * rate_hz)
    onsets = 1 + np.flatnonzero(np.diff(state.astype(np.int8)) == 1)
    # Of onsets after a second of rest alone, so that bouts do not run into each other.
    onsets = np.array(
        [k for k in onsets if before <= k < n_bins - after and not state[k - before : k].any()],
        np.intp,
    )
    if onsets.size >= LEAST_ONSETS:
        frames = onsets[:, None] + np.arange(-before, after)
        for stage in STAGES:
            if stage in courses:
                courses[f"onset_{stage}"] = np.nanmean(courses[stage][frames], axis=0)
        numbers |= {"n_onsets": int(onsets.size), "onset_before": before}
    running = state.astype(np.float64)
    left = sustained_running(running, keeps(running), state, rate_hz)
    if np.isfinite(left.difference_kept):
        numbers["sustained_kept"] = left.difference_kept
    return replace(quality, numbers=numbers, courses=courses, state=name)


def _is_state(values: NDArray[np.float64]) -> bool:
    return bool(set(np.unique(values[np.isfinite(values)])) == {0.0, 1.0})


def _correlation(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Pearson's r over the frames that have both; 0 where either is constant."""
    known = np.isfinite(one) & np.isfinite(other)
    if known.sum() < 2 or np.ptp(one[known]) == 0 or np.ptp(other[known]) == 0:
        return 0.0
    return round(float(np.corrcoef(one[known], other[known])[0, 1]), 6)
