"""Whether the frames of a movie are of two wavelengths in turn, and where the turns break off.

Frames of even number are set against those of odd number, each against the two frames beside it:
in brightness, in the pattern of the image, and in how much a frame differs from the last but one
(the calcium channel moves, the reference hardly does). The direction in which they differ most
consistently is found as in linear discriminant analysis, from however much of the movie it holds
in; along it a frame that was lost shows as a change of sign.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LEAST_FRAMES = 40
MOST_SDS = 3.0
N_CANDIDATES = (1, 2, 3, 5, 8, 16, 32)
TURNED = -0.5
LIT_SHARE = 0.3
N_ROUNDS = 4
# Frames over which a sign is taken before frames are looked at one by one.
NEAR_FRAMES = 24
SMALLEST = 1e-12
SIDE_FRAMES = 100
# SD of the parity difference along the direction found, its mean being 1.
MOST_SPREAD, PLAIN_SPREAD = 0.5, 0.2
# A difference from neighbours holds a frame's noise three times; errors of its mean are larger.
CORRELATED = 2.67
PENALTY, LEAST_VARIANCE, MOST_STEP = 40.0, 0.15, 1.5
LEAST_SIDE = 0.5
SPLIT_SHARE, SPLIT_TIMES = 0.01, 3.0
ALIKE_SHARE, ALIKE_SDS = 0.01, 4.5


@dataclass(frozen=True)
class Turns:
    """How frames of even and of odd number differ, over a whole movie.

    Parameters
    ----------
    are_clear
        Whether they differ in every stretch, as frames of two wavelengths do.
    are_alike
        Whether they do not at all, as far as 1 % of difference would have been seen.
    are_steady
        Whether they differ the same way in each eighth of the movie, if less clearly.
    brightness
        By what fraction even frames are brighter than odd ones, before the first flip.
    pattern
        The same of the image's cells once brightness is taken out, root mean square.
    activity
        Logarithm of how much more even frames change from one to the next than odd ones.
    flips
        Frames at which turns break off: the frame and the one before are of one wavelength.
    split
        The frame from which on all are of another brightness or pattern, where frames do not take
        turns; None: none.
    """

    are_clear: bool
    are_alike: bool
    are_steady: bool
    brightness: float
    pattern: float
    activity: float
    flips: tuple[int, ...] = ()
    split: int | None = None


def find_turns(cells: NDArray[np.floating]) -> Turns:
    """Whether frames of even and odd number differ all through a movie, and where that breaks off.

    Parameters
    ----------
    cells
        Means of parts of the image, shape (frame, cell), see
        `corticode.data.movies.frames.look_at_frames`.

    Examples
    --------
    >>> cells = np.random.default_rng(0).normal(100, 0.5, (400, 4))
    >>> find_turns(cells).are_clear
    False
    >>> cells[1::2] *= 0.98
    >>> find_turns(cells).flips, find_turns(np.delete(cells, 201, axis=0)).flips
    ((), (201,))
    """
    nothing = Turns(False, False, False, 0.0, 0.0, 0.0)
    level = _level(cells)
    if len(cells) < LEAST_FRAMES or level == 0:
        return nothing
    lit = _lit(cells, level)
    if np.count_nonzero(lit) < LEAST_FRAMES:
        return nothing
    steps = _parity_steps(np.asarray(cells, np.float64) / level)
    steps[~lit] = 0
    if not steps.any():
        return Turns(False, True, False, 0.0, 0.0, 0.0)
    steps, moments = _weighed(steps)
    along, mean, spread = np.zeros(0), steps[0], np.inf
    for start in _starts(steps):
        found, of_found = _direction(steps, moments, start)
        own_spread = float(np.std((found * np.where(_nearby(found) >= 0, 1, -1))[lit]))
        if found.any() and own_spread < spread:
            along, mean, spread = found, of_found, own_spread
        if spread < PLAIN_SPREAD:
            break
    signs = _signs(along) if along.size else along
    if spread == np.inf or float(np.std((along * signs)[lit])) > MOST_SPREAD:
        return Turns(
            False,
            _are_alike(steps),
            _are_steady(steps, moments),
            *_sizes(steps.mean(axis=0)),
            split=_split(cells),
        )
    return Turns(True, False, True, *_sizes(mean * signs[0]), flips=_flips(along, signs, lit))


def _level(cells: NDArray[np.floating]) -> float:
    """The brightness of which differences are fractions."""
    if not cells.size:
        return 0.0
    bright = cells.mean(axis=1, dtype=np.float64)
    mean = abs(float(np.median(bright[1:] + bright[:-1]))) / 2 if len(bright) > 1 else 0.0
    return max(mean, float(np.median(np.abs(cells))))


def _lit(cells: NDArray[np.floating], level: float) -> NDArray[np.bool_]:
    """(frame - 2,): True where light is on around a frame; one wavelength may be dim."""
    bright = cells.mean(axis=1, dtype=np.float64)
    pairs = bright[1:] + bright[:-1] > 2 * LIT_SHARE * level
    return np.asarray(pairs[1:] & pairs[:-1])


def _parity_steps(cells: NDArray[np.float64]) -> NDArray[np.float64]:
    """How even frames differ from their neighbours and odd ones, turned round, from theirs.

    Shape (frame - 2, cell + 1), from the second frame to the last but one; the last column is the
    logarithm of how much a frame differs from the last but one.
    """
    change = np.zeros(len(cells))
    change[2:] = np.abs(cells[2:] - cells[:-2]).mean(axis=1)
    change[:2] = change[2:4]
    smallest = max(float(np.median(change)) * 1e-2, 1e-9)
    values = np.column_stack([cells, np.log(np.maximum(change, smallest))])
    steps: NDArray[np.float64] = values[1:-1] - (values[:-2] + values[2:]) / 2
    steps[0::2] *= -1
    return steps


def _weighed(steps: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Steps with the largest made smaller, and their second moments, (feature, feature)."""
    size = np.sqrt((steps[:, :-1] ** 2).mean(axis=1))
    largest = MOST_SDS * float(np.median(size))
    if largest > 0:
        weight = np.minimum(1, largest / np.maximum(size, largest))
        # A frame without light says nothing of turns, and neither do those beside it.
        weight[size > 2 * largest] = 0
        steps = steps * weight[:, None]
    return steps, _with_ridge(steps.T @ steps / len(steps), len(steps))


