"""A behaviour signal on imaging frames: by one rule a study, and what that rule loses."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from corticode.data.signals import ON_FRAMES, holds_events, holds_numbers, was_category
from corticode.data.targets import Target
from corticode.errors import Finding, StudyError

# A sample holds for so many of its signal's own periods; a longer step between frames is a gap.
DROPPED_AFTER_PERIODS = 1.5
# Times carry rounding noise: a sample that ends one exposure must not slip into the next.
EDGE_PERIODS = 1e-6
# A frame that comes later than this after another does not end the other's exposure.
LATE_PERIODS = 1.1
# Spans that are not whole end beside the edge of an old frame by rounding alone.
EDGE_FRAMES = 1e-6
# Of a frame's exposure, at either end, in which a segment may change.
SEGMENT_EDGE = 0.1
# Fewer lost bouts than this are not worth a word.
LOST_SHARE = 0.01


def sample_on_frames(
    values: NDArray[np.generic],
    sample_times: NDArray[np.float64],
    frame_times: NDArray[np.float64],
    period_s: float,
    rule: str | None = None,
) -> NDArray[np.generic]:
    """A behaviour signal on imaging frames, by one rule.

    Parameters
    ----------
    values, sample_times
        The signal and its times in seconds, shape (sample,).
    frame_times
        Start of each frame's exposure, seconds, shape (frame,).
    period_s
        Length of an exposure, seconds.
    rule
        ``"mean"`` over the exposure, ``"any"`` (its largest sample), ``"count"`` (the sum of its
        samples) or ``"middle"`` (the sample that holds there). ``None``: as `rule_of` says.

    Returns
    -------
    NDArray
        Shape (frame,); NaN (text: empty) where the signal says nothing.

    Examples
    --------
    >>> lick, times = np.array([0, 1, 0, 0]), np.array([0.0, 0.1, 0.2, 0.3])
    >>> for rule in ("mean", "any", "count", "middle"):
    ...     print(rule, sample_on_frames(lick, times, np.array([0.0, 0.2]), 0.2, rule))
    mean [0.5 0. ]
    any [1. 0.]
    count [1. 0.]
    middle [1. 0.]
    """
    rule = rule_of(values, rule)
    if rule == "middle":
        return categories_on_frames(values, sample_times, frame_times, period_s)
    return amounts_on_frames(values, sample_times, frame_times, period_s, rule)


def rule_of(values: NDArray[np.generic], stated: str | None = None) -> str:
    """The rule by which a signal comes onto frames: text by the middle, numbers as stated or means.

    Raises
    ------
    StudyError
        No such rule.
    """
    if stated is not None and stated not in ON_FRAMES:
        raise StudyError(f"on_frames is {stated!r}; it must be one of {', '.join(ON_FRAMES)}")
    return (stated or "mean") if holds_numbers(values) else "middle"


def amounts_on_frames(
    values: NDArray[np.generic],
    sample_times: NDArray[np.float64],
    frame_times: NDArray[np.float64],
    period_s: float,
    rule: str = "mean",
    ends: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]:
    """What the samples in each frame's exposure amount to.

    Samples that are not finite are left out of means and of the largest; a sum that lacks one is
    not known. Where no sample falls into the exposure the last earlier one holds, for at most 1.5
    of the signal's own periods, and the sum is 0. A later sample is never used.

    Parameters
    ----------
    values, sample_times, frame_times, period_s
        As in `sample_on_frames`.
    rule
        ``"mean"``, ``"any"`` or ``"count"``.
    ends
        Where each exposure ends, shape (frame,); None: as `exposure_ends` says.

    Returns
    -------
    NDArray
        Shape (frame,); NaN where the signal says nothing.
    """
    amounts = values.astype(np.float64)
    edge_s = EDGE_PERIODS * period_s
    ends = exposure_ends(frame_times, period_s) if ends is None else ends
    first = np.searchsorted(sample_times, frame_times - edge_s, side="left")
    stop = np.searchsorted(sample_times, ends - edge_s, side="left")
    finite = np.isfinite(amounts)
    count = np.concatenate([[0], np.cumsum(finite)])
    n_samples = count[stop] - count[first]
    held = np.where(stop > first, np.nan, _hold(amounts, sample_times, frame_times))
    if rule == "any":
        largest = np.append(np.where(finite, amounts, -np.inf), -np.inf)
        pairs = np.column_stack([first, stop]).ravel()
        return np.where(n_samples > 0, np.maximum.reduceat(largest, pairs)[::2], held)
    total = np.concatenate([[0.0], np.cumsum(np.where(finite, amounts, 0.0))])
    summed = total[stop] - total[first]
    if rule == "count":
        return _counts(summed, n_samples, stop - first, held)
    return np.where(n_samples > 0, summed / np.maximum(n_samples, 1), held)


def exposure_ends(frame_times: NDArray[np.float64], period_s: float) -> NDArray[np.float64]:
    """Where each frame's exposure ends: with the next frame, or after a period where that is late.

    Clocks jitter, and are rounded to milliseconds: by periods alone, a sample that comes with the
    next frame would belong to two.

    Parameters
    ----------
    frame_times, period_s
        As in `sample_on_frames`.

    Examples
    --------
    >>> exposure_ends(np.array([0.0, 0.033, 0.067, 0.2]), 0.0333).round(4).tolist()
    [0.033, 0.067, 0.1003, 0.2333]
    """
    ends = frame_times + period_s
    steps = np.diff(frame_times)
    return np.append(
        np.where(steps <= LATE_PERIODS * period_s, frame_times[1:], ends[:-1]), ends[-1:]
    )


def _counts(
    summed: NDArray[np.float64],
    n_finite: NDArray[np.integer],
    n_samples: NDArray[np.integer],
    held: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Sums over exposures: 0 without a sample while the signal goes on, NaN with a missing one."""
    whole = np.where(n_finite == n_samples, summed, np.nan)
    return np.where(n_samples > 0, whole, np.where(np.isfinite(held), 0.0, np.nan))


