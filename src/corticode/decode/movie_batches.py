"""Movies to tensors: frames read ahead from disk, normalised on the device, each once."""

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from corticode.data.movies.normalise import NormalisedMovie, moving_part, states_of
from corticode.data.windows import Windows
from corticode.decode.runs_of_windows import (
    WindowBatch,
    make_batch,
    plan_epoch,
    plan_validation,
)
from corticode.decode.settings import Training

READ_AHEAD = 2
RESIDENT_SHARE = 0.5

T = TypeVar("T")
Read = tuple[Tensor, Tensor | None]


class MovieFrames:
    """Frames of movies that lie end to end, as float tensors on the device.

    Movies stay as recorded, 8 or 16 bit: memory-mapped, or, where they take less than half of a
    GPU's free memory, resident on it. What normalises them is the same arithmetic as
    `corticode.data.movies.normalise.normalised_frames`.

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
        state = torch.from_numpy(self._state(rows)).to(self.device, non_blocking=True)
        frames = frames - self.offset[state]
        if beside is not None:
            frames -= beside.to(self.device, non_blocking=True)
        gain = self.gain[state]
        frames *= gain
        if self.dtype.kind == "f":
            # Around a brain cut out by NaN.
            frames.masked_fill_(gain == 0, 0.0)
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
    """Batches of windows of movies: images, which of them each window holds, and targets."""

    def __init__(self, windows: Windows, training: Training, *, seed: int, device: str) -> None:
        self.windows, self.training, self.seed, self.device = windows, training, seed, device
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
            among them, int64, shape (window, image of window).
        Tensor
            Targets, float32, shape (window,).
        """
        yield from self._read(self._plan(epoch)[first:stop])

    def in_order(self) -> Iterator[tuple[tuple[Tensor, ...], Tensor]]:
        """The windows that validate, as they come."""
        yield from self._read(plan_validation(self.windows, self.training))

    def _read(
        self, plan: Sequence[Sequence[NDArray[np.int64]]]
    ) -> Iterator[tuple[tuple[Tensor, ...], Tensor]]:
        def read(runs: Sequence[NDArray[np.int64]]) -> tuple[WindowBatch, Read]:
            batch = make_batch(self.windows, runs)
            return batch, self.frames.read(batch.rows)

        device = self.frames.device
        for batch, found in read_ahead(iter(plan), read):
            normalised = self.frames.normalise(batch.rows, found)
            triples = torch.from_numpy(batch.images).to(device, non_blocking=True)
            index = torch.from_numpy(batch.index).to(device, non_blocking=True)
            targets = torch.from_numpy(self.windows.target[batch.chosen]).to(device)
            yield (images_of(normalised, triples), index), targets


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


def read_ahead(items: Iterator[Any], work: Callable[[Any], T], n: int = READ_AHEAD) -> Iterator[T]:
    """What `work` makes of each item, done by a thread while earlier ones are used.

    An error in the thread is raised where its item would have come; a caller that stops early
    ends the thread.

    Examples
    --------
    >>> list(read_ahead(iter([1, 2, 3]), lambda k: 10 * k))
    [10, 20, 30]
    """
    made: queue.Queue[tuple[T | None, BaseException | None]] = queue.Queue(maxsize=n)
    stopped = threading.Event()
    thread = threading.Thread(target=_make, args=(items, work, made, stopped), daemon=True)
    thread.start()
    try:
        while True:
            value, error = made.get()
            if isinstance(error, StopIteration):
                return
            if error is not None:
                raise error
            yield value  # type: ignore[misc]  # without an error there is a value
    finally:
        stopped.set()
        thread.join()


def _make(
    items: Iterator[Any],
    work: Callable[[Any], T],
    made: queue.Queue[tuple[T | None, BaseException | None]],
    stopped: threading.Event,
) -> None:
    """Fill a queue until the items end, one fails, or nobody wants more."""

    def put(value: T | None, error: BaseException | None = None) -> None:
        while not stopped.is_set():
            try:
                made.put((value, error), timeout=0.1)
            except queue.Full:
                continue
            return

    try:
        for item in items:
            if stopped.is_set():
                return
            put(work(item))
        put(None, StopIteration())
    except BaseException as error:  # noqa: BLE001  handed to the thread that waits
        put(None, error)


def _as_tensor(frames: NDArray[Any], dtype: np.dtype[Any]) -> Tensor:
    """A copy of recorded frames; unsigned 16-bit ones under int16, which torch can index."""
    copied = np.array(frames, dtype=dtype, order="C")
    return torch.from_numpy(copied.view(np.int16) if dtype == np.uint16 else copied)
