"""A movie read once from its first frame to its last: the mean image, means over pixels."""

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
