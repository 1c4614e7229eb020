"""What a simulated cortex does: a few sources, how strongly each drives each region, and noise."""

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from corticode.data.layouts.study2024 import read_published_regions
from corticode.simulate.behavior import SimulatedBehavior

LIMB_REGIONS = (6, 8, 31, 33)
REDUNDANT_REGIONS = (6, 31)
PRODUCT_REGIONS = (8, 33)
GROOMING_PER_MINUTE = 0.75
LEADS_S = {"arousal, motor": 1.5, "arousal, midline": 1.0, "arousal, elsewhere": 0.5}
LIMBS = ("limb, left", "limb, right")
SPREAD = ("spread, neighbours", "spread, motor", "spread, elsewhere")
SHARED = ("shared, whole cortex", "shared, front to back", "shared, middle to side")
PRODUCT = ("product, first", "product, second")
SOURCES = (*LIMBS, *SPREAD, *LEADS_S, *SHARED, "redundant", *PRODUCT)
_LIMB_PERCENT = {6: 1.3, 8: 1.5, 31: 1.3, 33: 1.5}
_NEIGHBOURS = (7, 9, 32, 34)
_SPREAD_PERCENT = 1.0
_AROUSAL_PERCENT = {
    **dict.fromkeys((1, 2, 26, 27, 13, 38, 17, 42), 5.8),
    **dict.fromkeys((3, 4, 28, 29, 16, 41), 3.8),
    **dict.fromkeys((11, 25, 36, 50), 2.4),
    **dict.fromkeys(LIMB_REGIONS, 1.1),
}
_AROUSAL_ELSEWHERE_PERCENT = 4.7
_SHARED_PERCENT = 2.7
_PRIVATE_PERCENT = 1.0
_PRIVATE_SPREAD = 0.15  # of the logarithm, between mice
_GROOMING_SPREAD = 0.5
_PLANTED_PERCENT = 3.0
INDICATOR_RISE_S = 0.1
INDICATOR_DECAY_S = 0.4
AROUSAL_DECAY_S = 1.5
ONSET_S = 0.5
# Strides are so much quicker than the indicator that a sixteenth of this modulation is left.
STRIDE_MODULATION = 12.5
SPREAD_DWELL_S = 6.0
LIMB_SHARE = 0.92
SPREAD_SHARES = dict(zip(SPREAD, (0.65, 0.55, 0.25), strict=True))
PRODUCT_DWELL_S = 2.0
WANDER_S = (60.0, 20.0)
_SHARED_SPREAD = 0.6
_SHARED_WANDER = 2.15
_DRIFT_PERCENT = 3.1
_DRIFT_SPREAD = 0.9  # of the logarithm: baselines are steadier on some days than on others
_DRIFT_LIMIT = 4.0


"""What drives the regions, in the order of the axis `source`."""


@cache
def typical_weights() -> NDArray[np.float64]:
    """How strongly each source drives each region of a typical mouse, in percent dF/F.

    The limb regions 6, 8, 31 and 33 follow the limbs of their side, strides included, but for short
    pauses; in stretches of time the strides spread to their neighbours, to motor cortex and,
    seldom, to the rest, left and right with opposite signs. Motor, midline and retrosplenial
    regions follow arousal most; the whole cortex shares slow fluctuations. The sources of the dials
    `redundant` and `nonlinear` come last.

    Returns
    -------
    NDArray
        Shape (source, region), sources as in `SOURCES`.

    Examples
    --------
    >>> typical_weights().shape
    (14, 50)
    """
    regions = read_published_regions()
    numbers = np.arange(1, len(regions.names) + 1)
    sides = np.array(regions.sides)
    motor = np.array(["M2&M1" in groups for groups in regions.groups])
    midline = np.isin(numbers, (13, 38))
    rows, columns = np.array(regions.rows), np.array(regions.columns)
    to_back = (rows - rows.mean()) / rows.std()
    to_side = np.abs(columns - 64)
    to_side = (to_side - to_side.mean()) / to_side.std()
    limb = np.array([_LIMB_PERCENT.get(k, 0.0) for k in numbers.tolist()])
    neighbour = np.isin(numbers, _NEIGHBOURS)
    # Left and right limbs stride in turn.
    spread = _SPREAD_PERCENT * np.where(sides == "left", 1.0, -1.0)
    arousal = np.array(
        [_AROUSAL_PERCENT.get(k, _AROUSAL_ELSEWHERE_PERCENT) for k in numbers.tolist()]
    )
    weights = np.stack(
        [
            limb * (sides == "left"),
            limb * (sides == "right"),
            spread * neighbour,
            spread * motor,
            spread * ~(neighbour | motor | (limb > 0)),
            arousal * motor,
            arousal * midline,
            arousal * ~(motor | midline),
            _SHARED_PERCENT * (1 + 0.12 * np.sin(2.4 * numbers)),
            0.4 * to_back,
            0.4 * to_side,
            _PLANTED_PERCENT * np.isin(numbers, REDUNDANT_REGIONS),
            _PLANTED_PERCENT * (numbers == PRODUCT_REGIONS[0]),
            _PLANTED_PERCENT * (numbers == PRODUCT_REGIONS[1]),
        ]
    )
    weights.flags.writeable = False
    return weights