def categories_on_frames(
    values: NDArray[np.generic],
    sample_times: NDArray[np.float64],
    frame_times: NDArray[np.float64],
    period_s: float,
) -> NDArray[np.generic]:
    """The category that holds in the middle of each frame's exposure.

    It is that of the last sample until then, for at most 1.5 of the signal's own periods.

    Parameters
    ----------
    values, sample_times, frame_times, period_s
        As in `sample_on_frames`.

    Returns
    -------
    NDArray
        Shape (frame,); NaN (text: empty) where the signal says nothing.
    """
    return _hold(values, sample_times, frame_times + (0.5 + EDGE_PERIODS) * period_s)


def _hold(
    values: NDArray[np.generic], sample_times: NDArray[np.float64], at_s: NDArray[np.float64]
) -> NDArray[np.generic]:
    """The last sample at or before each time; nothing where that is too long ago."""
    longest_s = DROPPED_AFTER_PERIODS * float(np.median(np.diff(sample_times)))
    last = np.searchsorted(sample_times, at_s, side="right") - 1
    held = values[np.maximum(last, 0)]
    known = (last >= 0) & (at_s - sample_times[np.maximum(last, 0)] <= longest_s)
    if held.dtype.kind in "US":
        return np.where(known, held, np.zeros(1, held.dtype))
    return np.where(known, held.astype(np.float64), np.nan)


@dataclass(frozen=True)
class Placed:
    """How a signal of a session came onto frames, and what became of its short bouts.

    Parameters
    ----------
    rule
        One of `corticode.data.signals.ON_FRAMES`.
    is_stated
        Whether somebody asked for that rule.
    holds_events
        Whether the file holds 0 and 1 alone.
    peaks
        Shape (bout,): the largest value that each bout of 1 reaches on the frames it touches; of
        categories 1 where some frame takes it, else 0. Empty for amounts.
    n_between
        Bouts that lie between the middles of two frames.
    as_before
        Whether version 60f4e28 would have given the same frames.
    """

    rule: str
    is_stated: bool = False
    holds_events: bool = False
    peaks: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0), compare=False)
    n_between: int = 0
    as_before: bool = True


