"""Where the brain lies in each frame against where it lies on average: sub-pixel shifts."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

from corticode.data.movies.passes import frame_blocks, mean_image
from corticode.errors import DataError

SMALLEST_SIDE = 16  # pixels
LOWEST_CYCLES = 2.5  # an image; what is broader is activity, blood and light, not outlines
SAMPLE_FRAMES = 64
GREATEST_WEIGHT = 10.0  # so that many frequencies have a say where there is little noise
FARTHEST = 1 / 8  # of the image's height and width
STEP = 1 / 8  # pixel
ODD_SDS, ODD_SHARE = 12.0, 0.25
OFFSETS = np.arange(-1, 1 + STEP, STEP)
# Pixels over which what lies beside unseen ones fades in.
FEATHER = 8


@dataclass(frozen=True)
class Template:
    """What every frame is compared with.

    Parameters
    ----------
    level
        What is subtracted from each pixel.
    seen
        (row, column): False where no frame has a value.
    taper
        (row, column): 1 in the middle, 0 at the border.
    votes
        (row frequency, column frequency): the mean image's conjugate phases times their weights.
    """

    level: float
    seen: NDArray[np.bool_]
    taper: NDArray[np.float32]
    votes: NDArray[np.complex64]


def measure_motion(movie: NDArray[Any]) -> NDArray[np.float64]:
    """How far each frame is shifted against the movie's mean image, in pixels.

    Phase correlation: each spatial frequency of a frame votes with its phase against the mean
    image's, whatever its strength, and counts by the mean image's power over that of the frames'
    deviations from it (the maximum-likelihood weight), at most 10. Frequencies below 2.5 cycles
    an image have no vote, since activity, blood and light change there. Single pixels that stand
    out of the image (dead, hot, saturated) stay where they are on the camera: they are replaced by
    what lies around. The peak is looked for
    within 1/8 of the image, to the pixel, then on a grid of 1/8 pixel, then by a parabola.

    Parameters
    ----------
    movie
        (frame, row, column), any unit; may be memory-mapped and is never held whole.

    Returns
    -------
    NDArray
        (frame, 2): rows (positive: the brain lies lower in the image) and columns (positive:
        further right). NaN for frames that are not finite or hold one value only.

    Raises
    ------
    DataError
        The frames are smaller than 16 x 16 pixels, or the mean image has no structure.

    References
    ----------
    Weights of phases: Knapp & Carter (1976), doi:10.1109/TASSP.1976.1162830. A finer grid around
    the peak: Guizar-Sicairos et al. (2008), doi:10.1364/OL.33.000156.

    Examples
    --------
    >>> from scipy import ndimage
    >>> image = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=(72, 72)), 1.5)
    >>> movie = np.stack([image[4 - k : 68 - k, 4:68] for k in [0] * 40 + [1]])
    >>> round(float(measure_motion(movie)[-1, 0]), 1)
    1.0
    """
    if min(movie.shape[1:]) < SMALLEST_SIDE:
        raise DataError(
            f"frames have {movie.shape[1]} x {movie.shape[2]} pixels; brain motion needs "
            f"{SMALLEST_SIDE} x {SMALLEST_SIDE} or more"
        )
    odd = odd_pixels_of(movie)
    mean = repaired(mean_image(movie)[None], *odd)[0]
    sample = (repaired(movie[k : k + 1], *odd) for k in _sampled(movie))
    template = make_template(mean, sample)
    shifts = np.empty((movie.shape[0], 2))
    for rows in frame_blocks(movie):
        shifts[rows] = find_shifts(repaired(movie[rows], *odd), template)
    return shifts


def odd_pixels_of(movie: NDArray[Any]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """As `odd_pixels`, of the mean of evenly spaced frames of a movie."""
    return odd_pixels(movie[_sampled(movie)].mean(axis=0, dtype=np.float64))


def _sampled(movie: NDArray[Any]) -> NDArray[np.int64]:
    return np.unique(np.linspace(0, len(movie) - 1, SAMPLE_FRAMES).astype(np.int64))


def make_template(mean: NDArray[np.floating[Any]], sample: Iterable[NDArray[Any]]) -> Template:
    """What frames are compared with.

    Parameters
    ----------
    mean
        (row, column): where the brain lies on average; NaN where nothing is seen.
    sample
        Some frames, (frame, row, column) each, whose deviations from the mean image say how far
        each spatial frequency can be trusted.

    Raises
    ------
    DataError
        The mean image has no structure.
    """
    seen = np.isfinite(mean)
    n_rows, n_columns = mean.shape
    taper = np.outer(np.hanning(n_rows + 1)[:-1], np.hanning(n_columns + 1)[:-1])
    if not seen.all():  # the edge of what is not seen lies still while the brain moves
        away = scipy.ndimage.distance_transform_edt(seen)
        taper *= np.sin(np.pi / 2 * np.minimum(away / FEATHER, 1)) ** 2
    level = float(mean[seen].mean()) if seen.any() else 0.0
    bare = Template(level, seen, taper.astype(np.float32), np.zeros(0, np.complex64))
    reference = _spectra(mean[None], bare)[0]
    noise, n_frames = np.zeros(reference.shape), 0
    for frames in sample:
        for spectrum in _spectra(frames, bare):
            noise += np.nan_to_num(np.abs(spectrum - reference) ** 2)
            n_frames += 1
    power = np.where(_votes_allowed(n_rows, n_columns), np.abs(reference) ** 2, 0)
    if not np.nan_to_num(power).any():
        raise DataError("the mean image has no structure; brain motion cannot be measured in it")
    weight = np.zeros(power.shape)
    np.divide(
        power, noise / max(1, n_frames) + power / GREATEST_WEIGHT, out=weight, where=power > 0
    )
    votes = weight * np.conj(_phases(reference))
    return Template(level, seen, bare.taper, votes.astype(np.complex64))


def _votes_allowed(n_rows: int, n_columns: int) -> NDArray[np.bool_]:
    """Spatial frequencies that are neither broad nor at the limit of what pixels can show."""
    cycles = (
        scipy.fft.fftfreq(n_rows, 1 / n_rows)[:, None],
        scipy.fft.rfftfreq(n_columns, 1 / n_columns),
    )
    is_below_limit = (abs(cycles[0]) < n_rows / 2) & (cycles[1] < n_columns / 2)
    return np.asarray(is_below_limit & (np.hypot(*cycles) >= LOWEST_CYCLES))


def _spectra(frames: NDArray[Any], template: Template) -> NDArray[np.complex64]:
    """(frame, row frequency, column frequency); NaN for frames not finite or all one value."""
    values = frames.astype(np.float32)
    values[np.ptp(values, axis=(1, 2)) == 0] = np.nan
    values -= np.float32(template.level)
    if frames.dtype.kind == "f":
        values[:, ~template.seen] = 0
    values *= template.taper
    return np.asarray(scipy.fft.rfft2(values))


def _phases(spectra: NDArray[Any]) -> NDArray[Any]:
    size = np.abs(spectra)
    return np.asarray(np.divide(spectra, size, out=np.zeros_like(spectra), where=size > 0))


def find_shifts(frames: NDArray[Any], template: Template) -> NDArray[np.float64]:
    """How far each frame is shifted against a template: (frame, 2), as `measure_motion` gives."""
    return _find_shifts(_spectra(frames, template), template)


def _find_shifts(spectra: NDArray[np.complex64], template: Template) -> NDArray[np.float64]:
    """(frame, 2), from the peak of each frame's phase correlation."""
    n_rows, n_columns = template.taper.shape
    is_blank = ~np.isfinite(spectra[:, 0, 0])
    spectra[is_blank] = 0
    cross = _phases(spectra) * template.votes
    whole = _whole_peaks(scipy.fft.irfft2(cross, (n_rows, n_columns)))
    row_turn = 2j * np.pi * scipy.fft.fftfreq(n_rows)
    column_turn = 2j * np.pi * scipy.fft.rfftfreq(n_columns)
    # Each peak is brought to the origin, so that one fine grid serves all frames.
    cross *= np.exp(whole[:, :1] * row_turn).astype(np.complex64)[:, :, None]
    cross *= np.exp(whole[:, 1:] * column_turn).astype(np.complex64)[:, None, :]
    on_rows = np.exp(np.outer(OFFSETS, row_turn)).astype(np.complex64)
    on_columns = np.exp(np.outer(column_turn, OFFSETS)).astype(np.complex64)
    on_columns[1:] *= 2  # their mirror frequencies are not stored
    shifts = whole + _fine_peaks((on_rows @ cross @ on_columns).real)
    shifts[is_blank] = np.nan
    return shifts