def make_weights(
    rng: np.random.Generator, dials: Mapping[str, float], *, one_sided: bool = False
) -> NDArray[np.float64]:
    """One mouse's weights: the typical ones, with its own gain of arousal.

    Parameters
    ----------
    rng
        Source of all randomness.
    dials
        A value for every dial, those of this mouse.
    one_sided
        The right hemisphere has no signal.

    Returns
    -------
    NDArray
        Shape (source, region), dF/F in percent for a source at 1.

    Examples
    --------
    >>> from corticode.simulate.dials import resolve_dials
    >>> make_weights(np.random.default_rng(0), resolve_dials({"signal": 0}))[:8].any()
    np.False_
    """
    weights = typical_weights().copy()
    n_regions = weights.shape[1]
    spread = 0.3 * rng.standard_normal() + 0.12 * rng.standard_normal(n_regions)
    limb_spread = 0.05 * rng.standard_normal(n_regions)
    is_confined = bool(dials["redundant"] or dials["nonlinear"])
    gains = {
        "limb": dials["limb"] * np.exp(limb_spread) * (not is_confined),
        "spread": dials["limb"] * dials["spread"] * np.exp(limb_spread) * (not is_confined),
        "arousal": dials["arousal"] * np.exp(dials["mouse_gain"] * spread) * (not is_confined),
        "redundant": dials["redundant"],
        "product": dials["nonlinear"],
    }
    is_right = np.array(read_published_regions().sides) == "right"
    for k, source in enumerate(SOURCES):
        kind = source.split(",")[0]
        if kind == "shared":
            weights[k] *= dials["shared"]
        else:
            weights[k] *= dials["signal"] * gains[kind]
            weights[k, is_right & one_sided] = 0
    return weights


def private_noise(rng: np.random.Generator, dials: Mapping[str, float]) -> float:
    """SD of each region's own fast fluctuations in one mouse, in percent: about 1."""
    spread = dials["mouse_gain"] * _PRIVATE_SPREAD * rng.standard_normal()
    return float(_PRIVATE_PERCENT * dials["noise"] * np.exp(spread))


def grooming_rate(rng: np.random.Generator, dials: Mapping[str, float]) -> float:
    """Episodes a minute in which one mouse grooms at rest: about 0.75."""
    spread = dials["mouse_gain"] * _GROOMING_SPREAD * rng.standard_normal()
    return float(GROOMING_PER_MINUTE * dials["grooming"] * np.exp(spread))


"""How much of the time strides spread, and for how long at a stretch."""


def simulate_sources(
    rng: np.random.Generator,
    behavior: SimulatedBehavior,
    frame_rate_hz: float,
    dials: Mapping[str, float],
) -> NDArray[np.float64]:
    """What drives the cortex, frame by frame: limbs, arousal, shared fluctuations.

    The limb sources are running, a transient at its onset and the strides, through the indicator
    (rise 0.1 s, decay 0.4 s); left and right limbs stride in turn. Limb regions pause in showing
    strides for a twelfth of the time; strides spread to other regions in stretches of time, each
    group of them in its own: what is not told by one group may be told by another. Arousal rises
    0.5 to 1.5 s before running, decays over 1.5 s, and comes in episodes at rest as well (whisking,
    grooming).
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
    # From a stream of its own: everything else is drawn the same with pauses and without.
    pauses = rng.spawn(1)[0]
    shown = _stretches(pauses, n_frames, LIMB_SHARE, SPREAD_DWELL_S * frame_rate_hz)
    limbs = running[:, None] + striding * shown[:, None] + onset[:, None]
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
