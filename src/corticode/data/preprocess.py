"""Region traces made ready for a decoder: slow trends taken out, smoothed, scaled.

Each step exists in a form that uses the whole session, as published, and in a causal form; how
far ahead a form looks is a number (`look_ahead_frames`).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from corticode.data.movies.passes import sums_between
from corticode.errors import DataError, StudyError

SCALES = ("min-max", "z-score", "robust", "none")
FLAT_SHARE = 1e-6  # about eight steps of float32
FLAT_FLOOR = 1e-12  # what rounding leaves of a constant trace around 0
CHUNK_FRAMES = 8192
ROBUST_FRAMES = 20_000
REGRESSED_OUT = ("none", "cues", "confounds")
MOST_FRAMES = 10**9  # of a session; longer lengths are slips
SCALE_OVER = ("session", "training", "causal")


def scale_session(
    values: NDArray[Any], kind: str, *, largest: NDArray[np.float64] | None = None
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Traces scaled by statistics of the whole session, and which regions are flat.

    ``min-max`` maps to 0..1. ``z-score`` takes mean and SD. ``robust`` takes the median and
    1.4826 times the median absolute deviation; where that is 0 (1e-12 or less), the interquartile
    range / 1.349, and where that is 0 too, the SD. Frames that are not finite are left out and
    come back NaN.

    A region is flat where its range is at most 1e-6 of its largest absolute value (or 1e-12); it
    comes back as 0. A region without a finite frame stays NaN and is not called flat.

    Parameters
    ----------
    values
        (frame, region).
    kind
        ``"min-max"``, ``"z-score"``, ``"robust"`` or ``"none"``.
    largest
        (region,): the size that flat is judged against; ``None``: the largest absolute value.

    Returns
    -------
    scaled
        (frame, region).
    flat
        (region,).

    Raises
    ------
    StudyError
        An unknown `kind`.

    Examples
    --------
    >>> scaled, flat = scale_session(np.array([[2.0, 7.0], [4.0, 7.0], [3.0, 7.0]]), "min-max")
    >>> scaled.tolist(), flat.tolist()
    ([[0.0, 0.0], [1.0, 0.0], [0.5, 0.0]], [False, True])
    """
    _check_scale(kind)
    data = _finite_or_nan(values)
    return _scale_whole(data, kind, _largest_value(data) if largest is None else largest)


