"""What a movie's normalisation needs to know of it, found in one pass and kept beside it."""

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from corticode.data.files import write_with
from corticode.data.movies.drift import knot_distance
from corticode.data.movies.reference import LEAST_COHERENCE, fast_cycles
from corticode.data.movies.sums import (
    CHECKPOINT_FRAMES,
    DRIFTS,
    MovieSums,
    first_valid_frame,
    seen_pixels,
    stretches,
)
from corticode.errors import DataError, Finding

FORM = 1  # changes whenever statistics of the same movie come out otherwise
_IMAGES = ("mean", "variance", "reference_mean", "slope", "corrected_variance")
_OPTIONAL = ("reference_mean", "slope", "corrected_variance", "coherence", *DRIFTS)


@dataclass(frozen=True)
class MovieStatistics:
    """Mean and variance over time of every pixel, and how its reference is subtracted.

    Statistics of the whole movie are a single state. Causal ones are a state every 256 frames,
    each of all frames before it: state k holds for the 256 frames from (k + 1) x 256 on.

    Parameters
    ----------
    valid
        Frames whose pixels are all finite, shape (frame,); the others are left out.
    n_counted
        Valid frames behind each state, shape (state,).
    mean, variance
        Shape (state, row, column), counts and their square; float64, causal ones float32. Both 0
        where a pixel holds no finite value, as around a brain cut out by NaN.
    reference_mean
        Mean of the reference, low-passed; None where no reference was given.
    slope
        Counts of the movie for one of the reference, same shape, see
        `corticode.data.movies.reference.reference_slope`.
    corrected_variance
        Variance of the movie less `slope` times the low-passed reference.
    coherence
        How much of both channels' fast fluctuations is common, 0 to 1, shape (state,).
    lowpass_frames
        Length of the moving mean over the reference.
    checkpoint_frames
        Frames between states; 0 where there is one state, of the whole movie.
    drift, reference_drift
        Moving mean of the movie, and of its low-passed reference, less the mean of all frames, at
        knots (`corticode.data.movies.drift`); counts, shape (knot, row, column). None where no
        movie is to be detrended.
    knot_frames
        Frames between knots; 0 where there are none.
    """

    valid: NDArray[np.bool_]
    n_counted: NDArray[np.int64]
    mean: NDArray[np.floating]
    variance: NDArray[np.floating]
    reference_mean: NDArray[np.floating] | None = None
    slope: NDArray[np.floating] | None = None
    corrected_variance: NDArray[np.floating] | None = None
    coherence: NDArray[np.float64] | None = None
    lowpass_frames: int = 1
    checkpoint_frames: int = 0
    drift: NDArray[np.float32] | None = None
    reference_drift: NDArray[np.float32] | None = None
    knot_frames: int = 0

    @property
    def n_frames(self) -> int:
        """Number of frames of the movie."""
        return int(self.valid.size)

    @property
    def overall_sd(self) -> NDArray[np.float64]:
        """SD over all pixels and all frames of the raw movie, shape (state,)."""
        mean = self.mean.astype(np.float64)
        within = self.variance.mean(axis=(1, 2), dtype=np.float64)
        return np.asarray(np.sqrt(within + mean.var(axis=(1, 2))))

    @property
    def constant(self) -> NDArray[np.bool_]:
        """Pixels that never change, shape (row, column)."""
        return np.asarray(self.variance[-1] == 0)


def measure_movie(
    movie: NDArray[Any],
    reference: NDArray[Any] | None = None,
    *,
    lowpass_frames: int = 1,
    causal: bool = False,
    frame_rate_hz: float | None = None,
    detrend_frames: int | None = None,
) -> MovieStatistics:
    """Statistics of a movie, and of its reference, found in one pass.

    Parameters
    ----------
    movie
        (frame, row, column); may be memory-mapped, a view of every other frame, of any byte order.
    reference
        The reference channel, same shape; None where it is not to be subtracted.
    lowpass_frames
        Length of the moving mean over the reference.
    causal
        Running statistics and a moving mean of the past.
    frame_rate_hz
        Frames per second of each channel; None takes it to be about 30.
    detrend_frames
        Length of the moving mean that is to be subtracted; None: none is.

    Raises
    ------
    DataError
        The movie is too short, no pixel ever changes, or the reference is of another shape.

    Examples
    --------
    >>> movie = np.array([[[1, 7]], [[3, 7]]], np.uint16)
    >>> statistics = measure_movie(movie)
    >>> statistics.mean.tolist(), statistics.variance.tolist(), statistics.constant.tolist()
    ([[[2.0, 7.0]]], [[[1.0, 0.0]]], [[False, True]])
    """
    _check_movie(movie, reference, causal)
    seen = seen_pixels(movie) if reference is None else seen_pixels(movie) & seen_pixels(reference)
    first = first_valid_frame(movie, reference, seen)
    knot_frames = 0 if detrend_frames is None else knot_distance(detrend_frames)
    sums = MovieSums(movie, reference, seen, first, lowpass_frames, causal, knot_frames)
    n_states = (len(movie) - 1) // CHECKPOINT_FRAMES if causal else 1
    kind = np.float32 if causal else np.float64
    states = {
        name: np.zeros((n_states, *movie.shape[1:]), kind)
        for name in (_IMAGES if reference is not None else _IMAGES[:2])
    }
    numbers = np.zeros((2, n_states))
    valid = np.zeros(len(movie), np.bool_)
    slowest = fast_cycles(frame_rate_hz)
    for rows in stretches(len(movie)):
        valid[rows] = sums.add(rows, slowest)
        # A last stretch that is shorter ends between two checkpoints.
        is_due = rows.stop % CHECKPOINT_FRAMES == 0 if causal else rows.stop == len(movie)
        state = rows.stop // CHECKPOINT_FRAMES - 1 if causal else 0
        if is_due and state < n_states and sums.n > 0:
            for name, image in sums.images().items():
                states[name][state] = image
            numbers[:, state] = sums.n, sums.fast.coherence
    _check_changes(states["variance"], len(movie))
    return MovieStatistics(
        valid,
        numbers[0].astype(np.int64),
        **states,
        coherence=None if reference is None else numbers[1],
        lowpass_frames=lowpass_frames,
        checkpoint_frames=CHECKPOINT_FRAMES if causal else 0,
        **sums.drifts(),
        knot_frames=knot_frames,
    )


