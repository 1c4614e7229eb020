"""Movies to tensors: frames read ahead from disk, normalised on the device, each once."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from corticode.data.movies.normalise import NormalisedMovie, moving_part, states_of
from corticode.data.windows import Windows
from corticode.decode.augment import Variation, draw_variation
from corticode.decode.networks.movies import MovieNetwork
from corticode.decode.settings import Augment, Training

IMAGE_FRAMES = 3
VALIDATION_WINDOWS = 64
READ_AHEAD = 2
RESIDENT_SHARE = 0.5
T = TypeVar("T")


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
    lengths
        How many of the rows are those of each run, shape (run,).
    """

    chosen: NDArray[np.int64]
    rows: NDArray[np.int64]
    images: NDArray[np.int64]
    index: NDArray[np.int64]
    lengths: NDArray[np.int64]


def contiguous_blocks(windows: Windows) -> list[NDArray[np.int64]]:
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
    for stretch in contiguous_blocks(windows):
        first = n_images + np.arange(stretch.size)
        rows = windows.start[stretch[0]] + np.arange(stretch.size + length - 1)
        image_rows.append(rows)
        first_image.append(first)
        n_images += rows.size
    empty = np.zeros(0, np.int64)
    return np.concatenate([empty, *image_rows]), np.concatenate([empty, *first_image])


def make_batch(
    windows: Windows,
    runs: Sequence[NDArray[np.int64]],
    places: Sequence[int] | None = None,
    lags: NDArray[np.int64] | None = None,
) -> WindowBatch:
    """The frames and images of some runs of consecutive windows.

    Parameters
    ----------
    windows
        Windows of movies.
    runs
        Positions of windows; those of one run follow each other frame by frame.
    places
        Which images of each window are needed, by their places in it; None: all. Images and frames
        that no window needs are left out.
    lags
        Frames by which each run is read later, shape (run,), where windows of its session begin
        there too; None: none is.

    Examples
    --------
    Two runs, of 2 windows and of 1, of 3 images each: 4 + 3 images, 6 + 5 frames.

    >>> from corticode.decode.movie_batches import _lay_out
    >>> batch = _lay_out(np.array([100, 7]), np.array([2, 1]), 3)
    >>> batch[0].tolist()
    [100, 101, 102, 103, 104, 105, 7, 8, 9, 10, 11]
    >>> batch[1].tolist()[3:5], batch[2].tolist()
    ([[3, 4, 5], [6, 7, 8]], [[0, 1, 2], [1, 2, 3], [4, 5, 6]])
    """
    first = windows.start[[run[0] for run in runs]]
    if lags is not None:
        first = first + _possible_lags(windows, runs, lags)
    lengths = np.array([len(run) for run in runs])
    rows, images, index = _lay_out(first, lengths, windows.recipe.window.n_frames)
    of_run = np.repeat(np.arange(len(runs)), lengths + windows.recipe.n_frames - 1)
    if places is not None:
        needed, index = _those_in(index[:, list(places)])
        kept, images = _those_in(images[needed])
        rows, of_run = rows[kept], of_run[kept]
    n_rows = np.bincount(of_run, minlength=len(runs))
    return WindowBatch(np.concatenate(runs), rows, images, index, n_rows)


def _possible_lags(
    windows: Windows, runs: Sequence[NDArray[np.int64]], lags: NDArray[np.int64]
) -> NDArray[np.int64]:
    """The lags, but 0 where a run's first or last window would not be one of its session."""
    is_possible = np.ones(len(runs), np.bool_)
    for ends in ([run[0] for run in runs], [run[-1] for run in runs]):
        wanted = windows.start[ends] + lags
        found = np.searchsorted(windows.start, wanted).clip(max=windows.n_windows - 1)
        is_possible &= windows.start[found] == wanted
        is_possible &= windows.session[found] == windows.session[ends]
    return np.where(is_possible, lags, 0)


