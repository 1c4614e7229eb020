"""Movies as a decoder reads them: recorded frames, and what normalises each when it is read."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from corticode.data.movies.drift import drift_at
from corticode.data.movies.passes import smoothed_frames
from corticode.errors import DataError


@dataclass(frozen=True)
class NormalisedMovie:
    """A movie as recorded, and what normalises its frames when they are read.

    Frame t has state max(t // `checkpoint_frames` - 1, 0), or 0 where `checkpoint_frames` is 0, and
    enters as (frame - offset - slope * low-passed reference - drift) * gain. `normalised_frames` is
    that formula; the reference's mean is part of the offset.

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


def normalised_frames(movie: NormalisedMovie, rows: slice) -> NDArray[np.float32]:
    """Some frames of a movie, normalised; no more of it is read than they need.

    Parameters
    ----------
    movie
        As `normalise_movie` gives it.
    rows
        Which frames, from `start` to before `stop`.

    Returns
    -------
    NDArray
        (frame, row, column); 0 where a pixel is left out.
    """
    state = states_of(movie, np.arange(rows.start, rows.stop))
    values = movie.frames[rows].astype(np.float32)
    values -= movie.offset[state]
    moving = moving_part(movie, rows)
    if moving is not None:
        values -= moving
    gain = movie.gain[state]
    values *= gain
    values[gain == 0] = 0  # pixels without values too, as around a brain cut out by NaN
    return values


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
        parts.append(movie.slope[states_of(movie, frame)] * lowpassed_reference(movie, rows))
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
