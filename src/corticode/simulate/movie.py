"""Movies of a simulated brain, block by block, so that none is ever held whole."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray

from corticode.simulate.optics import (
    REFERENCE_BRIGHTNESS,
    REFERENCE_PIXELS,
    Physiology,
    Scene,
    courses,
    noise_counts,
    patterns,
    reference_patterns,
)
from corticode.simulate.physiology import move_frames

BLOCK_PIXELS = 250 * 128**2
BAD_SHARE = 2e-4
WHITE = 65_535


def bad_pixels(
    rng: np.random.Generator, n_pixels: int, amount: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Places of saturated and of dead pixels, among `n_pixels` x `n_pixels` in order of rows.

    Examples
    --------
    >>> saturated, dead = bad_pixels(np.random.default_rng(0), 128, 1.0)
    >>> saturated.size, dead.size
    (3, 3)
    """
    n_bad = round(BAD_SHARE * amount * n_pixels**2)
    places = rng.permutation(n_pixels**2)[: 2 * n_bad]
    return places[:n_bad], places[n_bad:]


def movie_blocks(
    rng: np.random.Generator,
    physiology: Physiology,
    scene: Scene,
    dials: Mapping[str, float],
    *,
    bad: tuple[NDArray[np.int64], NDArray[np.int64]],
    reference_channel: bool = False,
) -> Iterator[NDArray[np.uint16]]:
    """A session's movie, some hundred frames at a time.

    The brain is lit up by its activity, shifted, blurred, dimmed towards the corners, changed with
    the light source, and counted by a noisy camera.

    Parameters
    ----------
    rng
        Source of the noise; blocks are to be taken in order.
    physiology, scene
        What happens, and where.
    dials
        A value for every dial.
    bad
        Saturated and dead pixels, as `bad_pixels` gives.
    reference_channel
        Each frame of the calcium channel is followed by one of the reference channel.

    Yields
    ------
    NDArray
        uint16, shape (frame, row, column).
    """
    drive, n_side = courses(physiology), scene.brightness.shape[0]
    shown = [(patterns(scene), 1.0)]
    if reference_channel:
        shown.append((reference_patterns(scene, dials["leak"]), REFERENCE_BRIGHTNESS))
    n_block = max(1, BLOCK_PIXELS // n_side**2)
    for start in range(0, len(drive), n_block):
        frames = slice(start, start + n_block)
        channels = [
            _show(physiology, scene, drive, frames, channel, pattern, bright)
            for channel, (pattern, bright) in enumerate(shown)
        ]
        counts = channels[0] if len(channels) == 1 else _take_turns(channels)
        noisy = noise_counts(rng, counts, dials)
        np.rint(noisy, out=noisy)
        np.clip(noisy, 0, WHITE, out=noisy)
        block = noisy.astype(np.uint16).reshape(len(noisy), -1)
        block[:, bad[0]], block[:, bad[1]] = WHITE, 0
        yield block.reshape(noisy.shape)


def write_movie(
    path: Path, blocks: Iterable[NDArray[np.uint16]], shape: tuple[int, int, int]
) -> None:
    """Write blocks of frames as a BigTIFF, one page a frame.

    Parameters
    ----------
    path
        The file; its folder is made.
    blocks
        Each of shape (frame, row, column).
    shape
        Of the movie they make together.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with tifffile.TiffWriter(path, bigtiff=True) as movie:
        movie.write(
            (frame for block in blocks for frame in block),
            shape=shape,
            dtype=np.uint16,
            photometric="minisblack",
            metadata=None,
        )


def _show(
    physiology: Physiology,
    scene: Scene,
    drive: NDArray[np.float32],
    frames: slice,
    channel: int,
    pattern: NDArray[np.float32],
    bright: float,
) -> NDArray[np.float32]:
    """Mean counts of one channel above the camera's offset; (frame, row, column)."""
    per_reference = scene.brightness.shape[0] / REFERENCE_PIXELS
    lit = drive[frames] @ (pattern * np.float32(0.01))
    lit += 1
    lit *= bright * scene.brightness.ravel()
    movement = physiology.movement
    counts = move_frames(
        lit.reshape(-1, *scene.brightness.shape),
        movement.shift[frames] * per_reference,
        movement.blur[frames] * per_reference**2,
    )
    counts *= scene.vignetting
    light = 1 + 0.01 * physiology.light[frames, channel]
    counts *= light.astype(np.float32)[:, None, None]
    counts += physiology.leak[frames].astype(np.float32)[:, None, None]
    return counts


def _take_turns(channels: list[NDArray[np.float32]]) -> NDArray[np.float32]:
    both = np.stack(channels, axis=1)
    return both.reshape(-1, *both.shape[2:])
