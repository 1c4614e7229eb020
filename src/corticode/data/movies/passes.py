"""A movie read once from its first frame to its last: means over frames, over pixels, in time."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from corticode.errors import DataError

BLOCK_VALUES = 2**20  # 8 MB once they are float64


def frame_blocks(movie: NDArray[Any]) -> Iterator[slice]:
    """Stretches of frames, first to last, of a few megabytes each.

    Parameters
    ----------
    movie
        (frame, row, column).

    Examples
    --------
    >>> [(rows.start, rows.stop) for rows in frame_blocks(np.empty((40, 256, 256), np.uint8))]
    [(0, 16), (16, 32), (32, 40)]
    """
    n_frames, n_pixels = movie.shape[0], int(np.prod(movie.shape[1:]))
    step = max(1, BLOCK_VALUES // max(1, n_pixels))
    for first in range(0, n_frames, step):
        yield slice(first, min(first + step, n_frames))


def row_bands(movie: NDArray[Any]) -> list[slice]:
    """Bands of image rows, top to bottom, such that all frames of one hold a few megabytes.

    Parameters
    ----------
    movie
        (frame, row, column): a stretch of frames.

    Examples
    --------
    >>> [(rows.start, rows.stop) for rows in row_bands(np.empty((256, 80, 128), np.uint8))]
    [(0, 32), (32, 64), (64, 80)]
    """
    n_frames, n_rows, n_columns = movie.shape
    step = max(1, BLOCK_VALUES // max(1, n_frames * n_columns))
    return [slice(first, min(first + step, n_rows)) for first in range(0, n_rows, step)]


def mean_image(movie: NDArray[Any]) -> NDArray[np.float64]:
    """The mean of each pixel over the frames in which it is finite, found in one pass.

    Parameters
    ----------
    movie
        (frame, row, column), any unit; may be memory-mapped and is never held whole.

    Returns
    -------
    NDArray
        (row, column); NaN where a pixel is finite in no frame.

    Examples
    --------
    >>> mean_image(np.array([[[1.0, np.nan]], [[3.0, np.nan]]])).tolist()
    [[2.0, nan]]
    """
    total: NDArray[np.float64] = np.zeros(movie.shape[1:])
    if movie.dtype.kind != "f":
        for rows in frame_blocks(movie):
            total += movie[rows].sum(axis=0, dtype=np.float64)
        total /= movie.shape[0]
        return total
    count = np.zeros(movie.shape[1:])
    for rows in frame_blocks(movie):
        finite = np.isfinite(movie[rows])
        total += movie[rows].sum(axis=0, dtype=np.float64, where=finite)
        count += finite.sum(axis=0)
    np.divide(total, count, out=total, where=count > 0)
    total[count == 0] = np.nan
    return total


def means_over_pixels(
    movie: NDArray[Any], masks: Sequence[NDArray[np.bool_]]
) -> NDArray[np.float64]:
    """The mean over the pixels of each mask, frame by frame, found in one pass.

    Parameters
    ----------
    movie
        (frame, row, column), any unit; may be memory-mapped and is never held whole.
    masks
        (row, column) each; True for the pixels that count.

    Returns
    -------
    NDArray
        (frame, mask); not finite where one of the mask's pixels is not.

    Raises
    ------
    DataError
        A mask has another shape than the frames, or no pixel.

    Examples
    --------
    >>> means_over_pixels(np.arange(8).reshape(2, 2, 2), [np.eye(2, dtype=bool)]).tolist()
    [[1.5], [5.5]]
    """
    for mask in masks:
        if mask.shape != movie.shape[1:] or not mask.any():
            raise DataError(
                f"a mask of shape {mask.shape} with {int(mask.sum())} pixels and frames of shape "
                f"{movie.shape[1:]}; a mask needs the frames' shape and at least one pixel"
            )
    chosen = [slice(None) if mask.all() else np.flatnonzero(mask) for mask in masks]
    means = np.empty((movie.shape[0], len(masks)))
    for rows in frame_blocks(movie):
        pixels = movie[rows].reshape(rows.stop - rows.start, -1)
        with np.errstate(invalid="ignore"):  # infinite values of both signs have no mean
            for k, which in enumerate(chosen):
                means[rows, k] = pixels[:, which].mean(axis=1, dtype=np.float64)
    return means


def smoothed_frames(
    movie: NDArray[Any], rows: slice, n_frames: int, *, causal: bool = False
) -> NDArray[np.float64]:
    """Some frames of a movie's moving mean in time; no more of it is read than they need.

    The window is that of `corticode.data.preprocess.moving_mean`: centred (an even length holds
    one frame more before than after) or of the past alone, shorter at both ends of the movie.
    Sums of whole numbers are exact, so that a frame comes out the same whichever frames it is
    read with.

    Parameters
    ----------
    movie
        (frame, row, column), any unit; may be memory-mapped.
    rows
        Which frames, from `start` to before `stop`.
    n_frames
        Length of the window.
    causal
        The window holds the frame and those before it.

    Returns
    -------
    NDArray
        (frame, row, column) for the frames in `rows`. Values that are not finite are left out;
        NaN where a window holds no other.

    Examples
    --------
    >>> smoothed_frames(np.arange(6)[:, None, None], slice(0, 3), 3).ravel().tolist()
    [0.5, 1.0, 2.0]
    """
    n_before, n_after = (n_frames - 1, 0) if causal else (n_frames // 2, (n_frames - 1) // 2)
    frame = np.arange(rows.start, rows.stop)
    first, stop = np.maximum(frame - n_before, 0), np.minimum(frame + n_after + 1, len(movie))
    start = int(first[0]) if frame.size else 0
    data = movie[start : int(stop[-1]) if frame.size else 0]
    first, stop = first - start, stop - start
    finite = np.isfinite(data) if movie.dtype.kind == "f" else None
    if finite is None or finite.all():
        sums = sums_between(data, first, stop)
        sums /= (stop - first).reshape(-1, 1, 1)
        return sums
    sums, seen = (
        sums_between(np.where(finite, data, 0), first, stop),
        sums_between(finite, first, stop),
    )
    mean = np.full(sums.shape, np.nan)
    np.divide(sums, seen, out=mean, where=seen > 0)
    return mean


def sums_between(
    data: NDArray[Any], first: NDArray[np.intp], stop: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Sums over stretches of frames, each from `first` to before `stop`; (stretch, ...)."""
    total = np.zeros((len(data) + 1, *data.shape[1:]))
    np.cumsum(data, axis=0, out=total[1:])
    sums: NDArray[np.float64] = total[stop]
    sums -= total[first]
    return sums
