"""Cortical activity of a simulated mouse: a few sources, spread over its regions, and noise."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from corticode.simulate.behavior import SimulatedBehavior
from corticode.simulate.weights import LEADS_S, SPREAD

INDICATOR_RISE_S = 0.1
INDICATOR_DECAY_S = 0.4
AROUSAL_DECAY_S = 1.5
ONSET_S = 0.5
# Strides are so much quicker than the indicator that a sixteenth of this modulation is left.
STRIDE_MODULATION = 12.5
SPREAD_DWELL_S = 6.0
SPREAD_SHARES = dict(zip(SPREAD, (0.65, 0.55, 0.25), strict=True))
"""How much of the time strides spread, and for how long at a stretch."""
PRODUCT_DWELL_S = 2.0
WANDER_S = (60.0, 20.0)
_SHARED_SPREAD = 0.6
_SHARED_WANDER = 2.15
_DRIFT_PERCENT = 3.1
_DRIFT_SPREAD = 0.9  # of the logarithm: baselines are steadier on some days than on others
_DRIFT_LIMIT = 4.0


def simulate_sources(
    rng: np.random.Generator,
    behavior: SimulatedBehavior,
    frame_rate_hz: float,
    dials: Mapping[str, float],
) -> NDArray[np.float64]:
    """What drives the cortex, frame by frame: limbs, arousal, shared fluctuations.

    The limb sources are running, a transient at its onset and the strides, through the indicator
    (rise 0.1 s, decay 0.4 s); left and right limbs stride in turn. Strides spread to other regions
    in stretches of time, each group of them in its own. Arousal rises 0.5 to 1.5 s
    before running, decays over 1.5 s, and comes in episodes at rest as well (whisking, grooming).
    The shared fluctuations have unit SD and do not depend on behaviour.

    Parameters
    ----------
    rng
        Source of all randomness.
    behavior
        What the mouse's body did.
    frame_rate_hz
        Frames per second.
    dials
        A value for every dial: `indicator` and `lag_s` are used.

    Returns
    -------
    NDArray
        Shape (frame, source), sources as in `SOURCES`.
    """
    lag = round(dials["lag_s"] * frame_rate_hz)
    running = _later(behavior.is_running.astype(np.float64), lag)
    n_frames = running.size
    strides = np.cos(_later(behavior.stride_phase, lag)[:, None] + (0.0, np.pi))
    onset = 2 * np.maximum(running - _smooth(running, ONSET_S * frame_rate_hz), 0)
    strides[0] = 0  # the indicator starts settled, and on no stride
    striding = STRIDE_MODULATION * running[:, None] * strides
    limbs = running[:, None] + striding + onset[:, None]
    spread = [
        striding[:, 0] * _stretches(rng, n_frames, share, SPREAD_DWELL_S * frame_rate_hz)
        for share in SPREAD_SHARES.values()
    ]
    starts = rng.random(n_frames) < 5 / (60 * frame_rate_hz)
    episodes = np.convolve(starts, np.ones(round(2.5 * frame_rate_hz)))[:n_frames] > 0
    drive = np.maximum(running, 0.5 * episodes)
    arousal = [
        _smooth(_later(drive, -round(lead * frame_rate_hz)), AROUSAL_DECAY_S * frame_rate_hz)
        for lead in LEADS_S.values()
    ]
    shared = _shared(rng, n_frames, frame_rate_hz)
    sign = _signs(rng, n_frames, PRODUCT_DWELL_S * frame_rate_hz)
    planted = [running, sign, sign * (2 * running - 1)]
    scale = dials["indicator"] * frame_rate_hz
    before = _indicator(np.column_stack([limbs, *spread, *arousal]), scale)
    return np.column_stack([before, shared, _indicator(np.column_stack(planted), scale)])


def simulate_calcium(
    rng: np.random.Generator,
    sources: NDArray[np.float64],
    weights: NDArray[np.float64],
    frame_rate_hz: float,
    *,
    noise: float,
    drift: float,
) -> NDArray[np.float32]:
    """Calcium activity of every region: sources times weights, and its own noise and drift.

    Parameters
    ----------
    rng
        Source of all randomness.
    sources
        Shape (frame, source).
    weights
        Shape (source, region), percent.
    frame_rate_hz
        Frames per second.
    noise
        SD of a region's own fast fluctuations, in percent.
    drift
        The dial: 1 is an SD of about 4 percent.

    Returns
    -------
    NDArray
        float32, shape (frame, region), dF/F in percent.
    """
    n_frames, n_regions = sources.shape[0], weights.shape[1]
    own = rng.standard_normal((n_frames, n_regions), dtype=np.float32)
    own += 0.3 * _slow(rng, n_frames, n_regions, 0.5 * frame_rate_hz)
    own *= np.float32(noise)
    baseline = _wander(rng, n_frames, n_regions, frame_rate_hz)
    baseline *= np.float32(_DRIFT_PERCENT * drift)
    steadiness = np.exp(_DRIFT_SPREAD * rng.standard_normal(n_regions, dtype=np.float32))
    baseline *= np.minimum(steadiness, _DRIFT_LIMIT)
    return np.asarray((sources @ weights).astype(np.float32) + own + baseline)


def _shared(rng: np.random.Generator, n_frames: int, frame_rate_hz: float) -> NDArray[np.float32]:
    whole = 0.4 * _slow(rng, n_frames, 1, 4 * frame_rate_hz)
    steadiness = np.exp(_SHARED_SPREAD * rng.standard_normal(dtype=np.float32))
    whole += _SHARED_WANDER * steadiness * _wander(rng, n_frames, 1, frame_rate_hz)
    return np.column_stack([whole, _slow(rng, n_frames, 2, 3 * frame_rate_hz)])


def _signs(rng: np.random.Generator, n_frames: int, dwell_frames: float) -> NDArray[np.float64]:
    """+1 and -1 in turn, changing at random; (frame,)."""
    changes = rng.random(n_frames) < 1 / dwell_frames
    return np.asarray(rng.choice([-1.0, 1.0]) * (-1.0) ** np.cumsum(changes))


def _stretches(
    rng: np.random.Generator, n_frames: int, share: float, dwell_frames: float
) -> NDArray[np.bool_]:
    """True in stretches of `dwell_frames` on average, for `share` of all frames; (frame,)."""
    mean_lengths = np.array([dwell_frames, dwell_frames * (1 / share - 1)])
    n_pairs = 2 + int(3 * n_frames / mean_lengths.sum())
    lengths = rng.exponential(mean_lengths, (n_pairs, 2)).ravel()
    # Begun long before the session, so that its start is as any other moment.
    ends = np.cumsum(lengths) - lengths.sum() / 3
    return np.asarray(np.searchsorted(ends, np.arange(n_frames)) % 2 == 0)


def _smooth(values: NDArray[Any], decay_frames: float) -> NDArray[np.float64]:
    """A causal exponential average along the first axis, settled on the first value."""
    if decay_frames == 0:
        return values
    keep = np.exp(-1 / decay_frames)
    smoothed, _ = lfilter([1 - keep], [1, -keep], values, axis=0, zi=keep * values[:1])
    return np.asarray(smoothed)


def _indicator(values: NDArray[np.float64], frames_per_s: float) -> NDArray[np.float64]:
    """Activity as the calcium indicator shows it."""
    return _smooth(
        _smooth(values, INDICATOR_RISE_S * frames_per_s), INDICATOR_DECAY_S * frames_per_s
    )


def _later(values: NDArray[np.float64], n_frames: int) -> NDArray[np.float64]:
    """Values put off in time (brought forward, if negative), the end ones held."""
    places = np.clip(np.arange(len(values)) - n_frames, 0, len(values) - 1)
    return np.asarray(values[places])


def _wander(
    rng: np.random.Generator, n_frames: int, n_traces: int, frame_rate_hz: float
) -> NDArray[np.float32]:
    """Slow and smooth fluctuations of unit SD, over 60 s and without quick parts."""
    slow, smooth = WANDER_S
    fluctuations = _smooth(
        _slow(rng, n_frames, n_traces, slow * frame_rate_hz), smooth * frame_rate_hz
    )
    return np.asarray(fluctuations * np.sqrt((slow + smooth) / slow), dtype=np.float32)


def _slow(
    rng: np.random.Generator, n_frames: int, n_traces: int, decay_frames: float
) -> NDArray[np.float32]:
    """Fluctuations of unit SD that forget themselves over `decay_frames`; (frame, trace)."""
    keep = np.float32(np.exp(-1 / decay_frames))
    steps = rng.standard_normal((n_frames, n_traces), dtype=np.float32)
    steps *= np.sqrt(1 - keep**2)
    start = keep * rng.standard_normal((1, n_traces), dtype=np.float32)
    one = np.ones(1, np.float32)
    fluctuations, _ = lfilter(one, np.array([1, -keep], np.float32), steps, axis=0, zi=start)
    return np.asarray(fluctuations)
