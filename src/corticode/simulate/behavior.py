"""Running and resting of a simulated mouse on a wheel: bouts, speed and stride."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

from corticode.errors import StudyError

RUN_THRESHOLD_CM_PER_S = 0.5
SMOOTHING_FRAMES = 5
MINIMUM_FRAMES = 1000
MINIMUM_BOUTS = 7
SHORTEST_BOUT_S = 0.25
BOUT_SPREAD = 1.5
# Speed of a bout, and how it and the pace within it scatter, of the logarithm.
BOUT_CM_PER_S, BOUT_PACE_SPREAD, PACE_SPREAD = 19.5, 0.3, 0.45
PACE_S = 2.0
STRIDES_HZ, STRIDES_HZ_PER_CM_PER_S, STRIDES_SPREAD_HZ = 2.4, 0.02, 0.3
RUN_FRACTION_LIMITS = (0.2, 0.95)
LEAST_REST_FRAMES = 100
GROOMING_S, GROOMING_HZ = (2.0, 7.0), 2.8
ENCODER_NOISE_CM_PER_S = 0.1


@dataclass(frozen=True)
class SimulatedBehavior:
    """What a simulated mouse did, frame by frame.

    Parameters
    ----------
    is_running
        Shape (frame,): the speed, averaged over five frames, is above 0.5 cm/s.
    speed_cm_per_s
        Shape (frame,), as an encoder gives it: noisy, and negative in backward slips.
    stride_phase
        Shape (frame,), radians; advances while the mouse moves.
    """

    is_running: NDArray[np.bool_]
    speed_cm_per_s: NDArray[np.float64]
    stride_phase: NDArray[np.float64]


def session_run_fractions(
    rng: np.random.Generator, mean: float, sd: float, day_correlation: float, n_sessions: int
) -> NDArray[np.float64]:
    """The share of time that a mouse runs in each of its sessions, in the order of days.

    Mean, SD and correlation with day are exactly those asked for, before fractions are clipped to
    0.2 to 0.95.

    Parameters
    ----------
    rng
        Source of the scatter between days.
    mean, sd
        Over the mouse's sessions.
    day_correlation
        Pearson r of run fraction and day, -1 to 1.
    n_sessions
        How many sessions; at least 3, for two points lie on a line.

    Returns
    -------
    NDArray
        Shape (session,).

    Examples
    --------
    >>> fractions = session_run_fractions(np.random.default_rng(0), 0.5, 0.1, -0.7, 12)
    >>> round(float(fractions.mean()), 3), round(float(fractions.std()), 3)
    (0.5, 0.1)
    """
    days = np.arange(n_sessions) - (n_sessions - 1) / 2
    days /= np.linalg.norm(days)
    scatter = rng.standard_normal(n_sessions)
    scatter -= scatter.mean() + (scatter @ days) * days
    scatter /= np.linalg.norm(scatter)
    course = day_correlation * days + np.sqrt(1 - day_correlation**2) * scatter
    fractions = mean + sd * np.sqrt(n_sessions) * course
    return np.asarray(np.clip(fractions, *RUN_FRACTION_LIMITS))


def simulate_behavior(
    rng: np.random.Generator,
    n_frames: int,
    frame_rate_hz: float,
    run_fraction: float,
    *,
    encoder_noise: float = 1.0,
) -> SimulatedBehavior:
    """Running and resting in bouts, with the speed and the strides that go with them.

    Bouts alternate, 4 to 8 of each a minute and at least seven; their lengths are log-normal
    (median near 3 s, some under 0.5 s, a long tail) and are scaled so that the mouse runs for
    `run_fraction` of the session. Within a bout the speed rises and falls over 0.3 to 1 s, and
    wanders; strides, which cortex follows, tell little of it.

    Parameters
    ----------
    rng
        Source of all randomness.
    n_frames
        Length of the session; at least 1,000.
    frame_rate_hz
        Frames per second.
    run_fraction
        Share of time spent running, 0.2 to 0.95; the mouse rests for 100 frames at least.
    encoder_noise
        Noise of the wheel's encoder; 1 is an SD of 0.1 cm/s.

    Raises
    ------
    StudyError
        The session is too short or the fraction out of range.

    Examples
    --------
    >>> behavior = simulate_behavior(np.random.default_rng(0), 3000, 30.0, 0.6)
    >>> behavior.speed_cm_per_s.shape, bool(abs(behavior.is_running.mean() - 0.6) < 0.05)
    ((3000,), True)
    """
    low, high = RUN_FRACTION_LIMITS
    if n_frames < MINIMUM_FRAMES or not low <= run_fraction <= high:
        raise StudyError(
            f"a session of {n_frames} frames with a run fraction of {run_fraction} cannot be "
            f"simulated; take at least {MINIMUM_FRAMES} frames and a fraction of {low} to {high}"
        )
    run_fraction = min(run_fraction, 1 - LEAST_REST_FRAMES / n_frames)
    bouts = _bout_lengths(rng, n_frames, frame_rate_hz, run_fraction)
    level, effort = _run_bouts(rng, bouts, n_frames, frame_rate_hz)
    moved = np.minimum(level * np.exp(PACE_SPREAD * _wander(rng, n_frames, frame_rate_hz)), 60.0)
    speed = moved - _backward_slips(rng, effort, frame_rate_hz)
    speed += ENCODER_NOISE_CM_PER_S * encoder_noise * rng.standard_normal(n_frames)
    is_running = uniform_filter1d(speed, SMOOTHING_FRAMES) > RUN_THRESHOLD_CM_PER_S
    # Mice that run faster lengthen their strides more than they quicken them.
    rhythm = STRIDES_HZ + STRIDES_HZ_PER_CM_PER_S * moved
    rhythm += STRIDES_SPREAD_HZ * _wander(rng.spawn(1)[0], n_frames, frame_rate_hz)
    strides_hz = np.where(effort > 0, np.clip(rhythm, 2.0, 4.0), 0.0)
    phase = rng.uniform(0, 2 * np.pi) + 2 * np.pi * np.cumsum(strides_hz) / frame_rate_hz
    return SimulatedBehavior(is_running, speed, phase)


def add_grooming(
    rng: np.random.Generator,
    behavior: SimulatedBehavior,
    frame_rate_hz: float,
    episodes_per_minute: float,
) -> SimulatedBehavior:
    """What the mouse's body does: it runs, and at times moves at rest as if it ran (grooming).

    Brain and blood do not know the wheel: what follows the body cannot tell grooming from running.

    Parameters
    ----------
    rng
        Source of all randomness.
    behavior
        What the wheel tells; speed is left as it is.
    frame_rate_hz
        Frames per second.
    episodes_per_minute
        Episodes of 2 to 7 s; what falls into running is not seen.

    Examples
    --------
    >>> still = SimulatedBehavior(np.zeros(9000, bool), np.zeros(9000), np.zeros(9000))
    >>> add_grooming(np.random.default_rng(0), still, 30.0, 2.0).is_running.any()
    np.True_
    """
    n_frames = behavior.is_running.size
    begins = rng.random(n_frames) < episodes_per_minute / (60 * frame_rate_hz)
    lengths = np.rint(frame_rate_hz * rng.uniform(*GROOMING_S, n_frames)).astype(np.int64)
    changes = np.zeros(n_frames + 1)
    starts = np.flatnonzero(begins)
    np.add.at(changes, starts, 1)
    np.add.at(changes, np.minimum(starts + lengths[starts], n_frames), -1)
    grooms = (np.cumsum(changes)[:n_frames] > 0) & ~behavior.is_running
    strides_hz = GROOMING_HZ * grooms
    phase = behavior.stride_phase + 2 * np.pi * np.cumsum(strides_hz) / frame_rate_hz
    return SimulatedBehavior(behavior.is_running | grooms, behavior.speed_cm_per_s, phase)


def _bout_lengths(
    rng: np.random.Generator, n_frames: int, frame_rate_hz: float, run_fraction: float
) -> NDArray[np.int64]:
    """Lengths in frames, alternating rest, run, rest, run ..., or the reverse; shape (bout, 2).

    The first column holds the resting bouts, the second the running bouts.
    """
    minutes = n_frames / frame_rate_hz / 60
    n_bouts = max(MINIMUM_BOUTS, round(minutes * rng.uniform(4, 8)))
    shortest = round(SHORTEST_BOUT_S * frame_rate_hz)
    shares = rng.lognormal(0.0, BOUT_SPREAD, (n_bouts, 2))
    shares /= shares.sum(axis=0)
    run_frames = round(run_fraction * n_frames)
    totals = np.array([n_frames - run_frames, run_frames])
    lengths = shortest + np.floor(shares * (totals - n_bouts * shortest)).astype(np.int64)
    lengths[np.argmax(lengths, axis=0), [0, 1]] += totals - lengths.sum(axis=0)
    return np.asarray(lengths)


def _run_bouts(
    rng: np.random.Generator,
    lengths: NDArray[np.int64],
    n_frames: int,
    frame_rate_hz: float,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Smooth speed in cm/s, and 1 within running bouts; each of shape (frame,)."""
    order = [0, 1] if rng.random() < 0.5 else [1, 0]
    ends = np.cumsum(lengths[:, order].ravel())
    starts = ends - lengths[:, order].ravel()
    running = slice(order.index(1), None, 2)
    level = np.zeros(n_frames)
    effort = np.zeros(n_frames)
    for start, end in zip(starts[running], ends[running], strict=True):
        frames = np.arange(start, end)
        rise, fall = frame_rate_hz * rng.uniform(0.3, 1.0, 2)
        envelope = np.minimum((frames - start + 1) / rise, (end - frames) / fall)
        level[start:end] = np.clip(envelope, 0, 1) * rng.lognormal(
            np.log(BOUT_CM_PER_S), BOUT_PACE_SPREAD
        )
        effort[start:end] = 1.0
    return level, effort


def _wander(rng: np.random.Generator, n_frames: int, frame_rate_hz: float) -> NDArray[np.float64]:
    """Fluctuations of unit SD within about two seconds, shape (frame,)."""
    length = round(PACE_S * frame_rate_hz)
    steps = uniform_filter1d(rng.standard_normal(n_frames), length, mode="wrap")
    return np.asarray(np.sqrt(length) * steps)


def _backward_slips(
    rng: np.random.Generator, effort: NDArray[np.float64], frame_rate_hz: float
) -> NDArray[np.float64]:
    """Backward speed in cm/s, shape (frame,): a short slip after about half of the bouts."""
    backward = np.zeros(effort.size)
    for stop in np.flatnonzero(np.diff(effort) < 0) + 1:
        length = round(frame_rate_hz * rng.uniform(0.1, 0.4))
        size = rng.uniform(0.5, 2.0) * (rng.random() < 0.5)
        backward[stop : stop + length] = size
    return np.where(effort == 0, backward, 0.0)
