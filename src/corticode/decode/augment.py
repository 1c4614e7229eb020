"""How training windows are varied: drawn from seed, epoch and batch alone, whoever trains."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from corticode.decode.settings import Augment

# What sets the draws of one kind apart from those of another.
REGIONS, GAINS, SHIFTS, NOISE, ANGLES, MIRRORS, DROPPED, LAGS = range(2, 10)


def draw_region_sets(
    n_windows: int, n_regions: int, share: float, *, seed: int, epoch: int, batch: int
) -> NDArray[np.bool_]:
    """Which regions each window of a training batch shows, where regions are dropped at random.

    They depend on seed, epoch and the batch's place in it alone.

    Parameters
    ----------
    n_windows, n_regions
        Of the batch.
    share
        Fraction of windows that show a random set of regions, of a size drawn evenly on a
        logarithmic scale from one region to all; the others show all.
    seed, epoch, batch
        What the draw depends on.

    Returns
    -------
    NDArray
        True where a region is shown, shape (window, region).

    Examples
    --------
    >>> shown = draw_region_sets(1000, 50, 1.0, seed=0, epoch=1, batch=0)
    >>> shown.shape, int(shown.sum(axis=1).min()), int(np.median(shown.sum(axis=1)))
    ((1000, 50), 1, 7)
    """
    rng = np.random.default_rng([seed, epoch, batch, REGIONS])
    sizes = np.exp(rng.random(n_windows) * np.log(n_regions + 1)).astype(np.int64)
    sizes[rng.random(n_windows) >= share] = n_regions
    ranks = rng.random((n_windows, n_regions)).argsort(axis=1).argsort(axis=1)
    return np.asarray(ranks < sizes[:, None])


def augment_traces(
    windows: Tensor,
    augment: Augment,
    hidden_as: Tensor,
    gain: Tensor,
    *,
    seed: int,
    epoch: int,
    batch: int,
) -> Tensor:
    """A training batch of traces as its augmentation varies it.

    Parameters
    ----------
    windows
        (window, frame, region), before the network scales them.
    augment
        How they are varied.
    hidden_as, gain
        The network reads (x - `hidden_as`) times `gain`, each (region,): 0 of regions that are not
        shown.
    seed, epoch, batch
        What the draws depend on.
    """
    n_windows, _, n_regions = windows.shape
    if augment.gain:
        rng = np.random.default_rng([seed, epoch, batch, GAINS])
        gains = _on(windows, draw_gains((n_windows, 1, n_regions), augment.gain, rng))
        windows = hidden_as + (windows - hidden_as) * gains
    if augment.noise:
        rng = np.random.default_rng([seed, epoch, batch, NOISE])
        drawn_noise = augment.noise * rng.standard_normal(tuple(windows.shape), np.float32)
        windows = windows + torch.where(gain == 0, 0, _on(windows, drawn_noise) / gain)
    if augment.region_dropout:
        usable = torch.nonzero(gain)[:, 0]
        shown = torch.zeros(n_windows, n_regions, dtype=torch.bool, device=windows.device)
        drawn = draw_region_sets(
            n_windows, usable.numel(), augment.region_dropout, seed=seed, epoch=epoch, batch=batch
        )
        shown[:, usable] = torch.from_numpy(drawn).to(windows.device)
        windows = torch.where(shown[:, None], windows, hidden_as)
    return windows


def draw_gains(shape: Sequence[int], sd: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Factors around 1 of a standard deviation."""
    return (1 + sd * rng.standard_normal(shape)).astype(np.float32)


@dataclass(frozen=True)
class Variation:
    """How each run of windows of a training batch of movies is varied, all its frames alike.

    None of each: not at all.

    Parameters
    ----------
    lags
        Frames by which a run is read later than its targets, (run,).
    mirrored
        Whether a run is mirrored across the middle column, (run,).
    angles
        Degrees by which a run is turned, (run,).
    shifts
        Pixels by which a run is moved down and to the right, (run, 2).
    gains
        What a run is multiplied by, (run,).
    dropped
        Pixels that are 0, (run, row, column).
    """

    lags: NDArray[np.int64] | None = None
    mirrored: NDArray[np.bool_] | None = None
    angles: NDArray[np.float64] | None = None
    shifts: NDArray[np.int64] | None = None
    gains: NDArray[np.float32] | None = None
    dropped: NDArray[np.bool_] | None = None

    def of_run(self, frames: Tensor, run: int) -> Tensor:
        """Normalised frames of a run, (frame, row, column), as they are varied."""
        if self.mirrored is not None and self.mirrored[run]:
            frames = frames.flip(2)
        if self.angles is not None:
            frames = turn_frames(frames, float(self.angles[run]))
        if self.shifts is not None:
            frames = shift_frames(frames, *self.shifts[run].tolist())
        if self.gains is not None:
            frames = frames * float(self.gains[run])
        if self.dropped is not None:
            frames = frames.masked_fill(torch.from_numpy(self.dropped[run]).to(frames.device), 0.0)
        return frames