def _with_ridge(moments: NDArray[np.float64], n_steps: int) -> NDArray[np.float64]:
    """Moments that can be inverted, however few frames they are of."""
    # The cells in their unit, the last feature in its own.
    own = np.diag(moments).copy()
    own[:-1] = own[:-1].mean()
    ridge = own * max(1e-4, min(1.0, 2 * own.size / n_steps)) + SMALLEST
    return moments + np.diag(ridge)


def _starts(steps: NDArray[np.float64]) -> Iterator[NDArray[np.float64]]:
    """Mean steps to begin with: of the whole movie, then as if turns broke off where they may."""
    yield steps.mean(axis=0)
    at, strength = _candidates(steps)
    strongest = at[np.argsort(-strength)]
    for n_taken in N_CANDIDATES:
        if n_taken <= strongest.size:
            turns = np.zeros(len(steps), np.int64)
            turns[strongest[:n_taken]] = 1
            yield np.where(np.cumsum(turns) % 2 == 0, 1.0, -1.0) @ steps / len(steps)
    if strongest.size:
        longest = np.concatenate([[0], np.sort(at), [len(steps)]])
        first = int(np.argmax(np.diff(longest)))
        yield steps[longest[first] : longest[first + 1]].mean(axis=0)


def _candidates(steps: NDArray[np.float64]) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Steps before and after which frames differ the other way round, and how much so."""
    n_near = min(NEAR_FRAMES, len(steps) // 4)
    total = np.concatenate([np.zeros((1, steps.shape[1])), np.cumsum(steps, axis=0)])
    means = (total[n_near:] - total[:-n_near]) / n_near  # of the steps from each on
    piece = steps[: len(steps) // n_near * n_near].reshape(-1, n_near, steps.shape[1])
    around = (piece - piece.mean(axis=1, keepdims=True)).reshape(-1, steps.shape[1])
    noise = _with_ridge(around.T @ around / len(around), len(around))
    white = np.linalg.solve(np.linalg.cholesky(noise), means.T).T
    before, after = white[:-n_near], white[n_near:]
    same = np.einsum("sf,sf->s", before, after)
    size = np.einsum("sf,sf->s", before, before) + np.einsum("sf,sf->s", after, after)
    likeness = 2 * same / np.maximum(size, 1e-300)
    found = []
    for low in np.split(np.arange(same.size), np.flatnonzero(np.diff(likeness < TURNED)) + 1):
        if likeness[low[0]] < TURNED:
            best = low[np.argmin(same[low])]
            found.append((best + n_near, -same[best]))
    if not found:
        return np.zeros(0, np.intp), np.zeros(0)
    at, strength = zip(*found, strict=True)
    return np.array(at, np.intp), np.array(strength)


def _direction(
    steps: NDArray[np.float64], moments: NDArray[np.float64], mean: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Steps along the direction that tells the parities apart, in units of the mean step."""
    along = np.zeros(len(steps))
    for _ in range(N_ROUNDS):
        weights = np.linalg.solve(moments, mean)
        size = float(mean @ weights)
        if size <= 0:
            return along, mean
        along = steps @ weights / size
        mean = (np.where(_nearby(along) >= 0, 1.0, -1.0) @ steps) / len(steps)
    return along, mean


