"""Blood in a simulated cortex: what neurons, locomotion and vessels of their own accord make of it.

Blood absorbs light: more of it darkens the image, whatever the wavelength.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

RESPONSE_STAGES = 4
RESPONSE_STAGE_S = 0.5  # four such stages start after 0.5 s, peak at 1.5 s and are over by 5 s
NEURAL_SHARE = 0.15  # percent of light lost for each percent dF/F of calcium
LOCOMOTION_PERCENT = 0.6
VASOMOTION_PERCENT = 0.5
VASOMOTION_HZ = (0.05, 0.15)


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