def draw_variation(
    augment: Augment,
    n_runs: int,
    image_shape: Sequence[int],
    *,
    seed: int,
    epoch: int,
    batch: int,
) -> Variation:
    """How the runs of a training batch of movies are varied.

    Parameters
    ----------
    augment
        How they may be.
    n_runs
        Runs of windows in the batch; independent windows are runs of one.
    image_shape
        Rows and columns.
    seed, epoch, batch
        What the draws depend on; those of one kind do not depend on what else is asked for.

    Raises
    ------
    StudyError
        Shifts are as large as the image.

    Examples
    --------
    >>> drawn = draw_variation(Augment(shift_pixels=2), 64, (32, 32), seed=0, epoch=1, batch=0)
    >>> drawn.shifts.shape, int(drawn.shifts.min()), int(drawn.shifts.max())
    ((64, 2), -2, 2)
    """

    def rng(kind: int) -> np.random.Generator:
        return np.random.default_rng([seed, epoch, batch, kind])

    n_pixels = augment.pixels_of_shift(image_shape)
    n_frames, degrees = augment.jitter_frames, augment.rotation_deg
    return Variation(
        lags=rng(LAGS).integers(-n_frames, n_frames + 1, n_runs) if n_frames else None,
        mirrored=rng(MIRRORS).random(n_runs) < augment.mirror if augment.mirror else None,
        angles=rng(ANGLES).uniform(-degrees, degrees, n_runs) if degrees else None,
        shifts=rng(SHIFTS).integers(-n_pixels, n_pixels + 1, (n_runs, 2)) if n_pixels else None,
        gains=draw_gains((n_runs,), augment.gain, rng(GAINS)) if augment.gain else None,
        dropped=rng(DROPPED).random((n_runs, *image_shape), np.float32) < augment.pixel_dropout
        if augment.pixel_dropout
        else None,
    )


def turn_frames(frames: Tensor, degrees: float) -> Tensor:
    """Frames, (frame, row, column), turned about their centre; what comes in from outside is 0.

    Examples
    --------
    >>> turn_frames(torch.tensor([[[1.0, 2], [3, 4]]]), 90.0).round().tolist()
    [[[2.0, 4.0], [1.0, 3.0]]]
    """
    n_rows, n_columns = frames.shape[1:]
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    # Places run from -1 to 1 along each side, whatever its length.
    turn = torch.tensor(
        [[cos, -sin * n_rows / n_columns, 0.0], [sin * n_columns / n_rows, cos, 0.0]],
        device=frames.device,
    )
    grid = functional.affine_grid(turn[None], [1, 1, n_rows, n_columns], align_corners=False)
    return functional.grid_sample(frames[None], grid, align_corners=False)[0]


def shift_frames(frames: Tensor, down: int, right: int) -> Tensor:
    """Frames, (frame, row, column), moved by whole pixels; what comes in from outside is 0.

    Examples
    --------
    >>> shift_frames(torch.tensor([[[1, 2], [3, 4]]]), 1, -1).tolist()
    [[[0, 0], [2, 0]]]
    """
    to_rows, from_rows = _overlap(down, frames.shape[1])
    to_columns, from_columns = _overlap(right, frames.shape[2])
    moved = torch.zeros_like(frames)
    moved[:, to_rows, to_columns] = frames[:, from_rows, from_columns]
    return moved


def _overlap(shift: int, size: int) -> tuple[slice, slice]:
    """Where what stays in view comes to lie, and where it lay."""
    return slice(max(shift, 0), size + min(shift, 0)), slice(max(-shift, 0), size + min(-shift, 0))


def _on(tensor: Tensor, values: NDArray[np.float32]) -> Tensor:
    return torch.from_numpy(values).to(tensor.device, non_blocking=True)
