"""Brain motion estimated against a template and taken out, the image interpolated once.

Shifts are found by `corticode.data.movies.motion`: phases of spatial frequencies vote, outlines
above all, so that activity and light hardly move the estimate. The template is the mean of sampled
frames, made anew once after these were put back.
"""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

from corticode.data.movies.motion import (
    Template,
    find_shifts,
    make_template,
    neighbours,
    odd_pixels,
)
from corticode.errors import DataError, Finding

TEMPLATE_FRAMES = 120
MOST_SHIFT = 0.10  # of the frame's height or width
MOST_LOST, LEAST_FRAMES = 0.05, 50
WITH_BRIGHTNESS = 0.9
# Of a frame's pixels: with fewer, where the brain lies is not seen.
MOST_MISSING = 0.5
# Counts of light change from frame to frame: pixels that never do show no brain. In a sample of so
# many frames, and of a movie that is not still as a whole.
LEAST_STILL, MOST_STILL = 10, 0.9
# Of the 24 pixels around one: with fewer known ones their median does not stand for it.
LEAST_NEAR = 0.5
# Pixels over which images are blurred to see what is fine in them, and the correlation of two
# images from which on they are told from noise.
BROAD, LEAST_ALIKE = 4.0, 0.1


@dataclass(frozen=True)
class MotionTemplate:
    """What frames of a session are registered to.

    Parameters
    ----------
    template
        As `corticode.data.movies.motion.find_shifts` compares frames with.
    mean
        (row, column): the mean of the sampled frames, put back.
    odd
        Pixels, numbered along rows, that are the camera's own: dead, hot, saturated. They stay
        where they are while the brain moves, so that they have no say.
    around
        (odd, neighbour): the pixels whose median stands for each of them.
    unseen
        Pixels, numbered along rows, that have no value or never change, as where a mask was laid
        over the movie, and that have too few neighbours to stand for them.
    halves
        Templates of the left, right, upper and lower half, by which a rotation is seen; empty:
        none is looked for.
    """

    template: Template
    mean: NDArray[np.float64]
    odd: NDArray[np.intp]
    around: NDArray[np.intp]
    unseen: NDArray[np.intp]
    halves: tuple[Template, ...] = ()

    def find(self, frames: NDArray[Any]) -> NDArray[np.float64]:
        """How far each frame is shifted, rows and columns: (frame, 2); NaN for blank ones."""
        return find_shifts(self._repaired(frames), self.template)

    def turns(self, frames: NDArray[Any]) -> NDArray[np.float64]:
        """How far each frame is turned, radians, (frame,): by what its halves are shifted apart.

        Above 0: what is right of the middle lies lower.
        """
        frames = self._repaired(frames)
        left, right, upper, lower = (
            find_shifts(frames[:, rows, columns], one)
            for one, (rows, columns) in zip(self.halves, _halves(frames.shape[1:]), strict=True)
        )
        n_rows, n_columns = frames.shape[1:]
        by_rows = (right[:, 0] - left[:, 0]) / (n_columns / 2)
        by_columns = (upper[:, 1] - lower[:, 1]) / (n_rows / 2)
        return np.asarray((by_rows + by_columns) / 2)

    def _repaired(self, frames: NDArray[Any]) -> NDArray[Any]:
        return _filled(_repaired(frames, self.odd, self.around, self.unseen), self.mean)


def _halves(shape: tuple[int, ...]) -> list[tuple[slice, slice]]:
    """The left, right, upper and lower half of an image."""
    row, column = shape[0] // 2, shape[1] // 2
    whole = slice(None)
    return [
        (whole, slice(column)),
        (whole, slice(column, None)),
        (slice(row), whole),
        (slice(row, None), whole),
    ]


