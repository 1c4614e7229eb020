"""Sums over a movie's frames, from which its statistics are made."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from corticode.data.movies.drift import DriftSums
from corticode.data.movies.passes import row_bands, smoothed_frames
from corticode.data.movies.reference import FastSums, add_stretch, reference_slope
from corticode.errors import DataError

CHECKPOINT_FRAMES = 256
DRIFTS = ("drift", "reference_drift")


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
        Frames between knots of each pixel's drift, see `corticode.data.movies.drift`; 0: it is not
        asked for.
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
    ) -> None:
        self.movie, self.reference, self.seen = movie, reference, seen
        self.lowpass_frames, self.causal = lowpass_frames, causal
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
        self.drifting = [DriftSums(len(movie), shape, knot_frames) for _ in range(n_drifting)]

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
            if valid.all():
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
        """The moving means at their knots, less the mean of all, by the names in `MovieStatistics`.

        Each of shape (knot, row, column).
        """
        mean = self.sums / self.n
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


def stretches(n_frames: int) -> Iterator[slice]:
    """Frames from one checkpoint to the next, first to last; the last stretch may be shorter.

    Examples
    --------
    >>> [(rows.start, rows.stop) for rows in stretches(600)]
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
    movie: NDArray[Any], reference: NDArray[Any] | None, seen: NDArray[np.bool_]
) -> int:
    """The first frame that is valid in the movie and its reference.

    Raises
    ------
    DataError
        There is none.
    """
    for rows in stretches(len(movie)):
        valid = valid_frames(movie[rows], seen)
        if reference is not None:
            valid &= valid_frames(reference[rows], seen)
        if valid.any() and seen.any():
            return int(rows.start + valid.argmax())
    raise DataError(
        f"none of {len(movie)} frames of the movie has finite values in every pixel; check its "
        "file, or write 0 where there are none"
    )