def place(
    values: NDArray[np.generic],
    sample_times: NDArray[np.float64],
    frame_times: NDArray[np.float64],
    period_s: float,
    stated: str | None = None,
) -> tuple[NDArray[np.generic], Placed]:
    """A signal on frames as `sample_on_frames` brings it there, and what that lost.

    Examples
    --------
    >>> lick, times = np.array([0, 1, 0, 0, 0, 0, 1, 0]), 0.05 * np.arange(8)
    >>> on_frames, placed = place(lick, times, np.array([0.0, 0.2]), 0.2, "middle")
    >>> on_frames.tolist(), placed.peaks.tolist(), placed.n_between
    ([0.0, 1.0], [0.0, 1.0], 1)
    """
    rule = rule_of(values, stated)
    placed = sample_on_frames(values, sample_times, frame_times, period_s, rule)
    earlier = _as_earlier(values, sample_times, frame_times, period_s)
    are_events = holds_events(values)
    peaks, n_between = np.zeros(0), 0
    if are_events or (rule == "middle" and _are_categories(values)):
        peaks, n_between = _bouts_on_frames(
            values, sample_times, frame_times, period_s, placed if rule == "mean" else rule
        )
    return placed, Placed(
        rule, stated is not None, are_events, peaks, n_between, _are_equal(placed, earlier)
    )


def _as_earlier(
    values: NDArray[np.generic],
    sample_times: NDArray[np.float64],
    frame_times: NDArray[np.float64],
    period_s: float,
) -> NDArray[np.generic]:
    """A signal on frames as version 60f4e28 brought it there."""
    if was_category(values):
        return categories_on_frames(values, sample_times, frame_times, period_s)
    ends = frame_times + period_s
    return amounts_on_frames(values, sample_times, frame_times, period_s, ends=ends)


def _are_equal(first: NDArray[np.generic], second: NDArray[np.generic]) -> bool:
    if first.dtype.kind != "f":
        return np.array_equal(first, second)
    return np.array_equal(first, second.astype(np.float64), equal_nan=True)


def _are_categories(values: NDArray[np.generic]) -> bool:
    if values.dtype.kind not in "f":
        return True
    numbers = values.astype(np.float64)
    return bool(np.all(np.isnan(numbers) | (numbers == np.round(numbers))))


def _bouts_on_frames(
    values: NDArray[np.generic],
    sample_times: NDArray[np.float64],
    frame_times: NDArray[np.float64],
    period_s: float,
    how: NDArray[np.generic] | str,
) -> tuple[NDArray[np.float64], int]:
    """Peaks of the bouts that touch a frame, and how many of them hold no frame's middle.

    `how` is what came of the signal where that is its mean, else the rule.
    """
    start = np.flatnonzero(np.concatenate([[True], values[1:] != values[:-1]]))
    held = values[start]
    end = np.append(start[1:], values.size)
    is_bout = held != "" if held.dtype.kind in "US" else np.isfinite(held.astype(np.float64))
    if holds_events(values):
        is_bout &= held == 1
    after_last = sample_times[-1] + float(np.median(np.diff(sample_times)))
    ends_s = np.append(sample_times, after_last)[end[is_bout]]
    begins_s = sample_times[start[is_bout]]
    edge_s = EDGE_PERIODS * period_s
    last_s = exposure_ends(frame_times, period_s) - edge_s
    first = np.searchsorted(last_s, begins_s, side="right")
    stop = np.searchsorted(frame_times, ends_s - edge_s, side="left")
    touches = stop > first
    first, stop = first[touches], stop[touches]
    middles = frame_times + (0.5 + EDGE_PERIODS) * period_s
    is_between = np.searchsorted(middles, begins_s[touches]) == np.searchsorted(
        middles, ends_s[touches]
    )
    if isinstance(how, str):
        peaks = np.where(is_between, 0.0, 1.0) if how == "middle" else np.ones(first.size)
    elif first.size:
        known = np.append(np.nan_to_num(how.astype(np.float64), nan=0.0), 0.0)
        peaks = np.maximum.reduceat(known, np.column_stack([first, stop]).ravel())[::2]
    else:
        peaks = np.zeros(0)
    return peaks, int(is_between.sum())


