"""A short clip of a movie to be looked at: fewer frames, fewer pixels, change from its own mean."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from corticode.errors import DataError

LONGEST_SIDE = 96
# Pixels times pictures: a minute of 96 x 96 pixels at five a second has room.
MOST_VALUES = 3_000_000
FASTEST_HZ = 10.0


@dataclass(frozen=True)
class MovieClip:
    """Some seconds of a movie, small enough to be sent.

    Parameters
    ----------
    changes
        Change of each pixel from its mean over the clip, percent of it, shape (picture, row,
        column); NaN where a pixel has no finite value.
    mean
        That mean, counts, shape (row, column).
    first_frame
        Frame of the session that the first picture begins with.
    frames_a_picture
        How many frames each picture is the mean of.
    pixels_a_side
        How many pixels of the movie, along either side, each pixel is the mean of.
    rate_hz
        Pictures a second; None where the movie's frame rate is not known.
    """

    changes: NDArray[np.float32]
    mean: NDArray[np.float32]
    first_frame: int
    frames_a_picture: int
    pixels_a_side: int
    rate_hz: float | None

    @property
    def n_frames(self) -> int:
        """How many frames of the session it holds."""
        return len(self.changes) * self.frames_a_picture


def cut_clip(
    movie: NDArray[Any], first_frame: int, n_frames: int, frame_rate_hz: float | None = None
) -> MovieClip:
    """A clip of at most 96 pixels a side, at most 10 pictures a second and 3 million values.

    Parameters
    ----------
    movie
        (frame, row, column), any unit; may be memory-mapped: only the clip's frames are read.
    first_frame, n_frames
        Which part of it; cut to what there is. Frames at the end that do not fill a picture are
        left out.
    frame_rate_hz
        Frames per second; None where it is not known.

    Raises
    ------
    DataError
        There is no such part.

    Examples
    --------
    >>> movie = np.full((40, 4, 6), 50, np.uint16)
    >>> movie[20:] = 150
    >>> clip = cut_clip(movie, 0, 40, 20.0)
    >>> clip.changes.shape, clip.changes[[0, -1], 0, 0].tolist(), clip.rate_hz
    ((20, 4, 6), [-50.0, 50.0], 10.0)
    """
    stop = min(first_frame + n_frames, len(movie))
    if not 0 <= first_frame < stop:
        raise DataError(
            f"a movie of {len(movie)} frames has no frames from {first_frame} on; give a place "
            "before its end"
        )
    side = -(-max(movie.shape[1:]) // LONGEST_SIDE)
    shape = [-(-n_pixels // side) for n_pixels in movie.shape[1:]]
    n = stop - first_frame
    step = max(1, -(-n * int(np.prod(shape)) // MOST_VALUES))
    step = min(n, max(step, int(np.ceil((frame_rate_hz or 0) / FASTEST_HZ))))
    pictures = np.stack(
        [
            _picture(movie[start : start + step], side)
            for start in range(first_frame, stop - step + 1, step)
        ]
    )
    known = np.isfinite(pictures)
    mean = np.where(known, pictures, 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        changes = np.where(mean != 0, 100 * (pictures - mean) / np.abs(mean), np.nan)
    return MovieClip(
        changes.astype(np.float32),
        np.where(known.any(axis=0), mean, np.nan).astype(np.float32),
        first_frame,
        step,
        side,
        None if frame_rate_hz is None else frame_rate_hz / step,
    )


def _picture(frames: NDArray[Any], side: int) -> NDArray[np.float64]:
    """The mean of some frames over squares of pixels; those at the edges may be smaller."""
    values = frames.astype(np.float64)
    finite = np.isfinite(values)
    totals = np.where(finite, values, 0).sum(axis=0), finite.sum(axis=0).astype(np.float64)
    for axis in (0, 1):
        starts = np.arange(0, frames.shape[1 + axis], side)
        totals = (
            np.add.reduceat(totals[0], starts, axis=axis),
            np.add.reduceat(totals[1], starts, axis=axis),
        )
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(totals[0] / totals[1])
