"""Which windows of movies a batch holds, so that few frames serve many windows: plain indices."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from corticode.data.windows import Windows
from corticode.decode.settings import Training

IMAGE_FRAMES = 3
VALIDATION_WINDOWS = 64


@dataclass(frozen=True)
class WindowBatch:
    """A few windows of movies and the frames they are made of, each frame once a run.

    Parameters
    ----------
    chosen
        Positions of the windows, shape (window,).
    rows
        Rows of the movies, end to end, that are read, shape (frame,).
    images
        Places in `rows` of the three frames of each image, shape (image, 3).
    index
        Places in `images` of each window's images, shape (window, image of window).
    """

    chosen: NDArray[np.int64]
    rows: NDArray[np.int64]
    images: NDArray[np.int64]
    index: NDArray[np.int64]


def stretches(windows: Windows) -> list[NDArray[np.int64]]:
    """Positions of windows that follow each other frame by frame, stretch by stretch.

    Windows of two sessions never do: each needs more than one frame.
    """
    if windows.n_windows == 0:
        return []
    breaks = np.flatnonzero(np.diff(windows.start) != 1) + 1
    return np.split(np.arange(windows.n_windows), breaks)


def images_of_windows(windows: Windows) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The images that windows consist of, each once a stretch, and where each window's begin.

    Parameters
    ----------
    windows
        Windows of movies.

    Returns
    -------
    image_rows
        The first of the three frames of each image, as a row of the movies, shape (image,).
    first_image
        Place of each window's first image among them, shape (window,); its others follow.

    Examples
    --------
    Windows of two images that begin at frames 0, 1 and 9:

    >>> from types import SimpleNamespace
    >>> recipe = SimpleNamespace(window=SimpleNamespace(n_frames=2))
    >>> windows = SimpleNamespace(n_windows=3, start=np.array([0, 1, 9]), recipe=recipe)
    >>> [part.tolist() for part in images_of_windows(windows)]
    [[0, 1, 2, 9, 10], [0, 1, 3]]
    """
    length = windows.recipe.window.n_frames
    image_rows, first_image, n_images = [], [], 0
    for stretch in stretches(windows):
        first = n_images + np.arange(stretch.size)
        rows = windows.start[stretch[0]] + np.arange(stretch.size + length - 1)
        image_rows.append(rows)
        first_image.append(first)
        n_images += rows.size
    empty = np.zeros(0, np.int64)
    return np.concatenate([empty, *image_rows]), np.concatenate([empty, *first_image])


def make_batch(windows: Windows, runs: Sequence[NDArray[np.int64]]) -> WindowBatch:
    """The frames and images of some runs of consecutive windows.

    Parameters
    ----------
    windows
        Windows of movies.
    runs
        Positions of windows; those of one run follow each other frame by frame.

    Examples
    --------
    Two runs, of 2 windows and of 1, of 3 images each: 4 + 3 images, 6 + 5 frames.

    >>> from corticode.decode.runs_of_windows import _lay_out
    >>> batch = _lay_out(np.array([100, 7]), np.array([2, 1]), 3)
    >>> batch[0].tolist()
    [100, 101, 102, 103, 104, 105, 7, 8, 9, 10, 11]
    >>> batch[1].tolist()[3:5], batch[2].tolist()
    ([[3, 4, 5], [6, 7, 8]], [[0, 1, 2], [1, 2, 3], [4, 5, 6]])
    """
    first = windows.start[[run[0] for run in runs]]
    lengths = np.array([len(run) for run in runs])
    rows, images, index = _lay_out(first, lengths, windows.recipe.window.n_frames)
    return WindowBatch(np.concatenate(runs), rows, images, index)


