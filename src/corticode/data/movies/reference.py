"""How strongly blood shows in each pixel, against the reference channel.

Blood follows neurons: where they brighten the image, blood darkens it a second and a half later.
A regression of the movie on the reference takes one for the other, and can come out with a slope
of the wrong sign. So the slope is found where blood pulses and the indicator is too slow to
follow, in the heart beat, as laboratories that correct widefield movies do; its smooth map is
drawn towards the ratio of both channels' brightness, which is the slope if both lose the same
share of their light. What cannot be seen here: slow changes of blood's oxygen, with which the two
wavelengths' losses need not keep the ratio that they have in the heart beat.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

from corticode.data.movies.passes import means_over_pixels, row_bands
from corticode.errors import DataError

FAST_CYCLES = 0.2  # a frame; 6 Hz at 30 frames a second
FAST_HZ = 6.0  # above limb movements and breathing, below the heart
SMOOTHING_PIXELS = 2.0
PRIOR_FRAMES = 256
PRIOR_SHARE = 0.1
LEAST_COHERENCE = 0.5
LEAST_FRAMES = 64


@dataclass
class FastSums:
    """What both channels' fast fluctuations have in common, summed over stretches of frames.

    Parameters
    ----------
    movie, reference
        Products of the channel's pixels with the reference's fast part, shape (row, column).
    reference_power, movie_power, shared
        Of the means over all pixels: their fast parts' power, and what they share.
    n_frames
        How many frames were summed.
    """

    movie: NDArray[np.complex128]
    reference: NDArray[np.float64]
    reference_power: float = 0.0
    movie_power: float = 0.0
    shared: complex = 0.0
    n_frames: int = 0

    @property
    def coherence(self) -> float:
        """How much of the two channels' fast fluctuations is common, 0 to 1."""
        power = self.reference_power * self.movie_power
        return abs(self.shared) ** 2 / power if power > 0 else 0.0


def fast_cycles(frame_rate_hz: float | None) -> float:
    """The slowest of the fast fluctuations, in cycles a frame.

    Examples
    --------
    >>> fast_cycles(30.0), fast_cycles(60.0), fast_cycles(None)
    (0.2, 0.1, 0.2)
    """
    return FAST_CYCLES if frame_rate_hz is None else min(FAST_CYCLES, FAST_HZ / frame_rate_hz)


def fast_part(trace: NDArray[np.float64], slowest: float) -> NDArray[np.complex128]:
    """The fast fluctuations of a trace, with their phase.

    Parameters
    ----------
    trace
        (frame,).
    slowest
        In cycles a frame: slower ones are left out.

    Returns
    -------
    NDArray
        (frame,): the analytic signal, faded in and out, so that its product with a slow trend is 0.

    Examples
    --------
    >>> frame = np.arange(256)
    >>> beat = np.sin(2 * np.pi * 0.35 * frame)
    >>> bool(abs(fast_part(beat + 0.1 * frame, 0.2)[128] / fast_part(beat, 0.2)[128] - 1) < 0.01)
    True
    """
    fade = np.sin(np.pi * np.arange(trace.size) / trace.size) ** 2
    spectrum = np.fft.fft((trace - trace.mean()) * fade)
    spectrum[np.fft.fftfreq(trace.size) < slowest] = 0
    return np.asarray(2 * np.fft.ifft(spectrum) * fade)


def add_stretch(
    sums: FastSums,
    movie: NDArray[Any],
    reference: NDArray[Any],
    seen: NDArray[np.bool_],
    slowest: float,
) -> None:
    """Add a stretch of frames to the sums.

    Parameters
    ----------
    movie, reference
        (frame, row, column), all finite where seen; not changed.
    seen
        (row, column): pixels that hold values.
    slowest
        As in `fast_part`.
    """
    if len(movie) < LEAST_FRAMES:
        return
    own, other = (
        fast_part(means_over_pixels(frames, [seen])[:, 0], slowest) for frames in (movie, reference)
    )
    sums.reference_power += float((np.abs(other) ** 2).sum())
    sums.movie_power += float((np.abs(own) ** 2).sum())
    sums.shared += complex((own * other.conj()).sum())
    sums.n_frames += len(movie)
    parts = np.stack([other.real, -other.imag])
    for rows in row_bands(movie):
        lit = _summed(parts, movie[:, rows], seen[rows])
        sums.movie[rows] += lit[0] + 1j * lit[1]
        sums.reference[rows] += _summed(parts[:1], reference[:, rows], seen[rows])[0]