def lost_bouts(placed: Sequence[Mapping[str, Placed]], target: Target) -> Finding | None:
    """What the rule of a target's signal loses of it over all sessions; None where hardly any.

    Parameters
    ----------
    placed
        How each session's signals came onto frames (`corticode.data.session.Session.placed`).
    target
        What is decoded.

    Examples
    --------
    >>> placed = Placed("middle", peaks=np.array([0.0, 1.0, 0.0]))
    >>> print(lost_bouts([{"lick": placed}], Target("lick", on_frames="middle")))
    2 of 3 bouts of 'lick' fall between the middles of frames and are lost; on_frames = 'any' ...
    """
    own = [one[target.signal] for one in placed if target.signal in one]
    n_bouts = sum(one.peaks.size for one in own)
    if not n_bouts:
        return None
    rule, above = own[0].rule, 0.0 if target.above is None else target.above
    if target.kind == "value" and rule != "middle":
        return None
    n_lost = sum(int((one.peaks <= above).sum()) for one in own)
    if n_lost < LOST_SHARE * n_bouts:
        return None
    head = f"{n_lost} of {n_bouts} bouts of {target.signal!r}"
    if rule == "mean":
        reason = (
            f"{head} stay at or below {above:g} once averaged over a frame's exposure and are "
            "lost; on_frames = 'any' keeps them, as does a lower threshold"
        )
    elif target.kind == "classes":
        reason = (
            f"{head} fall between the middles of frames and are lost; decode a class as short as "
            "that from a signal of 0 and 1 of its own, with on_frames = 'any'"
        )
    else:
        reason = (
            f"{head} fall between the middles of frames and are lost; on_frames = 'any' keeps them"
        )
    return Finding("frames", reason, count=n_lost)


def spans_change(
    values: NDArray[np.generic],
    sample_times: NDArray[np.float64],
    frame_times: NDArray[np.float64],
    period_s: float,
) -> NDArray[np.bool_]:
    """Which frames lie in two segments: another one holds early in their exposure than late in it.

    A tenth of an exposure at either end does not count.

    Parameters
    ----------
    values, sample_times, frame_times, period_s
        As in `sample_on_frames`.

    Examples
    --------
    >>> trial, times = np.array([1, 1, 2, 2]), np.array([0.0, 0.1, 0.2, 0.3])
    >>> spans_change(trial, times, np.array([0.0, 0.14, 0.28]), 0.14).tolist()
    [False, True, False]
    """
    early, late = (
        _hold(values, sample_times, frame_times + part * period_s)
        for part in (SEGMENT_EDGE, 1 - SEGMENT_EDGE)
    )
    differs = np.asarray(early != late, dtype=np.bool_)
    if early.dtype.kind == "f":
        differs &= ~(np.isnan(early) & np.isnan(late))
    return differs


def spans_gap(segment: NDArray[np.int32], ratio: float, n_new: int) -> NDArray[np.bool_]:
    """Which new frames span old ones on both sides of a gap in time.

    Parameters
    ----------
    segment
        Shape (frame,); rises at each gap.
    ratio, n_new
        As in `resample_amounts`.

    Examples
    --------
    >>> spans_gap(np.array([0, 0, 0, 1, 1, 1], np.int32), 2.0, 3).tolist()
    [False, True, False]
    """
    first, last = _touched(segment.size, ratio, n_new)
    return np.asarray(segment[first] != segment[last])


def resample_amounts(values: NDArray[np.generic], ratio: float, n_new: int) -> NDArray[np.float64]:
    """An array at a lower frame rate: each new frame is the mean over the old ones it spans.

    Parameters
    ----------
    values
        Shape (frame, ...). A new frame that touches a non-finite old one becomes NaN there.
    ratio
        Old frames a new frame, at least 1; need not be whole.
    n_new
        Number of new frames; ``n_new * ratio`` may not exceed the old number.

    Examples
    --------
    >>> resample_amounts(np.array([1.0, 3.0, 5.0, 9.0, 0.0]), 2.0, 2)
    array([2., 7.])
    """
    amounts = values.astype(np.float64)
    missing = ~np.isfinite(amounts)
    return np.where(
        _span_means(missing.astype(np.float64), ratio, n_new) > 1e-9,
        np.nan,
        _span_means(np.where(missing, 0.0, amounts), ratio, n_new),
    )


