"""What is done to a movie's pixels before a decoder sees them; done when frames are read.

A movie stays on disk as it was recorded. What makes it a decoder's input are a few images: what is
subtracted from each pixel, what it is multiplied with, and how much of its reference is taken off.
"""

import math
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from corticode.data.movies.brain import LEAST_SEPARATION, find_brain
from corticode.data.movies.passes import smoothed_frames
from corticode.data.movies.statistics import (
    CHECKPOINT_FRAMES,
    MovieStatistics,
    drift_at,
    knot_distance,
    odd_statistics,
)
from corticode.errors import DataError, Finding, StudyError

SCALES = ("sd", "variance", "fluctuation", "none")
MASKS = ("none", "brain")
CORRECTIONS = ("none", "reference-regression", "done-elsewhere")
LOWPASS_FRAMES = 9
LEAST_COUNTED = CHECKPOINT_FRAMES // 2


@dataclass(frozen=True)
class NormalisedMovie:
    """A movie as recorded, and what normalises its frames when they are read.

    Frame t has state max(t // `checkpoint_frames` - 1, 0), or 0 where `checkpoint_frames` is 0, and
    enters as (frame - offset - slope * low-passed reference - drift) * gain, which
    `corticode.decode.movie_batches.MovieFrames` works out; the reference's mean is part of the
    offset. Where the gain is 0 it is 0, pixels without values too.

    Parameters
    ----------
    frames
        (frame, row, column), memory-mapped.
    offset
        (state, row, column), counts.
    gain
        (state, row, column), one over counts; 0 for pixels that are left out.
    valid
        (frame,): no window may hold another.
    reference
        As `frames`; None where none is subtracted.
    slope
        (state, row, column), counts of the movie for one of the reference; None as `reference`.
    lowpass_frames, causal
        The moving mean over the reference.
    checkpoint_frames
        Frames between states; 0 where there is one state.
    drift
        (knot, row, column), counts: how far each pixel's level lies above its offset, on a line
        between knots; None where movies are not detrended.
    knot_frames
        Frames between knots.
    reference_drift
        The same of the reference, where the slope changes with the state (causal); None: what the
        reference takes out of the drift is part of `drift`.
    """

    frames: NDArray[Any]
    offset: NDArray[np.float32]
    gain: NDArray[np.float32]
    valid: NDArray[np.bool_]
    reference: NDArray[Any] | None = None
    slope: NDArray[np.float32] | None = None
    lowpass_frames: int = 1
    causal: bool = False
    checkpoint_frames: int = 0
    drift: NDArray[np.float32] | None = None
    knot_frames: int = 0
    reference_drift: NDArray[np.float32] | None = None