def register_template(sample: NDArray[Any], *, rotation: bool = False) -> MotionTemplate:
    """The template of a session: of a sample of its frames, made anew once these were put back.

    Parameters
    ----------
    sample
        (frame, row, column), counts; NaN where there is no value.
    rotation
        Whether rotations are to be seen too; frames need 32 x 32 pixels for that.

    Raises
    ------
    DataError
        The frames have no structure.

    Examples
    --------
    >>> from scipy import ndimage
    >>> image = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=(64, 64)), 1.5)
    >>> made = register_template(np.stack([image] * 3))
    >>> made.mean.shape, np.abs(made.find(image[None])).max() < 0.01
    ((64, 64), np.True_)
    """
    odd, around, unseen = _without_say(sample)
    sample = _repaired(sample, odd, around, unseen)
    sample = _filled(sample, _mean(sample))
    alike = sample[_alike(sample)]
    first = make_template(_mean(alike), [alike])
    shifts = find_shifts(sample, first)
    known = np.isfinite(shifts).all(axis=1)
    if not known.any():
        raise DataError("no sampled frame can be registered: all are blank")
    moved = move_frames(sample[known].astype(np.float32), shifts[known])
    mean = _mean(moved)
    mean = np.where(np.isfinite(mean), mean, _mean(sample))
    moved = np.where(np.isfinite(moved), moved, mean)
    parts = [(slice(None), slice(None)), *(_halves(mean.shape) if rotation else ())]
    made, *halves = (make_template(mean[part], [moved[:, *part]]) for part in parts)
    return MotionTemplate(made, mean, odd, around, unseen, tuple(halves))


