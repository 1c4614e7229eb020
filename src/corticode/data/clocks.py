"""Two clocks brought together: behaviour samples on imaging frames, dropped frames, a new rate."""

import numpy as np
from numpy.typing import NDArray

from corticode.data.signals import is_category
from corticode.errors import DataError

DROPPED_AFTER_PERIODS = 1.5


def check_times(times: NDArray[np.float64], name: str) -> None:
    """Refuse times that are not finite and strictly increasing.

    Raises
    ------
    DataError
        Names the first sample at fault.
    """
    if times.ndim != 1 or times.size < 2:
        raise DataError(f"{name} needs one time in seconds a sample, got shape {times.shape}")
    wrong = ~np.isfinite(times)
    wrong[1:] |= ~(np.diff(times) > 0)
    if wrong.any():
        k = int(np.argmax(wrong))
        raise DataError(
            f"{name} must rise from sample to sample; sample {k} is {times[k]:g} s after "
            f"{times[k - 1] if k else float('nan'):g} s: sort it or remove what is repeated"
        )


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


def sample_on_frames(
    values: NDArray[np.generic],
    sample_times: NDArray[np.float64],
    frame_times: NDArray[np.float64],
    period_s: float,
) -> NDArray[np.generic]:
    """A behaviour signal on imaging frames: its mean over each frame's exposure.

    A frame's exposure is the period that begins at its time. Amounts are averaged over the
    samples in it; categories are taken at mid-exposure. Where no sample falls into the exposure
    the last earlier one holds, for at most 1.5 of the signal's own periods; beyond that the
    frame gets no value. A later sample is never used.

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
    longest_hold_s = DROPPED_AFTER_PERIODS * float(np.median(np.diff(sample_times)))
    if is_category(values):
        return _hold(values, sample_times, frame_times + period_s / 2, longest_hold_s)
    amounts = values.astype(np.float64)
    # Times carry rounding noise: a sample that ends one exposure must not slip into the next.
    edge = 1e-6 * period_s
    first = np.searchsorted(sample_times, frame_times - edge, side="left")
    stop = np.searchsorted(sample_times, frame_times + period_s - edge, side="left")
    finite = np.isfinite(amounts)
    total = np.concatenate([[0.0], np.cumsum(np.where(finite, amounts, 0.0))])
    count = np.concatenate([[0], np.cumsum(finite)])
    n = count[stop] - count[first]
    held = _hold(amounts, sample_times, frame_times, longest_hold_s)
    mean = (total[stop] - total[first]) / np.maximum(n, 1)
    return np.where(n > 0, mean, np.where(stop > first, np.nan, held))


def _hold(
    values: NDArray[np.generic],
    sample_times: NDArray[np.float64],
    at: NDArray[np.float64],
    longest_s: float,
) -> NDArray[np.generic]:
    """The last sample at or before each time; nothing where that is longer ago than allowed."""
    last = np.searchsorted(sample_times, at, side="right") - 1
    known = (last >= 0) & (at - sample_times[np.maximum(last, 0)] <= longest_s)
    held = values[np.maximum(last, 0)]
    if held.dtype.kind in "US":
        return np.where(known, held, "")
    return np.where(known, held.astype(np.float64), np.nan)


def resample_amounts(values: NDArray[np.generic], ratio: float, n_new: int) -> NDArray[np.float64]:
    """An array at a lower frame rate: each new frame is the mean over the old ones it spans.

    Parameters
    ----------
    values
        Shape (frame, ...). A new frame that touches a non-finite old one becomes NaN there.
    ratio
        Old frames a new frame, at least 1; need not be whole.
    n_new
        Number of new frames; ``n_new * ratio`` may not exceed the old number.

    Examples
    --------
    >>> resample_amounts(np.array([1.0, 3.0, 5.0, 9.0, 0.0]), 2.0, 2)
    array([2., 7.])
    """
    amounts = values.astype(np.float64)
    missing = ~np.isfinite(amounts)
    return np.where(
        _span_means(missing.astype(np.float64), ratio, n_new) > 1e-9,
        np.nan,
        _span_means(np.where(missing, 0.0, amounts), ratio, n_new),
    )


def _span_means(values: NDArray[np.float64], ratio: float, n_new: int) -> NDArray[np.float64]:
    zero = np.zeros((1, *values.shape[1:]))
    total = np.concatenate([zero, np.cumsum(values, axis=0)])
    edges = np.minimum(np.arange(n_new + 1) * ratio, values.shape[0])
    whole = np.minimum(edges.astype(np.int64), values.shape[0] - 1)
    part = (edges - whole).reshape(-1, *[1] * (values.ndim - 1))
    at_edge = total[whole] + part * values[whole]
    means: NDArray[np.float64] = np.diff(at_edge, axis=0) / ratio
    return means


def resample_categories(
    values: NDArray[np.generic], ratio: float, n_new: int
) -> NDArray[np.generic]:
    """A categorical signal at a lower frame rate: the category in the middle of each new frame."""
    middle = ((np.arange(n_new) + 0.5) * ratio).astype(np.int64)
    taken: NDArray[np.generic] = values[np.minimum(middle, values.shape[0] - 1)]
    return taken