def states_of(movie: NormalisedMovie, frame: NDArray[np.integer]) -> NDArray[np.intp]:
    """Which statistics hold for frames by their numbers: (frame,)."""
    if not movie.checkpoint_frames:
        return np.zeros(frame.size, np.intp)
    state: NDArray[np.intp] = np.maximum(frame // movie.checkpoint_frames - 1, 0)
    return state


def moving_part(movie: NormalisedMovie, rows: slice) -> NDArray[np.float32] | None:
    """What is subtracted from each of the frames in `rows` beside its offset; None: nothing.

    Returns
    -------
    NDArray
        (frame, row, column), counts: of blood, by the reference, and of drift.
    """
    frame = np.arange(rows.start, rows.stop)
    parts = []
    if movie.slope is not None:
        reference = lowpassed_reference(movie, rows)
        if movie.reference_drift is not None:
            reference -= drift_at(movie.reference_drift, frame, movie.knot_frames)
        parts.append(movie.slope[states_of(movie, frame)] * reference)
    if movie.drift is not None:
        parts.append(drift_at(movie.drift, frame, movie.knot_frames))
    return sum(parts[1:], parts[0]) if parts else None


def lowpassed_reference(movie: NormalisedMovie, rows: slice) -> NDArray[np.float32]:
    """The moving mean of a movie's reference, for the frames in `rows`; (frame, row, column)."""
    if movie.reference is None:
        raise DataError("the movie has no reference, so none can be subtracted")
    return smoothed_frames(movie.reference, rows, movie.lowpass_frames, causal=movie.causal).astype(
        np.float32
    )


@dataclass(frozen=True)
class PixelPreprocessing:
    """What is done to a movie: blood taken out, each pixel's level subtracted, scaled, masked.

    Parameters
    ----------
    scale
        What frames, minus each pixel's level, are divided by, one number a session: ``"sd"`` (over
        all pixels and frames of the raw movie: how unevenly the image is lit, above all),
        ``"variance"`` (the square of the same), ``"fluctuation"`` (over time: root of the mean
        variance of the brain's pixels, blood and drift taken out) or ``"none"``.
    mask
        ``"none"``, or ``"brain"``: pixels outside the brain enter as 0.
    correction
        What is done about blood: ``"none"``, ``"reference-regression"`` (the low-passed reference
        channel is subtracted pixel by pixel, see `corticode.data.movies.reference`) or
        ``"done-elsewhere"`` (before the movie was given).
    lowpass_frames
        Length of the moving mean over the reference. Nine frames, 0.3 s at 30 Hz: blood changes
        within one to two seconds, while the photon noise that subtraction adds falls to a ninth.
        Where two wavelengths take turns, calcium first, a reference frame comes half a frame after
        its calcium frame: an even length is then centred on it, an odd one elsewhere.
    causal
        Means, scale and slope of the frames before the latest checkpoint (every 256 frames), and a
        moving mean over the past. Frames before the first checkpoint are not valid.
    detrend_frames
        Length of the moving mean that is each pixel's level; None: its mean over the session. It
        is taken at every quarter of that length, and lies on a line in between, see
        `corticode.data.movies.statistics.DriftSums`. Where causal, frames of the first quarter are
        not valid.

    Raises
    ------
    StudyError
        A value that is not among the allowed ones.
    """

    scale: str = "sd"
    mask: str = "none"
    correction: str = "none"
    lowpass_frames: int = LOWPASS_FRAMES
    causal: bool = False
    detrend_frames: int | None = None

    def __post_init__(self) -> None:
        allowed = {"scale": SCALES, "mask": MASKS, "correction": CORRECTIONS}
        for name, values in allowed.items():
            if getattr(self, name) not in values:
                raise StudyError(
                    f"{name} of a movie is {getattr(self, name)!r}; it must be one of "
                    f"{', '.join(values)}"
                )
        lengths = {"lowpass_frames": self.lowpass_frames}
        if self.detrend_frames is not None:
            lengths["detrend_frames"] = self.detrend_frames
        for name, n_frames in lengths.items():
            is_whole = isinstance(n_frames, int | np.integer) and not isinstance(n_frames, bool)
            if not is_whole or n_frames < 1:
                raise StudyError(
                    f"{name} is {n_frames!r}; it must be a whole number of frames above 0"
                )

    @property
    def has_reference(self) -> bool:
        """Whether the reference channel is subtracted."""
        return self.correction == "reference-regression"


def pixel_look_ahead_frames(preprocessing: PixelPreprocessing) -> float:
    """How many frames later than a frame its normalised value can depend on.

    Infinite, since the scale is that of the whole session; 0 where all is causal.

    Examples
    --------
    >>> pixel_look_ahead_frames(PixelPreprocessing())
    inf
    >>> pixel_look_ahead_frames(PixelPreprocessing(causal=True))
    0.0
    """
    return 0.0 if preprocessing.causal else math.inf


def normalise_movie(
    movie: NDArray[Any],
    reference: NDArray[Any] | None,
    statistics: MovieStatistics,
    preprocessing: PixelPreprocessing,
    brain: NDArray[np.bool_] | None = None,
) -> tuple[NormalisedMovie, list[Finding]]:
    """A movie with what normalises it; no frame is read.

    Pixels that never change enter as 0.

    Parameters
    ----------
    movie, reference
        (frame, row, column); the reference may be None where none is subtracted.
    statistics
        Of this movie, see `corticode.data.movies.statistics.measure_movie`.
    preprocessing
        What is to be done.
    brain
        (row, column), True where the brain is; None finds it, where it is needed, in the mean
        image (causal: in that of the first 256 frames).

    Returns
    -------
    movie
        What a decoder reads.
    findings
        Pixels that never change, frames left out, a brain hardly told apart from its surround,
        channels whose heart beats have little in common.

    Raises
    ------
    DataError
        The statistics are of another movie or other preprocessing, or no brain is found.

    Examples
    --------
    >>> from corticode.data.movies.statistics import measure_movie
    >>> movie = np.array([[[1, 7]], [[3, 7]]], np.uint16)
    >>> normal, findings = normalise_movie(
    ...     movie, None, measure_movie(movie), PixelPreprocessing("none"))
    >>> ((normal.frames - normal.offset) * normal.gain).tolist()
    [[[-1.0, 0.0]], [[1.0, 0.0]]]
    >>> print(findings[0])
    1 of 2 pixels never change and enter as 0
    """
    _check_statistics(movie, reference, statistics, preprocessing)
    findings = odd_statistics(statistics)
    if preprocessing.mask == "brain" or preprocessing.scale == "fluctuation":
        if brain is None:
            brain, found = _find_brain(statistics)
            findings += found
        elif brain.shape != movie.shape[1:] or brain.dtype != np.bool_:
            raise DataError(
                f"the brain mask holds {brain.dtype} values of shape {brain.shape}; it needs True "
                f"and False for each of the frames' {movie.shape[1:]} pixels"
            )
    slope = statistics.slope if preprocessing.has_reference else None
    offset = statistics.mean.astype(np.float64)
    if preprocessing.causal and statistics.drift is not None:
        offset[:] = 0  # the level is all in what moves
    elif slope is not None:
        offset -= slope * cast(NDArray[np.floating], statistics.reference_mean)
    drift = _drift(statistics, preprocessing)
    return NormalisedMovie(
        movie,
        offset.astype(np.float32),
        _gain(statistics, preprocessing, brain, drift),
        _valid_frames(statistics),
        None if slope is None else reference,
        None if slope is None else slope.astype(np.float32),
        preprocessing.lowpass_frames,
        preprocessing.causal,
        statistics.checkpoint_frames,
        drift,
        statistics.knot_frames,
        statistics.reference_drift if preprocessing.causal and slope is not None else None,
    ), findings


def _check_statistics(
    movie: NDArray[Any],
    reference: NDArray[Any] | None,
    statistics: MovieStatistics,
    preprocessing: PixelPreprocessing,
) -> None:
    shape = (statistics.n_frames, *statistics.mean.shape[1:])
    if shape != movie.shape:
        raise DataError(
            f"the movie has the shape {movie.shape} and its statistics are of one of {shape}; "
            "take them again"
        )
    if bool(statistics.checkpoint_frames) != preprocessing.causal:
        raise DataError(
            f"causal = {preprocessing.causal} and statistics that are not; take them again"
        )
    needed = preprocessing.detrend_frames
    if statistics.knot_frames != (0 if needed is None else knot_distance(needed)):
        raise DataError(
            f"the movie's statistics were taken with another detrend_frames than {needed}; take "
            "them again"
        )
    if not preprocessing.has_reference:
        return
    if reference is None or reference.shape != movie.shape:
        raise DataError(
            "correction = 'reference-regression' needs a reference channel of the movie's shape "
            f"{movie.shape}; give channels = 'calcium,reference' or movie_reference in the "
            "catalogue"
        )
    if statistics.slope is None or statistics.lowpass_frames != preprocessing.lowpass_frames:
        raise DataError(
            "the movie's statistics were taken without its reference or with another "
            f"lowpass_frames than {preprocessing.lowpass_frames}; take them again"
        )


def _drift(
    statistics: MovieStatistics, preprocessing: PixelPreprocessing
) -> NDArray[np.float32] | None:
    """(knot, row, column): drift of the movie, less what of it the reference takes out."""
    drift = statistics.drift
    if drift is None or not preprocessing.has_reference or preprocessing.causal:
        return drift
    if statistics.slope is None or statistics.reference_drift is None:
        raise DataError("the movie's statistics were taken without its reference; take them again")
    return drift - statistics.slope.astype(np.float32) * statistics.reference_drift


def _gain(
    statistics: MovieStatistics,
    preprocessing: PixelPreprocessing,
    brain: NDArray[np.bool_] | None,
    drift: NDArray[np.float32] | None,
) -> NDArray[np.float32]:
    """(state, row, column)."""
    changes = statistics.variance > 0
    if preprocessing.scale == "fluctuation" and brain is not None:
        variance = statistics.variance
        if preprocessing.has_reference and statistics.corrected_variance is not None:
            variance = statistics.corrected_variance
        if drift is not None:
            variance = np.maximum(variance - _drift_variance(statistics, preprocessing, drift), 0)
        size = np.sqrt(variance.mean(axis=(1, 2), dtype=np.float64, where=brain & changes))
    else:
        power = {"sd": 1.0, "variance": 2.0}.get(preprocessing.scale, 0.0)
        size = statistics.overall_sd**power
    # A state in which nothing has changed yet has no scale.
    factor = np.divide(1, size, out=np.zeros(size.shape), where=size > 0)
    gain = np.where(changes, factor[:, None, None], 0)
    if preprocessing.mask == "brain" and brain is not None:
        gain *= brain
    return gain.astype(np.float32)


def _drift_variance(
    statistics: MovieStatistics, preprocessing: PixelPreprocessing, drift: NDArray[np.float32]
) -> NDArray[np.float64]:
    """How much each pixel's level varied in the frames behind each state, (state, row, column)."""
    if not preprocessing.causal:
        return np.asarray(drift.var(axis=0, dtype=np.float64))[None]
    found = np.zeros(statistics.variance.shape)
    for state, image in enumerate(found):
        known = slice(2, max(3, (state + 1) * CHECKPOINT_FRAMES // statistics.knot_frames + 2))
        level = drift[known].astype(np.float64)
        if preprocessing.has_reference and statistics.slope is not None:
            of_reference = cast(NDArray[np.float32], statistics.reference_drift)[known]
            level -= statistics.slope[state] * of_reference
        if len(level):
            image[:] = level.var(axis=0)
    return found


def _valid_frames(statistics: MovieStatistics) -> NDArray[np.bool_]:
    step = statistics.checkpoint_frames
    if not step:
        return statistics.valid
    frame = np.arange(statistics.n_frames)
    counted = statistics.n_counted[np.maximum(frame // step - 1, 0)]
    # Of drift, a first block has no level yet.
    begins = max(step, statistics.knot_frames)
    return statistics.valid & (frame >= begins) & (counted >= LEAST_COUNTED)


def _find_brain(statistics: MovieStatistics) -> tuple[NDArray[np.bool_], list[Finding]]:
    image, variance = statistics.mean[0].astype(np.float64), statistics.variance[0]
    varies = variance > 0
    if varies.any() and np.median(np.abs(image[varies])) < np.sqrt(np.median(variance[varies])):
        # Changes around 0, dF/F: how bright a pixel is on average tells nothing.
        reason = (
            "the movie holds changes around 0 (dF/F), in whose mean no brain is seen: all its "
            "pixels are taken; give dF/F with NaN around the brain ([preprocess] mask = 'brain'), "
            "or the catalogue's column mask"
        )
        return varies, [Finding("session", reason)] if varies.all() else []
    brain, separation = find_brain(image)
    if separation >= LEAST_SEPARATION:
        return brain, []
    reason = (
        "brain and surround are hardly told apart in the mean image (separation "
        f"{separation:.3f}, below {LEAST_SEPARATION:g}); its pixels may be the wrong ones"
    )
    return brain, [Finding("session", reason)]