def running_scale(
    values: NDArray[Any], kind: str, *, largest: NDArray[np.float64] | None = None
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Traces scaled, at each frame, by the frames seen so far, and which regions stayed flat.

    The first frames of a session are scaled with what little there is: trust them less. A region
    is 0 until its range so far exceeds 1e-6 of its largest absolute value.

    Parameters
    ----------
    values
        (frame, region).
    kind
        ``"min-max"``, ``"z-score"`` or ``"none"``.
    largest
        (frame, region): the size so far, that flat is judged against; ``None``: the largest
        absolute value so far.

    Returns
    -------
    scaled
        (frame, region).
    flat
        (region,), True where the region is still flat at the end.

    Raises
    ------
    StudyError
        An unknown `kind`, or ``"robust"``, which has no causal form here.

    Examples
    --------
    >>> running_scale(np.array([[2.0], [4.0], [3.0], [6.0]]), "min-max")[0].ravel().tolist()
    [0.0, 1.0, 0.5, 1.0]
    """
    _check_scale(kind)
    _check_causal_scale(kind)
    data = _finite_or_nan(values)
    return _scale_running(data, kind, _largest_so_far(data) if largest is None else largest)


def fit_scale(
    traces: Sequence[NDArray[Any]], kind: str
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Offset and gain of each region over all frames of the training animals.

    A trace is scaled as ``(trace - offset) * gain``. Arrays are read a stretch at a time and may be
    memory-mapped. ``robust`` reads at most 20,000 evenly spaced frames of each array for
    the median and the spread. Regions that are flat over all arrays, or never finite, get gain 0.

    Parameters
    ----------
    traces
        One (frame, region) array a session.
    kind
        ``"min-max"``, ``"z-score"``, ``"robust"`` or ``"none"``.

    Returns
    -------
    offset, gain
        (region,) each.

    Raises
    ------
    DataError
        No arrays, or arrays of different numbers of regions.

    Examples
    --------
    >>> offset, gain = fit_scale([np.array([[1.0], [3.0]]), np.array([[5.0]])], "min-max")
    >>> offset.tolist(), gain.tolist()
    ([1.0], [0.25])
    """
    _check_scale(kind)
    widths = sorted({np.shape(array)[1:] for array in traces})
    if len(widths) != 1 or len(widths[0]) != 1:
        found = ", ".join(map(str, widths)) or "no sessions"
        raise DataError(
            f"scaling was given {found} (shapes after the frame axis); it needs (frame, region) "
            "arrays of at least one training session, with the same regions in each"
        )
    n_regions = widths[0][0]
    if kind == "none":
        return np.zeros(n_regions, np.float32), np.ones(n_regions, np.float32)
    low, high, mean, sd = _pooled_moments(traces, n_regions)
    is_varying = high - low > _tolerance(np.maximum(np.abs(low), np.abs(high)))
    offset, width = (low, high - low) if kind == "min-max" else (mean, sd)
    if kind == "robust":
        sample = np.concatenate([_spread_frames(array) for array in traces])
        for region in np.flatnonzero(is_varying):
            column = sample[:, region]
            column = column[np.isfinite(column)]
            if column.size:
                offset[region], spread = _offset_and_width(column, "robust")
                width[region] = spread if spread > FLAT_FLOOR else sd[region]
    offset = np.where(np.isfinite(offset), offset, 0)
    gain = np.divide(1.0, width, out=np.zeros(n_regions), where=is_varying & (width > 0))
    return offset.astype(np.float32), gain.astype(np.float32)


def _check_scale(kind: str) -> None:
    """Refuse, with a `StudyError`, a kind of scale that is unknown."""
    if kind not in SCALES:
        raise StudyError(f"scale is {kind!r}; it must be one of {', '.join(SCALES)}")


def _check_causal_scale(kind: str) -> None:
    """Refuse, with a `StudyError`, a kind of scale that has no causal form."""
    if kind == "robust":
        raise StudyError(
            "scale = 'robust' has no causal form; take scale = 'z-score' with "
            "scale_over = 'causal', or 'robust' with scale_over = 'training'"
        )


def _finite_or_nan(values: NDArray[Any]) -> NDArray[np.float64]:
    """A copy of the values, shape kept, NaN where they are not finite."""
    data = np.array(values, np.float64)
    data[~np.isfinite(data)] = np.nan
    return data


def _largest_value(data: NDArray[np.float64]) -> NDArray[np.float64]:
    """(region,): the largest absolute value, 0 where there is none."""
    largest: NDArray[np.float64] = np.fmax.reduce(np.abs(data), axis=0, initial=0.0)
    return largest


def _largest_so_far(data: NDArray[np.float64]) -> NDArray[np.float64]:
    """(frame, region): the largest absolute value up to each frame."""
    return np.maximum.accumulate(np.nan_to_num(np.abs(data)), axis=0)


def _is_flat_so_far(data: NDArray[np.float64], largest: NDArray[np.float64]) -> NDArray[np.bool_]:
    """(frame, region): where the range up to each frame is rounding beside the size so far."""
    return _range_so_far(data)[1] <= _tolerance(largest)


def _tolerance(largest: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.maximum(FLAT_SHARE * largest, FLAT_FLOOR)


def _range_so_far(
    data: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    low = np.fmin.accumulate(data, axis=0)
    return low, np.fmax.accumulate(data, axis=0) - low


def _offset_and_width(column: NDArray[np.float64], kind: str) -> tuple[float, float]:
    """What is subtracted from one region's finite values and what they are divided by."""
    if kind == "min-max":
        return float(column.min()), float(np.ptp(column))
    if kind == "z-score":
        return float(column.mean()), float(column.std())
    low, median, high = np.percentile(column, [25, 50, 75])
    width = 1.4826 * float(np.median(np.abs(column - median)))
    for fallback in (float(high - low) / 1.349, float(column.std())):
        if width <= FLAT_FLOOR:
            width = fallback
    return float(median), width


def _scale_whole(
    data: NDArray[np.float64], kind: str, largest: NDArray[np.float64]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    finite = np.isfinite(data)
    width = np.fmax.reduce(data, axis=0, initial=-np.inf) - np.fmin.reduce(
        data, axis=0, initial=np.inf
    )
    flat = np.logical_and(finite.any(axis=0), width <= _tolerance(largest))
    if kind == "none":
        return data.astype(np.float32), flat
    scaled = np.full(data.shape, np.nan, np.float32)
    for region in range(data.shape[1]):
        here = finite[:, region]
        column = data[here, region]
        if flat[region]:
            scaled[here, region] = 0
        elif column.size:
            offset, spread = _offset_and_width(column, kind)
            scaled[here, region] = (column - offset) / spread
    return scaled, flat


def _scale_running(
    data: NDArray[np.float64], kind: str, largest: NDArray[np.float64]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    finite = np.isfinite(data)
    low, width = _range_so_far(data)
    is_varying = width > _tolerance(largest)
    flat = np.logical_and(finite.any(axis=0), ~is_varying.any(axis=0))
    if kind == "none" or not len(data):
        return data.astype(np.float32), flat
    if kind == "min-max":
        deviation, spread = data - low, width
    else:
        # Deviations from the first finite value stay within the range, so that the difference
        # of squares below keeps its digits.
        origin = data[finite.argmax(axis=0), np.arange(data.shape[1])]
        deviation = data - origin
        filled = np.where(finite, deviation, 0)
        count = np.maximum(np.cumsum(finite, axis=0), 1)
        mean = np.cumsum(filled, axis=0) / count
        variance = np.cumsum(filled**2, axis=0) / count - mean**2
        deviation, spread = deviation - mean, np.sqrt(np.maximum(variance, 0))
    usable = is_varying & (spread > 0)
    scaled = np.divide(deviation, spread, out=np.zeros(data.shape), where=usable)
    scaled[~finite] = np.nan
    return scaled.astype(np.float32), flat


def _pooled_moments(
    traces: Sequence[NDArray[Any]], n_regions: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Lowest, highest, mean and SD of each region, combined stretch by stretch."""
    low, high = np.full(n_regions, np.inf), np.full(n_regions, -np.inf)
    count, mean, squares = np.zeros(n_regions), np.zeros(n_regions), np.zeros(n_regions)
    for array in traces:
        for start in range(0, len(array), CHUNK_FRAMES):
            data = _finite_or_nan(array[start : start + CHUNK_FRAMES])
            finite = np.isfinite(data)
            low = np.fmin(low, np.fmin.reduce(data, axis=0))
            high = np.fmax(high, np.fmax.reduce(data, axis=0))
            n_here = finite.sum(axis=0)
            n_all = np.maximum(count + n_here, 1)
            mean_here = np.where(finite, data, 0).sum(axis=0) / np.maximum(n_here, 1)
            step = mean_here - mean
            # Chan, Golub & LeVeque (1983), doi:10.1080/00031305.1983.10483115
            squares += np.where(finite, (data - mean_here) ** 2, 0).sum(axis=0)
            squares += step**2 * count * n_here / n_all
            mean += step * n_here / n_all
            count += n_here
    return low, high, mean, np.sqrt(squares / np.maximum(count, 1))


def _spread_frames(array: NDArray[Any]) -> NDArray[np.float64]:
    if len(array) <= ROBUST_FRAMES:
        return _finite_or_nan(array[:])
    chosen = np.linspace(0, len(array) - 1, ROBUST_FRAMES).astype(np.intp)
    return _finite_or_nan(array[chosen])


@dataclass(frozen=True)
class Preprocessing:
    """What is done to region traces: cues taken out, detrended, then smoothed, then scaled.

    Parameters
    ----------
    detrend_frames
        Length of the moving mean that is subtracted; ``None``: no detrending.
    causal
        Moving means over the frame and those before it, in place of centred ones.
    smooth_frames
        Length of the moving mean that replaces the trace, within stretches without a gap in time;
        ``None``: no smoothing.
    scale
        ``"min-max"``, ``"z-score"``, ``"robust"`` or ``"none"``.
    scale_over
        ``"session"`` (the whole session, its future included), ``"training"`` (fitted on the
        training animals, see `corticode.data.preprocess.fit_scale`) or ``"causal"`` (frames up to
        the present one).
    regress_out
        ``"cues"``: what is not cortex and moves with the animal is regressed out of the whole
        session first, see `corticode.data.cues.without_cues`; ``"confounds"``: the same as if it
        had been measured without error, with what is decoded as covariate, see
        `corticode.data.confounds.without_confounds`; ``"none"``.

    Raises
    ------
    StudyError
        A value that is not among the allowed ones.
    """

    detrend_frames: int | None = None
    causal: bool = False
    smooth_frames: int | None = None
    scale: str = "min-max"
    scale_over: str = "session"
    regress_out: str = "none"

    def __post_init__(self) -> None:
        if self.regress_out not in REGRESSED_OUT:
            raise StudyError(
                f"regress_out is {self.regress_out!r}; it must be one of {', '.join(REGRESSED_OUT)}"
            )
        for name in ("detrend_frames", "smooth_frames"):
            n_frames = getattr(self, name)
            if n_frames is not None:
                _check_length(n_frames, name)
        _check_scale(self.scale)
        if self.scale_over not in SCALE_OVER:
            raise StudyError(
                f"scale_over is {self.scale_over!r}; it must be one of {', '.join(SCALE_OVER)}"
            )
        if self.scale_over == "causal":
            _check_causal_scale(self.scale)


def moving_mean(
    values: NDArray[Any],
    n_frames: int,
    *,
    causal: bool = False,
    segment: NDArray[Any] | None = None,
) -> NDArray[np.float64]:
    """Mean over the frames around each frame, as MATLAB's ``movmean`` takes it.

    An odd length is centred; an even one holds ``n_frames / 2`` frames before, the frame, and
    ``n_frames / 2 - 1`` after. The window shrinks at both ends of the session. Frames that are
    not finite are left out of every mean; where a window holds no other, the mean is NaN.

    Parameters
    ----------
    values
        (frame, ...).
    n_frames
        Length of the window, in frames.
    causal
        The window holds the frame and the ``n_frames - 1`` before it. No rounding even of a later
        frame then reaches an earlier one.
    segment
        (frame,): the window also shrinks where its value changes, at a gap in time or the border
        of a trial, as smoothing must. ``None``: the session is taken in frame order across gaps,
        as detrending must: bleaching and slow haemodynamics go on during a gap.

    Returns
    -------
    NDArray
        (frame, ...), the same unit.

    Raises
    ------
    StudyError
        `n_frames` is not a whole number above 0.

    Examples
    --------
    >>> moving_mean(np.array([1, 2, 3, 4, 5]), 4).tolist()
    [1.5, 2.0, 2.5, 3.5, 4.0]
    >>> moving_mean(np.array([1, 2, 3, 4, 5]), 4, segment=np.array([0, 0, 1, 1, 1])).tolist()
    [1.5, 1.5, 3.5, 4.0, 4.0]
    """
    _check_length(n_frames, "n_frames")
    n_total = len(values)
    if n_total == 0:
        return np.zeros(np.shape(values), np.float64)
    data = np.array(values, np.float64).reshape(n_total, -1)
    finite = np.isfinite(data)
    complete = bool(finite.all())
    if not complete:
        data[~finite] = 0
    # Sums of deviations keep the digits that sums of large counts would lose.
    if causal:
        origin = data[finite.argmax(axis=0), np.arange(data.shape[1])]
    else:
        origin = data.sum(axis=0) / np.maximum(finite.sum(axis=0), 1)
    data -= origin
    if not complete:
        data[~finite] = 0
    frame = np.arange(n_total)
    first = np.maximum(frame - (n_frames - 1 if causal else n_frames // 2), 0)
    stop = np.minimum(frame + (0 if causal else (n_frames - 1) // 2) + 1, n_total)
    if segment is not None:
        changes = np.flatnonzero(segment[1:] != segment[:-1]) + 1
        of_frame = np.searchsorted(changes, frame, side="right")
        first = np.maximum(first, np.append(0, changes)[of_frame])
        stop = np.minimum(stop, np.append(changes, n_total)[of_frame])
    sums = sums_between(data, first, stop)
    counts = (stop - first)[:, None] if complete else sums_between(finite, first, stop)
    mean = np.full(data.shape, np.nan)
    np.divide(sums, counts, out=mean, where=counts > 0)
    mean += origin
    return mean.reshape(np.shape(values))


def preprocess_traces(
    traces: NDArray[Any], preprocessing: Preprocessing, segment: NDArray[Any] | None = None
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Traces as a decoder gets them, and which regions are flat.

    Flat is judged after detrending, against the size of the trace before it, so that the rounding
    left of a constant trace is never blown up. Values that are not finite come back NaN. With
    ``scale_over = "training"`` they come back unscaled, for `corticode.data.preprocess.fit_scale`.

    Parameters
    ----------
    traces
        (frame, region); never changed.
    preprocessing
        What is to be done.
    segment
        (frame,): a change of its value marks a gap in time, at which smoothing stops; detrending
        goes on across it. ``None``: there are no gaps.

    Returns
    -------
    traces
        (frame, region).
    flat
        (region,).

    Raises
    ------
    DataError
        `traces` has not two axes.

    Examples
    --------
    >>> traces, flat = preprocess_traces(np.eye(4)[:, :3], Preprocessing(detrend_frames=2))
    >>> traces.shape, traces.min(), traces.max(), flat.tolist()
    ((4, 3), np.float32(0.0), np.float32(1.0), [False, False, False])
    """
    if np.ndim(traces) != 2:
        raise DataError(
            f"traces have {np.ndim(traces)} axes; two are needed, (frame, region): name the order "
            "of axes in the catalogue's traces_axes"
        )
    data = _finite_or_nan(traces)
    largest = _largest_value(data)
    so_far = _largest_so_far(data) if preprocessing.scale_over != "session" else largest
    if preprocessing.detrend_frames is not None:
        data -= moving_mean(data, preprocessing.detrend_frames, causal=preprocessing.causal)
    if preprocessing.smooth_frames is not None:
        smooth = moving_mean(
            data, preprocessing.smooth_frames, causal=preprocessing.causal, segment=segment
        )
        data = np.where(np.isfinite(data), smooth, np.nan)
    if preprocessing.scale_over == "session":
        return scale_session(data, preprocessing.scale, largest=largest)
    if preprocessing.scale_over == "causal":
        return running_scale(data, preprocessing.scale, largest=so_far)
    if preprocessing.detrend_frames is not None:
        data[_is_flat_so_far(data, so_far) & np.isfinite(data)] = 0
    return scale_session(data, "none", largest=largest)


def look_ahead_frames(preprocessing: Preprocessing) -> float:
    """How many frames later than a frame its preprocessed value can depend on.

    Infinite where the scale or the regression on cues is taken over the whole session; otherwise
    the frames after the present one in each centred moving mean, added up; 0 when all is causal. A
    scale fitted on training animals adds nothing.

    Examples
    --------
    >>> look_ahead_frames(Preprocessing(detrend_frames=1000, scale_over="training"))
    499.0
    >>> look_ahead_frames(Preprocessing(detrend_frames=1000))
    inf
    """
    over_session = preprocessing.scale != "none" and preprocessing.scale_over == "session"
    if over_session or preprocessing.regress_out != "none":
        return math.inf
    if preprocessing.causal:
        return 0.0
    lengths = (preprocessing.detrend_frames, preprocessing.smooth_frames)
    return float(sum((length - 1) // 2 for length in lengths if length is not None))


def _check_length(n_frames: object, name: str) -> None:
    if isinstance(n_frames, bool) or not isinstance(n_frames, int | np.integer) or n_frames < 1:
        raise StudyError(
            f"{name} is {n_frames!r}; it must be a whole number of frames above 0, "
            "or be left out for no moving mean"
        )
    if n_frames > MOST_FRAMES:
        raise StudyError(f"{name} is {n_frames}; no session has more than {MOST_FRAMES:,} frames")
