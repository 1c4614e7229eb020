"""Bouts: runs of frames with one target value, and the clean-up of runs that are too short."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


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


def count_bouts(
    values: NDArray[np.floating[Any]], class_index: int, segment: NDArray[Any] | None = None
) -> int:
    """How many runs of frames hold the class `class_index`.

    Examples
    --------
    >>> count_bouts(np.array([0.0, 1.0, 1.0, 0.0, 1.0]), 1)
    2
    """
    return int(np.count_nonzero(bouts(values, segment)[2] == class_index))


def stretches(finite: NDArray[np.bool_], segment: NDArray[Any] | None = None) -> NDArray[np.intp]:
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
    part = stretches(np.ones(len(values), np.bool_), segment)
    known = np.flatnonzero(np.isfinite(values))
    before, after = known[:-1], known[1:]
    is_change = (values[before] != values[after]) & (part[before] == part[after])
    before, after = before[is_change], after[is_change]
    first = np.maximum(before - n_frames + 1, np.searchsorted(part, part[before], "left"))
    stop = np.minimum(after + n_frames, np.searchsorted(part, part[after], "right"))
    covered = np.zeros(len(values) + 1, np.intp)
    np.add.at(covered, first, 1)
    np.add.at(covered, stop, -1)
    return np.where(np.cumsum(covered[:-1]) > 0, np.nan, values)
