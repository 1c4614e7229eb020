"""What is not neural in a simulated movie: brain motion, blood, bleaching, heart beat, breath.

Blood absorbs light: more of it darkens the image, whatever the wavelength.
"""

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
RESPONSE_STAGES = 4
RESPONSE_STAGE_S = 0.5  # four such stages start after 0.5 s, peak at 1.5 s and are over by 5 s
NEURAL_SHARE = 0.15  # percent of light lost for each percent dF/F of calcium
LOCOMOTION_PERCENT = 0.6
VASOMOTION_PERCENT = 0.5
VASOMOTION_HZ = (0.05, 0.15)
BLEACHING_PERCENT = 2.0  # lost within the first minute
BLEACHING_S = 25.0
BLEACHING_PERCENT_PER_MINUTE = 0.2
WARM_UP_PERCENT, WARM_UP_S = 0.5, 60.0
FLICKER_PERCENT = 0.07
HEART_HZ, HEART_PERCENT, HEART_QUICKENING = 10.5, 0.3, 0.15
BREATHING_HZ, BREATHING_PERCENT = (2.5, 5.0), 0.2


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


@dataclass(frozen=True)
class Blood:
    """What blood does to the light, in percent, in tissue without vessels.

    Parameters
    ----------
    neural
        Driven by each region's neurons, shape (frame, region).
    locomotion
        Driven by running, alike everywhere, shape (frame,).
    vasomotion
        Of its own accord, alike everywhere, shape (frame,).
    """

    neural: NDArray[np.float32]
    locomotion: NDArray[np.float64]
    vasomotion: NDArray[np.float64]


def simulate_blood(
    rng: np.random.Generator,
    calcium: NDArray[np.float32],
    is_running: NDArray[np.bool_],
    frame_rate_hz: float,
    dials: Mapping[str, float],
) -> Blood:
    """The haemodynamic signal: half of it driven by neurons, half by locomotion, and vasomotion.

    Parameters
    ----------
    rng
        Source of the vasomotion.
    calcium
        dF/F of each region in percent, shape (frame, region).
    is_running
        Shape (frame,).
    frame_rate_hz
        Frames per second.
    dials
        A value for every dial.

    Examples
    --------
    >>> from corticode.simulate.dials import resolve_dials
    >>> running = np.repeat([False, True], 300)
    >>> blood = simulate_blood(
    ...     np.random.default_rng(0), np.zeros((600, 2), np.float32), running, 30.0,
    ...     resolve_dials(None))
    >>> (-blood.locomotion[[299, 599]]).round(2).tolist()
    [0.0, 0.6]
    """
    amount = dials["haemodynamics"]
    neural = -NEURAL_SHARE * amount * blood_response(calcium, frame_rate_hz)
    locomotion = blood_response(is_running.astype(np.float64), frame_rate_hz)
    vasomotion = VASOMOTION_PERCENT * dials["vasomotion"] * _band(rng, len(calcium), frame_rate_hz)
    return Blood(neural.astype(np.float32), -LOCOMOTION_PERCENT * amount * locomotion, vasomotion)


def blood_response(drive: NDArray[np.floating], frame_rate_hz: float) -> NDArray[np.float64]:
    """What blood follows of a drive: a gamma course of unit area, peak at 1.5 s; along frames."""
    keep = np.exp(-1 / (RESPONSE_STAGE_S * frame_rate_hz))
    response = np.asarray(drive, dtype=np.float64)
    for _ in range(RESPONSE_STAGES):
        start = keep * response[:1]
        response, _ = lfilter([1 - keep], [1, -keep], response, axis=0, zi=start)
    return response


def _band(rng: np.random.Generator, n_frames: int, frame_rate_hz: float) -> NDArray[np.float64]:
    """Noise of SD 1 between 0.05 and 0.15 Hz, shape (frame,)."""
    frequencies = np.fft.rfftfreq(n_frames, 1 / frame_rate_hz)
    size = np.exp(-0.5 * ((frequencies - np.mean(VASOMOTION_HZ)) / 0.02) ** 2)
    size *= (frequencies > VASOMOTION_HZ[0]) & (frequencies < VASOMOTION_HZ[1])
    spectrum = size * np.exp(2j * np.pi * rng.random(frequencies.size))
    course = np.fft.irfft(spectrum, n_frames)
    return np.asarray(course / max(course.std(), 1e-12))


@dataclass(frozen=True)
class Body:
    """What heart beat and breathing do to the light, in percent, in tissue; (frame,) each."""

    heart: NDArray[np.float64]
    breathing: NDArray[np.float64]


def simulate_light(
    rng: np.random.Generator, n_frames: int, frame_rate_hz: float, dials: Mapping[str, float]
) -> NDArray[np.float64]:
    """How the light of the whole image changes in a session, in percent, shape (frame,).

    Bleaching (2 % within a minute, then 0.2 % a minute), the source's warm-up and its flicker.

    Examples
    --------
    >>> from corticode.simulate.dials import resolve_dials
    >>> dark = resolve_dials({"flicker": 0, "warm_up": 0})
    >>> light = simulate_light(np.random.default_rng(0), 18_000, 30.0, dark)
    >>> bool(-6 < light[-1] - light[0] < -2)
    True
    """
    seconds = np.arange(n_frames) / frame_rate_hz
    bleaching = BLEACHING_PERCENT * np.exp(-seconds / BLEACHING_S)
    bleaching -= BLEACHING_PERCENT_PER_MINUTE * seconds / 60
    light = dials["bleaching"] * rng.uniform(0.5, 1.5) * bleaching
    light -= (
        WARM_UP_PERCENT * dials["warm_up"] * rng.uniform(0.5, 1.5) * np.exp(-seconds / WARM_UP_S)
    )
    return np.asarray(light + FLICKER_PERCENT * dials["flicker"] * rng.standard_normal(n_frames))


def simulate_body(
    rng: np.random.Generator,
    is_running: NDArray[np.bool_],
    frame_rate_hz: float,
    dials: Mapping[str, float],
) -> Body:
    """Heart beat (10.5 Hz) and breathing (2.5 Hz), both quicker in running.

    A camera slower than twice the heart's rate shows it at another, slower one.

    Examples
    --------
    >>> from corticode.simulate.dials import resolve_dials
    >>> body = simulate_body(
    ...     np.random.default_rng(0), np.zeros(600, bool), 30.0, resolve_dials({"heart": 0}))
    >>> body.heart.any(), body.breathing.shape
    (np.False_, (600,))
    """
    # The body quickens over about two seconds.
    running = uniform_filter1d(is_running.astype(np.float64), round(2 * frame_rate_hz))
    wander = 0.03 * uniform_filter1d(rng.standard_normal(running.size), round(frame_rate_hz))
    wander *= np.sqrt(frame_rate_hz)
    heart_hz = HEART_HZ * (1 + HEART_QUICKENING * running + wander)
    breathing_hz = BREATHING_HZ[0] + (BREATHING_HZ[1] - BREATHING_HZ[0]) * running
    breathing_hz *= 1 + 3 * wander
    phases = rng.uniform(0, 2 * np.pi, 2)
    heart, breathing = (
        np.sin(phase + 2 * np.pi * np.cumsum(rate_hz) / frame_rate_hz)
        for phase, rate_hz in zip(phases, (heart_hz, breathing_hz), strict=True)
    )
    return Body(
        HEART_PERCENT * dials["heart"] * heart,
        BREATHING_PERCENT * dials["breathing"] * breathing,
    )