def _those_in(places: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Which places occur, in order, and for each place which of those it is."""
    found, at = np.unique(places, return_inverse=True)
    return found, at.reshape(places.shape)


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
    enough. Independent windows: runs of one window. With `drop_last` a last batch that is not full
    is left out, where there is another.
    """
    plan = _planned(windows, training, np.random.default_rng([seed, epoch]))
    if training.drop_last and len(plan) > 1 and _size(plan[-1]) < training.batch_size:
        return plan[:-1]
    return _without_single(plan)


def _planned(
    windows: Windows, training: Training, rng: np.random.Generator
) -> list[list[NDArray[np.int64]]]:
    """The runs of windows of each batch of an epoch, whatever size the last one has."""
    if training.windows == "independent":
        order = rng.permutation(windows.n_windows)[: _share_of(windows.n_windows, training.share)]
        return [
            list(order[k : k + training.batch_size, None])
            for k in range(0, order.size, training.batch_size)
        ]
    runs = [
        run
        for stretch in contiguous_blocks(windows)
        for run in _cut(stretch, training.run_windows, int(rng.integers(training.run_windows)))
    ]
    order = rng.permutation(len(runs))[: _share_of(len(runs), training.share)]
    return list(_deal([runs[k] for k in order], windows, training.batch_size))


def _without_single(plan: list[list[NDArray[np.int64]]]) -> list[list[NDArray[np.int64]]]:
    """A last batch of one window joins the one before: one image alone has no batch statistics."""
    if len(plan) > 1 and _size(plan[-1]) == 1:
        return [*plan[:-2], plan[-2] + plan[-1]]
    return plan


def _size(runs: Sequence[NDArray[np.int64]]) -> int:
    return sum(run.size for run in runs)


def plan_validation(windows: Windows, training: Training) -> list[list[NDArray[np.int64]]]:
    """The runs of windows of each batch that validates: always the same, evenly spread."""
    runs = [
        run
        for stretch in contiguous_blocks(windows)
        for run in _cut(stretch, VALIDATION_WINDOWS, 0)
    ]
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


Read = tuple[Tensor, Tensor | None]


class MovieFrames:
    """Frames of movies that lie end to end, as float tensors on the device.

    Movies stay as recorded, 8 or 16 bit: memory-mapped, or, where they take less than half of a
    GPU's free memory, resident on it. What normalises them is said of
    `corticode.data.movies.normalise.NormalisedMovie`.

    Parameters
    ----------
    movies
        One a session.
    device
        Where frames are needed.
    """

    def __init__(self, movies: Sequence[NormalisedMovie], device: str = "cpu") -> None:
        self.movies = tuple(movies)
        self.device = torch.device(device)
        kinds = {movie.frames.dtype.newbyteorder("=") for movie in movies}
        known = kinds <= {np.dtype(kind) for kind in ("u1", "u2", "i2", "f4")}
        self.dtype = kinds.pop() if len(kinds) == 1 and known else np.dtype(np.float32)
        self.first_frame = np.concatenate(
            [[0], np.cumsum([movie.frames.shape[0] for movie in movies])]
        )
        n_states = [movie.offset.shape[0] for movie in movies]
        self.first_state = np.concatenate([[0], np.cumsum(n_states)])
        self.offset = self._on_device([movie.offset for movie in movies])
        self.gain = self._on_device([movie.gain for movie in movies])
        self.resident = self._make_resident()

    def _on_device(self, arrays: Sequence[NDArray[np.float32]]) -> Tensor:
        return torch.from_numpy(np.concatenate(arrays)).to(self.device)

    def _make_resident(self) -> Tensor | None:
        """All movies on a GPU, as recorded, where there is room."""
        moves = any(movie.slope is not None or movie.drift is not None for movie in self.movies)
        if self.device.type != "cuda" or moves:
            return None
        n_bytes = sum(movie.frames.nbytes for movie in self.movies)
        if n_bytes > RESIDENT_SHARE * torch.cuda.mem_get_info(self.device)[0]:
            return None
        parts = [_as_tensor(np.asarray(m.frames), self.dtype) for m in self.movies]
        return torch.cat([part.to(self.device) for part in parts])

    def read(self, rows: NDArray[np.int64]) -> Read:
        """Recorded frames, and what is subtracted from each beside its offset: blood, drift.

        Returns
        -------
        Tensor
            (frame, row, column), as recorded; where movies are resident, the rows themselves.
        """
        if self.resident is not None:
            return torch.from_numpy(rows), None
        frames, subtracted = [], []
        session = np.searchsorted(self.first_frame, rows, side="right") - 1
        is_break = (np.diff(rows) != 1) | (np.diff(session) != 0)
        for part in np.split(np.arange(rows.size), np.flatnonzero(is_break) + 1):
            k = int(session[part[0]])
            first = int(rows[part[0]] - self.first_frame[k])
            here = slice(first, first + part.size)
            frames.append(_as_tensor(self.movies[k].frames[here], self.dtype))
            moving = moving_part(self.movies[k], here)
            if moving is not None:
                subtracted.append(torch.from_numpy(moving))
        read = torch.cat(frames)
        beside = torch.cat(subtracted) if subtracted else None
        if self.device.type == "cuda":
            read = read.pin_memory()
            beside = None if beside is None else beside.pin_memory()
        return read, beside

    def normalise(self, rows: NDArray[np.int64], found: Read) -> Tensor:
        """(frame, row, column): float32, in the unit of the movies' scale."""
        read, beside = found
        if self.resident is not None:
            read = self.resident[read.to(self.device, non_blocking=True)]
        frames = read.to(self.device, non_blocking=True)
        if self.dtype == np.uint16:
            frames = frames.to(torch.int32) & 0xFFFF
        frames = frames.to(torch.float32)
        if beside is not None:
            beside = beside.to(self.device, non_blocking=True)
        if self.device.type == "cpu":
            return self._normalised_by_state(rows, frames, beside)
        state = torch.from_numpy(self._state(rows)).to(self.device, non_blocking=True)
        frames = frames - self.offset[state]
        if beside is not None:
            frames -= beside
        gain = self.gain[state]
        frames *= gain
        if self.dtype.kind == "f":
            # Around a brain cut out by NaN.
            frames.masked_fill_(gain == 0, 0.0)
        return frames

    def _normalised_by_state(
        self, rows: NDArray[np.int64], frames: Tensor, beside: Tensor | None
    ) -> Tensor:
        """Frames in place, those of one state after the other: statistics need not be copied."""
        state = self._state(rows)
        edges = np.flatnonzero(np.diff(state)) + 1
        for first, stop in pairwise([0, *edges.tolist(), rows.size]):
            part, k = frames[first:stop], int(state[first])
            part -= self.offset[k]
            if beside is not None:
                part -= beside[first:stop]
            part *= self.gain[k]
            if self.dtype.kind == "f":
                # Around a brain cut out by NaN.
                part.masked_fill_(self.gain[k] == 0, 0.0)
        return frames

    def _state(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Which statistics hold for each row: those of its session, up to its checkpoint."""
        k = np.searchsorted(self.first_frame, rows, side="right") - 1
        state = self.first_state[k].astype(np.int64)
        for session in np.unique(k):
            here = k == session
            state[here] += states_of(self.movies[session], rows[here] - self.first_frame[session])
        return state


class MovieBatches:
    """Batches of windows of movies: images, which of them each window holds, and targets.

    Parameters
    ----------
    windows, training, seed, device
        Which windows, how they are visited, and where tensors are needed.
    network
        What reads them: images that it does not read are not made. None: all, as they are.
    """

    def __init__(
        self,
        windows: Windows,
        training: Training,
        *,
        seed: int,
        device: str,
        network: MovieNetwork | None = None,
    ) -> None:
        self.windows, self.training, self.seed, self.device = windows, training, seed, device
        self.network = network
        self.frames = MovieFrames(windows.movies, device)
        self._planned: tuple[int, list[list[NDArray[np.int64]]]] | None = None

    def _plan(self, epoch: int) -> list[list[NDArray[np.int64]]]:
        if self._planned is None or self._planned[0] != epoch:
            planned = plan_epoch(self.windows, self.training, seed=self.seed, epoch=epoch)
            self._planned = (epoch, planned)
        return self._planned[1]

    def n_batches(self, epoch: int) -> int:
        """Batches of an epoch."""
        return len(self._plan(epoch))

    def of_epoch(
        self, epoch: int, first: int, stop: int
    ) -> Iterator[tuple[tuple[Tensor, ...], Tensor]]:
        """Some of an epoch's batches; frames are read two batches ahead.

        Yields
        ------
        tuple
            Images, float32, shape (image, 3, row, column), and places of each window's images
            among them, int64, shape (window, image of window): those that the network reads, as
            small as it makes them.
        Tensor
            Targets, float32, shape (window,).
        """

        def vary(n_runs: int, place: int) -> Variation:
            return draw_variation(
                self.training.augment,
                n_runs,
                self.frames.movies[0].frames.shape[1:],
                seed=self.seed,
                epoch=epoch,
                batch=first + place,
            )

        is_varied = self.training.augment != Augment()
        yield from self._read(self._plan(epoch)[first:stop], vary if is_varied else None)

    def in_order(self) -> Iterator[tuple[tuple[Tensor, ...], Tensor]]:
        """The windows that validate, as they come."""
        yield from self._read(plan_validation(self.windows, self.training))

    def _read(
        self,
        plan: Sequence[Sequence[NDArray[np.int64]]],
        vary: Callable[[int, int], Variation] | None = None,
    ) -> Iterator[tuple[tuple[Tensor, ...], Tensor]]:
        places = None if self.network is None else self.network.read

        def read(
            planned: tuple[int, Sequence[NDArray[np.int64]]],
        ) -> tuple[WindowBatch, Read, Variation | None]:
            place, runs = planned
            varied = None if vary is None else vary(len(runs), place)
            lags = None if varied is None else varied.lags
            batch = make_batch(self.windows, runs, places, lags)
            return batch, self.frames.read(batch.rows), varied

        device = self.frames.device
        for batch, found, varied in read_ahead(enumerate(plan), read):
            normalised = self._normalised(batch, found, varied)
            triples = torch.from_numpy(batch.images).to(device, non_blocking=True)
            index = torch.from_numpy(batch.index).to(device, non_blocking=True)
            targets = torch.from_numpy(self.windows.target[batch.chosen]).to(device)
            yield (images_of(normalised, triples), index), targets

    def _normalised(self, batch: WindowBatch, found: Read, varied: Variation | None) -> Tensor:
        """A batch's frames as the network reads them, (frame, row, column)."""
        shrink = _as_they_are if self.network is None else self.network.shrink
        if varied is None and self.frames.device.type != "cpu":
            return shrink(self.frames.normalise(batch.rows, found))
        # Run by run all stays in the processor's cache.
        read, beside = found
        made, first = [], 0
        for run, length in enumerate(batch.lengths.tolist()):
            here = slice(first, first + length)
            first += length
            own = (read[here], None if beside is None else beside[here])
            frames = self.frames.normalise(batch.rows[here], own)
            made.append(shrink(frames if varied is None else varied.of_run(frames, run)))
        return torch.cat(made)


def _as_they_are(frames: Tensor) -> Tensor:
    return frames


def images_of(frames: Tensor, triples: Tensor) -> Tensor:
    """Three-frame images: frames t-1, t, t+1 as the three channels.

    Parameters
    ----------
    frames
        (frame, row, column).
    triples
        Places of each image's three frames, (image, 3).

    Returns
    -------
    Tensor
        (image, 3, row, column), its memory in the order convolutions are quickest on.
    """
    return frames[triples].contiguous(memory_format=torch.channels_last)


def read_ahead(items: Iterator[Any], work: Callable[[Any], T]) -> Iterator[T]:
    """What `work` makes of each item, done by a thread while earlier ones are used.

    An error in the thread is raised where its item would have come; a caller that stops early
    ends the thread.

    Examples
    --------
    >>> list(read_ahead(iter([1, 2, 3]), lambda k: 10 * k))
    [10, 20, 30]
    """
    pool = ThreadPoolExecutor(max_workers=1)
    made: deque[Future[T]] = deque()
    try:
        for item in items:
            made.append(pool.submit(work, item))
            if len(made) > READ_AHEAD:
                yield made.popleft().result()
        while made:
            yield made.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _as_tensor(frames: NDArray[Any], dtype: np.dtype[Any]) -> Tensor:
    """A copy of recorded frames; unsigned 16-bit ones under int16, which torch can index."""
    copied = np.array(frames, dtype=dtype, order="C")
    return torch.from_numpy(copied.view(np.int16) if dtype == np.uint16 else copied)