def reference_slope(
    sums: FastSums, movie_mean: NDArray[np.float64], reference_mean: NDArray[np.float64]
) -> NDArray[np.float64]:
    """What to multiply the reference with before it is subtracted from the movie.

    Both channels' share of light that the heart beat takes is averaged over neighbouring pixels;
    their ratio is drawn towards 1 as if 256 frames had shown it to be 1. A delay between
    the channels is taken from the fluctuations themselves. Where the two channels' fast
    fluctuations have too little in common (coherence below 0.5), the ratio is 1.

    Parameters
    ----------
    sums
        As `add_stretch` makes them.
    movie_mean, reference_mean
        Mean images, (row, column), in counts.

    Returns
    -------
    NDArray
        (row, column), counts of the movie for one of the reference; 0 where either is dark.

    Raises
    ------
    DataError
        Most pixels are not above 0, so that they can be no counts.

    References
    ----------
    Fitting at the heart's rate is the idea of `HemoCorrectLocal`, https://github.com/cortex-lab.
    """
    lit = (movie_mean > 0) & (reference_mean > 0)
    if 2 * lit.sum() < lit.size:
        raise DataError(
            f"{int((~lit).sum())} of {lit.size} pixels have a mean of 0 or less in the movie or "
            "its reference; subtracting a reference needs counts as recorded: give those, or "
            "correction = 'done-elsewhere' if blood was taken out before"
        )
    brightness = np.divide(movie_mean, reference_mean, out=np.zeros(movie_mean.shape), where=lit)
    if sums.coherence < LEAST_COHERENCE:
        return brightness
    turned = (sums.movie * np.conj(sums.shared / abs(sums.shared))).real
    in_movie, in_reference = (
        _smooth_share(product, mean, lit)
        for product, mean in ((turned, movie_mean), (sums.reference, reference_mean))
    )
    bright = lit & (movie_mean >= movie_mean[lit].mean())
    return slope_of_shares(in_movie, in_reference, brightness, bright, sums.n_frames)


def slope_of_shares(
    in_movie: NDArray[np.float64],
    in_reference: NDArray[np.float64],
    brightness: NDArray[np.float64],
    bright: NDArray[np.bool_],
    n_frames: float,
) -> NDArray[np.float64]:
    """The ratio of what the heart beat takes of both channels' light, drawn towards 1.

    Parameters
    ----------
    in_movie, in_reference
        (row, column): products of each channel's fast part with the reference's, as shares of the
        channel's mean brightness, smoothed.
    brightness
        (row, column): what a ratio of 1 is as a slope.
    bright
        (row, column): the pixels whose median says how strongly the heart beats.
    n_frames
        How many frames were summed.

    Returns
    -------
    NDArray
        (row, column), in the unit of `brightness`.

    Examples
    --------
    >>> one = np.ones((1, 2))
    >>> slope_of_shares(1.5 * one, one, one, one > 0, 2560).round(3).tolist()
    [[1.455, 1.455]]
    """
    prior = float(np.median(in_reference[bright]))
    prior *= max(PRIOR_SHARE, PRIOR_FRAMES / n_frames)
    if prior <= 0:
        return brightness
    return np.asarray(brightness * (in_movie + prior) / (np.maximum(in_reference, 0) + prior))


def _smooth_share(
    product: NDArray[np.float64], mean: NDArray[np.float64], lit: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Products as a share of the mean brightness, averaged over neighbouring pixels."""
    share = np.divide(product, mean, out=np.zeros(mean.shape), where=lit)
    return np.asarray(scipy.ndimage.gaussian_filter(share, SMOOTHING_PIXELS))


def _summed(
    parts: NDArray[np.float64], frames: NDArray[Any], seen: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Products of frames with traces, summed over frames; (trace, row, column)."""
    values = frames.astype(np.float64)
    if not seen.all():
        values[:, ~seen] = 0
    return (parts @ values.reshape(len(values), -1)).reshape(len(parts), *seen.shape)
