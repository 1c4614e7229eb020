"""Windows to tensors: batches in an order that seed and epoch fix."""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from torch import Tensor

from corticode.data.windows import Windows
from corticode.decode.settings import Training

VALIDATION_BATCH = 2048


def order_of_epoch(n_windows: int, *, seed: int, epoch: int) -> NDArray[np.int64]:
    """The order in which an epoch visits windows: it depends on seed and epoch alone.

    Examples
    --------
    >>> order_of_epoch(5, seed=0, epoch=1).tolist() == order_of_epoch(5, seed=0, epoch=1).tolist()
    True
    """
    return np.random.default_rng([seed, epoch]).permutation(n_windows)


def random_start(*, seed: int, epoch: int) -> int:
    """Where an epoch's random numbers (dropout) begin: it depends on seed and epoch alone.

    Examples
    --------
    >>> random_start(seed=0, epoch=1) == random_start(seed=0, epoch=1)
    True
    >>> random_start(seed=0, epoch=1) == random_start(seed=1, epoch=0)
    False
    """
    # Apart from the order of windows, which is drawn from [seed, epoch] itself.
    return int(np.random.SeedSequence([seed, epoch, 1]).generate_state(1, np.uint64)[0])


def iterate_batches(
    windows: Windows, batch_size: int, *, device: str = "cpu"
) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches of inputs and targets.

    Parameters
    ----------
    windows
        Which windows; their frames are gathered batch by batch.
    batch_size
        Windows a batch; the last one may hold fewer.
    device
        Where the tensors are needed.

    Yields
    ------
    Tensor
        Inputs, float32, shape (window, frame, region).
    Tensor
        Targets, float32, shape (window,).
    """
    n_frames = windows.recipe.window.n_frames
    n_regions = windows.traces.shape[1]
    # Whole windows are contiguous stretches of the array, so one copy of each suffices.
    flat = np.ascontiguousarray(windows.traces).reshape(-1)
    view = sliding_window_view(flat, n_frames * n_regions)[::n_regions]
    for first in range(0, windows.n_windows, batch_size):
        chosen = slice(first, first + batch_size)
        inputs = torch.from_numpy(view[windows.start[chosen]]).view(-1, n_frames, n_regions)
        targets = torch.from_numpy(windows.target[chosen])
        yield inputs.to(device), targets.to(device)


class TraceBatches:
    """Batches of windows of traces, in the order of an epoch or as they come."""

    def __init__(self, windows: Windows, training: Training, *, seed: int, device: str) -> None:
        self.windows, self.training, self.seed, self.device = windows, training, seed, device

    def n_batches(self, epoch: int) -> int:
        """Batches of an epoch."""
        size, n_windows = self.training.batch_size, self.windows.n_windows
        if self.training.drop_last and n_windows >= size:
            return n_windows // size
        return -(-n_windows // size)

    def of_epoch(
        self, epoch: int, first: int, stop: int
    ) -> Iterator[tuple[tuple[Tensor, ...], Tensor]]:
        """Some of an epoch's batches."""
        size = self.training.batch_size
        order = order_of_epoch(self.windows.n_windows, seed=self.seed, epoch=epoch)
        chosen = self.windows.where(order[first * size : stop * size])
        for inputs, targets in iterate_batches(chosen, size, device=self.device):
            yield (inputs,), targets

    def in_order(self) -> Iterator[tuple[tuple[Tensor, ...], Tensor]]:
        """All windows, as they come."""
        for inputs, targets in iterate_batches(self.windows, VALIDATION_BATCH, device=self.device):
            yield (inputs,), targets
