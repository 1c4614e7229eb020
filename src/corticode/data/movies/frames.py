"""What each frame of a movie looks like, found in one pass, and which frames cannot be used.

A frame is reduced to the mean of 8 x 8 cells, how much neighbouring pixels differ, and how many
pixels stand at 0 or at the camera's ceiling. Rows are sampled: the pass takes little longer than
reading the file. A frame is judged against the frames around it, never against a fixed level.
"""

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from corticode.data.movies.passes import frame_blocks

GRID = 8
# Of the image's rows, one in so many are looked at; of a cell at least so many.
OTHER_ROWS, LEAST_CELL_ROWS = 8, 4
STRETCH_FRAMES = 64
LEAST_FRAMES = 50
LEAST_GOOD = 8
ROBUST = 1.4826

DARK, FROZEN, SATURATED, CORRUPT, JUMP = "dark", "frozen", "saturated", "corrupt", "jump"
KINDS = (DARK, SATURATED, FROZEN, CORRUPT, JUMP)

# Counts lie so far above their changes; what lies lower, or below 0 in more frames, is dF/F.
LEAST_LEVEL_SDS, MOST_BELOW = 2.5, 0.01
DARK_SHARE = 0.5
EDGE_SHARE = 0.3  # light that goes off or on does so within a frame; bleaching does not
SATURATED_SHARE = 0.02
CLIPPED_SHARE = 0.01
ZERO_SHARE, LOST_SHARE = 0.01, 0.5
PATTERN_SHARE, PATTERN_SDS = 0.15, 15.0
ROUGH_SHARE, ROUGH_SDS = 0.5, 15.0
JUMP_SHARE, JUMP_SDS = 0.10, 12.0
FLASH_FRAMES = 5
MOST_JUMPS = 0.01  # more are how the recording is, not what happened to it
MOST_FROZEN = 0.5


@dataclass(frozen=True)
class FrameLooks:
    """What each frame of a movie looks like.

    Parameters
    ----------
    cells
        Means of the image's cells, shape (frame, cell).
    roughness
        Root mean square difference of neighbouring pixels, shape (frame,).
    zeros, ceiling
        Fractions of pixels that are 0, and that are at `top` where that is a camera's ceiling;
        shape (frame,).
    complete
        Shape (frame,): no pixel lacks a value that other frames have.
    alike
        Whether a frame may hold the same values as the one before, and as the last but one; shape
        (frame, 2).
    top
        The highest value of any frame.
    lowest
        The lowest value of any frame.
    """

    cells: NDArray[np.float32]
    roughness: NDArray[np.float32]
    zeros: NDArray[np.float32]
    ceiling: NDArray[np.float32]
    complete: NDArray[np.bool_]
    alike: NDArray[np.bool_]
    top: float
    lowest: float

    @property
    def brightness(self) -> NDArray[np.float64]:
        """Mean of each frame, shape (frame,)."""
        return np.asarray(self.cells.mean(axis=1, dtype=np.float64))

    def where(self, chosen: slice) -> "FrameLooks":
        """Every other frame, say: those of one of two wavelengths that take turns."""
        return FrameLooks(
            self.cells[chosen],
            self.roughness[chosen],
            self.zeros[chosen],
            self.ceiling[chosen],
            self.complete[chosen],
            self.alike[chosen],
            self.top,
            self.lowest,
        )


def look_at_frames(movie: NDArray[Any]) -> FrameLooks:
    """What each frame of a movie looks like, found in one pass.

    Parameters
    ----------
    movie
        (frame, row, column); may be memory-mapped and is never held whole.

    Examples
    --------
    >>> movie = np.full((3, 16, 16), 100, np.uint16)
    >>> movie[2, :, :8] = 0
    >>> looks = look_at_frames(movie)
    >>> looks.brightness.tolist(), looks.zeros.tolist()
    ([100.0, 100.0, 50.0], [0.0, 0.0, 0.5])
    """
    n_frames, n_rows, n_columns = movie.shape
    grid = (min(GRID, n_rows), min(GRID, n_columns))
    cells = np.zeros((n_frames, grid[0] * grid[1]), np.float32)
    rough, zeros, ceiling = (np.zeros(n_frames, np.float32) for _ in range(3))
    n_missing = np.zeros(n_frames, np.int64)
    top, lowest = -np.inf, np.inf
    for rows in frame_blocks(movie):
        block = np.ascontiguousarray(movie[rows])
        if block.dtype.kind == "f":
            block, n_missing[rows] = _without_gaps(block)
        elif not block.dtype.isnative or block.dtype.itemsize > 4:
            block = block.astype(np.float64)
        cells[rows] = _cell_means(block, grid)
        sampled = block[:, :: OTHER_ROWS if n_rows >= 2 * OTHER_ROWS else 1]
        rough[rows] = _roughness(block, sampled)
        flat = sampled.reshape(len(block), -1)
        zeros[rows] = 1 - np.count_nonzero(flat, axis=1) / flat.shape[1]
        highest = float(flat.max())
        if highest > top:
            top = highest
            ceiling[: rows.start] = 0
        lowest = min(lowest, float(flat.min()))
        if is_ceiling(top):
            ceiling[rows] = np.count_nonzero(flat == top, axis=1) / flat.shape[1]
    if not is_ceiling(top):
        ceiling[:] = 0
    usual = int(np.median(n_missing)) if n_frames else 0
    return FrameLooks(
        cells, rough, zeros, ceiling, n_missing <= usual, _alike(cells, rough), top, lowest
    )


