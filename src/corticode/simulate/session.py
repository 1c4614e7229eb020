"""One session of a simulated mouse: what it did, what its cortex did, and what was measured."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

from corticode.simulate.behavior import (
    RUN_THRESHOLD_CM_PER_S,
    SimulatedBehavior,
    add_grooming,
    session_run_fractions,
    simulate_behavior,
)
from corticode.simulate.cortex import (
    grooming_rate,
    make_weights,
    private_noise,
    simulate_calcium,
    simulate_sources,
)
from corticode.simulate.dials import dials_of_mouse
from corticode.simulate.optics import (
    Anatomy,
    Physiology,
    Scene,
    make_anatomy,
    make_scene,
    region_traces,
    shift_pose,
    take_frames,
)
from corticode.simulate.physiology import (
    run_shift,
    simulate_blood,
    simulate_body,
    simulate_light,
    simulate_movement,
)

DROPPED_SHARE = 0.001
CLOCK_PPM = (10.0, 100.0)
LEAK_COUNTS = 150.0
INTERICTAL_PERCENT, INTERICTAL_S, INTERICTAL_PER_MINUTE = 4.0, 0.1, 2.0
UNPLUGGED = (3, 1)
LEAKING = (2, 1)
FRAME_RATE_HZ = 30.0
RUN_FRACTIONS = (0.36, 0.66, 0.65, 0.58, 0.80)
RUN_FRACTION_SDS = (0.08, 0.22, 0.16, 0.11, 0.08)
DAY_CORRELATIONS = (-0.66, 0.14, -0.91, 0.58, -0.70)


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


"""Of each mouse of the study, from Fig. 1C and its sessions."""


@dataclass(frozen=True)
class Mouse:
    """One simulated mouse.

    Parameters
    ----------
    number
        From 1.
    dials
        As they are for this mouse.
    weights
        Shape (source, region), dF/F in percent for a source at 1.
    noise
        SD of each region's own fast fluctuations, in percent.
    grooming_per_minute
        Episodes in which its limbs move at rest.
    anatomy
        Its brain.
    run_shift
        How far running shifts it, shape (2,), pixels of 128.
    run_fractions
        Share of time spent running, shape (session,).
    """

    number: int
    dials: Mapping[str, float]
    weights: NDArray[np.float64]
    noise: float
    grooming_per_minute: float
    anatomy: Anatomy
    run_shift: NDArray[np.float64]
    run_fractions: NDArray[np.float64]


@dataclass(frozen=True)
class SimulatedSession:
    """One simulated session.

    Parameters
    ----------
    behavior
        What the wheel told, shape (sample,) each.
    traces
        float32, shape (frame, region), dF/F in percent.
    frames
        Which of the camera's frames were recorded, shape (frame,).
    behavior_times
        When behaviour was sampled, seconds on the camera's clock, shape (sample,).
    is_grooming
        Whether the body moves at rest, which the wheel does not tell; one value for each of the
        camera's frames, recorded or not.
    physiology, scene
        What a movie of it is made of, for the frames that were recorded.
    """

    behavior: SimulatedBehavior
    traces: NDArray[np.float32]
    frames: NDArray[np.int64]
    behavior_times: NDArray[np.float64]
    is_grooming: NDArray[np.bool_]
    physiology: Physiology
    scene: Scene


def stream(seed: int, *place: int) -> np.random.Generator:
    """Random numbers of one mouse, stage and session, whatever else is simulated."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=place))


def simulate_mouse(number: int, n_sessions: int, seed: int, dials: Mapping[str, float]) -> Mouse:
    """Mouse number `number` (from 1) of the cohort that `seed` gives.

    Examples
    --------
    >>> from corticode.simulate.dials import resolve_dials
    >>> simulate_mouse(2, 3, 0, resolve_dials(None)).weights.shape
    (14, 50)
    """
    own = dials_of_mouse(dials, number)
    fractions = session_run_fractions(
        stream(seed, number, 1),
        RUN_FRACTIONS[number - 1],
        RUN_FRACTION_SDS[number - 1],
        float(np.clip(own["day_trend"] * DAY_CORRELATIONS[number - 1], -1, 1)),
        n_sessions,
    )
    return Mouse(
        number,
        own,
        make_weights(stream(seed, number, 0), own, one_sided=own["one_sided"] == number),
        private_noise(stream(seed, number, 9), own),
        grooming_rate(stream(seed, number, 12), own),
        make_anatomy(stream(seed, number, 6), number, own),
        run_shift(stream(seed, number, 7)),
        fractions,
    )


