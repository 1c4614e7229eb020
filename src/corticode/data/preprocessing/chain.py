"""One session through all steps: frames are read once, and each pixel's course is corrected once.

The first pass reads the file: dark level off, brain motion out, pixels and frames binned. What it
gives is laid out by pixels in a scratch file, since F0, filters and slopes need a pixel's whole
course; the second pass takes it band by band. Neither holds more than some megabytes. In the
causal form all is fitted on the first seconds, the warm-up; no later frame changes an earlier one.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from corticode.data.extraction import holds_whole_numbers, refuse_ratios
from corticode.data.files import new_mapped
from corticode.data.movies.brain import LEAST_SEPARATION, find_brain
from corticode.data.movies.frames import is_ceiling
from corticode.data.movies.motion import SMALLEST_SIDE
from corticode.data.preprocess import moving_mean
from corticode.data.preprocessing import dff as dff_module
from corticode.data.preprocessing.blood import (
    VARIANTS,
    BloodFit,
    blur_frames,
    check_variant,
    correct_blood,
    filter_channels,
    finish_coefficients,
    fit_blood,
)
from corticode.data.preprocessing.components import Components, components_of_bands, rebuild
from corticode.data.preprocessing.correction import (
    CorrectionSummary,
    CorrectionSums,
    check_correction,
    odd_slopes,
)
from corticode.data.preprocessing.dff import check_dark, dff, f0_course, fit_f0
from corticode.data.preprocessing.motion import (
    TEMPLATE_FRAMES,
    Mover,
    check_shifts,
    move_frames,
    register_template,
    still_pixels,
)
from corticode.data.preprocessing.quality import Quality
from corticode.data.preprocessing.steps import Baseline, Bins, Steps, look_ahead_frames
from corticode.errors import DataError, Finding, StudyError, some

LEAST_FRAMES, SHOWN_REGIONS = 2, 6
BLOCK_VALUES = 2**20
BAND_VALUES = 2**21
CHECKED_FRAMES, CHECKED_CELLS = 60, 8
# Frames of each block whose shift is looked for once more when they were put back.
LOOKED_AGAIN = 4
CALCIUM, REFERENCE = "calcium", "reference"
SCRATCH = ".scratch-"
IMAGES = ("before", "after")


@dataclass(frozen=True)
class RawSession:
    """A session as the camera gave it.

    Parameters
    ----------
    channels
        ``"calcium"`` and, where there is one, ``"reference"``: (frame, row, column) each, counts;
        may be memory-mapped.
    left_out
        (frame,): frames that cannot be used; they become NaN.
    frame_rate_hz
        None where it is not known.
    dark
        Counts without light, by channel: a number or an image (row, column).
    mask
        (row, column): True where a pixel shows the brain, as the user says; None: not said.
    onto
        3 x 3, from a pixel (column, row, 1) of the atlas canvas to one of the frames; None where
        frames keep their place.
    delay_frames
        How much later each reference frame was exposed than its calcium frame: half a frame where
        two wavelengths take turns, calcium first.
    events
        (trial,): frames at which trials begin, in order; None where they are not asked for.
    blind
        By channel, (row, column): pixels that show nothing, see `blind_pixels`; they are taken as
        missing.
    """

    channels: dict[str, NDArray[Any]]
    left_out: NDArray[np.bool_]
    frame_rate_hz: float | None = None
    dark: dict[str, NDArray[np.float32] | float] = field(default_factory=dict)
    mask: NDArray[np.bool_] | None = None
    onto: NDArray[np.float64] | None = None
    delay_frames: float = 0.0
    events: NDArray[np.intp] | None = None
    blind: dict[str, NDArray[np.bool_]] = field(default_factory=dict)

    @property
    def n_frames(self) -> int:
        """Frames of each channel."""
        return len(self.channels[CALCIUM])

    def counts(self, channel: str, rows: slice) -> NDArray[np.float32]:
        """Frames as counts above dark, (frame, row, column); not a view."""
        frames = np.asarray(self.channels[channel][rows]).astype(np.float32)
        if self.channels[channel].dtype.kind == "f":
            frames[np.isinf(frames)] = np.nan
        if channel in self.blind:
            frames[:, self.blind[channel]] = np.nan
        frames -= np.float32(self.dark.get(channel, 0.0))
        return frames

    def seconds(self, value_s: float, what: str) -> int:
        """Frames that last so long.

        Raises
        ------
        DataError
            The frame rate is not known.
        """
        if self.frame_rate_hz is None:
            raise DataError(
                f"{what} is given in seconds, and the frame rate is not known; fill the "
                "catalogue's column 'frame_rate_hz' or 'frame_times'"
            )
        return max(1, round(value_s * self.frame_rate_hz))


@contextmanager
def scratch(
    folder: Path, n_frames: int, shape: tuple[int, int], channels: Sequence[str]
) -> Iterator["Scratch"]:
    """Room for a session's frames, laid out by pixels; gone when the block ends."""
    n_pixels = shape[0] * shape[1]
    width = max(1, min(n_pixels, BAND_VALUES // max(1, n_frames)))
    with TemporaryDirectory(dir=folder, prefix=SCRATCH) as place:
        n_bands = -(-n_pixels // width)
        arrays: dict[str, NDArray[np.float32]] = {
            name: new_mapped(Path(place) / f"{name}.npy", "float32", (n_bands, n_frames, width))
            for name in channels
        }
        yield Scratch(arrays, shape)


@dataclass(frozen=True)
class Scratch:
    """Frames of each channel in bands of pixels: (band, frame, pixel of the band)."""

    arrays: dict[str, NDArray[np.float32]]
    shape: tuple[int, int]

    @property
    def width(self) -> int:
        """Pixels of a band."""
        return int(next(iter(self.arrays.values())).shape[2])

    def pixels(self) -> Iterator[slice]:
        """The pixels of each band, numbered along rows."""
        n_pixels = self.shape[0] * self.shape[1]
        for first in range(0, n_pixels, self.width):
            yield slice(first, min(first + self.width, n_pixels))

    def put(self, channel: str, rows: slice, frames: NDArray[np.float32]) -> None:
        """Store frames (frame, row, column)."""
        flat = frames.reshape(len(frames), -1)
        for band, pixels in enumerate(self.pixels()):
            self.arrays[channel][band, rows, : pixels.stop - pixels.start] = flat[:, pixels]

    def band(self, channel: str, number: int, pixels: slice) -> NDArray[np.float32]:
        """The course of a band's pixels, (frame, pixel), a view."""
        return self.arrays[channel][number, :, : pixels.stop - pixels.start]


def frame_blocks(n_frames: int, n_pixels: int, multiple: int) -> Iterator[slice]:
    """Stretches of frames, first to last, each a multiple of a bin's frames but the last."""
    step = max(1, BLOCK_VALUES // max(1, n_pixels) // multiple) * multiple
    for first in range(0, n_frames, step):
        yield slice(first, min(first + step, n_frames))


def bin_frames(frames: NDArray[np.float32], bins: Bins) -> NDArray[np.float32]:
    """Means over bins of pixels and frames; what does not fill a bin is left out.

    Values that are not finite are left out of a bin's mean over frames; a bin of pixels that holds
    one is NaN.

    Parameters
    ----------
    frames
        (frame, row, column).

    Examples
    --------
    >>> bin_frames(np.arange(8, dtype=np.float32).reshape(2, 2, 2), Bins(2, 2)).tolist()
    [[[3.5]]]
    """
    if bins.pixels > 1:
        n_rows, n_columns = (side // bins.pixels for side in frames.shape[1:])
        cut = frames[:, : n_rows * bins.pixels, : n_columns * bins.pixels]
        cut = cut.reshape(len(frames), n_rows, bins.pixels, n_columns, bins.pixels)
        frames = cut.mean(axis=(2, 4), dtype=np.float32)
    if bins.frames > 1:
        n_bins = len(frames) // bins.frames
        parts = frames[: n_bins * bins.frames].reshape(n_bins, bins.frames, *frames.shape[1:])
        finite = np.isfinite(parts)
        count = finite.sum(axis=1)
        total = np.where(finite, parts, 0).sum(axis=1, dtype=np.float32)
        frames = np.full(total.shape, np.nan, np.float32)
        np.divide(total, count, out=frames, where=count > 0)
    return frames


def binned_mask(mask: NDArray[np.bool_], bins: Bins) -> NDArray[np.bool_]:
    """Which bins of pixels lie in a mask by more than half."""
    return np.asarray(bin_frames(mask[None].astype(np.float32), Bins(bins.pixels))[0] > 0.5)


@dataclass(frozen=True)
class MotionOf:
    """Shifts of a session's frames, found on a channel (empty: motion was left as it is).

    `residual` is what a second look at some of the frames found once these were put back; `turns`
    are rotations in radians, 0 where none are looked for.
    """

    channel: str
    shifts: NDArray[np.float64]
    residual: NDArray[np.float64]
    turns: NDArray[np.float64]


@dataclass(frozen=True)
class FirstPass:
    """What the first pass found beside the frames that it laid out.

    Parameters
    ----------
    mean
        By channel, (row, column): counts above dark, over the frames that are used.
    seen
        (row, column): pixels that have a value in every frame that is used.
    brightness
        By channel, (frame,): mean counts above dark of each frame as recorded.
    left_out
        (frame,): frames, binned, that hold no value.
    motion
        Where frames lay.
    sd_over_mean
        SD over time over the mean, averaged over pixels, of the frames that were looked at twice:
        as they were, and put back. Frames that were moved the wrong way have more afterwards.
    """

    mean: dict[str, NDArray[np.float64]]
    seen: NDArray[np.bool_]
    brightness: dict[str, NDArray[np.float64]]
    left_out: NDArray[np.bool_]
    motion: MotionOf
    sd_over_mean: tuple[float, float] = (math.nan, math.nan)


class _Sums:
    """Sums over frames as they come."""

    def __init__(self, channels: Sequence[str], shape: tuple[int, int]) -> None:
        self.total = {name: np.zeros(shape) for name in channels}
        self.n_frames = 0
        self.seen = np.ones(shape, np.bool_)

    def add(self, frames: dict[str, NDArray[np.float32]], most: int) -> NDArray[np.bool_]:
        """Add the first frames, at most so many, of all channels; which frames hold no value."""
        lost = np.zeros(len(next(iter(frames.values()))), np.bool_)
        for block in frames.values():
            lost |= ~np.isfinite(block).any(axis=(1, 2))
        for name, block in frames.items():
            kept = block[: max(0, most)][~lost[: max(0, most)]]
            self.seen &= np.isfinite(kept).all(axis=0)
            self.total[name] += kept.sum(axis=0, dtype=np.float64)
        self.n_frames += int((~lost[: max(0, most)]).sum())
        return lost


def _brightness(frames: NDArray[np.float32]) -> NDArray[np.float64]:
    """The mean of each frame over the pixels that have a value, (frame,)."""
    known = np.isfinite(frames)
    if known.all():
        return np.asarray(frames.mean(axis=(1, 2), dtype=np.float64))
    total = np.where(known, frames, 0).sum(axis=(1, 2), dtype=np.float64)
    n_known = known.sum(axis=(1, 2))
    means = np.full(len(frames), np.nan)
    np.divide(total, n_known, out=means, where=n_known > 0)
    return means


def blind_pixels(movie: NDArray[Any]) -> NDArray[np.bool_]:
    """Pixels that show nothing: at the camera's ceiling in most frames, or the same in all.

    The latter are dead, or cut out around the window. Beside such pixels motion would be read as
    light, and regions would be diluted by them.

    Parameters
    ----------
    movie
        (frame, row, column), of which some frames are looked at.

    Examples
    --------
    >>> blind_pixels(np.array([[[7, 255]], [[9, 255]], [[8, 255]]], np.uint8)).tolist()
    [[False, True]]
    """
    if not len(movie):
        return np.zeros(movie.shape[1:], np.bool_)
    chosen = np.unique(np.linspace(0, len(movie) - 1, CHECKED_FRAMES).astype(np.intp))
    frames = np.asarray(movie[chosen])
    blind = still_pixels(frames)
    top = frames.max()
    if movie.dtype.kind in "iu" and is_ceiling(float(top)):
        blind |= (frames == top).mean(axis=0) > 0.5
    return blind


class _Spread:
    """How much pixels vary over time, before and after frames were put back."""

    def __init__(self) -> None:
        self.n_frames = 0
        self.total: NDArray[np.float64] | float = 0.0
        self.squares: NDArray[np.float64] | float = 0.0

    def add(self, *blocks: NDArray[np.float32]) -> None:
        """Add the same frames as they were and as they are, (frame, row, column) each."""
        both = np.stack(blocks).astype(np.float64)
        self.n_frames += both.shape[1]
        self.total = self.total + both.sum(axis=1)
        self.squares = self.squares + (both**2).sum(axis=1)

    def over_mean(self) -> tuple[float, float]:
        """SD over the mean of both, averaged over pixels that are never missing, or NaN."""
        if self.n_frames < 2:
            return math.nan, math.nan
        mean = np.asarray(self.total) / self.n_frames
        variance = np.maximum(np.asarray(self.squares) / self.n_frames - mean**2, 0)
        known = np.isfinite(mean).all(axis=0) & (mean > 0).all(axis=0)
        if not known.any():
            return math.nan, math.nan
        before, after = (np.sqrt(variance[:, known]) / mean[:, known]).mean(axis=1)
        return float(before), float(after)


def first_pass(raw: RawSession, steps: Steps, mover: Mover, store: Scratch) -> FirstPass:
    """Read every frame once: dark level off, motion out, binned, laid out by pixels.

    Where causal, the mean and what is seen are those of the warm-up.

    Raises
    ------
    DataError
        No frame can be used.
    """
    sums = _Sums(list(raw.channels), store.shape)
    brightness = {name: np.full(raw.n_frames, np.nan) for name in raw.channels}
    per_bin, blur = steps.bins.frames, VARIANTS[steps.blood.method].blur_pixels
    n_fit = raw.n_frames if not steps.causal else warm_up_frames(raw, steps) // per_bin
    lost = np.ones(raw.n_frames // per_bin, np.bool_)
    shape = raw.channels[CALCIUM].shape[1:]
    shifts_of_all, residual = np.full((2, raw.n_frames, 2), np.nan)
    motion = MotionOf(mover.channel, shifts_of_all, residual, np.zeros(raw.n_frames))
    spread = _Spread()
    for rows in frame_blocks(raw.n_frames, shape[0] * shape[1], per_bin):
        frames = {name: raw.counts(name, rows) for name in raw.channels}
        for name, block in frames.items():
            brightness[name][rows] = _brightness(block)
        left_out = raw.left_out[rows]
        shifts, unfound = mover.shifts_of(frames)
        motion.shifts[rows] = shifts[:, :2]
        motion.turns[rows] = shifts[:, 2] if shifts.shape[1] > 2 else 0
        if mover.channel:
            few = {name: block[:LOOKED_AGAIN] for name, block in frames.items()}
            lying = unfound[:LOOKED_AGAIN] | left_out[:LOOKED_AGAIN]
            again = mover.put_back(few, shifts[:LOOKED_AGAIN], lying)
            motion.residual[rows.start : rows.start + len(again)] = mover.left(again, lying)
            spread.add(few[mover.channel][~lying], again[~lying])
        frames = mover.move(frames, shifts, unfound)
        for block in frames.values():
            block[left_out | unfound] = np.nan
        binned = {name: bin_frames(block, steps.bins) for name, block in frames.items()}
        first = rows.start // per_bin
        at = slice(first, first + len(binned[CALCIUM]))
        lost[at] = sums.add(binned, n_fit - first)
        for name in store.arrays:
            frames_in = binned[name]
            if name == REFERENCE and blur:
                frames_in = blur_frames(frames_in, blur).astype(np.float32)
            store.put(name, at, frames_in)
    if sums.n_frames < LEAST_FRAMES:
        raise DataError(
            f"{sums.n_frames or 'no'} frame can be used: the others "
            "are left out (dark, saturated, frozen, corrupt) or could not be registered"
        )
    mean = {name: total / sums.n_frames for name, total in sums.total.items()}
    return FirstPass(mean, sums.seen, brightness, lost, motion, spread.over_mean())


@dataclass(frozen=True)
class Regions:
    """Which pixels make each region of the frames that come out.

    Parameters
    ----------
    names
        Of the regions.
    weights
        (region, pixel), pixels numbered along rows: how much of each pixel belongs to a region.
    """

    names: tuple[str, ...]
    weights: NDArray[np.float32]


def bin_regions(
    pixels: Sequence[NDArray[np.intp]], names: Sequence[str], shape: tuple[int, int], bins: Bins
) -> Regions:
    """Regions of raw frames as they lie on binned ones.

    Parameters
    ----------
    pixels
        The pixels of each region in raw frames, numbered along rows.
    shape
        (rows, columns) of raw frames.

    Examples
    --------
    >>> bin_regions([np.array([0, 1])], ["a"], (2, 4), Bins(2)).weights.tolist()
    [[0.5, 0.0]]
    """
    images = np.zeros((len(names), *shape), np.float32)
    for image, chosen in zip(images, pixels, strict=True):
        image.ravel()[chosen] = 1
    weights = bin_frames(images, Bins(bins.pixels)).reshape(len(names), -1)
    return Regions(tuple(names), weights)


class _Outputs:
    """What comes out of the second pass: a movie, region means, or both."""

    def __init__(self, movie: NDArray[Any] | None, regions: Regions | None, n_frames: int) -> None:
        self.movie, self.regions = movie, regions
        n_regions = 0 if regions is None else len(regions.names)
        self.total = np.zeros((n_frames, n_regions))
        self.weight = np.zeros(n_regions)
        self.mean = np.zeros(n_frames)
        self.n_pixels = 0

    def put(self, pixels: NDArray[np.intp], values: NDArray[Any]) -> None:
        """Take the courses of some pixels, (frame, pixel)."""
        if self.movie is not None:
            self.movie.reshape(len(values), -1)[:, pixels] = values
        self.mean += values.sum(axis=1, dtype=np.float64)
        self.n_pixels += pixels.size
        if self.regions is None:
            return
        weights = self.regions.weights[:, pixels]
        inside = np.flatnonzero(weights.any(axis=0))
        if inside.size:
            self.total += values[:, inside].astype(np.float64) @ weights[:, inside].T
            self.weight += weights.sum(axis=1)

    def traces(self) -> NDArray[np.float32]:
        """Means over each region's pixels, (frame, region); NaN for a region without a pixel."""
        means = np.full(self.total.shape, np.nan)
        np.divide(self.total, self.weight, out=means, where=self.weight > 0)
        return means.astype(np.float32)


@dataclass(frozen=True)
class Corrected:
    """What the second pass found, beside what it wrote.

    Parameters
    ----------
    traces
        (frame, region), dF/F in percent (counts where no dF/F is made).
    mean
        By stage, (frame,): the mean over all kept pixels, in percent: ``"calcium"`` and
        ``"reference"`` before blood is taken out, ``"corrected"`` after.
    images
        (row, column) each: ``"f0"`` of the calcium channel; ``"before"`` and ``"after"``, each
        pixel's SD over time.
    blood
        What taking blood out did, of images (row, column); None where it was left in.
    f0
        By channel, (row, column): F0 in counts, its mean where it follows the session.
    coefficients
        (coefficient, row, column), as `corticode.data.preprocessing.blood.BloodFit` takes them.
    """

    traces: NDArray[np.float32]
    mean: dict[str, NDArray[np.float64]]
    images: dict[str, NDArray[np.float64]]
    blood: CorrectionSummary | None
    f0: dict[str, NDArray[np.float64]]
    coefficients: NDArray[np.float64]


@dataclass(frozen=True)
class Denoised:
    """dF/F of the kept pixels of a channel as spatial components, and their strengths.

    `strengths` is (frame, component).
    """

    components: Components
    strengths: NDArray[np.float32]

    def course(self, pixels: slice) -> NDArray[np.float32]:
        """The course of some of the kept pixels, (frame, pixel)."""
        few = replace(self.components, images=self.components.images[pixels])
        return rebuild(self.strengths, few)


@dataclass(frozen=True)
class SecondPass:
    """The second pass: F0 and blood, band by band of pixels.

    Parameters
    ----------
    store
        What the first pass laid out.
    mask
        (row, column): pixels that are kept.
    steps
        What is asked for.
    frame_rate_hz
        Of the binned frames; None where it is not known.
    fit
        (frame,): frames on which F0 and slopes are fitted.
    blood_fit
        (frame,): the same for the slopes of blood.
    delay_frames
        How much later the reference was exposed, in binned frames.
    events
        (trial,): binned frames at which trials begin, for F0 before each.
    """

    store: Scratch
    mask: NDArray[np.bool_]
    steps: Steps
    frame_rate_hz: float | None
    fit: NDArray[np.bool_]
    blood_fit: NDArray[np.bool_]
    delay_frames: float = 0.0
    events: NDArray[np.intp] | None = None

    def run(self, outputs: _Outputs) -> Corrected:
        """Correct all bands, and write them to `outputs`.

        Raises
        ------
        DataError
            The session is too short for a filter.
        """
        method = self.steps.blood.method
        of_means = VARIANTS[method].fitted in ("heart", "shared")
        fitted = np.full((len(VARIANTS[method].terms), *self.mask.shape), np.nan)
        f0 = {name: np.full(self.mask.shape, np.nan) for name in self.store.arrays}
        images = {name: np.full(self.mask.shape, np.nan) for name in IMAGES}
        summaries: list[tuple[NDArray[np.intp], CorrectionSummary]] = []
        means = _Means(self.store, int(self.mask.sum()))
        if of_means:
            for band in self._bands():
                means.add(band)
            pair = np.stack([means.of(CALCIUM), means.of(REFERENCE)], axis=1)
            fitted = self._fit_all(pair)
            means = _Means(self.store, means.n_pixels)
        for band in self._bands():
            means.add(band)
            if of_means:
                coefficients = fitted.reshape(len(fitted), self.mask.size)[:, band.kept]
            else:
                coefficients = self._fit(band)
                put(fitted, band.kept, coefficients)
            for name, level in band.f0.items():
                put(f0[name], band.kept, level)
            values = self._correct(band, coefficients)
            if method != "none":
                summaries.append((band.kept, self._summary(band, values, coefficients)))
            self._describe(band, values, images)
            outputs.put(band.kept, values * np.float32(100 if self.steps.baseline else 1))
        of_stage = {name: 100 * means.of(name) for name in self.store.arrays}
        of_stage["corrected"] = outputs.mean / max(1, outputs.n_pixels)
        images["f0"] = f0[CALCIUM]
        summary = self._joined(summaries)
        return Corrected(outputs.traces(), of_stage, images, summary, f0, fitted)

    def _summary(
        self, band: "_Band", values: NDArray[Any], coefficients: NDArray[np.float64]
    ) -> CorrectionSummary:
        sums = CorrectionSums()
        sums.add(band.dff[CALCIUM], band.dff[REFERENCE], values)
        return sums.summary(self.blood_of(coefficients))

    def _joined(
        self, parts: Sequence[tuple[NDArray[np.intp], CorrectionSummary]]
    ) -> CorrectionSummary | None:
        """The summaries of all bands as one, of images (row, column); None without a correction."""
        if not parts:
            return None
        whole: dict[str, NDArray[np.float64]] = {}
        for name in ("slope", "variance_taken", "correlation_before", "correlation_after"):
            whole[name] = np.full(self.mask.shape, np.nan)
            for kept, summary in parts:
                put(whole[name], kept, getattr(summary, name))
        first = parts[0][1]
        return CorrectionSummary(
            first.variant,
            first.fitted_on,
            first.is_transductive,
            whole["slope"],
            odd_slopes(whole["slope"]),
            whole["variance_taken"],
            whole["correlation_before"],
            whole["correlation_after"],
        )

    def blood_of(self, coefficients: NDArray[np.float64]) -> BloodFit:
        """The correction with the coefficients of some pixels, (coefficient, pixel)."""
        return BloodFit(
            self.steps.blood.method,
            coefficients,
            fitted_on(self.steps),
            self.frame_rate_hz,
            self.steps.causal,
            self.delay_frames,
        )

    def _bands(self) -> Iterator["_Band"]:
        """The bands of kept pixels, dF/F of each channel as components where that is asked for."""
        first = 0
        for band in self._bands_as_they_are():
            pixels = slice(first, first + band.kept.size)
            first = pixels.stop
            if self.steps.components:
                made = {name: few.course(pixels) for name, few in self.components.items()}
                band = replace(band, dff=made)
            yield band

    @cached_property
    def components(self) -> dict[str, "Denoised"]:
        """By channel: dF/F of the kept pixels as few spatial components."""

        def bands(name: str) -> Iterator[NDArray[np.float32]]:
            return (band.dff[name] for band in self._bands_as_they_are())

        return {
            name: Denoised(
                *components_of_bands(partial(bands, name), self.steps.components, fit=self.fit)
            )
            for name in self.store.arrays
        }

    def _bands_as_they_are(self) -> Iterator["_Band"]:
        for number, pixels in enumerate(self.store.pixels()):
            kept = pixels.start + np.flatnonzero(self.mask.ravel()[pixels])
            if not kept.size:
                continue
            band = _Band(kept, {}, {})
            for name in self.store.arrays:
                counts = self.store.band(name, number, pixels)[:, kept - pixels.start]
                band.f0[name], band.dff[name] = self._dff(counts)
            yield band

    def _dff(self, counts: NDArray[np.float32]) -> tuple[NDArray[Any], NDArray[np.float32]]:
        """F0, one value a pixel (its mean where it follows the session), and dF/F."""
        asked = self.steps.baseline
        if asked is None:
            return counts[self.fit].mean(axis=0), counts
        baseline = dff_of(asked, self.frame_rate_hz, causal=self.steps.causal)
        if baseline.is_static:
            f0 = fit_f0(counts, baseline, frames=self.fit)
            return f0, dff(counts, f0)
        course = f0_course(counts, baseline, events=self.events)
        return np.nanmean(course[self.fit], axis=0), dff(counts, course)

    def _fit_all(self, means: NDArray[np.float64]) -> NDArray[np.float64]:
        """Coefficients of all pixels, finished as an image: (coefficient, row, column)."""
        found: NDArray[np.float64] | None = None
        for band in self._bands():
            part = self._fit(band, means)
            if found is None:
                found = np.full((len(part), *self.mask.shape), np.nan)
            put(found, band.kept, part)
        if found is None:
            return np.zeros((0, *self.mask.shape))
        return finish_coefficients(self.steps.blood.method, found, mask=self.mask)

    def _fit(self, band: "_Band", means: NDArray[Any] | None = None) -> NDArray[np.float64]:
        if self.steps.blood.method == "none":
            return np.zeros((0, band.kept.size))
        return fit_blood(
            self.steps.blood.method,
            band.dff[CALCIUM],
            band.dff[REFERENCE],
            frame_rate_hz=self.frame_rate_hz,
            frames=self.blood_fit,
            means=means,
            causal=self.steps.causal,
            delay_frames=self.delay_frames,
        )

    def _correct(self, band: "_Band", coefficients: NDArray[np.float64]) -> NDArray[Any]:
        if self.steps.blood.method == "none":
            return band.dff[CALCIUM]
        return correct_blood(self.blood_of(coefficients), band.dff[CALCIUM], band.dff[REFERENCE])

    def _describe(
        self, band: "_Band", values: NDArray[Any], images: dict[str, NDArray[np.float64]]
    ) -> None:
        """SDs over time before and after blood is taken out."""
        scale = 100 if self.steps.baseline else 1
        for name, course in (("before", band.dff[CALCIUM]), ("after", values)):
            used = course[np.isfinite(course[:, 0])]
            put(images[name], band.kept, scale * used.std(axis=0, dtype=np.float64))


@dataclass(frozen=True)
class _Band:
    """A band of kept pixels, by channel: F0 (pixel,) in counts, dF/F (frame, pixel)."""

    kept: NDArray[np.intp]
    f0: dict[str, NDArray[Any]]
    dff: dict[str, NDArray[np.float32]]


class _Means:
    """Means over all kept pixels, by channel, as bands come."""

    def __init__(self, store: Scratch, n_pixels: int) -> None:
        n_frames = next(iter(store.arrays.values())).shape[1]
        self.total = {name: np.zeros(n_frames) for name in store.arrays}
        self.n_pixels = n_pixels

    def add(self, band: _Band) -> None:
        """Add a band."""
        for name, values in band.dff.items():
            self.total[name] += values.sum(axis=1, dtype=np.float64)

    def of(self, channel: str) -> NDArray[np.float64]:
        """(frame,)."""
        return self.total[channel] / max(1, self.n_pixels)


def put(image: NDArray[Any], pixels: NDArray[np.intp], values: NDArray[Any]) -> None:
    """Set pixels, numbered along rows, of an image or of several, (..., row, column)."""
    n_pixels = image.shape[-2] * image.shape[-1]
    image.reshape(*image.shape[:-2], n_pixels)[..., pixels] = values


def dff_of(asked: Baseline, frame_rate_hz: float | None, *, causal: bool) -> dff_module.Baseline:
    """What F0 is, with its length in frames."""
    if asked.kind not in ("running", "trial"):
        return dff_module.Baseline(asked.kind, asked.percentile)
    if frame_rate_hz is None:
        raise DataError(
            f"a {asked.kind} baseline has its length in seconds, and the frame rate is not known; "
            "fill the catalogue's column 'frame_rate_hz' or 'frame_times'"
        )
    if asked.kind == "trial":
        before = max(1, round(asked.before_s * frame_rate_hz))
        return dff_module.Baseline("trial", before_frames=before)
    length = max(1, round(asked.length_s * frame_rate_hz))
    return dff_module.Baseline("running", window_frames=length, causal=causal)


def fitted_on(steps: Steps) -> str:
    """Where slopes come from, as `corticode.data.preprocessing.blood.BloodFit` calls it."""
    if steps.causal:
        return "warm-up"
    return "session" if steps.blood.fit_s is None else "calibration"


def preprocess_session(
    raw: RawSession,
    steps: Steps,
    folder: Path,
    *,
    regions: Regions | None = None,
    movie: Callable[[tuple[int, ...]], NDArray[Any]] | None = None,
) -> tuple[NDArray[np.float32], Quality]:
    """All steps on one session.

    Parameters
    ----------
    raw
        As the camera gave it.
    steps
        What is asked for.
    folder
        Where scratch files may lie; they are gone afterwards.
    regions
        Of binned frames; None: no traces are wanted.
    movie
        Makes room for the movie (frame, row, column) that comes out; None: none is wanted.

    Returns
    -------
    traces
        (frame, region), dF/F in percent; NaN where a frame cannot be used.
    quality
        What was found on the way.

    Raises
    ------
    DataError
        Frames, dark frames or masks do not fit, a step needs a frame rate that is not known, or
        the session is too short for it.
    """
    check_raw(raw, steps)
    with _laid_out(raw, steps, folder) as (found, _, work):
        findings = _odd_shifts(raw, found) + _doubtful_brain(steps, found)
        findings += _fit_beyond(raw, steps) + _regions_without(regions, work.mask)
        n_frames = len(found.left_out)
        room = None if movie is None else movie((n_frames, *work.mask.shape))
        if room is not None:
            room[:] = np.nan
        made = work.run(_Outputs(room, regions, n_frames))
    traces = made.traces
    if steps.causal:
        warm_up = np.arange(n_frames) < warm_up_frames(raw, steps) // steps.bins.frames
        traces[warm_up] = np.nan
        if room is not None:
            room[warm_up] = np.nan
    return traces, quality_of(raw, steps, found, made, work.mask, findings)


@dataclass(frozen=True)
class Fitted:
    """What a session, or its warm-up, taught.

    Parameters
    ----------
    mover
        Puts frames back.
    mask
        (row, column): pixels that are kept.
    f0
        By channel that is used, (row, column), counts.
    components
        By channel, of the kept pixels; empty where dF/F is taken as it is.
    blood
        Coefficients of the kept pixels; None where blood is left in.
    frame_rate_hz
        Of binned frames; None where it is not known.
    """

    mover: Mover
    mask: NDArray[np.bool_]
    f0: dict[str, NDArray[np.float64]]
    components: dict[str, Components]
    blood: BloodFit | None
    frame_rate_hz: float | None


def fit_session(raw: RawSession, steps: Steps, folder: Path) -> Fitted:
    """What is fitted on a session, or on frames that are its warm-up; nothing is written.

    Raises
    ------
    DataError
        As `preprocess_session`.
    """
    check_raw(raw, replace(steps, causal=False))
    with _laid_out(raw, steps, folder) as (found, mover, work):
        _odd_shifts(raw, found)
        made = work.run(_Outputs(None, None, len(found.left_out)))
        few = {}
        if steps.components:
            few = {name: one.components for name, one in work.components.items()}
    coefficients = made.coefficients.reshape(len(made.coefficients), work.mask.size)
    kept = work.mask.ravel()
    blood = None if steps.blood.method == "none" else work.blood_of(coefficients[:, kept])
    return Fitted(mover, work.mask, made.f0, few, blood, work.frame_rate_hz)


@contextmanager
def _laid_out(
    raw: RawSession, steps: Steps, folder: Path
) -> Iterator[tuple[FirstPass, Mover, SecondPass]]:
    """A session's frames laid out by pixels, and what is ready to correct them."""
    shape = binned_shape(moved_shape(raw, steps), steps.bins)
    n_frames = raw.n_frames // steps.bins.frames
    rate_hz = None if raw.frame_rate_hz is None else raw.frame_rate_hz / steps.bins.frames
    mover = mover_of(raw, steps)
    channels = list(raw.channels) if steps.blood.method != "none" else [CALCIUM]
    with scratch(folder, n_frames, shape, channels) as store:
        found = first_pass(raw, steps, mover, store)
        events = None if raw.events is None else np.unique(raw.events // steps.bins.frames)
        fit = fit_frames(raw, steps, found.left_out)
        if events is not None and steps.baseline is not None:
            # Before the first trial that has a baseline there is no dF/F.
            before = dff_of(steps.baseline, rate_hz, causal=False).before_frames or 1
            first = min(events[events >= before], default=n_frames)
            if not fit[first:].any():
                raise DataError(
                    f"no trial has {steps.baseline.before_s:g} s before it from which on a frame "
                    "can be used; give a shorter before_s in preprocess.dff, or another baseline"
                )
            fit[:first] = False
        yield (
            found,
            mover,
            SecondPass(
                store,
                kept_pixels(raw, steps, found),
                steps,
                rate_hz,
                fit,
                blood_frames(raw, steps, fit),
                raw.delay_frames / steps.bins.frames,
                events,
            ),
        )


def binned_shape(shape: tuple[int, ...], bins: Bins) -> tuple[int, int]:
    """Rows and columns of binned frames.

    Raises
    ------
    StudyError
        Nothing would be left.
    """
    n_rows, n_columns = (side // bins.pixels for side in shape)
    if min(n_rows, n_columns) < 1:
        raise StudyError(
            f"preprocess.bin pixels is {bins.pixels}, and frames have {shape[0]} x {shape[1]} "
            "pixels; take smaller bins"
        )
    return n_rows, n_columns


def check_raw(raw: RawSession, steps: Steps) -> None:
    """Refuse dark frames, masks and lengths that do not fit the movie.

    Raises
    ------
    DataError
        As `preprocess_session`.
    """
    movie = raw.channels[CALCIUM]
    shape = movie.shape[1:]
    if raw.n_frames // steps.bins.frames < LEAST_FRAMES:
        binned = "" if steps.bins.frames == 1 else f", in bins of {steps.bins.frames}"
        raise DataError(
            f"the movie has {raw.n_frames:,} frames{binned}; at least {LEAST_FRAMES} are needed"
        )
    if raw.mask is not None and raw.mask.shape != shape:
        raise DataError(
            f"the mask has {raw.mask.shape[0]} x {raw.mask.shape[1]} pixels, the movie's frames "
            f"{shape[0]} x {shape[1]}; draw it on a frame of this movie"
        )
    if steps.mask in ("image", "both") and raw.mask is None:
        raise DataError(
            f"preprocess.mask is {steps.mask!r}, and no mask is named; fill the catalogue's column "
            "'mask'"
        )
    sample = np.linspace(0, raw.n_frames - 1, min(raw.n_frames, 20)).astype(np.intp)
    for name, dark in raw.dark.items():
        if not np.any(dark):
            continue
        frames = raw.channels[name][sample]
        check_dark(dark, np.asarray(frames.mean(axis=0, dtype=np.float64)))
    rate_hz = None if raw.frame_rate_hz is None else raw.frame_rate_hz / steps.bins.frames
    check_variant(
        steps.blood.method,
        has_reference=REFERENCE in raw.channels,
        frame_rate_hz=rate_hz,
        causal=steps.causal,
    )
    if steps.atlas is not None and raw.onto is None:
        raise DataError(
            "preprocess.atlas asks for the atlas, and no transform is named; fill the catalogue's "
            "column 'landmarks' with the transform.json that 'corticode regions' wrote"
        )
    if steps.baseline is not None:
        check_counts(raw)
    if steps.causal:
        n_warm = warm_up_frames(raw, steps)
        if n_warm >= raw.n_frames:
            raise DataError(
                f"the warm-up of {steps.warm_up_s:g} s is {n_warm:,} frames, and the session has "
                f"{raw.n_frames:,}; give a shorter warm_up_s"
            )


def check_counts(raw: RawSession) -> None:
    """Refuse a movie that holds dF/F already.

    Raises
    ------
    DataError
        Its cells lie around 0 and not far above their changes.
    """
    used = np.flatnonzero(~raw.left_out)
    if not used.size:
        return
    chosen = used[np.unique(np.linspace(0, used.size - 1, CHECKED_FRAMES).astype(np.intp))]
    movie = raw.channels[CALCIUM]
    cell = max(1, min(movie.shape[1:]) // CHECKED_CELLS)
    cells = [bin_frames(raw.counts(CALCIUM, slice(k, k + 1)), Bins(cell)).ravel() for k in chosen]
    brightness = np.array(cells, np.float64)
    brightness = brightness[:, np.isfinite(brightness).all(axis=0)]
    if brightness.size:
        way_out = 'leave F0 out, with dff = { baseline = "none" } in [preprocess]'
        refuse_ratios(brightness, whole=holds_whole_numbers(movie), way_out=way_out)


def fit_frames(raw: RawSession, steps: Steps, left_out: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Binned frames on which F0 is fitted: those of the warm-up where causal; (frame,)."""
    fit = ~left_out
    if steps.causal:
        fit[warm_up_frames(raw, steps) // steps.bins.frames :] = False
    if not fit.any():
        raise DataError("every frame of the warm-up is left out; give a longer warm_up_s")
    return fit


def blood_frames(raw: RawSession, steps: Steps, fit: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Binned frames on which slopes are fitted; missing ones in between are bridged; (frame,)."""
    chosen = np.zeros(fit.size, np.bool_)
    if steps.causal or steps.blood.fit_s is None:
        used = np.flatnonzero(fit)
        chosen[used[0] : used[-1] + 1] = True
        return chosen
    first, last = (raw.seconds(s, "blood fit_s") if s else 0 for s in steps.blood.fit_s)
    chosen[first // steps.bins.frames : last // steps.bins.frames] = True
    if not (chosen & fit).any():
        raise DataError(
            f"no frame that can be used lies in seconds {steps.blood.fit_s[0]:g} to "
            f"{steps.blood.fit_s[1]:g}; give another blood fit_s"
        )
    return chosen


def _fit_beyond(raw: RawSession, steps: Steps) -> list[Finding]:
    """That the part on which slopes are fitted goes beyond the session, or is all of it."""
    if steps.blood.fit_s is None or raw.frame_rate_hz is None:
        return []
    (first, last), length = steps.blood.fit_s, raw.n_frames / raw.frame_rate_hz
    if last <= length + 1 / raw.frame_rate_hz:
        return []
    whole = "" if first else ": that is the whole session (transductive)"
    reason = (
        f"blood fit_s ends at {last:g} s and the session at {length:.4g} s, so that slopes are "
        f"fitted on seconds {first:g} to {length:.4g}{whole}"
    )
    return [Finding("session", reason)]


def _regions_without(regions: Regions | None, mask: NDArray[np.bool_]) -> list[Finding]:
    """Regions of which no pixel is kept; an error where none has one."""
    if regions is None:
        return []
    held = regions.weights[:, mask.ravel()].sum(axis=1)
    lost = [name for name, weight in zip(regions.names, held, strict=True) if weight == 0]
    if not lost:
        return []
    if len(lost) == len(regions.names):
        raise DataError(
            "no pixel of any region is kept; look at the mask (is it above 0 where the brain is?), "
            "and at where regions lie"
        )
    reason = (
        f"no pixel is kept of {some(list(map(repr, lost)), SHOWN_REGIONS)} ({len(lost)} of "
        f"{len(regions.names)} regions), so that their traces are blank: look at the mask and at "
        "what is in view"
    )
    return [Finding("session", reason)]


def kept_pixels(raw: RawSession, steps: Steps, found: FirstPass) -> NDArray[np.bool_]:
    """Which binned pixels are kept: seen in every frame, bright, and in the mask; (row, column).

    Raises
    ------
    DataError
        None is.
    """
    mask = found.seen.copy()
    for image in found.mean.values():
        mask &= image > 0 if steps.baseline is not None else np.isfinite(image)
    if steps.mask in ("image", "both"):
        mask &= binned_mask(moved_mask(raw, steps), steps.bins)
    if steps.mask in ("brain", "both"):
        mask &= find_brain(np.where(found.seen, found.mean[CALCIUM], np.nan))[0]
    if not mask.any():
        raise DataError(
            "no pixel is left: none is bright, in the mask, and seen in every frame; look at the "
            "mask and at dark frames"
        )
    return mask


def _doubtful_brain(steps: Steps, found: FirstPass) -> list[Finding]:
    """That the brain stands out little, where it is looked for."""
    if steps.mask not in ("brain", "both"):
        return []
    _, separation = find_brain(np.where(found.seen, found.mean[CALCIUM], np.nan))
    if separation >= LEAST_SEPARATION:
        return []
    reason = (
        f"the brain stands out little in the mean image (separation {separation:.2f}; "
        f"{LEAST_SEPARATION:g} or more is clear): look at the mask"
    )
    return [Finding("session", reason)]


def warm_up_frames(raw: RawSession, steps: Steps) -> int:
    """Frames of the warm-up, as recorded."""
    return raw.seconds(steps.warm_up_s, "warm_up_s")


def mover_of(raw: RawSession, steps: Steps) -> Mover:
    """What puts the frames of a session back.

    Raises
    ------
    DataError
        Frames are too small, or none can be used.
    """
    n_rows, n_columns = raw.channels[CALCIUM].shape[1:]
    still = Mover("", None, raw.onto, steps.atlas, (n_rows, n_columns))
    if steps.motion.channel == "none":
        return still
    name = REFERENCE if steps.motion.channel == REFERENCE and REFERENCE in raw.channels else CALCIUM
    if min(n_rows, n_columns) < SMALLEST_SIDE:
        raise DataError(
            f"frames have {n_rows} x {n_columns} pixels, and motion needs {SMALLEST_SIDE} x "
            f'{SMALLEST_SIDE} or more; give motion = {{ channel = "none" }}'
        )
    rotation = steps.motion.rotation
    if rotation and min(n_rows, n_columns) < 2 * SMALLEST_SIDE:
        raise DataError(
            f"frames have {n_rows} x {n_columns} pixels, and a rotation is seen in frames of "
            f"{2 * SMALLEST_SIDE} x {2 * SMALLEST_SIDE} or more; leave rotation out of motion"
        )
    n_fit = min(raw.n_frames, warm_up_frames(raw, steps)) if steps.causal else raw.n_frames
    sample = _sample(raw, name, n_fit)
    try:
        template = register_template(sample, rotation=rotation)
    except DataError as error:
        other = [one for one in raw.channels if one != name]
        raise DataError(
            f"on the {name} channel {error}; give motion = "
            + " or ".join(f'{{ channel = "{one}" }}' for one in [*other, "none"])
        ) from error
    return replace(still, channel=name, template=template)


def _sample(raw: RawSession, channel: str, n_frames: int) -> NDArray[np.float32]:
    """Some of the first frames, evenly spaced, of those that can be used: (frame, row, column).

    Raises
    ------
    DataError
        None can be used.
    """
    usable = np.flatnonzero(~raw.left_out[:n_frames])
    if not usable.size:
        raise DataError("no frame can be used, so that there is no template for motion")
    chosen = usable[np.unique(np.linspace(0, usable.size - 1, TEMPLATE_FRAMES).astype(np.intp))]
    return np.concatenate([raw.counts(channel, slice(k, k + 1)) for k in chosen])


def motion_left_in(raw: RawSession) -> float | None:
    """How far frames lie from their mean image where they are taken as they lie: rms of a sample.

    Pixels; None where that cannot be seen.
    """
    name = REFERENCE if REFERENCE in raw.channels else CALCIUM
    if min(raw.channels[name].shape[1:]) < SMALLEST_SIDE:
        return None
    try:
        sample = _sample(raw, name, raw.n_frames)
        shifts = register_template(sample).find(sample)
    except DataError:  # frames without structure
        return None
    return _rms(_away(shifts[np.isfinite(shifts).all(axis=1)]))


def _away(shifts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Shifts (frame, 2) from where most frames lie."""
    return shifts - np.median(shifts, axis=0) if len(shifts) else shifts


def _rms(shifts: NDArray[np.float64]) -> float | None:
    """The root mean square length of (frame, 2); None without a frame."""
    return float(np.sqrt(np.mean(np.sum(shifts**2, axis=1)))) if len(shifts) else None


def _odd_shifts(raw: RawSession, found: FirstPass) -> list[Finding]:
    """What looks odd about shifts; an error where they are too large."""
    motion = found.motion
    if not motion.channel:
        return []
    shape = raw.channels[CALCIUM].shape[1:]
    light = found.brightness[motion.channel]
    return check_shifts(motion.shifts, raw.left_out, light, (shape[0], shape[1]))


def moved_shape(raw: RawSession, steps: Steps) -> tuple[int, int]:
    """Rows and columns of frames once they were moved."""
    if steps.atlas is not None:
        return steps.atlas
    n_rows, n_columns = raw.channels[CALCIUM].shape[1:]
    return n_rows, n_columns


def moved_mask(raw: RawSession, steps: Steps) -> NDArray[np.bool_]:
    """The user's mask where frames are moved to; all pixels where there is none."""
    if raw.mask is None:
        return np.ones(moved_shape(raw, steps), np.bool_)
    if raw.onto is None:
        return raw.mask
    lit = move_frames(raw.mask[None].astype(np.float32), np.zeros((1, 2)), raw.onto, steps.atlas)
    with np.errstate(invalid="ignore"):
        return np.asarray(lit[0] > 0.5)


def slow_kept(
    course: NDArray[np.floating[Any]], steps: Steps, frame_rate_hz: float | None
) -> NDArray[np.float64]:
    """What a running F0 and the filters of the blood step leave of a course.

    Parameters
    ----------
    course
        (frame,), a change of brightness that is small against F0, binned frames.
    frame_rate_hz
        Of binned frames.

    Examples
    --------
    >>> course, running = np.repeat([0.0, 1.0], 300), Baseline("running", length_s=10.0)
    >>> [float(slow_kept(course, Steps(baseline=one), 30.0)[310]) for one in (Baseline(), running)]
    [1.0, 0.4666666666666667]
    """
    values = np.asarray(course, np.float64)[:, None]
    if steps.baseline is not None and steps.baseline.kind == "running":
        length = dff_of(steps.baseline, frame_rate_hz, causal=steps.causal).window_frames or 1
        values = values - moving_mean(values, length, causal=steps.causal)
    filtered, _ = filter_channels(
        steps.blood.method, values, values, frame_rate_hz=frame_rate_hz, causal=steps.causal
    )
    return np.asarray(filtered[:, 0])


def quality_of(
    raw: RawSession,
    steps: Steps,
    found: FirstPass,
    made: Corrected,
    mask: NDArray[np.bool_],
    findings: Sequence[Finding],
) -> Quality:
    """What was found on the way, for the page of a cohort."""
    odd, motion = list(findings), found.motion
    numbers: dict[str, float | None] = {
        "n_frames": raw.n_frames,
        "n_left_out": int(found.left_out.sum()),
        "frame_rate_hz": raw.frame_rate_hz,
        "look_ahead_frames": look_ahead_frames(steps, raw.frame_rate_hz or math.nan),
        "kept_pixels": float(mask.mean()),
        "sd_before": _mean_of(made.images["before"], mask),
        "sd_after": _mean_of(made.images["after"], mask),
    }
    images = {"mean": found.mean[CALCIUM], "mask": mask, **made.images}
    if REFERENCE in found.mean:
        images["mean_reference"] = found.mean[REFERENCE]
    if made.blood is not None:
        blood = made.blood
        of_blood = {
            "slope": blood.slope,
            "variance_taken": blood.variance_taken,
            "correlation_before": blood.correlation_before,
            "correlation_after": blood.correlation_after,
        }
        images |= of_blood
        numbers |= {name: _median_of(image) for name, image in of_blood.items()}
        numbers |= {"odd_slopes": blood.odd_slopes, "is_transductive": blood.is_transductive}
        odd += check_correction(blood)
    courses: dict[str, NDArray[Any]] = dict(made.mean)
    courses |= {f"brightness_{name}": course for name, course in found.brightness.items()}
    if motion.channel:
        used = np.isfinite(motion.shifts).all(axis=1) & ~raw.left_out
        away = _away(motion.shifts[used])
        looked = used & np.isfinite(motion.residual).all(axis=1)
        numbers |= {
            "shift_rms": _rms(away),
            "shift_most": float(np.hypot(*away.T).max(initial=0)),
            "shift_left": _rms(motion.residual[looked]),
            "sd_over_mean_before": found.sd_over_mean[0],
            "sd_over_mean_after": found.sd_over_mean[1],
        }
        courses["shift"] = motion.shifts
        if motion.turns.any():
            numbers["turn_most"] = float(np.degrees(np.abs(motion.turns[used]).max()))
            courses["turn"] = np.degrees(motion.turns)
    else:
        numbers["shift_rms"] = numbers["shift_left"] = motion_left_in(raw)
    return Quality(numbers, images, courses, tuple(odd))


def _mean_of(image: NDArray[np.float64], mask: NDArray[np.bool_]) -> float | None:
    values = image[mask & np.isfinite(image)]
    return float(values.mean()) if values.size else None


def _median_of(image: NDArray[np.float64]) -> float | None:
    values = image[np.isfinite(image)]
    return float(np.median(values)) if values.size else None
