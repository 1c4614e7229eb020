"""Courses filtered over frames, both ways or forward only; missing samples cost no other.

Butterworth filters as `scipy.signal` makes them, in second-order sections: in one piece, a
band-pass of order 5 from 0.01 Hz loses four digits.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Filter:
    """A Butterworth filter over frames.

    Parameters
    ----------
    order, edges_hz, kind
        Of the Butterworth filter: ``"high"``, ``"low"`` or ``"band"``. Edges at half the frame
        rate or above are dropped.
    pad_frames
        How many frames are mirrored at each end where it runs both ways; a session needs more.
    """

    order: int
    edges_hz: tuple[float, ...]
    kind: str
    pad_frames: int


def filter_both_ways(
    values: Array, filters: tuple[Filter, ...], frame_rate_hz: float | None
) -> Array:
    """Columns filtered forward and backward, so that nothing is delayed.

    Parameters
    ----------
    values
        (frame, column), more frames than any filter mirrors. Missing values are bridged by
        straight lines.
    filters
        Run one after the other.
    frame_rate_hz
        Frames per second.

    Returns
    -------
    NDArray
        (frame, column); NaN where a value was missing.

    Examples
    --------
    >>> high = Filter(2, (0.5,), "high", 9)
    >>> bool(np.abs(filter_both_ways(np.full((60, 1), 7.0), (high,), 30.0)).max() < 1e-9)
    True
    """
    if not filters:
        return values
    filled, missing = bridge_gaps(values)
    for each in filters:
        sections = _sections(each, frame_rate_hz)
        if len(sections):
            filled = scipy.signal.sosfiltfilt(sections, filled, axis=0, padlen=each.pad_frames)
    filled[missing] = np.nan
    return filled


def _sections(each: Filter, frame_rate_hz: float | None) -> Array:
    """Second-order sections; none for a low-pass that lets everything through."""
    half = (frame_rate_hz or 0.0) / 2
    edges = [edge for edge in each.edges_hz if edge < half]
    if each.kind == "low" and not edges:
        return np.zeros((0, 6))
    kind = "high" if each.kind == "band" and len(edges) == 1 else each.kind
    corner = edges if len(edges) > 1 else edges[0]
    return np.asarray(
        scipy.signal.butter(each.order, corner, kind, output="sos", fs=frame_rate_hz), np.float64
    )


def bridge_gaps(values: NDArray[Any]) -> tuple[Array, NDArray[np.bool_]]:
    """A copy with straight lines over missing values, and where they were missing.

    Parameters
    ----------
    values
        (frame, column). Before the first value and after the last, that one is held; a column
        without any becomes 0.

    Examples
    --------
    >>> bridge_gaps(np.array([[1.0], [np.nan], [3.0]]))[0].ravel().tolist()
    [1.0, 2.0, 3.0]
    """
    filled = np.array(values, np.float64)
    missing = ~np.isfinite(filled)
    frame = np.arange(len(filled))
    has_none = missing.all(axis=0)
    filled[:, has_none] = 0
    for column in np.flatnonzero(missing.any(axis=0) & ~has_none):
        gap = missing[:, column]
        known = np.flatnonzero(~gap)
        filled[gap, column] = np.interp(frame[gap], known, filled[known, column])
    return filled, missing


class ForwardFilter:
    """High-passes that run forward over frames, their state kept between calls.

    They start as if the first value had held for ever. Low-passes are left out: run forward they
    would delay one channel against the other.

    Parameters
    ----------
    filters, frame_rate_hz
        As in `filter_both_ways`.

    Examples
    --------
    >>> high = ForwardFilter((Filter(2, (0.5,), "high", 9),), 30.0)
    >>> high.take(np.full((2, 1), 7.0)).round(9).ravel().tolist(), high.take(np.ones((0, 1))).size
    ([0.0, 0.0], 0)
    """

    def __init__(self, filters: tuple[Filter, ...], frame_rate_hz: float | None) -> None:
        self.sections = [_sections(each, frame_rate_hz) for each in filters if each.kind == "high"]
        self.states: list[Array] = []
        self.held: Array | None = None

    def take(self, values: Array) -> Array:
        """The next frames, filtered; NaN where a value is missing."""
        if not self.sections or not len(values):
            return values
        missing = ~np.isfinite(values)
        filled = self._hold(values, missing)
        for k, sections in enumerate(self.sections):
            filled, self.states[k] = scipy.signal.sosfilt(
                sections, filled, axis=0, zi=self.states[k]
            )
        filled[missing] = np.nan
        return filled

    def _hold(self, values: Array, missing: NDArray[np.bool_]) -> Array:
        """Values with the last one held where one is missing; starts filters of new columns."""
        frame = np.where(missing, 0, np.arange(1, len(values) + 1)[:, None])
        last = np.maximum.accumulate(frame, axis=0)
        held = np.full(values.shape[1], np.nan) if self.held is None else self.held
        padded = np.concatenate([held[None], np.where(missing, 0, values)])
        filled = np.take_along_axis(padded, last, axis=0)
        self.held = filled[-1].copy()
        new = np.isnan(held) & np.isfinite(self.held)
        first = filled[np.isfinite(filled).argmax(axis=0), np.arange(values.shape[1])]
        before = np.isnan(filled)
        filled = np.where(before, first, filled)
        filled[np.isnan(filled)] = 0
        if not self.states:
            shapes = [(len(each), 2, values.shape[1]) for each in self.sections]
            self.states = [np.zeros(shape) for shape in shapes]
        # What held for ever is 0 for the high-passes after the first.
        start = scipy.signal.sosfilt_zi(self.sections[0])[:, :, None]
        self.states[0][:, :, new] = start * first[new]
        return filled
