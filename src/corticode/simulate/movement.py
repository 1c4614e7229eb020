"""How a simulated brain moves under the window: with running, at rest, in jumps, out of focus."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft
from scipy.ndimage import uniform_filter1d
from scipy.signal import lfilter

RUN_SHIFT = 0.1  # pixels of 128, about 8 um
RISE_S = 0.05
JITTER = 0.02
JUMPS_PER_MINUTE = 0.3
BLUR_VARIANCE = 0.04  # squared pixels of 128; changes brightness by 0.1 to 0.5 %


@dataclass(frozen=True)
class Movement:
    """Where the brain is, frame by frame, in pixels of 128.

    Parameters
    ----------
    shift
        Shape (frame, 2): down, to the right.
    blur
        Variance of the blur, shape (frame,), squared pixels.
    """

    shift: NDArray[np.float64]
    blur: NDArray[np.float64]


def run_shift(rng: np.random.Generator) -> NDArray[np.float64]:
    """How far running shifts this mouse's brain, in pixels of 128, at a dial of 1; (2,).

    Mainly along rows, 0.02 to 0.5 pixels, 0.1 as a rule; either way.
    """
    size = np.clip(RUN_SHIFT * rng.lognormal(0, 0.5), 0.02, 0.5)
    sideways = 0.2 * rng.standard_normal()
    return np.asarray(size * rng.choice([-1.0, 1.0]) * np.array([1.0, sideways]))


def simulate_movement(
    rng: np.random.Generator,
    far: NDArray[np.float64],
    is_running: NDArray[np.bool_],
    frame_rate_hz: float,
    dials: Mapping[str, float],
) -> Movement:
    """Shift and blur of a session: within 100 ms of onset, with a swing at the onset itself.

    Parameters
    ----------
    rng
        Source of all randomness.
    far
        The mouse's own shift with running, as `run_shift` gives.
    is_running
        Shape (frame,).
    frame_rate_hz
        Frames per second.
    dials
        A value for every dial.

    Examples
    --------
    >>> from corticode.simulate.dials import resolve_dials
    >>> still = resolve_dials({"jitter": 0, "jumps": 0})
    >>> running = np.repeat([False, True], 60)
    >>> movement = simulate_movement(
    ...     np.random.default_rng(0), np.array([0.1, 0.0]), running, 30.0, still)
    >>> movement.shift[[0, 119], 0].round(2).tolist()
    [0.0, 0.1]
    """
    n_frames = is_running.size
    running = is_running.astype(np.float64)
    keep = np.exp(-1 / (RISE_S * frame_rate_hz))
    course = lfilter([1 - keep], [1, -keep], running, zi=keep * running[:1])[0]
    swing = course - uniform_filter1d(course, round(0.3 * frame_rate_hz))
    shift = dials["motion"] * np.outer(course + swing, far)
    shift += JITTER * dials["jitter"] * rng.standard_normal((n_frames, 2))
    begins = rng.random(n_frames) < JUMPS_PER_MINUTE / 60 / frame_rate_hz
    lengths = rng.integers(1, max(2, round(0.3 * frame_rate_hz)), n_frames)
    angle = rng.uniform(0, 2 * np.pi, n_frames)
    for frame in np.flatnonzero(begins):
        jump = dials["jumps"] * np.array([np.sin(angle[frame]), np.cos(angle[frame])])
        shift[frame : frame + lengths[frame]] += jump
    return Movement(shift, BLUR_VARIANCE * dials["defocus"] * np.clip(course, 0, 1))


def move_frames(
    frames: NDArray[np.float32], shift: NDArray[np.float64], blur: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Frames shifted by parts of a pixel and blurred, by their Fourier transforms.

    Parameters
    ----------
    frames
        Shape (frame, row, column).
    shift
        Shape (frame, 2), in pixels of these frames: down, to the right. Borders wrap around.
    blur
        Variance, shape (frame,), squared pixels of these frames.

    Returns
    -------
    NDArray
        float32, shape (frame, row, column).

    Examples
    --------
    >>> image = np.zeros((1, 4, 4), np.float32)
    >>> image[0, 1, 1] = 1
    >>> moved = move_frames(image, np.array([[1.0, 0.0]]), np.zeros(1))
    >>> np.unravel_index(moved.argmax(), moved.shape)[1:] == (2, 1)
    True
    """
    n_rows, n_columns = frames.shape[1:]
    spectra = fft.rfft2(frames)
    spectra *= _factors(shift[:, 0], blur, fft.fftfreq(n_rows))[:, :, None]
    spectra *= _factors(shift[:, 1], blur, fft.rfftfreq(n_columns))[:, None, :]
    return np.asarray(fft.irfft2(spectra, (n_rows, n_columns)), dtype=np.float32)


def _factors(
    shift: NDArray[np.float64], blur: NDArray[np.float64], frequencies: NDArray[np.float64]
) -> NDArray[np.complex64]:
    """What a shift and a blur do to each frequency along one axis; (frame, frequency)."""
    turn = 2 * np.pi * frequencies
    exponent = -1j * np.outer(shift, turn) - 0.5 * np.outer(blur, turn**2)
    return np.asarray(np.exp(exponent), dtype=np.complex64)
