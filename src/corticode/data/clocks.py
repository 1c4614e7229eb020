"""Two clocks brought together: behaviour samples on imaging frames, dropped frames, frame rates."""

import numpy as np
from numpy.typing import NDArray

from corticode.data.signals import is_category
from corticode.errors import DataError

DROPPED_AFTER_PERIODS = 1.5
# Times carry rounding noise: a sample that ends one exposure must not slip into the next.
EDGE_PERIODS = 1e-6
SAME_RATE_SHARE = 1e-3
MOST_TIMES = 100


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


def sample_on_frames(
    values: NDArray[np.generic],
    sample_times: NDArray[np.float64],
    frame_times: NDArray[np.float64],
    period_s: float,
) -> NDArray[np.generic]:
    """A behaviour signal on imaging frames: `amounts_on_frames` or `categories_on_frames`.

    Which of the two is `corticode.data.signals.is_category`'s to say.

    Parameters
    ----------
    values, sample_times
        The signal and its times in seconds, shape (sample,).
    frame_times
        Start of each frame's exposure, seconds, shape (frame,).
    period_s
        Length of an exposure, seconds.

    Returns
    -------
    NDArray
        Shape (frame,); NaN (text: empty) where the signal says nothing.

    Examples
    --------
    >>> speed = np.array([0.0, 2.0, 4.0, 6.5])
    >>> sample_on_frames(speed, np.array([0.0, 0.1, 0.2, 0.3]), np.array([0.0, 0.2]), 0.2)
    array([1.  , 5.25])
    """
    place = categories_on_frames if is_category(values) else amounts_on_frames
    return place(values, sample_times, frame_times, period_s)


def amounts_on_frames(
    values: NDArray[np.generic],
    sample_times: NDArray[np.float64],
    frame_times: NDArray[np.float64],
    period_s: float,
) -> NDArray[np.float64]:
    """The mean of a signal over each frame's exposure, the period that begins at its time.

    Samples that are not finite are left out. Where no sample falls into the exposure the last
    earlier one holds, for at most 1.5 of the signal's own periods. A later sample is never used.

    Parameters
    ----------
    values, sample_times, frame_times, period_s
        As in `sample_on_frames`.

    Returns
    -------
    NDArray
        Shape (frame,); NaN where the signal says nothing.
    """
    amounts = values.astype(np.float64)
    edge_s = EDGE_PERIODS * period_s
    first = np.searchsorted(sample_times, frame_times - edge_s, side="left")
    stop = np.searchsorted(sample_times, frame_times + period_s - edge_s, side="left")
    finite = np.isfinite(amounts)
    total = np.concatenate([[0.0], np.cumsum(np.where(finite, amounts, 0.0))])
    count = np.concatenate([[0], np.cumsum(finite)])
    n_samples = count[stop] - count[first]
    mean = (total[stop] - total[first]) / np.maximum(n_samples, 1)
    held = np.where(stop > first, np.nan, _hold(amounts, sample_times, frame_times))
    return np.where(n_samples > 0, mean, held)


def categories_on_frames(
    values: NDArray[np.generic],
    sample_times: NDArray[np.float64],
    frame_times: NDArray[np.float64],
    period_s: float,
) -> NDArray[np.generic]:
    """The category that holds in the middle of each frame's exposure.

    It is that of the last sample until then, for at most 1.5 of the signal's own periods.

    Parameters
    ----------
    values, sample_times, frame_times, period_s
        As in `sample_on_frames`.

    Returns
    -------
    NDArray
        Shape (frame,); NaN (text: empty) where the signal says nothing.
    """
    return _hold(values, sample_times, frame_times + (0.5 + EDGE_PERIODS) * period_s)


def _hold(
    values: NDArray[np.generic], sample_times: NDArray[np.float64], at_s: NDArray[np.float64]
) -> NDArray[np.generic]:
    """The last sample at or before each time; nothing where that is too long ago."""
    longest_s = DROPPED_AFTER_PERIODS * float(np.median(np.diff(sample_times)))
    last = np.searchsorted(sample_times, at_s, side="right") - 1
    held = values[np.maximum(last, 0)]
    known = (last >= 0) & (at_s - sample_times[np.maximum(last, 0)] <= longest_s)
    if held.dtype.kind in "US":
        return np.where(known, held, np.zeros(1, held.dtype))
    return np.where(known, held.astype(np.float64), np.nan)
