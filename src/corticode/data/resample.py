"""A session at a lower frame rate: means over each new frame, categories from its middle."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from corticode.data.alignment import AlignedArrays
from corticode.data.clocks import is_same_rate
from corticode.data.signals import is_category
from corticode.errors import DataError, StudyError

# Spans that are not whole end beside the edge of an old frame by rounding alone.
EDGE_FRAMES = 1e-6


def resample(aligned: AlignedArrays, rate_hz: float, name: str) -> AlignedArrays:
    """A session's traces and behaviour at a lower frame rate.

    Each new frame is the mean of the old ones it spans; categories are those in its middle. A
    new frame across a gap in time gets no traces. A rate within 0.1 % of the session's own
    changes nothing but the number.

    Parameters
    ----------
    aligned
        The session's arrays; a movie is refused.
    rate_hz
        The new frame rate.
    name
        The session's name, for messages.

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
    traces = resample_amounts(aligned.arrays["traces"], ratio, n_new)
    traces[spans_gap(aligned.segment, ratio, n_new)] = np.nan
    return replace(
        aligned,
        arrays={"traces": traces},
        behavior={
            signal: resample_categories(values, ratio, n_new)
            if is_category(values)
            else resample_amounts(values, ratio, n_new)
            for signal, values in aligned.behavior.items()
        },
        segment=resample_categories(aligned.segment, ratio, n_new).astype(np.int32),
        frame_rate_hz=rate_hz,
    )


def spans_gap(segment: NDArray[np.int32], ratio: float, n_new: int) -> NDArray[np.bool_]:
    """Which new frames span old ones on both sides of a gap in time.

    Parameters
    ----------
    segment
        Shape (frame,); rises at each gap.
    ratio, n_new
        As in `resample_amounts`.

    Examples
    --------
    >>> spans_gap(np.array([0, 0, 0, 1, 1, 1], np.int32), 2.0, 3).tolist()
    [False, True, False]
    """
    edges = np.minimum(np.arange(n_new + 1) * ratio, segment.size)
    first = (edges[:-1] + EDGE_FRAMES).astype(np.int64)
    last = (np.ceil(edges[1:] - EDGE_FRAMES) - 1).astype(np.int64)
    return np.asarray(segment[first] != segment[last])


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
