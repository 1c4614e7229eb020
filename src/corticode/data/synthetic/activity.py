"""Cortical activity of a simulated mouse: a few sources, spread over 50 regions, and noise."""

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from corticode.data.layouts import read_published_regions
from corticode.data.synthetic.behavior import SimulatedBehavior
from corticode.errors import StudyError

LIMB_REGIONS = (6, 8, 31, 33)
INDICATOR_RISE_S = 0.1
INDICATOR_DECAY_S = 0.4
AROUSAL_DECAY_S = 3.0
LEADS_S = {"arousal, motor": 1.5, "arousal, midline": 1.0, "arousal, elsewhere": 0.5}
SHARED = ("shared, whole cortex", "shared, front to back", "shared, middle to side")
SOURCES = ("limb, left", "limb, right", *LEADS_S, *SHARED, "bleaching")
"""What drives the regions, in the order of the axis `source`."""

DIALS: Mapping[str, str] = {
    "signal": "everything that follows behaviour: limb and arousal together",
    "limb": "small fast signals of the limb regions",
    "arousal": "large slow signals of motor, midline and retrosplenial cortex",
    "shared": "slow fluctuations that all regions share",
    "noise": "noise of each region on its own",
    "drift": "bleaching and slow drift of the baseline",
    "mouse_gain": "how much the gain of arousal differs between mice",
}
"""What each dial scales; 1 is typical, 0 switches it off."""

_LIMB_PERCENT = {6: 0.9, 8: 1.2, 31: 1.0, 33: 1.2, 7: 0.3, 9: 0.3, 32: 0.3, 34: 0.3}
_AROUSAL_PERCENT = {
    **dict.fromkeys((1, 2, 26, 27, 13, 38, 17, 42), 5.0),
    **dict.fromkeys((3, 4, 28, 29, 16, 41), 2.4),
    **dict.fromkeys((11, 25, 36, 50), 0.6),
    **dict.fromkeys(LIMB_REGIONS, 0.3),
}
_AROUSAL_ELSEWHERE_PERCENT = 1.6
_SHARED_PERCENT = 1.9
_PRIVATE_PERCENT = 1.0


@dataclass(frozen=True)
class Mouse:
    """One simulated mouse's cortex.

    Parameters
    ----------
    weights
        Shape (source, region), dF/F in percent for a source at 1.
    noise
        SD of a region's own fast noise, in percent.
    drift
        SD of a region's own slow drift, in percent.
    """

    weights: NDArray[np.float64]
    noise: float
    drift: float


def resolve_dials(dials: Mapping[str, float] | None) -> dict[str, float]:
    """Every dial's value, 1 for those not named.

    Raises
    ------
    StudyError
        A name is unknown, or a value negative or not a number.

    Examples
    --------
    >>> resolve_dials({"limb": 0})["limb"], resolve_dials(None)["limb"]
    (0.0, 1.0)
    """
    values = dict.fromkeys(DIALS, 1.0)
    for name, value in (dials or {}).items():
        if name not in DIALS:
            near = get_close_matches(name, DIALS, n=1)
            guess = f"; did you mean {near[0]!r}?" if near else ""
            raise StudyError(f"there is no dial {name!r}; dials are {', '.join(DIALS)}{guess}")
        if not (np.isfinite(value) and value >= 0):
            raise StudyError(f"dial {name!r} is {value}; it must be 0 (off) or more (1: typical)")
        values[name] = float(value)
    return values


