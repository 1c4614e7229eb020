"""Light and body in a simulated movie: bleaching, the light source, heart beat and breathing."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

BLEACHING_PERCENT = 2.0  # lost within the first minute
BLEACHING_S = 25.0
BLEACHING_PERCENT_PER_MINUTE = 0.2
WARM_UP_PERCENT, WARM_UP_S = 0.5, 60.0
FLICKER_PERCENT = 0.07
HEART_HZ, HEART_PERCENT, HEART_QUICKENING = 10.5, 0.3, 0.15
BREATHING_HZ, BREATHING_PERCENT = (2.5, 5.0), 0.2


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
