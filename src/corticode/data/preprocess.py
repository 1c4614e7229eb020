"""Region traces made ready for a decoder: slow trends taken out, smoothed, scaled.

Each step exists in a form that uses the whole session, as published, and in a causal form; how
far ahead a form looks is a number (`look_ahead_frames`).
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from corticode.data.scaling import (
    check_causal_scale,
    check_scale,
    finite_or_nan,
    is_flat_so_far,
    largest_so_far,
    largest_value,
    running_scale,
    scale_session,
)
from corticode.errors import DataError, StudyError

SCALE_OVER = ("session", "training", "causal")


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
        Length of the moving mean that replaces the trace; ``None``: no smoothing.
    scale
        ``"min-max"``, ``"z-score"``, ``"robust"`` or ``"none"``.
    scale_over
        ``"session"`` (the whole session, its future included), ``"training"`` (fitted on the
        training animals, see `corticode.data.scaling.fit_scale`) or ``"causal"`` (frames up to
        the present one).
    regress_out
        ``"cues"``: what is not cortex and moves with the animal is regressed out of the whole
        session first, see `corticode.data.cues.without_cues`; ``"none"``.

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
        if self.regress_out not in ("none", "cues"):
            raise StudyError(f"regress_out is {self.regress_out!r}; it must be none or cues")
        for name in ("detrend_frames", "smooth_frames"):
            n_frames = getattr(self, name)
            if n_frames is not None:
                _check_length(n_frames, name)
        check_scale(self.scale)
        if self.scale_over not in SCALE_OVER:
            raise StudyError(
                f"scale_over is {self.scale_over!r}; it must be one of {', '.join(SCALE_OVER)}"
            )
        if self.scale_over == "causal":
            check_causal_scale(self.scale)


def moving_mean(
    values: NDArray[Any], n_frames: int, *, causal: bool = False
) -> NDArray[np.float64]:
    """Mean over the frames around each frame, as MATLAB's ``movmean`` takes it.

    An odd length is centred; an even one holds ``n_frames / 2`` frames before, the frame, and
    ``n_frames / 2 - 1`` after. The window shrinks at both ends of the session. Frames that are
    not finite are left out of every mean; where a window holds no other, the mean is NaN. The
    session is taken in frame order across gaps in time (changes of segment): what a moving mean
    follows, bleaching or slow haemodynamics, goes on during a gap.

    Parameters
    ----------
    values
        (frame, ...).
    n_frames
        Length of the window, in frames.
    causal
        The window holds the frame and the ``n_frames - 1`` before it. No rounding even of a later
        frame then reaches an earlier one.

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
    sums = _window_sums(data, first, stop)
    counts = (stop - first)[:, None] if complete else _window_sums(finite, first, stop)
    mean = np.full(data.shape, np.nan)
    np.divide(sums, counts, out=mean, where=counts > 0)
    mean += origin
    return mean.reshape(np.shape(values))


def smooth_speed(speed: NDArray[Any], n_frames: int = 30) -> NDArray[np.float64]:
    """Speed as the study decodes it: its moving mean over 30 frames, 15 before and 14 after.

    Parameters
    ----------
    speed
        (frame,), any unit.
    n_frames
        Length of the window, in frames.

    Returns
    -------
    NDArray
        (frame,), the same unit; NaN where the speed itself is not finite.

    Examples
    --------
    >>> smooth_speed(np.array([0.0, 3.0, np.nan, 6.0]), n_frames=3).tolist()
    [1.5, 1.5, nan, 6.0]
    """
    smooth = moving_mean(speed, n_frames)
    smooth[~np.isfinite(speed)] = np.nan
    return smooth


def preprocess_traces(
    traces: NDArray[Any], preprocessing: Preprocessing
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Traces as a decoder gets them, and which regions are flat.

    Flat is judged after detrending, against the size of the trace before it, so that the rounding
    left of a constant trace is never blown up. Values that are not finite come back NaN. With
    ``scale_over = "training"`` they come back unscaled, for `corticode.data.scaling.fit_scale`.

    Parameters
    ----------
    traces
        (frame, region); never changed.
    preprocessing
        What is to be done.

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
    data = finite_or_nan(traces)
    largest = largest_value(data)
    so_far = largest_so_far(data) if preprocessing.scale_over != "session" else largest
    if preprocessing.detrend_frames is not None:
        data -= moving_mean(data, preprocessing.detrend_frames, causal=preprocessing.causal)
    if preprocessing.smooth_frames is not None:
        smooth = moving_mean(data, preprocessing.smooth_frames, causal=preprocessing.causal)
        data = np.where(np.isfinite(data), smooth, np.nan)
    if preprocessing.scale_over == "session":
        return scale_session(data, preprocessing.scale, largest=largest)
    if preprocessing.scale_over == "causal":
        return running_scale(data, preprocessing.scale, largest=so_far)
    if preprocessing.detrend_frames is not None:
        data[is_flat_so_far(data, so_far) & np.isfinite(data)] = 0
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


def _window_sums(
    data: NDArray[Any], first: NDArray[np.intp], stop: NDArray[np.intp]
) -> NDArray[Any]:
    total = np.zeros((len(data) + 1, data.shape[1]), np.float64)
    np.cumsum(data, axis=0, out=total[1:])
    sums: NDArray[np.float64] = total[stop]
    sums -= total[first]
    return sums