def _without_gaps(block: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """A block with 0 where values are not finite, and how many those are in each frame."""
    with np.errstate(invalid="ignore", over="ignore"):
        if np.isfinite(block.sum(axis=(1, 2), dtype=np.float64)).all():
            return block, np.zeros(len(block), np.int64)
    finite = np.isfinite(block)
    missing = finite[0].size - np.count_nonzero(finite, axis=(1, 2))
    return np.where(finite, block, 0), missing


def _cell_means(block: NDArray[Any], grid: tuple[int, int]) -> NDArray[np.float64]:
    """Means of the cells of each frame, (frame, cell); what is left at the edges is cut off."""
    height, width = block.shape[1] // grid[0], block.shape[2] // grid[1]
    inner = block[:, : grid[0] * height, : grid[1] * width]
    step = max(1, height // LEAST_CELL_ROWS)
    bands = inner.reshape(len(block), grid[0], height, -1)[:, :, ::step]
    kind: type[np.generic] = np.uint32 if block.dtype.kind == "u" else np.int32
    if block.dtype.kind == "f" or block.dtype.itemsize > 2:
        kind = np.float64
    sums = bands.sum(axis=2, dtype=kind).reshape(len(block), *grid, width)
    means: NDArray[np.float64] = sums.mean(axis=3, dtype=np.float64) / bands.shape[2]
    return means.reshape(len(block), -1)


def _roughness(block: NDArray[Any], sampled: NDArray[Any]) -> NDArray[np.float64]:
    """Root mean square difference of neighbouring pixels, downwards and along rows, (frame,)."""
    below = block[:, 1 :: OTHER_ROWS if block.shape[1] >= 2 * OTHER_ROWS else 1]
    n_pairs = min(sampled.shape[1], below.shape[1])
    along = sampled[:, ::2]
    pairs = ((below[:, :n_pairs], sampled[:, :n_pairs]), (along[:, :, 1:], along[:, :, :-1]))
    total, size = np.zeros(len(block)), 0
    for one, other in pairs:
        if block.dtype.kind in "iu" and block.dtype.itemsize == 2:
            # Differences of counts fit into the same two bytes, but for the wildest.
            step = (one - other).view(np.int16).astype(np.float32)
        else:
            step = one.astype(np.float32) - other.astype(np.float32)
        if step.size:
            total += np.einsum("trc,trc->t", step, step)
            size += step[0].size
    return np.sqrt(total / max(1, size))


def is_ceiling(top: float) -> bool:
    """Whether a camera cannot count further: 255, 1,023, 4,095, 65,535 and the like."""
    return top >= 255 and float(top + 1).is_integer() and (int(top) + 1) & int(top) == 0


def _alike(cells: NDArray[np.float32], rough: NDArray[np.float32]) -> NDArray[np.bool_]:
    found = np.zeros((len(cells), 2), np.bool_)
    for k, lag in enumerate((1, 2)):
        same = (cells[lag:] == cells[:-lag]).all(axis=1) & (rough[lag:] == rough[:-lag])
        found[lag:, k] = same
    return found


def repeated_frames(movie: NDArray[Any], looks: FrameLooks, lag: int) -> NDArray[np.bool_]:
    """(frame,): True where every pixel is that of the frame `lag` (1 or 2) before.

    Only frames that look alike are read. Where most of them do, as in movies without noise, none
    counts.
    """
    found: NDArray[np.bool_] = np.zeros(len(movie), np.bool_)
    candidates = np.flatnonzero(looks.alike[:, lag - 1])
    if candidates.size > MOST_FROZEN * len(movie):
        return found
    for frame in candidates:
        found[frame] = np.array_equal(movie[frame], movie[frame - lag])
    return found


def find_bad_frames(
    looks: FrameLooks, repeated: NDArray[np.bool_] | None = None
) -> dict[str, NDArray[np.intp]]:
    """Frames of one wavelength that cannot be used, by what is wrong with them.

    Parameters
    ----------
    looks
        Of the frames of one wavelength.
    repeated
        (frame,): those that are the frame before once more, see `repeated_frames`.

    Returns
    -------
    dict
        ``"dark"``: less than half as bright as the frames around. ``"saturated"``: pixels at the
        camera's ceiling. ``"frozen"``: the same as the frame before. ``"corrupt"``: another image,
        0 in a part, or neighbouring pixels that differ as in noise. ``"jump"``: brighter or darker
        by 10 % and more than the frame before, for up to five frames or from there on. Numbers of
        frames from 0; each frame stands under one, and kinds without frames are left out.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> movie = rng.normal(1000, 20, (200, 16, 16))
    >>> movie[[7, 8]] = 90
    >>> movie[50, 4:12] = 0
    >>> found = find_bad_frames(look_at_frames(movie))
    >>> {kind: frames.tolist() for kind, frames in found.items()}
    {'dark': [7, 8], 'corrupt': [50]}
    """
    n_frames = len(looks.cells)
    if n_frames < LEAST_FRAMES:
        return {}
    bright = looks.brightness
    taken = ~looks.complete
    level = _around(bright, ~taken)
    found: dict[str, NDArray[np.intp]] = {}

    def take(kind: str, is_bad: NDArray[np.bool_]) -> None:
        frames = np.flatnonzero(is_bad & ~taken)
        taken[frames] = True
        if frames.size:
            found[kind] = frames

    if not (level > 0).all() or not _are_counts(bright[~taken]):
        # No frame is darker than another by a fraction.
        if repeated is not None:
            take(FROZEN, repeated)
        return found
    take(DARK, _dark(bright, level))
    usual = float(np.median(looks.ceiling))
    limit = max(SATURATED_SHARE, usual / 2, PATTERN_SDS * _spread(looks.ceiling))
    take(SATURATED, looks.ceiling > usual + limit)
    if repeated is not None:
        take(FROZEN, repeated)
    level = _around(bright, ~taken)
    take(CORRUPT, _corrupt(looks, bright, level, taken))
    take(JUMP, _jumps(bright, level, taken))
    return {kind: found[kind] for kind in KINDS if kind in found}


def clipped_share(looks: FrameLooks) -> float:
    """The fraction of pixels at the camera's ceiling in the median frame; 0: few."""
    share = float(np.median(looks.ceiling)) if len(looks.ceiling) else 0.0
    return share if share > CLIPPED_SHARE else 0.0


def _stretches(n_frames: int) -> Iterator[slice]:
    edges = np.linspace(0, n_frames, max(1, n_frames // STRETCH_FRAMES) + 1).astype(int)
    for first, stop in pairwise(edges.tolist()):
        yield slice(first, stop)


def _around(values: NDArray[Any], good: NDArray[np.bool_]) -> NDArray[Any]:
    """The median of the good ones among a few hundred frames around each, (frame, ...).

    It is the same within a stretch; where no frame near by is good, that of all.
    """
    parts = list(_stretches(len(values)))
    overall = np.median(values[good] if good.any() else values, axis=0)
    medians = np.full((len(parts) + 2, *values.shape[1:]), np.nan)
    for k, rows in enumerate(parts, start=1):
        if np.count_nonzero(good[rows]) >= LEAST_GOOD:
            medians[k] = np.median(values[rows][good[rows]], axis=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # stretches without a good frame
        smooth = np.nanmedian(np.stack([medians[:-2], medians[1:-1], medians[2:]]), axis=0)
    smooth = np.where(np.isnan(smooth), overall, smooth)
    return np.repeat(smooth, [rows.stop - rows.start for rows in parts], axis=0)


def _are_counts(bright: NDArray[np.float64]) -> bool:
    """Whether frames are far brighter than their changes; those of dF/F lie around 0."""
    if not bright.size:
        return True
    below = float(np.mean(bright < 0))
    return below <= MOST_BELOW and float(np.median(bright)) >= LEAST_LEVEL_SDS * _spread(bright)


def _spread(values: NDArray[Any]) -> float:
    return ROBUST * float(np.median(np.abs(values - np.median(values))))


def _dark(bright: NDArray[np.float64], level: NDArray[np.float64]) -> NDArray[np.bool_]:
    dark = bright < DARK_SHARE * level
    low = np.concatenate([[False], bright < DARK_SHARE * np.median(bright), [False]])
    edges = np.flatnonzero(np.diff(low.astype(np.int8)))
    for first, stop in zip(edges[::2], edges[1::2], strict=True):
        goes_off = first == 0 or bright[first] < (1 - EDGE_SHARE) * bright[first - 1]
        comes_on = stop == bright.size or bright[stop - 1] < (1 - EDGE_SHARE) * bright[stop]
        if goes_off and comes_on and stop - first < bright.size:
            dark[first:stop] = True
    return np.asarray(dark)


def _corrupt(
    looks: FrameLooks,
    bright: NDArray[np.float64],
    level: NDArray[np.float64],
    taken: NDArray[np.bool_],
) -> NDArray[np.bool_]:
    lit = np.where(bright > 0, bright, np.inf)
    pattern = looks.cells / lit[:, None].astype(np.float32)
    good = ~taken
    usual = _around(pattern, good)
    away = np.sqrt(((pattern - usual) ** 2).mean(axis=1) / (usual**2).mean(axis=1))
    usual_rough = np.maximum(_around(looks.roughness, good), 1e-9 * level)
    # A brighter image is rougher by as much.
    rough = looks.roughness / usual_rough / np.maximum(bright / level, 1)
    # Around the brain a dim pixel may be 0: what is 0 must have been bright.
    is_bright = usual > usual.mean(axis=1, keepdims=True)
    lost = (is_bright & (pattern * bright[:, None] < LOST_SHARE * usual * level[:, None])).any(
        axis=1
    )
    zeros = np.where(lost, looks.zeros - np.median(looks.zeros), 0)
    if not good.any():
        return np.zeros(bright.size, np.bool_)
    limits = (
        max(PATTERN_SHARE, np.median(away[good]) + PATTERN_SDS * _spread(away[good])),
        1 + max(ROUGH_SHARE, ROUGH_SDS * _spread(rough[good])),
        max(ZERO_SHARE, PATTERN_SDS * _spread(zeros[good])),
    )
    return np.asarray((away > limits[0]) | (rough > limits[1]) | (zeros > limits[2]))


def _jumps(
    bright: NDArray[np.float64], level: NDArray[np.float64], taken: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Frames that differ in brightness from the one before: flashes whole, of a step its first."""
    found: NDArray[np.bool_] = np.zeros(bright.size, np.bool_)
    good = np.flatnonzero(~taken)
    if good.size < LEAST_FRAMES:
        return found
    relative = bright[good] / level[good]
    change = np.diff(bright[good]) / level[good[1:]]
    limit = max(JUMP_SHARE, JUMP_SDS * _spread(change))
    jumps = np.flatnonzero(np.abs(change) > limit) + 1
    if jumps.size > max(3, MOST_JUMPS * good.size):
        return found
    last = -1
    for jump in jumps.tolist():
        if jump <= last:
            continue
        before = relative[jump - 1] * level[good[jump - 1]]
        after = bright[good[jump + 1 : jump + 1 + FLASH_FRAMES]]
        back = np.flatnonzero(np.abs(after - before) < limit / 2 * level[good[jump]])
        stop = jump + 1 + int(back[0]) if back.size else jump + 1
        found[good[jump:stop]] = True
        last = stop if back.size else jump
    return found


def listed_frames(frames: NDArray[np.intp], most: int = 6) -> str:
    """Numbers of frames in words, those that follow each other as a range.

    Examples
    --------
    >>> listed_frames(np.array([3, 4, 5, 9]))
    '3 to 5, 9'
    """
    parts = np.split(frames, np.flatnonzero(np.diff(frames) > 1) + 1)
    shown = [
        f"{part[0]}" if part.size == 1 else f"{part[0]} to {part[-1]}" for part in parts[:most]
    ]
    more = sum(part.size for part in parts[most:])
    return ", ".join(shown) + (f" and {more} more" if more else "")


def joined(parts: Mapping[str, NDArray[np.intp]], n_frames: int) -> NDArray[np.bool_]:
    """(frame,): True where a frame stands under some kind."""
    found: NDArray[np.bool_] = np.zeros(n_frames, np.bool_)
    for frames in parts.values():
        found[frames[frames < n_frames]] = True
    return found
