"""dF/F: how much brighter each pixel is than its own baseline F0, as a fraction.

Frames are (frame, column), columns being pixels or regions. What the camera reads in the dark is
subtracted first. F0 is one value a pixel (mean, median or a percentile of the session, of training
frames or of a warm-up), or follows the session (a running mean, or the mean before each trial).
Where F0 is not above 0 there is no dF/F: NaN.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from corticode.data.preprocess import moving_mean
from corticode.errors import DataError, StudyError

Array = NDArray[np.float64]

STATIC = ("mean", "median", "percentile")
BASELINES = (*STATIC, "running", "trial")
BAND_VALUES = 2**22  # sorted at once by medians and percentiles: 32 MB


# No pixel gets less than no light: some percent are for dead ones, and a tenth for a camera whose
# level drifts.
DARK_TOLERANCE, MOST_DARKER = 0.1, 0.05


@dataclass(frozen=True)
class Baseline:
    """What F0 is.

    Parameters
    ----------
    kind
        ``"mean"``, ``"median"`` or ``"percentile"``: one value a pixel, of the frames that it is
        fitted on; ``"running"``: the mean over `window_frames` around each frame; ``"trial"``: the
        mean over the `before_frames` before the latest event.
    percentile
        0 to 100, for ``"percentile"``.
    window_frames
        For ``"running"``.
    before_frames
        For ``"trial"``.
    causal
        For ``"running"``: of the frame and those before it. A trial's baseline always is causal;
        the others are if fitted on a warm-up or on other sessions.

    Raises
    ------
    StudyError
        An unknown kind, or a value that is not possible or not given.

    Examples
    --------
    >>> Baseline("running", window_frames=750).look_ahead_frames("session")
    374
    """

    kind: str = "mean"
    percentile: float = 10.0
    window_frames: int | None = None
    before_frames: int | None = None
    causal: bool = False

    def __post_init__(self) -> None:
        if self.kind not in BASELINES:
            raise StudyError(f"F0 is {self.kind!r}; it must be one of {', '.join(BASELINES)}")
        if not 0 <= self.percentile <= 100:
            raise StudyError(f"the percentile of F0 is {self.percentile}; it must be 0 to 100")
        needed = {"running": "window_frames", "trial": "before_frames"}.get(self.kind)
        if needed is not None:
            length = getattr(self, needed)
            if length is None or int(length) != length or length < 1:
                raise StudyError(
                    f"F0 = {self.kind!r} needs {needed}, a whole number above 0; it is {length!r}"
                )

    @property
    def is_static(self) -> bool:
        """Whether F0 is one value a pixel."""
        return self.kind in STATIC

    def look_ahead_frames(self, fitted_on: str) -> float:
        """The latest frame that F0 uses, minus the frame itself.

        Parameters
        ----------
        fitted_on
            ``"session"``, or where else a static F0 is from (``"warm-up"``, ``"training"``).
        """
        if self.is_static:
            return np.inf if fitted_on == "session" else 0
        if self.kind == "trial" or self.causal:
            return 0
        return ((self.window_frames or 1) - 1) // 2


def check_dark(dark: float | NDArray[Any], mean_image: NDArray[Any]) -> None:
    """Refuse a dark level that cannot be one.

    Parameters
    ----------
    dark
        What the camera reads without light: counts, or an image of counts.
    mean_image
        The movie's mean over frames, as recorded; the shape of `dark` if that is an image.

    Raises
    ------
    DataError
        Shapes differ, the level is not finite or below 0, the movie is not brighter than it in most
        of the pixels, or clearly darker in more than a few.

    Examples
    --------
    >>> check_dark(100.0, np.array([[90.0, 80.0]]))  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    corticode.errors.DataError: the dark level (median 100) is not below the movie (median 85) ...
    """
    level = np.asarray(dark, np.float64)
    if level.ndim and level.shape != mean_image.shape:
        raise DataError(
            f"the dark image has shape {level.shape} and the movie's frames {mean_image.shape}; "
            "they must be of the same pixels (binned alike)"
        )
    if not np.isfinite(level).all() or (level < 0).any():
        raise DataError("the dark level is not finite or below 0; give counts as recorded")
    # What is 0 in every frame was cut out of the movie, say around the window.
    seen = np.isfinite(mean_image) & (mean_image != 0)
    if not seen.any():
        seen = np.isfinite(mean_image)
    if 2 * (mean_image > level)[seen].sum() <= seen.sum():
        raise DataError(
            f"the dark level (median {np.median(level):.4g}) is not below the movie (median "
            f"{np.median(mean_image[seen]):.4g}) in most pixels; were dark frames taken with the "
            "light on, or was the dark level subtracted before? Then leave it out"
        )
    below = (mean_image < (1 - DARK_TOLERANCE) * level)[seen].mean()
    if below > MOST_DARKER:
        raise DataError(
            f"{100 * below:.0f} % of the movie's pixels are darker than without light (by more "
            f"than {100 * DARK_TOLERANCE:g} % of the dark level, median {np.median(level):.4g}): "
            "that level is too high. Were dark frames taken with the light on, or was the dark "
            "level subtracted before? Then leave it out"
        )


def without_dark(
    frames: NDArray[Any], dark: float | NDArray[Any], *, saturated_at: float | None = None
) -> NDArray[np.float32]:
    """Counts above what the camera reads in the dark.

    Parameters
    ----------
    frames
        (frame, ...), counts as recorded.
    dark
        Counts, or an image of them of a frame's shape.
    saturated_at
        Samples of so many counts or more become NaN; ``None``: none do.

    Returns
    -------
    NDArray
        (frame, ...), a new array; below 0 where noise is.

    Examples
    --------
    >>> without_dark(np.array([[110, 255]], np.uint8), 100, saturated_at=255).tolist()
    [[10.0, nan]]
    """
    counts = frames.astype(np.float32)
    counts -= np.asarray(dark, np.float32)
    if saturated_at is not None:
        counts[frames >= saturated_at] = np.nan
    return counts


class MeanSums:
    """The mean of each column over blocks of frames, added one after the other.

    Examples
    --------
    >>> sums = MeanSums()
    >>> sums.add(np.array([[1.0, np.nan]])), sums.add(np.array([[3.0, 5.0]]))
    (None, None)
    >>> sums.mean().tolist()
    [2.0, 5.0]
    """

    def __init__(self) -> None:
        self._total: Array | None = None
        self._count: Array | None = None

    def add(self, frames: NDArray[Any]) -> None:
        """Add some frames, (frame, ...); values that are not finite are left out."""
        finite = np.isfinite(frames)
        total = frames.sum(axis=0, dtype=np.float64, where=finite)
        count = finite.sum(axis=0).astype(np.float64)
        self._total = total if self._total is None else self._total + total
        self._count = count if self._count is None else self._count + count

    def mean(self) -> Array:
        """(...): NaN where no value was finite.

        Raises
        ------
        DataError
            No frame was added.
        """
        if self._total is None or self._count is None:
            raise DataError("F0 was given no frame; it needs at least one")
        mean = np.full(self._total.shape, np.nan)
        np.divide(self._total, self._count, out=mean, where=self._count > 0)
        return mean


def fit_f0(
    values: NDArray[Any], baseline: Baseline, *, frames: NDArray[np.bool_] | None = None
) -> Array:
    """F0 of each column from some frames.

    Medians and percentiles are exact; of a long movie give bands of pixels, or evenly spaced
    frames.

    Parameters
    ----------
    values
        (frame, ...), counts above dark; may be memory-mapped. NaN are left out.
    baseline
        A static one.
    frames
        (frame,), True for the frames to fit on; ``None``: all.

    Returns
    -------
    NDArray
        (...): NaN where F0 is not above 0 or no value is finite.

    Raises
    ------
    DataError
        No frame to fit on.
    StudyError
        The baseline follows the session, see `f0_course`.

    Examples
    --------
    >>> fit_f0(np.array([[1.0, -2.0], [3.0, 0.0], [8.0, 1.0]]), Baseline("median")).tolist()
    [3.0, nan]
    """
    if not baseline.is_static:
        raise StudyError(f"F0 = {baseline.kind!r} is not one value a pixel; ask f0_course for it")
    n_frames = len(values) if frames is None else int(np.count_nonzero(frames))
    if not n_frames:
        raise DataError("F0 was given no frame; it needs at least one")
    flat = values.reshape(len(values), -1)
    f0 = np.empty(flat.shape[1])
    step = max(1, BAND_VALUES // n_frames)
    for first in range(0, f0.size, step):
        band = flat[:, first : first + step]
        f0[first : first + step] = _static(band if frames is None else band[frames], baseline)
    f0 = np.where(f0 > 0, f0, np.nan)
    return f0.reshape(values.shape[1:])


def f0_course(
    values: NDArray[Any], baseline: Baseline, *, events: NDArray[np.integer[Any]] | None = None
) -> Array:
    """F0 of each frame and column, where it follows the session.

    Parameters
    ----------
    values
        (frame, ...), counts above dark: a session, or a band of its pixels. NaN are left out.
    baseline
        ``"running"`` or ``"trial"``.
    events
        Frames at which trials begin, in order; for ``"trial"``.

    Returns
    -------
    NDArray
        (frame, ...): NaN where F0 is not above 0, and, for ``"trial"``, before the first event
        that has `before_frames` frames before it.

    Raises
    ------
    DataError
        Events that are not frames of the session, or none with enough frames before it.
    StudyError
        A static baseline, see `fit_f0`; or no events.

    Examples
    --------
    >>> trial = Baseline("trial", before_frames=2)
    >>> values = np.array([1.0, 3.0, 5.0, 7.0, 9.0, 11.0])
    >>> f0_course(values, trial, events=np.array([2, 4])).tolist()
    [nan, nan, 2.0, 2.0, 6.0, 6.0]
    """
    if baseline.is_static:
        raise StudyError(f"F0 = {baseline.kind!r} is one value a pixel; ask fit_f0 for it")
    if baseline.kind == "running":
        course = moving_mean(values, baseline.window_frames or 1, causal=baseline.causal)
    else:
        course = _trial_course(values, baseline.before_frames or 1, events)
    course[~(course > 0)] = np.nan
    return course


def dff(values: NDArray[Any], f0: NDArray[Any]) -> NDArray[np.float32]:
    """(F - F0) / F0, as a fraction.

    Parameters
    ----------
    values
        (frame, ...), counts above dark.
    f0
        Of each column, (...), or of each frame too, (frame, ...).

    Returns
    -------
    NDArray
        (frame, ...): NaN where a value is missing or F0 is not above 0.

    Examples
    --------
    >>> dff(np.array([[110.0, 5.0]]), np.array([100.0, 0.0])).round(4).tolist()
    [[0.10000000149011612, nan]]
    """
    scale = np.divide(1.0, f0, out=np.full(np.shape(f0), np.nan), where=np.asarray(f0) > 0)
    change = np.asarray(values, np.float64) * scale
    change -= 1
    change[~np.isfinite(change)] = np.nan
    return np.asarray(change, np.float32)


class RunningF0:
    """The causal running mean, frame by frame: of each frame and those before it.

    Parameters
    ----------
    window_frames
        Length of the window; shorter at the session's beginning.

    Examples
    --------
    >>> running = RunningF0(2)
    >>> running.take(np.array([[1.0], [3.0]])).tolist(), running.take(np.array([[5.0]])).tolist()
    ([[1.0], [2.0]], [[4.0]])
    """

    def __init__(self, window_frames: int) -> None:
        self._keeps = Baseline("running", window_frames=window_frames, causal=True)
        self._past: NDArray[Any] | None = None

    def take(self, values: NDArray[Any]) -> Array:
        """F0 of the next frames.

        Parameters
        ----------
        values
            (frame, ...), counts above dark: the frames after those given before.

        Returns
        -------
        NDArray
            (frame, ...): NaN where it is not above 0.
        """
        past = values[:0] if self._past is None else self._past
        both = np.concatenate([past, values])
        n_before = (self._keeps.window_frames or 1) - 1
        self._past = both[max(0, len(both) - n_before) :].copy()
        return f0_course(both, self._keeps)[len(past) :]


def _static(values: NDArray[Any], baseline: Baseline) -> Array:
    """(column,): NaN where no value is finite."""
    finite = np.isfinite(values)
    known = finite.any(axis=0)
    f0 = np.full(values.shape[1], np.nan)
    if baseline.kind == "mean":
        total = values.sum(axis=0, dtype=np.float64, where=finite)
        np.divide(total, finite.sum(axis=0), out=f0, where=known)
        return f0
    share = 50.0 if baseline.kind == "median" else baseline.percentile
    if finite.all():
        return np.asarray(np.percentile(values, share, axis=0), np.float64)
    gaps = np.where(finite, values, np.nan)[:, known]
    f0[known] = np.nanpercentile(gaps, share, axis=0)
    return f0


def _trial_course(
    values: NDArray[Any], before_frames: int, events: NDArray[np.integer[Any]] | None
) -> Array:
    """The mean before the latest event, for each frame; NaN before the first."""
    if events is None or not len(events):
        raise StudyError("F0 = 'trial' needs events: the frames at which trials begin")
    n_frames = len(values)
    starts = np.asarray(events, np.int64)
    if (np.diff(starts) < 0).any() or starts[0] < 0 or starts[-1] >= n_frames:
        raise DataError(
            f"events run from frame {starts.min()} to {starts.max()}; they must be in order and "
            f"among the session's {n_frames} frames"
        )
    usable = starts[starts >= before_frames]
    if not usable.size:
        raise DataError(
            f"no event has {before_frames} frames before it (the last is at frame {starts[-1]}); "
            "F0 = 'trial' needs one that has: take a shorter before_frames"
        )
    course = np.full(values.shape, np.nan)
    for start, stop in zip(usable, [*usable[1:], n_frames], strict=True):
        sums = MeanSums()
        sums.add(np.asarray(values[start - before_frames : start], np.float64))
        course[start:stop] = sums.mean()
    return course