def _nearby(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sums over the frames around each, as many at the ends."""
    clipped = np.clip(values, -MOST_STEP, MOST_STEP)
    total = np.concatenate([[0.0], np.cumsum(clipped)])
    first = np.maximum(np.arange(values.size) - NEAR_FRAMES // 2, 0)
    return np.asarray(total[np.minimum(first + NEAR_FRAMES, values.size)] - total[first])


def _signs(along: NDArray[np.float64]) -> NDArray[np.float64]:
    """The most likely course of signs, +1 or -1, that seldom changes: (frame,)."""
    clipped = np.clip(along, -MOST_STEP, MOST_STEP)
    if (_nearby(along) > 0).all() and clipped[-NEAR_FRAMES // 4 :].sum() > 0:
        return np.ones(along.size)
    variance = CORRELATED * float(np.var(np.abs(clipped)))
    gains = (2 * clipped / max(LEAST_VARIANCE, variance)).tolist()
    plus = minus = 0.0
    turned: list[tuple[bool, bool]] = []
    for gain in gains:
        turned.append((minus - PENALTY > plus, plus - PENALTY > minus))
        plus, minus = max(plus, minus - PENALTY) + gain, max(minus, plus - PENALTY) - gain
    is_plus = plus >= minus
    signs = np.ones(along.size)
    for frame in range(along.size - 1, -1, -1):
        signs[frame] = 1.0 if is_plus else -1.0
        if turned[frame][0 if is_plus else 1]:
            is_plus = not is_plus
    return signs


def _flips(
    along: NDArray[np.float64], signs: NDArray[np.float64], lit: NDArray[np.bool_]
) -> tuple[int, ...]:
    """Frames at which the sign changes for good: on both sides it is what it is elsewhere."""
    agree = np.clip(along * signs, -MOST_STEP, MOST_STEP)
    changes = np.flatnonzero(np.diff(signs)) + 1
    edges = [0, *changes.tolist(), along.size]
    kept = []
    for first, change, stop in zip(edges[:-2], edges[1:-1], edges[2:], strict=True):
        sides = (
            slice(max(first, change - SIDE_FRAMES), change),
            slice(change, min(stop, change + SIDE_FRAMES)),
        )
        if all(lit[side].any() and agree[side][lit[side]].mean() > LEAST_SIDE for side in sides):
            kept.append(change + 1)  # steps begin at the second frame
    return tuple(kept)


def _sizes(mean: NDArray[np.float64]) -> tuple[float, float, float]:
    """Of a mean step: of brightness, of the pattern without it, and of activity."""
    cells = mean[:-1]
    bright = float(cells.mean())
    return bright, float(np.sqrt(((cells - bright) ** 2).mean())), float(mean[-1])


def _are_alike(steps: NDArray[np.float64]) -> bool:
    """Whether no mean step is more than chance, and none of 1 % could hide behind it."""
    error = steps.std(axis=0) * np.sqrt(CORRELATED / len(steps))
    is_chance = np.abs(steps.mean(axis=0)) <= ALIKE_SDS * error
    return bool(is_chance.all() and (3 * error[:-1] < ALIKE_SHARE).all())


def _are_steady(steps: NDArray[np.float64], moments: NDArray[np.float64]) -> bool:
    """Whether each eighth of the movie has the mean step of the others, in direction."""
    edges = np.linspace(0, len(steps), 9).astype(int)
    sums = np.add.reduceat(steps, edges[:-1], axis=0)
    weights = np.linalg.solve(moments, (sums.sum(axis=0) - sums).T).T
    return bool((np.einsum("pf,pf->p", sums, weights) > 0).all())


def _split(cells: NDArray[np.floating]) -> int | None:
    """The middle frame, if the image changes there at once as hardly anywhere else; None: no."""
    middle, n_near = len(cells) // 2, min(20, len(cells) // 8)
    values = np.asarray(cells, np.float64) / _level(cells)
    change = np.abs(values[2:] - values[:-2]).mean(axis=1)
    change = np.log(np.maximum(change, max(float(np.median(change)) * 1e-2, 1e-9)))
    sums = np.cumsum(values, axis=0)
    means = (sums[n_near:] - sums[:-n_near]) / n_near  # of the frames after each
    steps = np.sqrt(((means[n_near:] - means[:-n_near]) ** 2).mean(axis=1))
    around = slice(middle - n_near - 2, middle - n_near + 2)
    image = float(steps[around].max())
    is_step = image > max(SPLIT_SHARE, float(np.percentile(steps, 99)) / 2)
    is_step &= image > SPLIT_TIMES * float(np.median(steps))
    halves = [float(np.median(part)) for part in (change[: middle - 2], change[middle:])]
    near = [
        float(np.median(part))
        for part in (change[middle - 20 : middle - 2], change[middle : middle + 20])
    ]
    stills = min(abs(halves[0] - halves[1]), abs(near[0] - near[1])) > np.log(2)
    return middle if is_step or stills else None


def frame_pairs(
    n_frames: int, flips: Sequence[int], doubled: Sequence[int] = ()
) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Which frames of a movie of two wavelengths belong together.

    Parameters
    ----------
    n_frames
        Of both wavelengths.
    flips
        Frames that are of the same wavelength as the one before, as a frame between is lost.
    doubled
        Those of them that were stored twice instead: they are passed over.

    Returns
    -------
    pairs
        The frame of the first and of the second wavelength, shape (pair, 2). Where one is lost
        that of a neighbouring pair stands in its place.
    is_whole
        Shape (pair,): False where a frame is lost.

    Examples
    --------
    A frame is lost between the fourth and the fifth, so that frames 3 and 4 are alike:

    >>> pairs, is_whole = frame_pairs(9, [4])
    >>> pairs.tolist(), is_whole.tolist()
    ([[0, 1], [2, 3], [2, 4], [5, 6], [7, 8]], [True, True, False, True, True])
    """
    frames = np.delete(np.arange(n_frames), list(doubled))
    lost = np.asarray(sorted(set(flips) - set(doubled)), np.intp)
    turn = (np.arange(frames.size) + np.searchsorted(lost, frames, side="right")) % 2
    begins = np.ones(frames.size, np.bool_)
    begins[1:] = (turn[1:] == 0) | (turn[:-1] == 1)
    pair = np.cumsum(begins) - 1
    pairs = np.full((int(pair[-1]) + 1 if pair.size else 0, 2), -1, np.intp)
    pairs[pair, turn] = frames
    is_whole: NDArray[np.bool_] = np.asarray((pairs >= 0).all(axis=1))
    if not is_whole[-1:].all():
        # The last frame has no pair yet: nothing is known to be lost.
        pairs, is_whole = pairs[:-1], is_whole[:-1]
    for column in pairs.T:
        there = np.flatnonzero(column >= 0)
        if there.size:
            nearest = np.searchsorted(there, np.arange(column.size)).clip(1, there.size) - 1
            column[:] = np.where(column >= 0, column, column[there[nearest]])
    return pairs, is_whole
