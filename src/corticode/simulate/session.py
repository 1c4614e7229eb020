"""One session of a simulated mouse: what it did, what its cortex did, and what was measured."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from corticode.simulate.activity import (
    simulate_calcium,
    simulate_sources,
)
from corticode.simulate.behavior import (
    SimulatedBehavior,
    add_grooming,
    session_run_fractions,
    simulate_behavior,
)
from corticode.simulate.brain import Anatomy, Scene, make_anatomy, make_scene, shift_pose
from corticode.simulate.dials import dials_of_mouse
from corticode.simulate.haemodynamics import simulate_blood
from corticode.simulate.light import simulate_body, simulate_light
from corticode.simulate.mishaps import (
    LEAKING,
    UNPLUGGED,
    interictal_events,
    light_leak,
    recorded_frames,
    sample_behavior,
    unplug_wheel,
    wheel_clock,
)
from corticode.simulate.movement import run_shift, simulate_movement
from corticode.simulate.optics import Physiology, region_traces, take_frames
from corticode.simulate.weights import grooming_rate, make_weights, private_noise

FRAME_RATE_HZ = 30.0
RUN_FRACTIONS = (0.36, 0.66, 0.65, 0.58, 0.80)
RUN_FRACTION_SDS = (0.08, 0.22, 0.16, 0.11, 0.08)
DAY_CORRELATIONS = (-0.66, 0.14, -0.91, 0.58, -0.70)
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
    physiology, scene
        What a movie of it is made of, for the frames that were recorded.
    """

    behavior: SimulatedBehavior
    traces: NDArray[np.float32]
    frames: NDArray[np.int64]
    behavior_times: NDArray[np.float64]
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
    physiology = simulate_physiology(lives, mouse, behavior)
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
    return SimulatedSession(told, traces, frames, times, physiology, scene)


def simulate_physiology(
    rng: np.random.Generator, mouse: Mouse, behavior: SimulatedBehavior
) -> Physiology:
    """What the brain does while the mouse behaves."""
    body = add_grooming(rng, behavior, FRAME_RATE_HZ, mouse.grooming_per_minute)
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
