"""What a movie's normalisation needs to know of it, found in one pass and kept beside it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from corticode.data.files import write_with
from corticode.data.movies.passes import row_bands, smoothed_frames
from corticode.data.movies.reference import (
    LEAST_COHERENCE,
    FastSums,
    add_stretch,
    fast_cycles,
    reference_slope,
)
from corticode.data.readers.lookup import LIBRARY_ERRORS
from corticode.errors import DataError, Finding

KNOTS_A_LENGTH = 4
_REACH = KNOTS_A_LENGTH // 2  # blocks on each side of a knot
CHECKPOINT_FRAMES = 256
DRIFTS = ("drift", "reference_drift")
FORM = 1  # changes whenever statistics of the same movie come out otherwise
_IMAGES = ("mean", "variance", "reference_mean", "slope", "corrected_variance")
_OPTIONAL = ("reference_mean", "slope", "corrected_variance", "coherence", *DRIFTS, "left_out")


def knot_distance(detrend_frames: int) -> int:
    """Frames between knots of a moving mean of a length: a quarter of it.

    Examples
    --------
    >>> knot_distance(1000), knot_distance(3)
    (250, 1)
    """
    return max(1, round(detrend_frames / KNOTS_A_LENGTH))


class DriftSums:
    """Sums over blocks of a movie's frames, from which its moving mean is made.

    A mean over a thousand frames changes little from one to the next: it is taken at every 250th,
    a knot, over the two blocks before and the two after, and lies on a line in between
    (`drift_at`). At both ends of the movie there are fewer blocks. In the causal form a knot's mean
    is over the four blocks before it, and is reached one block later, so that no frame knows what
    comes after it; in the first block there is none.

    Parameters
    ----------
    n_frames, shape
        The movie's frames, and the (row, column) of each.
    knot_frames
        Frames a block, see `knot_distance`.
    causal
        Whether no later frame may have a part in a mean.

    Examples
    --------
    >>> sums, valid = DriftSums(4, (1, 1), knot_frames=2), np.ones(4, bool)
    >>> sums.count(0, valid)
    >>> sums.add(0, valid, np.arange(0.0, 8, 2).reshape(4, 1, 1))
    >>> sums.means().ravel().tolist()
    [3.0, 3.0, 3.0]
    """

    def __init__(
        self, n_frames: int, shape: tuple[int, ...], knot_frames: int, *, causal: bool = False
    ) -> None:
        n_blocks = -(-n_frames // knot_frames)
        self.knot_frames, self.causal = knot_frames, causal
        self.sums = np.zeros((n_blocks, *shape))
        self.counts = np.zeros(n_blocks, np.int64)

    def count(self, first: int, valid: NDArray[np.bool_]) -> None:
        """Count frames that follow each other, from the number `first` on."""
        blocks, counts = np.unique(self._blocks(first, valid), return_counts=True)
        self.counts[blocks] += counts

    def add(
        self,
        first: int,
        valid: NDArray[np.bool_],
        values: NDArray[np.float64],
        band: slice = slice(None),
    ) -> None:
        """Add some image rows of frames that follow each other.

        Parameters
        ----------
        first
            Number of the first frame.
        valid
            (frame,): those that count.
        values
            Of these, (valid frame, row, column).
        band
            Which rows of the image they are.
        """
        if valid.any():
            blocks, starts = np.unique(self._blocks(first, valid), return_index=True)
            self.sums[blocks, band] += np.add.reduceat(values, starts, axis=0)

    def _blocks(self, first: int, valid: NDArray[np.bool_]) -> NDArray[np.intp]:
        return (first + np.flatnonzero(valid)) // self.knot_frames

    def means(self) -> NDArray[np.float64]:
        """The moving mean at each knot, shape (knot, ...): one before each block, and one after.

        Where no frame near a knot is valid, the mean of all (causal: all before) takes its place.
        """
        n_blocks = len(self.counts)
        if self.causal:
            past = np.empty((n_blocks + 1, *self.sums.shape[1:]))
            for knot in range(2, n_blocks + 1):
                before = slice(max(0, knot - 1 - 2 * _REACH), knot - 1)
                if not self.counts[before].any():
                    before = slice(0, knot - 1)
                past[knot] = self.sums[before].sum(axis=0) / max(1, self.counts[before].sum())
            # Frames of the first block are not valid; those of the second have the mean of it.
            past[:2] = past[2] if n_blocks > 1 else 0
            return past
        means = np.empty((n_blocks + 1, *self.sums.shape[1:]))
        for knot in range(n_blocks + 1):
            near = slice(max(0, knot - _REACH), knot + _REACH)
            if not self.counts[near].any():
                near = slice(None)
            means[knot] = self.sums[near].sum(axis=0) / max(1, self.counts[near].sum())
        return means


def drift_at(
    means: NDArray[np.float32], frame: NDArray[np.intp], knot_frames: int
) -> NDArray[np.float32]:
    """A moving mean at some frames, on the lines between its knots; shape (frame, ...).

    Examples
    --------
    >>> drift_at(np.array([0, 10], np.float32), np.array([0, 1, 2]), 4).tolist()
    [0.0, 2.5, 5.0]
    """
    knot, past = np.divmod(frame, knot_frames)
    weight = (past / knot_frames).astype(np.float32).reshape(-1, *[1] * (means.ndim - 1))
    found: NDArray[np.float32] = means[knot] * (1 - weight)
    found += means[knot + 1] * weight
    return found


class MovieSums:
    """Sums over the frames so far, of deviations from the first valid frame.

    Parameters
    ----------
    movie, reference
        (frame, row, column); the reference may be None.
    seen
        (row, column): pixels that hold values, see `seen_pixels`.
    first
        The first valid frame.
    lowpass_frames, causal
        The moving mean over the reference, see `corticode.data.movies.passes.smoothed_frames`.
    knot_frames
        Frames between knots of each pixel's drift (`drift_knots`); 0: it is not asked for.
    left_out
        Frames that do not count, shape (frame,); None: none.
    """

    def __init__(
        self,
        movie: NDArray[Any],
        reference: NDArray[Any] | None,
        seen: NDArray[np.bool_],
        first: int,
        lowpass_frames: int,
        causal: bool,
        knot_frames: int = 0,
        left_out: NDArray[np.bool_] | None = None,
    ) -> None:
        self.movie, self.reference, self.seen = movie, reference, seen
        self.lowpass_frames, self.causal = lowpass_frames, causal
        self.left_out = left_out
        shape = movie.shape[1:]
        self.n = 0
        self.origin = np.where(seen, movie[first], 0).astype(np.float64)
        # Of the movie, its square, the low-passed reference, its square, their product.
        self.sums = np.zeros((5 if reference is not None else 2, *shape))
        self.fast = FastSums(np.zeros(shape, np.complex128), np.zeros(shape))
        if reference is not None:
            self.reference_origin = np.where(seen, reference[first], 0).astype(np.float64)
        # Of the movie, then of the reference.
        n_drifting = (1 + (reference is not None)) if knot_frames else 0
        self.drifting = [
            DriftSums(len(movie), shape, knot_frames, causal=causal) for _ in range(n_drifting)
        ]

    def add(self, rows: slice, slowest: float) -> NDArray[np.bool_]:
        """Add some frames; which of them are valid.

        Parameters
        ----------
        rows
            Which frames, from `start` to before `stop`.
        slowest
            See `corticode.data.movies.reference.fast_part`.
        """
        frames = self.movie[rows]
        valid = valid_frames(frames, self.seen)
        if self.reference is not None:
            valid &= valid_frames(self.reference[rows], self.seen)
        if self.left_out is not None:
            valid &= ~self.left_out[rows]
        if self.reference is not None and valid.all():
            add_stretch(self.fast, frames, self.reference[rows], self.seen, slowest)
        for drift in self.drifting:
            drift.count(rows.start, valid)
        for band in row_bands(frames):
            self._add_band(rows, band, valid)
        self.n += int(valid.sum())
        return valid

    def _add_band(self, rows: slice, band: slice, valid: NDArray[np.bool_]) -> None:
        hidden = ~self.seen[band]
        values = self.movie[rows, band].astype(np.float64)
        deviation = values if valid.all() else values[valid]
        deviation -= self.origin[band]
        deviation[:, hidden] = 0
        sums = self.sums[:, band]
        sums[0] += deviation.sum(axis=0)
        sums[1] += np.einsum("trc,trc->rc", deviation, deviation)
        for drift in self.drifting[:1]:
            drift.add(rows.start, valid, deviation, band)
        if self.reference is None:
            return
        smooth = smoothed_frames(
            self.reference[:, band], rows, self.lowpass_frames, causal=self.causal
        )[valid]
        smooth -= self.reference_origin[band]
        smooth[:, hidden] = 0
        sums[2] += smooth.sum(axis=0)
        sums[3] += np.einsum("trc,trc->rc", smooth, smooth)
        sums[4] += np.einsum("trc,trc->rc", smooth, deviation)
        for drift in self.drifting[1:]:
            drift.add(rows.start, valid, smooth, band)

    def drifts(self) -> dict[str, NDArray[np.float32]]:
        """The moving means at their knots, by the names in `MovieStatistics`.

        Each of shape (knot, row, column): less the mean of all frames; causal ones as they are.
        """
        mean = self.sums / self.n
        if self.causal:
            origins = [self.origin, self.reference_origin if len(self.drifting) > 1 else 0.0]
            return {
                name: (drift.means() + origin).astype(np.float32)
                for name, drift, origin in zip(DRIFTS, self.drifting, origins, strict=False)
            }
        return {
            name: (drift.means() - overall).astype(np.float32)
            for name, drift, overall in zip(
                DRIFTS, self.drifting, mean[[0, 2][: len(self.drifting)]], strict=False
            )
        }

    def images(self) -> dict[str, NDArray[np.float64]]:
        """What the sums so far say, by the names in `MovieStatistics`."""
        means = self.sums / self.n
        variance = np.maximum(means[1] - means[0] ** 2, 0)
        found = {"mean": self.origin + means[0], "variance": variance}
        if self.reference is None:
            return found
        reference_mean = self.reference_origin + means[2]
        reference_variance = np.maximum(means[3] - means[2] ** 2, 0)
        slope = reference_slope(self.fast, found["mean"], reference_mean)
        slope[(reference_variance == 0) | (variance == 0)] = 0
        corrected = variance + slope**2 * reference_variance
        corrected -= 2 * slope * (means[4] - means[0] * means[2])
        return found | {
            "reference_mean": reference_mean,
            "slope": slope,
            "corrected_variance": np.maximum(corrected, 0),
        }


def frame_blocks(n_frames: int) -> Iterator[slice]:
    """Frames from one checkpoint to the next, first to last; the last stretch may be shorter.

    Examples
    --------
    >>> [(rows.start, rows.stop) for rows in frame_blocks(600)]
    [(0, 256), (256, 512), (512, 600)]
    """
    for first in range(0, n_frames, CHECKPOINT_FRAMES):
        yield slice(first, min(first + CHECKPOINT_FRAMES, n_frames))


def seen_pixels(movie: NDArray[Any]) -> NDArray[np.bool_]:
    """(row, column): False where none of sixteen frames is finite: a brain cut out by NaN."""
    if movie.dtype.kind != "f":
        return np.ones(movie.shape[1:], np.bool_)
    some = movie[:: -(-len(movie) // 16)]
    return np.asarray(np.isfinite(some).any(axis=0))


def valid_frames(frames: NDArray[Any], seen: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(frame,): True where every pixel that is seen has a finite value."""
    if frames.dtype.kind != "f":
        return np.ones(len(frames), np.bool_)
    return np.asarray((np.isfinite(frames) | ~seen).all(axis=(1, 2)))