@cache
def typical_weights() -> NDArray[np.float64]:
    """How strongly each source drives each region of a typical mouse, in percent dF/F.

    The limb regions 6, 8, 31 and 33 follow the limbs of their side; motor, midline and
    retrosplenial regions follow arousal most; the whole cortex shares slow fluctuations.

    Returns
    -------
    NDArray
        Shape (source, region), sources as in `SOURCES`.

    Examples
    --------
    >>> typical_weights().shape, float(typical_weights()[SOURCES.index("limb, left"), 5])
    ((9, 50), 0.9)
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
    arousal = np.array(
        [_AROUSAL_PERCENT.get(k, _AROUSAL_ELSEWHERE_PERCENT) for k in numbers.tolist()]
    )
    weights = np.stack(
        [
            limb * (sides == "left"),
            limb * (sides == "right"),
            arousal * motor,
            arousal * midline,
            arousal * ~(motor | midline),
            _SHARED_PERCENT * (1 + 0.12 * np.sin(2.4 * numbers)),
            0.4 * to_back,
            0.4 * to_side,
            np.ones(numbers.size),
        ]
    )
    weights.flags.writeable = False
    return weights


def make_mouse(rng: np.random.Generator, dials: Mapping[str, float]) -> Mouse:
    """One mouse's cortex: typical weights, with its own gain of arousal.

    Parameters
    ----------
    rng
        Source of all randomness.
    dials
        A value for every dial, as `resolve_dials` gives.

    Examples
    --------
    >>> make_mouse(np.random.default_rng(0), resolve_dials({"signal": 0})).weights[:5].any()
    np.False_
    """
    weights = typical_weights().copy()
    n_regions = weights.shape[1]
    spread = 0.3 * rng.standard_normal() + 0.12 * rng.standard_normal(n_regions)
    limb_spread = 0.05 * rng.standard_normal(n_regions)
    for k, source in enumerate(SOURCES):
        kind = source.split(",")[0]
        if kind == "limb":
            weights[k] *= dials["signal"] * dials["limb"] * np.exp(limb_spread)
        elif kind == "arousal":
            gain = np.exp(dials["mouse_gain"] * spread)
            weights[k] *= dials["signal"] * dials["arousal"] * gain
        else:
            weights[k] *= dials["shared" if kind == "shared" else "drift"]
    return Mouse(weights, _PRIVATE_PERCENT * dials["noise"], 0.4 * dials["drift"])


def simulate_sources(
    rng: np.random.Generator, behavior: SimulatedBehavior, frame_rate_hz: float
) -> NDArray[np.float64]:
    """What drives the cortex, frame by frame: limbs, arousal, shared fluctuations, bleaching.

    The limb sources are running, a transient at its onset and the strides, through the indicator
    (rise 0.1 s, decay 0.4 s); left and right limbs stride in turn. Arousal rises 0.5 to 1.5 s
    before running, decays over 3 s, and comes in episodes at rest as well (whisking, grooming).
    The shared fluctuations have unit SD and do not depend on behaviour.

    Returns
    -------
    NDArray
        Shape (frame, source), sources as in `SOURCES`.
    """
    running = behavior.is_running.astype(np.float64)
    n_frames = running.size
    onset = 2 * np.maximum(running - _smooth(running, 0.5 * frame_rate_hz), 0)
    limbs = [
        _indicator(
            running * (1 + 0.6 * np.cos(behavior.stride_phase + turn)) + onset, frame_rate_hz
        )
        for turn in (0.0, np.pi)
    ]
    starts = rng.random(n_frames) < 5 / (60 * frame_rate_hz)
    episodes = np.convolve(starts, np.ones(round(2.5 * frame_rate_hz)))[:n_frames] > 0
    drive = np.maximum(running, 0.7 * episodes)
    arousal = [
        _indicator(
            _smooth(_earlier(drive, round(lead * frame_rate_hz)), AROUSAL_DECAY_S * frame_rate_hz),
            frame_rate_hz,
        )
        for lead in LEADS_S.values()
    ]
    whole = 0.4 * _slow(rng, n_frames, 1, 4 * frame_rate_hz)
    whole += 0.9 * _slow(rng, n_frames, 1, 30 * frame_rate_hz)
    partly = _slow(rng, n_frames, 2, 3 * frame_rate_hz)
    bleaching = rng.uniform(0.5, 1.5) * np.exp(-np.arange(n_frames) / (40 * frame_rate_hz))
    return np.column_stack([*limbs, *arousal, whole, partly, bleaching])


def simulate_traces(
    rng: np.random.Generator, mouse: Mouse, sources: NDArray[np.float64], frame_rate_hz: float
) -> NDArray[np.float32]:
    """The traces of one session: sources times weights, plus each region's own noise and drift.

    Returns
    -------
    NDArray
        float32, shape (frame, region), dF/F in percent.
    """
    n_frames, n_regions = sources.shape[0], mouse.weights.shape[1]
    own = rng.standard_normal((n_frames, n_regions))
    own += 0.3 * _slow(rng, n_frames, n_regions, 0.5 * frame_rate_hz)
    drift = _slow(rng, n_frames, n_regions, 60 * frame_rate_hz)
    return (sources @ mouse.weights + mouse.noise * own + mouse.drift * drift).astype(np.float32)


def _smooth(values: NDArray[np.float64], decay_frames: float) -> NDArray[np.float64]:
    """A causal exponential average along the first axis, settled on the first value."""
    keep = np.exp(-1 / decay_frames)
    smoothed, _ = lfilter([1 - keep], [1, -keep], values, axis=0, zi=keep * values[:1])
    return np.asarray(smoothed)


def _indicator(values: NDArray[np.float64], frame_rate_hz: float) -> NDArray[np.float64]:
    """Activity as the calcium indicator shows it."""
    return _smooth(
        _smooth(values, INDICATOR_RISE_S * frame_rate_hz), INDICATOR_DECAY_S * frame_rate_hz
    )


def _earlier(values: NDArray[np.float64], n_frames: int) -> NDArray[np.float64]:
    """Values brought forward in time, the last one held."""
    return np.concatenate([values[n_frames:], np.repeat(values[-1], n_frames)])


def _slow(
    rng: np.random.Generator, n_frames: int, n_traces: int, decay_frames: float
) -> NDArray[np.float64]:
    """Fluctuations of unit SD that forget themselves over `decay_frames`; (frame, trace)."""
    keep = np.exp(-1 / decay_frames)
    steps = rng.standard_normal((n_frames, n_traces))
    start = keep * rng.standard_normal((1, n_traces))
    fluctuations, _ = lfilter([np.sqrt(1 - keep**2)], [1, -keep], steps, axis=0, zi=start)
    return np.asarray(fluctuations)