def _span_means(values: NDArray[np.float64], ratio: float, n_new: int) -> NDArray[np.float64]:
    zero = np.zeros((1, *values.shape[1:]))
    total = np.concatenate([zero, np.cumsum(values, axis=0)])
    edges = np.minimum(np.arange(n_new + 1) * ratio, values.shape[0])
    whole = np.minimum(edges.astype(np.int64), values.shape[0] - 1)
    part = (edges - whole).reshape(-1, *[1] * (values.ndim - 1))
    at_edge = total[whole] + part * values[whole]
    means: NDArray[np.float64] = np.diff(at_edge, axis=0) / ratio
    return means


def resample_categories(
    values: NDArray[np.generic], ratio: float, n_new: int
) -> NDArray[np.generic]:
    """A categorical signal at a lower frame rate: the category in the middle of each new frame."""
    middle = ((np.arange(n_new) + 0.5) * ratio).astype(np.int64)
    taken: NDArray[np.generic] = values[np.minimum(middle, values.shape[0] - 1)]
    return taken


def resample_largest(values: NDArray[np.generic], ratio: float, n_new: int) -> NDArray[np.float64]:
    """A signal at a lower frame rate: the largest of the old frames that each new one touches.

    Parameters
    ----------
    values, ratio, n_new
        As in `resample_amounts`.

    Examples
    --------
    >>> resample_largest(np.array([0, 1, 0, 0, 0, 1]), 2.0, 3)
    array([1., 0., 1.])
    """
    amounts = values.astype(np.float64)
    first, last = _touched(amounts.size, ratio, n_new)
    pairs = np.column_stack([first, last + 1]).ravel()
    missing = np.append(~np.isfinite(amounts), False)
    largest = np.maximum.reduceat(np.append(np.nan_to_num(amounts), 0.0), pairs)[::2]
    return np.where(np.logical_or.reduceat(missing, pairs)[::2], np.nan, largest)


def lower_rate(
    values: NDArray[np.generic], ratio: float, n_new: int, stated: str | None = None
) -> tuple[NDArray[np.generic], Placed]:
    """A signal at a lower frame rate by its rule, and what that lost, as `place` for clocks.

    Parameters
    ----------
    values, ratio, n_new
        As in `resample_amounts`.
    stated
        The rule, as in `sample_on_frames`.

    Examples
    --------
    >>> lower_rate(np.array([0, 1, 0, 0]), 2.0, 2, "count")[0]
    array([1., 0.])
    """
    rule = rule_of(values, stated)
    earlier = (resample_categories if was_category(values) else resample_amounts)(
        values, ratio, n_new
    )
    lowered: NDArray[np.generic]
    if rule == "middle":
        lowered = resample_categories(values, ratio, n_new)
    elif rule == "any":
        lowered = resample_largest(values, ratio, n_new)
    else:
        lowered = resample_amounts(values, ratio, n_new) * (ratio if rule == "count" else 1.0)
    are_events = holds_events(values)
    peaks, n_between = np.zeros(0), 0
    if are_events or (rule == "middle" and _are_categories(values)):
        frames = np.arange(values.size, dtype=np.float64)
        peaks, n_between = _bouts_on_frames(
            values,
            frames,
            np.asarray(np.arange(n_new) * ratio, dtype=np.float64),
            ratio,
            lowered if rule == "mean" else rule,
        )
    return lowered, Placed(
        rule, stated is not None, are_events, peaks, n_between, _are_equal(lowered, earlier)
    )


def _touched(n_old: int, ratio: float, n_new: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The first and the last old frame that each new one touches."""
    edges = np.minimum(np.arange(n_new + 1) * ratio, n_old)
    first = (edges[:-1] + EDGE_FRAMES).astype(np.int64)
    return first, (np.ceil(edges[1:] - EDGE_FRAMES) - 1).astype(np.int64)