def _lay_out(
    first: NDArray[np.int64], n_windows: NDArray[np.int64], length: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Rows, images and windows of runs that begin at these rows."""
    n_images = n_windows + (length - 1)
    n_rows = n_images + (IMAGE_FRAMES - 1)
    rows = np.repeat(first, n_rows) + _count_within(n_rows)
    first_place = np.repeat(np.cumsum(n_rows) - n_rows, n_images) + _count_within(n_images)
    images = first_place[:, None] + np.arange(IMAGE_FRAMES)
    first_image = np.repeat(np.cumsum(n_images) - n_images, n_windows) + _count_within(n_windows)
    return rows, images, first_image[:, None] + np.arange(length)


def _count_within(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """0, 1, ... within each of some stretches, one after the other."""
    ends = np.cumsum(lengths)
    return np.arange(int(ends[-1])) - np.repeat(ends - lengths, lengths)


def plan_epoch(
    windows: Windows, training: Training, *, seed: int, epoch: int
) -> list[list[NDArray[np.int64]]]:
    """The runs of windows of each batch of an epoch; seed and epoch alone fix them.

    Shared windows: stretches of time are cut, at places drawn anew each epoch, into runs of
    `run_windows` windows; each run of a batch comes from another session as far as there are
    enough. Independent windows: runs of one window.
    """
    rng = np.random.default_rng([seed, epoch])
    if training.windows == "independent":
        order = rng.permutation(windows.n_windows)[: _share_of(windows.n_windows, training.share)]
        return _without_single(
            [
                list(order[k : k + training.batch_size, None])
                for k in range(0, order.size, training.batch_size)
            ]
        )
    runs = [
        run
        for stretch in stretches(windows)
        for run in _cut(stretch, training.run_windows, int(rng.integers(training.run_windows)))
    ]
    order = rng.permutation(len(runs))[: _share_of(len(runs), training.share)]
    return _without_single(list(_deal([runs[k] for k in order], windows, training.batch_size)))


def _without_single(plan: list[list[NDArray[np.int64]]]) -> list[list[NDArray[np.int64]]]:
    """A last batch of one window joins the one before: one image alone has no batch statistics."""
    if len(plan) > 1 and sum(run.size for run in plan[-1]) == 1:
        return [*plan[:-2], plan[-2] + plan[-1]]
    return plan


def plan_validation(windows: Windows, training: Training) -> list[list[NDArray[np.int64]]]:
    """The runs of windows of each batch that validates: always the same, evenly spread."""
    runs = [run for stretch in stretches(windows) for run in _cut(stretch, VALIDATION_WINDOWS, 0)]
    n_kept = _share_of(len(runs), training.share)
    kept = np.linspace(0, len(runs) - 1, n_kept).round().astype(np.int64)
    return [[runs[k]] for k in kept]


def _share_of(n: int, share: float) -> int:
    return min(n, max(1, round(n * share)))


def _cut(stretch: NDArray[np.int64], length: int, offset: int) -> list[NDArray[np.int64]]:
    """A stretch in runs of a length; the first and the last may be shorter."""
    parts = np.split(stretch, np.arange(offset, stretch.size, length))
    return [part for part in parts if part.size]


def _deal(
    runs: Sequence[NDArray[np.int64]], windows: Windows, batch_size: int
) -> Iterator[list[NDArray[np.int64]]]:
    """Batches of runs in their order, but a run whose session is in the batch waits for the next.

    Where only such runs are left they are taken all the same.
    """
    waiting = list(runs)[::-1]
    while waiting:
        batch: list[NDArray[np.int64]] = []
        passed_over: list[NDArray[np.int64]] = []
        sessions: set[int] = set()
        n_windows = 0
        while n_windows < batch_size and waiting:
            run = waiting.pop()
            session = int(windows.session[run[0]])
            if session in sessions:
                passed_over.append(run)
                continue
            sessions.add(session)
            batch.append(run)
            n_windows += run.size
        while n_windows < batch_size and passed_over:
            batch.append(passed_over.pop(0))
            n_windows += batch[-1].size
        waiting += passed_over[::-1]
        yield batch