def simulate_session(
    mouse: Mouse, session: int, n_frames: int, n_pixels: int, seed: int
) -> SimulatedSession:
    """Session number `session` (from 0) of a mouse, as it was recorded.

    Parameters
    ----------
    mouse
        Whose.
    session
        Its number, from 0.
    n_frames
        Frames at 30 Hz.
    n_pixels
        Side of the movie's frames; region traces are means over their pixels.
    seed
        The cohort's.

    Examples
    --------
    >>> from corticode.simulate.dials import resolve_dials
    >>> mouse = simulate_mouse(2, 3, 0, resolve_dials(None))
    >>> simulate_session(mouse, 0, 3000, 64, 0).traces.shape
    (3000, 50)
    """
    place = (mouse.number, session)
    behavior = simulate_behavior(
        stream(seed, mouse.number, 2, session),
        n_frames,
        FRAME_RATE_HZ,
        float(mouse.run_fractions[session]),
        encoder_noise=mouse.dials["encoder_noise"],
    )
    lives = stream(seed, mouse.number, 3, session)
    pose = shift_pose(lives, mouse.anatomy.pose, mouse.dials["day_position"])
    scene = make_scene(mouse.anatomy, pose, n_pixels, mouse.dials)
    body = add_body(lives, mouse, behavior)
    physiology = simulate_physiology(lives, mouse, body)
    odd = stream(seed, mouse.number, 8, session)
    if mouse.dials["light_leak"] and place == LEAKING:
        leak = mouse.dials["light_leak"] * light_leak(odd, n_frames, FRAME_RATE_HZ)
        physiology = replace(physiology, leak=leak)
    traces = region_traces(lives, physiology, scene, mouse.dials)
    frames = recorded_frames(odd, n_frames, mouse.dials)
    times = wheel_clock(odd, n_frames, FRAME_RATE_HZ, mouse.dials)
    told = sample_behavior(behavior, times, FRAME_RATE_HZ)
    if mouse.dials["unplugged_wheel"] and place == UNPLUGGED:
        told = unplug_wheel(odd, told)
    if frames.size < n_frames:
        traces, physiology = traces[frames], take_frames(physiology, frames)
    is_grooming = body.is_running & ~behavior.is_running
    return SimulatedSession(told, traces, frames, times, is_grooming, physiology, scene)


def add_body(
    rng: np.random.Generator, mouse: Mouse, behavior: SimulatedBehavior
) -> SimulatedBehavior:
    """What a mouse's body does: it runs as the wheel tells, and grooms at rest now and then."""
    return add_grooming(rng, behavior, FRAME_RATE_HZ, mouse.grooming_per_minute)


def simulate_physiology(
    rng: np.random.Generator, mouse: Mouse, body: SimulatedBehavior
) -> Physiology:
    """What the brain does while the body moves, as `add_body` gives."""
    running, dials = body.is_running, mouse.dials
    sources = simulate_sources(rng, body, FRAME_RATE_HZ, dials)
    calcium = simulate_calcium(
        rng,
        sources,
        mouse.weights,
        FRAME_RATE_HZ,
        noise=mouse.noise,
        drift=dials["drift"],
    )
    if dials["interictal"]:
        events = dials["interictal"] * interictal_events(rng, running.size, FRAME_RATE_HZ)
        calcium += events[:, None].astype(np.float32)
    light = [simulate_light(rng, running.size, FRAME_RATE_HZ, dials) for _ in range(2)]
    return Physiology(
        calcium,
        simulate_blood(rng, calcium, running, FRAME_RATE_HZ, dials),
        simulate_body(rng, running, FRAME_RATE_HZ, dials),
        simulate_movement(rng, mouse.run_shift, running, FRAME_RATE_HZ, dials),
        np.stack(light, axis=1),
        np.zeros(running.size),
    )
