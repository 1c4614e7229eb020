"""What goes wrong in a simulated recording, where it is asked for."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

from corticode.simulate.behavior import RUN_THRESHOLD_CM_PER_S, SimulatedBehavior

DROPPED_SHARE = 0.001
CLOCK_PPM = (10.0, 100.0)
LEAK_COUNTS = 150.0
INTERICTAL_PERCENT, INTERICTAL_S, INTERICTAL_PER_MINUTE = 4.0, 0.1, 2.0
UNPLUGGED = (3, 1)
LEAKING = (2, 1)
"""Number of the mouse, from 1, and of its session, from 0."""


def recorded_frames(
    rng: np.random.Generator, n_frames: int, dials: Mapping[str, float]
) -> NDArray[np.int64]:
    """Which frames the camera kept, in order: without those dropped and those missing at the end.

    Examples
    --------
    >>> from corticode.simulate.dials import resolve_dials
    >>> recorded_frames(np.random.default_rng(0), 5, resolve_dials(None))
    array([0, 1, 2, 3, 4])
    """
    is_kept = rng.random(n_frames) >= DROPPED_SHARE * dials["dropped_frames"]
    is_kept[0] = True
    n_missing = round(dials["missing_end"] * rng.integers(1, 4))
    return np.flatnonzero(is_kept)[: n_frames - n_missing]


def wheel_clock(
    rng: np.random.Generator, n_samples: int, frame_rate_hz: float, dials: Mapping[str, float]
) -> NDArray[np.float64]:
    """When each sample of behaviour was taken, on the camera's clock, in seconds; (sample,)."""
    ppm = dials["clock_drift"] * rng.uniform(*CLOCK_PPM) * rng.choice([-1.0, 1.0])
    return np.asarray(np.arange(n_samples) / frame_rate_hz * (1 + 1e-6 * ppm))


def sample_behavior(
    behavior: SimulatedBehavior, times_s: NDArray[np.float64], frame_rate_hz: float
) -> SimulatedBehavior:
    """Behaviour as sampled at other times: the nearest frame's."""
    places = np.rint(times_s * frame_rate_hz).astype(np.int64)
    nearest = np.clip(places, 0, behavior.is_running.size - 1)
    return SimulatedBehavior(
        behavior.is_running[nearest],
        behavior.speed_cm_per_s[nearest],
        behavior.stride_phase[nearest],
    )


def unplug_wheel(rng: np.random.Generator, behavior: SimulatedBehavior) -> SimulatedBehavior:
    """Behaviour as an unplugged wheel tells it: noise around 0, never running."""
    speed = np.clip(
        0.1 * rng.standard_normal(behavior.is_running.size), None, RUN_THRESHOLD_CM_PER_S
    )
    return replace(behavior, is_running=np.zeros_like(behavior.is_running), speed_cm_per_s=speed)


def light_leak(
    rng: np.random.Generator, n_frames: int, frame_rate_hz: float
) -> NDArray[np.float64]:
    """Counts that leaking light adds to every pixel, shape (frame,): a screen going on and off."""
    is_on = np.cumsum(rng.random(n_frames) < 1 / (8 * frame_rate_hz)) % 2
    return LEAK_COUNTS * is_on * (1 + 0.05 * rng.standard_normal(n_frames))


def interictal_events(
    rng: np.random.Generator, n_frames: int, frame_rate_hz: float
) -> NDArray[np.float64]:
    """Brief, large discharges of the whole cortex, in percent dF/F, shape (frame,)."""
    begins = rng.random(n_frames) < INTERICTAL_PER_MINUTE / 60 / frame_rate_hz
    length = max(2, round(2 * INTERICTAL_S * frame_rate_hz))
    events = uniform_filter1d(begins.astype(np.float64), length) * length
    return np.asarray(INTERICTAL_PERCENT * np.minimum(events, 1))