def save_statistics(path: Path, statistics: MovieStatistics, key: str) -> None:
    """Write statistics, whole or not at all.

    Parameters
    ----------
    path
        An NPZ file; its folder is made.
    statistics
        What is kept.
    key
        What they belong to: `load_statistics` gives them for this key alone.

    Raises
    ------
    RunError
        The disk is full or cannot be written.
    """
    arrays = {name: value for name, value in vars(statistics).items() if value is not None}
    arrays |= {"key": np.array(key), "form": np.array(FORM)}
    write_with(path, lambda file: np.savez(file, **arrays))


def load_statistics(path: Path, key: str) -> MovieStatistics | None:
    """Statistics as `save_statistics` wrote them; None where there are none of that key.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "movie.npz"
    >>> save_statistics(path, measure_movie(np.arange(8).reshape(2, 2, 2)), "a")
    >>> load_statistics(path, "a").mean.tolist(), load_statistics(path, "b")
    ([[[2.0, 3.0], [4.0, 5.0]]], None)
    """
    try:
        # A file that numpy opened itself would stay open where it is no archive.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            if str(stored["key"]) != key or int(stored["form"]) != FORM:
                return None
            return MovieStatistics(
                **{name: stored[name] for name in ("valid", "n_counted", "mean", "variance")},
                **{name: stored[name] for name in _OPTIONAL if name in stored},
                lowpass_frames=int(stored["lowpass_frames"]),
                checkpoint_frames=int(stored["checkpoint_frames"]),
                knot_frames=int(stored["knot_frames"]) if "knot_frames" in stored else 0,
            )
    except (OSError, EOFError, KeyError, ValueError, TypeError, zipfile.BadZipFile):
        return None  # gone or spoilt: they are taken again


def odd_statistics(statistics: MovieStatistics) -> list[Finding]:
    """Pixels that never change, frames left out, channels whose heart beats are not alike."""
    findings = []
    n_constant, n_invalid = int(statistics.constant.sum()), int((~statistics.valid).sum())
    if n_constant:
        reason = f"{n_constant} of {statistics.constant.size} pixels never change and enter as 0"
        findings.append(Finding("session", reason, count=n_constant))
    if n_invalid:
        reason = (
            f"{n_invalid} of {statistics.n_frames} frames of the movie have a pixel without a "
            "finite value; windows avoid them"
        )
        findings.append(Finding("frames", reason, count=n_invalid))
    coherence = 1.0 if statistics.coherence is None else float(statistics.coherence[-1])
    if coherence < LEAST_COHERENCE:
        reason = (
            "the heart beat is not seen alike in the movie and its reference (coherence "
            f"{coherence:.2f}, below {LEAST_COHERENCE:g}); the reference is subtracted by the "
            "ratio of both channels' brightness"
        )
        findings.append(Finding("session", reason))
    return findings


def _check_movie(movie: NDArray[Any], reference: NDArray[Any] | None, causal: bool) -> None:
    if movie.ndim != 3 or (reference is not None and reference.shape != movie.shape):
        other = "" if reference is None else f" and a reference of shape {reference.shape}"
        raise DataError(
            f"a movie of shape {movie.shape}{other}; frames, rows and columns are needed, the "
            "same in both channels"
        )
    n_needed = CHECKPOINT_FRAMES + 1 if causal else 2
    if len(movie) < n_needed:
        what = f"causal statistics, taken anew every {CHECKPOINT_FRAMES} frames, need"
        raise DataError(
            f"the movie has {len(movie)} frames; {what if causal else 'statistics need'} at least "
            f"{n_needed}: take the session out of the catalogue"
        )


def _check_changes(variance: NDArray[np.floating], n_frames: int) -> None:
    if not (variance[-1] > 0).any():
        raise DataError(
            f"no pixel of the movie ever changes in its {n_frames} frames; check how its file was "
            "written"
        )