def _whole_peaks(surface: NDArray[np.floating[Any]]) -> NDArray[np.int64]:
    """(frame, 2): where each surface (frame, row, column) is highest, near its origin."""
    reach = [max(1, int(length * FARTHEST)) for length in surface.shape[1:]]
    near = np.roll(surface, reach, axis=(1, 2))[:, : 2 * reach[0] + 1, : 2 * reach[1] + 1]
    peak = near.reshape(len(near), -1).argmax(axis=1)
    return np.asarray(np.stack(np.unravel_index(peak, near.shape[1:]), axis=1) - reach)


def _fine_peaks(surface: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """(frame, 2): the highest point of each surface over the fine grid, in pixels."""
    n_offsets = OFFSETS.size
    peak = surface.reshape(len(surface), -1).argmax(axis=1)
    frame = np.arange(len(surface))
    # A parabola needs a neighbour on both sides.
    row, column = np.clip(np.unravel_index(peak, (n_offsets, n_offsets)), 1, n_offsets - 2)
    fine = []
    for place, step in ((row, (1, 0)), (column, (0, 1))):
        low, middle, high = (
            surface[frame, row + k * step[0], column + k * step[1]].astype(np.float64)
            for k in (-1, 0, 1)
        )
        bend = low - 2 * middle + high
        part = np.divide(low - high, 2 * bend, out=np.zeros(len(frame)), where=bend < 0)
        fine.append(OFFSETS[place] + STEP * np.clip(part, -1, 1))
    return np.stack(fine, axis=1)


def odd_pixels(mean: NDArray[np.floating[Any]]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Single pixels that stand out of their surround in the mean image: dead, hot, saturated.

    Parameters
    ----------
    mean
        (row, column).

    Returns
    -------
    odd
        (pixel,), numbered along rows: those that differ from the median of the 3 x 3 pixels around
        by more than 12 robust SDs of that difference and by a quarter: vessels are wider, and
        paler.
    around
        (pixel, 24): the pixels of the 5 x 5 around each, those beyond the border mirrored.

    Examples
    --------
    >>> image = np.random.default_rng(0).normal(100, 1, size=(20, 20))
    >>> image[4, 7] = 4000
    >>> odd_pixels(image)[0].tolist() == [4 * 20 + 7]
    True
    """
    seen = np.isfinite(mean)
    known = np.where(seen, mean, np.median(mean[seen]) if seen.any() else 0.0)
    middle = scipy.ndimage.median_filter(known, 3, mode="mirror")
    beyond = known - middle
    own = beyond[seen] if seen.any() else beyond
    spread = 1.4826 * float(np.median(np.abs(own - np.median(own))))
    odd = np.flatnonzero(np.abs(beyond) > np.maximum(ODD_SDS * spread, ODD_SHARE * np.abs(middle)))
    return odd, neighbours(odd, mean.shape)


def neighbours(pixels: NDArray[np.intp], shape: tuple[int, ...]) -> NDArray[np.intp]:
    """(pixel, 24): the pixels of the 5 x 5 around each, those beyond the border mirrored."""
    rows, columns = np.unravel_index(pixels, shape)
    steps = [(i, j) for i in range(-2, 3) for j in range(-2, 3) if i or j]
    near = [
        _mirrored(rows + i, shape[0]) * shape[1] + _mirrored(columns + j, shape[1])
        for i, j in steps
    ]
    return np.stack(near, axis=1)


def _mirrored(place: NDArray[np.intp], size: int) -> NDArray[np.intp]:
    inside = np.abs(place)
    return np.where(inside >= size, 2 * (size - 1) - inside, inside)


def repaired(frames: NDArray[Any], odd: NDArray[np.intp], around: NDArray[np.intp]) -> NDArray[Any]:
    """Frames with odd pixels replaced by the median of those around; the same where none is."""
    if not odd.size:
        return frames
    flat = frames.reshape(len(frames), -1).copy()
    flat[:, odd] = np.median(flat[:, around], axis=2)
    return flat.reshape(frames.shape)