def _without_say(
    sample: NDArray[Any],
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """Pixels that do not move with the brain: `odd`, `around` and `unseen` of a template."""
    mean = _mean(sample)
    blank = ~np.isfinite(mean) | still_pixels(sample)
    odd, around = odd_pixels(np.where(blank, np.nan, mean))
    is_seen = ~blank.ravel()[odd]
    odd, around = odd[is_seen], around[is_seen]
    holes = np.flatnonzero(blank)
    near = neighbours(holes, mean.shape)
    is_small = (~blank.ravel()[near]).mean(axis=1) >= LEAST_NEAR
    odd, around = np.append(odd, holes[is_small]), np.vstack([around, near[is_small]])
    return odd, around, holes[~is_small]


def _alike(sample: NDArray[Any]) -> NDArray[np.bool_]:
    """Frames of a sample that show the brain at about one place, (frame,).

    A mean over places that lie far apart shows the brain twice, and each frame fits it as it lies.
    """
    known = np.isfinite(sample)
    level = np.float32(sample[known].mean()) if known.any() else np.float32(0)
    fine = np.where(known, sample - level, 0).astype(np.float32)
    for frame in fine:
        frame -= scipy.ndimage.gaussian_filter(frame, BROAD)
    flat = fine.reshape(len(fine), -1)
    size = np.linalg.norm(flat, axis=1)
    flat = np.divide(flat, size[:, None], out=np.zeros_like(flat), where=size[:, None] > 0)
    r = flat @ flat.T
    nearest = np.sort(r, axis=1)[:, -1 - max(1, len(r) // 6) : -1].mean(axis=1)
    best = int(nearest.argmax())
    alike = r[best] > nearest[best] / 2
    return alike if nearest[best] > LEAST_ALIKE else np.ones(len(r), np.bool_)


def still_pixels(sample: NDArray[Any]) -> NDArray[np.bool_]:
    """Pixels that are the same in all frames of a sample, (row, column): light always changes.

    None in a sample of few frames, and in one of a movie that is still as a whole.
    """
    is_still = (sample == sample[:1]).all(axis=0)
    if len(sample) < LEAST_STILL or is_still.mean() > MOST_STILL:
        is_still[:] = False
    return np.asarray(is_still)


def _repaired(
    frames: NDArray[Any], odd: NDArray[np.intp], around: NDArray[np.intp], unseen: NDArray[np.intp]
) -> NDArray[Any]:
    """Frames without `unseen` pixels, and `odd` ones replaced by the median of those around."""
    if not unseen.size and not odd.size:
        return frames
    flat = frames.reshape(len(frames), -1).astype(np.float32)
    flat[:, unseen] = np.nan
    if odd.size:
        flat[:, odd] = np.nan
        near = flat[:, around]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # where all are missing
            flat[:, odd] = np.nanmedian(near, axis=2)
    return flat.reshape(frames.shape)


def move_frames(
    frames: NDArray[np.float32],
    shifts: NDArray[np.floating[Any]],
    transform: NDArray[np.float64] | None = None,
    shape: tuple[int, int] | None = None,
) -> NDArray[np.float32]:
    """Frames with the brain put back to where the template has it, interpolated once.

    Parameters
    ----------
    frames
        (frame, row, column); not changed.
    shifts
        (frame, 2), rows and columns: how far the brain lies from the template; or (frame, 3) with
        how far it is turned about the middle of the frame, radians.
    transform
        3 x 3, from a pixel (column, row, 1) of what comes out to one of the template; None: the
        same pixels.
    shape
        Rows and columns of what comes out; None: those of the frames.

    Returns
    -------
    NDArray
        (frame, row, column), linear interpolation; NaN where a pixel lies outside the frame, or a
        pixel that it needs is NaN.

    Examples
    --------
    >>> frames = np.arange(12, dtype=np.float32).reshape(1, 3, 4)
    >>> move_frames(frames, np.array([[1.0, 0.0]]))[0].tolist()[:2]
    [[4.0, 5.0, 6.0, 7.0], [8.0, 9.0, 10.0, 11.0]]
    """
    turns = shifts[:, 2] if shifts.shape[1] > 2 else np.zeros(len(shifts))
    if transform is None and not turns.any():
        return _shifted(frames, shifts[:, :2])
    n_rows, n_columns = frames.shape[1:] if shape is None else shape
    x, y = (axis.astype(np.float64) for axis in np.meshgrid(range(n_columns), range(n_rows)))
    if transform is not None:
        x, y = (transform[k, 0] * x + transform[k, 1] * y + transform[k, 2] for k in range(2))
    middle_y, middle_x = ((side - 1) / 2 for side in frames.shape[1:])
    x, y = x - middle_x, y - middle_y
    moved = np.empty((len(frames), n_rows, n_columns), np.float32)
    for frame, shift, turn, out in zip(frames, shifts, turns, moved, strict=True):
        cosine, sine = np.cos(turn), np.sin(turn)
        at = (
            sine * x + cosine * y + (middle_y + shift[0]),
            cosine * x - sine * y + (middle_x + shift[1]),
        )
        scipy.ndimage.map_coordinates(frame, at, out, order=1, cval=np.nan, prefilter=False)
    return moved


def _shifted(frames: NDArray[np.float32], shifts: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    """Frames moved by parts of a pixel along rows, then along columns."""
    moved = np.full(frames.shape, np.nan, np.float32)
    n_rows, n_columns = frames.shape[1:]
    for frame, (down, right), out in zip(frames, shifts, moved, strict=True):
        if not (np.isfinite(down) and np.isfinite(right)):
            continue
        rows, lines = _along(frame, float(down), n_rows)
        columns, values = _along(lines.T, float(right), n_columns)
        out[rows, columns] = values.T
    return moved


def _along(
    values: NDArray[np.float32], shift: float, size: int
) -> tuple[slice, NDArray[np.float32]]:
    """Values at k + shift along the first axis, and the k that lie within."""
    whole = int(np.floor(shift))
    part = np.float32(shift - whole)
    first = max(0, -whole)
    stop = min(size, size - whole - (1 if part else 0))
    if stop <= first:
        return slice(0, 0), values[:0]
    low = values[first + whole : stop + whole]
    if not part:
        return slice(first, stop), low
    return slice(first, stop), low + part * (values[first + whole + 1 : stop + whole + 1] - low)


@dataclass(frozen=True)
class Mover:
    """Puts frames back to where a template has the brain, or warps them alone.

    Parameters
    ----------
    channel
        On which motion is estimated; empty: frames lie as they are.
    template
        What they are registered to; None without a channel.
    onto, shape
        The transform onto the atlas and the size of its canvas; None: frames keep their place.
    frame_shape
        Rows and columns of raw frames.
    """

    channel: str
    template: MotionTemplate | None
    onto: NDArray[np.float64] | None
    shape: tuple[int, int] | None
    frame_shape: tuple[int, int]

    def shifts_of(
        self, frames: dict[str, NDArray[np.float32]]
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """How far frames are shifted, and turned where that is asked, and which are lost.

        (frame, 2) or (frame, 3) as `move_frames` takes it, and (frame,).
        """
        n_frames = len(next(iter(frames.values())))
        if self.template is None:
            return np.zeros((n_frames, 2)), np.zeros(n_frames, np.bool_)
        shifts = self.template.find(frames[self.channel])
        lost = unregistered(shifts, self.frame_shape)
        if self.template.halves:
            turns = self.template.turns(frames[self.channel])
            shifts = np.column_stack([shifts, np.nan_to_num(turns)])
        return shifts, lost

    def move(
        self,
        frames: dict[str, NDArray[np.float32]],
        shifts: NDArray[np.float64],
        lost: NDArray[np.bool_],
    ) -> dict[str, NDArray[np.float32]]:
        """Frames of all channels put back by the same shifts; those that are lost lie still."""
        if self.template is None and self.onto is None:
            return frames
        known = np.where(lost[:, None], 0, shifts)
        return {
            name: move_frames(block, known, self.onto, self.shape) for name, block in frames.items()
        }

    def put_back(
        self,
        frames: dict[str, NDArray[np.float32]],
        shifts: NDArray[np.float64],
        lost: NDArray[np.bool_],
    ) -> NDArray[np.float32]:
        """Frames of the channel that is registered, put back but not warped onto the atlas."""
        return move_frames(frames[self.channel], np.where(lost[:, None], 0, shifts))

    def left(self, again: NDArray[np.float32], lost: NDArray[np.bool_]) -> NDArray[np.float64]:
        """What a second look finds in frames that `put_back` gave: (frame, 2)."""
        if self.template is None:
            return np.zeros((len(again), 2))
        known = np.where(np.isfinite(again), again, self.template.mean).astype(np.float32)
        found = self.template.find(known)
        found[lost] = np.nan
        return found


def unregistered(shifts: NDArray[np.float64], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Frames without a shift, or that lie at the limit of what is looked for: (frame,)."""
    lost = ~np.isfinite(shifts).all(axis=1)
    limit = np.array(shape) * MOST_SHIFT
    with np.errstate(invalid="ignore"):
        lost |= (np.abs(shifts) > limit).any(axis=1)
    return np.asarray(lost)


def check_shifts(
    shifts: NDArray[np.float64],
    left_out: NDArray[np.bool_],
    brightness: NDArray[np.float64],
    shape: tuple[int, int],
) -> list[Finding]:
    """What looks odd about a session's shifts.

    Parameters
    ----------
    shifts
        (frame, 2), pixels.
    left_out
        (frame,): frames that are left out anyhow.
    brightness
        (frame,): mean of each frame of the channel that was registered.
    shape
        Rows and columns of a frame.

    Raises
    ------
    DataError
        The brain moves by more than a tenth of the frame in most of the frames that cannot be
        registered, or 5 % of frames cannot be.
    """
    lost = unregistered(shifts, shape) & ~left_out
    n_lost, n_frames = int(lost.sum()), int((~left_out).sum())
    if n_lost > MOST_LOST * n_frames:
        raise DataError(
            f"{n_lost:,} of {n_frames:,} frames lie more than {100 * MOST_SHIFT:g} % of the frame "
            "from the others, or show no outlines; the recording moves too far to be put back: "
            'cut it into parts, or give motion = { channel = "none" }'
        )
    findings = []
    if n_lost:
        findings.append(Finding("frames", "could not be registered and are left out", count=n_lost))
    used = ~left_out & ~lost & np.isfinite(brightness)
    for axis, name in enumerate(("rows", "columns")):
        course, light = shifts[used, axis], brightness[used]
        if used.sum() < LEAST_FRAMES or course.std() == 0 or light.std() == 0:
            continue
        r = float(np.corrcoef(course, light)[0, 1])
        if abs(r) > WITH_BRIGHTNESS:
            findings.append(
                Finding(
                    "session",
                    f"the shift along {name} follows the frame's brightness (r = {r:.2f}): it may "
                    "be light or activity, not motion; estimate it on another channel",
                )
            )
    return findings


def _filled(frames: NDArray[Any], mean: NDArray[np.float64]) -> NDArray[Any]:
    """Frames whose missing pixels are those of the mean image; blank frames stay blank."""
    missing = ~np.isfinite(frames)
    missing[missing.mean(axis=(1, 2)) > MOST_MISSING] = False
    return np.where(missing, mean, frames).astype(frames.dtype) if missing.any() else frames


def _mean(frames: NDArray[Any]) -> NDArray[np.float64]:
    """(row, column): NaN where no frame has a value."""
    finite = np.isfinite(frames)
    count = finite.sum(axis=0)
    total = np.where(finite, frames, 0).sum(axis=0, dtype=np.float64)
    mean = np.full(total.shape, np.nan)
    np.divide(total, count, out=mean, where=count > 0)
    return mean
