"""Which labelled frames are decoded: without those near other behaviour, matched in another signal.

A decoder of running may read licks, or a decoder of grooming and running nothing but speed. What
is decoded is then restricted: frames near licks get no target, or each class keeps as many frames
at each speed as the others.
"""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from corticode.data.signals import holds_numbers
from corticode.data.targets import (
    Exclude,
    Target,
    TargetTrace,
    bouts,
    covered_rows,
    number_segments,
)
from corticode.errors import DataError

MOST_BINS = 20
# Frames of the rarest class that a bin holds on average, where there are few.
FRAMES_A_BIN = 5


def excluded_frames(
    values: NDArray[Any], exclude: Exclude, segment: NDArray[Any] | None = None
) -> NDArray[np.bool_]:
    """The frames that get no target for what another signal does there, shape (frame,).

    Parameters
    ----------
    values
        (frame,): that signal. Where it is not known, frames are left out too.
    exclude
        What it does.
    segment
        (frame,): a change of its value marks a gap in time, over which nothing reaches; ``None``:
        there are no gaps. Where a stretch begins above the threshold, its onset was not seen.

    Examples
    --------
    >>> lick = np.array([0, 0, 0, 1, 1, 1, 0, 0])
    >>> excluded_frames(lick, Exclude("lick", within_frames=1)).astype(int).tolist()
    [0, 0, 1, 1, 1, 1, 1, 0]
    >>> excluded_frames(lick, Exclude("lick", at="onset", within_frames=1)).astype(int).tolist()
    [0, 0, 1, 1, 0, 0, 0, 0]
    >>> excluded_frames(lick, Exclude("lick", at="steady", within_frames=1)).astype(int).tolist()
    [0, 0, 0, 0, 1, 1, 0, 0]
    """
    values = _numbers(values, exclude.signal, "exclude")
    n_frames, reach = len(values), exclude.within_frames
    state = np.where(np.isfinite(values), values > exclude.above, np.nan)
    start, stop, is_on = bouts(state, segment)
    part = number_segments(np.ones(n_frames, np.bool_), segment)
    before, after = is_on[:-1], is_on[1:]
    # Where one bout begins right after another the change was seen.
    is_seen = (stop[:-1] == start[1:]) & (part[start[:-1]] == part[start[1:]])
    rises = np.append(False, is_seen & (before == 0) & (after == 1))
    falls = np.append(False, is_seen & (before == 1) & (after == 0))
    if exclude.at == "on":
        on = is_on == 1
        first, last = start[on] - reach, stop[on] + reach
        home = start[on]
    elif exclude.at == "steady":
        on = is_on == 1
        first, last = np.minimum(start + np.where(rises, reach, 0), stop)[on], stop[on]
        home = start[on]
    else:
        home = start[rises if exclude.at == "onset" else falls]
        first, last = home - reach, home + reach
    low = np.searchsorted(part, part[home], "left")
    high = np.searchsorted(part, part[home], "right")
    near = covered_rows(np.clip(first, low, high), np.clip(last, low, high), n_frames)
    return near | ~np.isfinite(values)


def matched_frames(
    values: NDArray[Any], labels: NDArray[np.floating[Any]], rng: np.random.Generator
) -> NDArray[np.bool_]:
    """Frames among which every class has the same distribution of another signal, shape (frame,).

    The signal's range is cut at its quantiles into at most 20 bins (a signal of so few values has a
    bin for each); in each, every class keeps as
    many frames as the rarest has there, drawn at random. Of one class alone nothing is left.

    Parameters
    ----------
    values
        (frame,): the signal.
    labels
        (frame,): indices of classes; NaN where there is no target.
    rng
        Draws the frames.

    Examples
    --------
    >>> speed = np.array([1.0, 1, 1, 5, 5, 5, 9, 9])
    >>> label = np.array([0.0, 0, 0, 0, 1, 1, 1, 1])
    >>> kept = matched_frames(speed, label, np.random.default_rng(0))
    >>> speed[kept].tolist(), label[kept].tolist()
    ([5.0, 5.0], [0.0, 1.0])
    """
    kept = np.zeros(len(values), np.bool_)
    known = np.isfinite(values) & np.isfinite(labels)
    names, of_class = np.unique(labels[known], return_inverse=True)
    if len(names) < 2:
        return kept
    chosen = values[known]
    rarest = int(np.bincount(of_class).min())
    # Among few frames wide bins still hold some of each class.
    n_bins = int(np.clip(rarest // FRAMES_A_BIN, 3, MOST_BINS))
    levels = np.unique(chosen)
    edges = np.unique(np.quantile(chosen, np.linspace(0, 1, n_bins + 1)[1:-1]))
    if levels.size <= MOST_BINS:
        edges = levels[1:]
    within = np.searchsorted(edges, chosen, side="right")
    taken = np.zeros(chosen.size, np.bool_)
    for one in np.unique(within):
        members = [np.flatnonzero((within == one) & (of_class == k)) for k in range(len(names))]
        n_kept = min(map(len, members))
        for frames in members:
            taken[rng.permutation(frames)[:n_kept]] = True
    kept[known] = taken
    return kept


def choose_frames(
    traces: Sequence[TargetTrace],
    target: Target,
    signals: Sequence[Mapping[str, NDArray[Any]]],
    segments: Sequence[NDArray[Any]],
    names: Sequence[str],
) -> list[TargetTrace]:
    """Targets of sessions, NaN on frames that the target excludes or that have no match.

    Parameters
    ----------
    traces
        One a session.
    target
        What is decoded; one without `exclude` and `match` leaves traces as they are.
    signals
        Behaviour of each session by name, (frame,) each.
    segments
        (frame,) each: where its value changes there is a gap in time.
    names
        ``"animal/session"``; the frames that are drawn depend on it alone.

    Raises
    ------
    DataError
        A signal is missing or holds text, or no frame is left in any session.
    """
    made = []
    for trace, own, segment, name in zip(traces, signals, segments, names, strict=True):
        missing = [signal for signal in target.beside if signal not in own]
        if missing:
            raise DataError(
                f"session {name}: signal {missing[0]!r}, by which frames are chosen ([target] "
                f"match or exclude), is not there; signals there: "
                f"{', '.join(sorted(own)) or 'none'}"
            )
        values = trace.values
        if target.exclude is not None:
            gone = excluded_frames(own[target.exclude.signal], target.exclude, segment)
            values = np.where(gone, np.nan, values).astype(values.dtype)
        if target.match is not None:
            beside = _numbers(own[target.match], target.match, "match")
            kept = matched_frames(beside, values, np.random.default_rng(zlib.crc32(name.encode())))
            values = np.where(kept, values, np.nan).astype(values.dtype)
        made.append(replace(trace, values=values))
    if target.beside and not any(np.isfinite(one.values).any() for one in made):
        steps = [f"{key} {getattr(target, key)}" for key in ("exclude", "match")]
        steps = [step for step in steps if not step.endswith(" None")]
        raise DataError(
            f"no frame with a target is left in any session after [target] {' and '.join(steps)}; "
            "classes that share no value of a signal cannot be matched in it, and a threshold that "
            "is always exceeded excludes everything"
        )
    return made


def _numbers(values: NDArray[Any], signal: str, key: str) -> NDArray[np.float64]:
    if not holds_numbers(values):
        raise DataError(f"signal {signal!r} of [target] {key} holds text; name a signal of numbers")
    return np.asarray(values, np.float64)