def first_valid_frame(
    movie: NDArray[Any],
    reference: NDArray[Any] | None,
    seen: NDArray[np.bool_],
    left_out: NDArray[np.bool_] | None = None,
) -> int:
    """The first frame that is valid in the movie and its reference, and not left out.

    Raises
    ------
    DataError
        There is none.
    """
    for rows in frame_blocks(len(movie)):
        valid = valid_frames(movie[rows], seen)
        if reference is not None:
            valid &= valid_frames(reference[rows], seen)
        if left_out is not None:
            valid &= ~left_out[rows]
        if valid.any() and seen.any():
            return int(rows.start + valid.argmax())
    raise DataError(
        f"none of {len(movie)} frames of the movie has finite values in every pixel; check its "
        "file, or write 0 where there are none"
    )


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
        Moving mean of the movie, and of its low-passed reference, less the mean of all frames
        (causal: as it is), at knots; counts, shape (knot, row, column). None where no movie is to
        be detrended.
    knot_frames
        Frames between knots; 0 where there are none.
    left_out
        Frames that were not to count, shape (frame,), with those whose low-passed reference holds
        one; they are not valid. None: none.
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
    left_out: NDArray[np.bool_] | None = None

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
    left_out: NDArray[np.bool_] | None = None,
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
    left_out
        Frames that are not to count, shape (frame,), as they are dark, say; None: none.

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
    if left_out is not None and reference is not None:
        left_out = _within_reach(left_out, lowpass_frames, causal)
    first = first_valid_frame(movie, reference, seen, left_out)
    knot_frames = 0 if detrend_frames is None else knot_distance(detrend_frames)
    sums = MovieSums(movie, reference, seen, first, lowpass_frames, causal, knot_frames, left_out)
    n_states = (len(movie) - 1) // CHECKPOINT_FRAMES if causal else 1
    kind = np.float32 if causal else np.float64
    states = {
        name: np.zeros((n_states, *movie.shape[1:]), kind)
        for name in (_IMAGES if reference is not None else _IMAGES[:2])
    }
    numbers = np.zeros((2, n_states))
    valid = np.zeros(len(movie), np.bool_)
    slowest = fast_cycles(frame_rate_hz)
    for rows in frame_blocks(len(movie)):
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
        left_out=left_out,
    )


def _within_reach(
    left_out: NDArray[np.bool_], lowpass_frames: int, causal: bool
) -> NDArray[np.bool_]:
    """Frames that are left out, and those whose low-passed reference holds one of them."""
    n_before, n_after = (
        (lowpass_frames - 1, 0) if causal else (lowpass_frames // 2, (lowpass_frames - 1) // 2)
    )
    total = np.concatenate([[0], np.cumsum(left_out)])
    frame = np.arange(left_out.size)
    stop = np.minimum(frame + n_after + 1, left_out.size)
    return np.asarray(total[stop] > total[np.maximum(frame - n_before, 0)])


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
    except LIBRARY_ERRORS:
        return None  # gone or spoilt: they are taken again


def odd_statistics(statistics: MovieStatistics) -> list[Finding]:
    """Pixels that never change, frames left out, channels whose heart beats are not alike."""
    findings = []
    n_constant, n_invalid = int(statistics.constant.sum()), int((~statistics.valid).sum())
    if statistics.left_out is not None:
        n_invalid -= int(statistics.left_out.sum())
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
