"""What taking blood out did to a session: slopes, variance, what is left in common, what is lost.

Sums over blocks of frames, so that a movie is never held whole.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from corticode.data.preprocessing.blood import SLOPE_RANGE, VARIANTS, BloodFit
from corticode.errors import DataError, Finding

Array = NDArray[np.float64]

MOST_ODD_SLOPES = 0.05
ODD_SLOPES = "odd-slopes"
SUSTAINED_S = 5.0


@dataclass(frozen=True)
class CorrectionSummary:
    """What one correction did to one session.

    Parameters
    ----------
    variant, fitted_on, is_transductive
        Of the fit.
    slope
        (column,): what the reference was multiplied with; NaN for masked columns and for variants
        that have no slope.
    odd_slopes
        The fraction of columns with a slope outside 0 to 5, of those with one.
    variance_taken
        (column,): 1 - variance after / variance before; below 0 where the correction added some
        (the reference's noise). What a filter took is part of it.
    correlation_before, correlation_after
        (column,): with the reference as it was given; NaN where either is flat.
    """

    variant: str
    fitted_on: str
    is_transductive: bool
    slope: Array
    odd_slopes: float
    variance_taken: Array
    correlation_before: Array
    correlation_after: Array


class CorrectionSums:
    """Sums over frames of both channels and of what the correction made of them.

    Examples
    --------
    >>> b, v = np.array([[0.02], [0.06], [0.01]]), np.array([[0.01], [0.03], [0.02]])
    >>> sums = CorrectionSums()
    >>> sums.add(b, v, b - v)
    >>> done = sums.summary(BloodFit("difference", np.ones((1, 1)), "training"))
    >>> done.correlation_before.round(2).tolist(), done.correlation_after.round(2).tolist()
    ([0.76], [0.5])
    """

    def __init__(self) -> None:
        self._sums: Array | None = None

    def add(self, b: NDArray[Any], v: NDArray[Any], corrected: NDArray[Any]) -> None:
        """Add a block of frames; samples that are missing in any of the three are left out.

        Parameters
        ----------
        b, v, corrected
            (frame, column): dF/F of the channels, and of the corrected one.
        """
        parts = [np.asarray(x, np.float64) for x in (b, v, corrected)]
        known = np.isfinite(parts[0]) & np.isfinite(parts[1]) & np.isfinite(parts[2])
        calcium, reference, after = (np.where(known, x, 0) for x in parts)
        pairs = [
            (calcium, calcium),
            (after, after),
            (reference, reference),
            (calcium, reference),
            (after, reference),
        ]
        sums = np.stack(
            [
                known.sum(axis=0).astype(np.float64),
                *(x.sum(axis=0) for x in (calcium, after, reference)),
                *(np.einsum("tc,tc->c", x, y) for x, y in pairs),
            ]
        )
        self._sums = sums if self._sums is None else self._sums + sums

    def summary(self, fit: BloodFit) -> CorrectionSummary:
        """What the correction did.

        Parameters
        ----------
        fit
            The correction, of the same columns.

        Raises
        ------
        DataError
            No frames were added.
        """
        if self._sums is None:
            raise DataError("a correction was to be summarised without a frame; it needs some")
        with np.errstate(invalid="ignore", divide="ignore"):
            mean_b, mean_after, mean_v = self._sums[1:4] / self._sums[0]
            bb, aa, vv, bv, av = self._sums[4:] / self._sums[0] - np.stack(
                [mean_b**2, mean_after**2, mean_v**2, mean_b * mean_v, mean_after * mean_v]
            )
            bb, aa, vv = (np.where(x > 0, x, np.nan) for x in (bb, aa, vv))
            before, after = bv / np.sqrt(bb * vv), av / np.sqrt(aa * vv)
            taken = 1 - np.nan_to_num(aa) / bb
        slope = np.full(bb.shape, np.nan)
        if VARIANTS[fit.variant].terms:
            slope = fit.coefficients[0].astype(np.float64)
        return CorrectionSummary(
            fit.variant,
            fit.fitted_on,
            fit.is_transductive,
            slope,
            odd_slopes(slope),
            taken,
            before,
            after,
        )


def odd_slopes(slope: NDArray[Any]) -> float:
    """The fraction of slopes outside 0 to 5, of those that are there (0 where none is).

    Examples
    --------
    >>> odd_slopes(np.array([-0.5, 1.0, 2.0, np.nan, 6.0]))
    0.5
    """
    known = slope[np.isfinite(slope)]
    low, high = SLOPE_RANGE
    return float(((known < low) | (known > high)).mean()) if known.size else 0.0


def check_correction(
    summary: CorrectionSummary, animal: str = "", session: str = ""
) -> list[Finding]:
    """What looks odd in a correction: slopes outside 0 to 5 in more than 5 % of the columns.

    Parameters
    ----------
    summary
        As `CorrectionSums.summary` gives it.
    animal, session
        Whose it is.

    Examples
    --------
    >>> sums = CorrectionSums()
    >>> sums.add(*np.random.default_rng(0).normal(size=(3, 9, 2)))
    >>> done = sums.summary(BloodFit("regression", np.array([[1.0, -2.0], [0, 0]])))
    >>> print(*check_correction(done, "m1", "a"))  # doctest: +ELLIPSIS
    animal 'm1', session 'a': slopes of blood ('regression') are outside 0 to 5 in 50 % of the ...
    """
    if summary.odd_slopes <= MOST_ODD_SLOPES:
        return []
    low, high = SLOPE_RANGE
    known = int(np.isfinite(summary.slope).sum())
    reason = (
        f"slopes of blood ({summary.variant!r}) are outside {low:g} to {high:g} in "
        f"{100 * summary.odd_slopes:.0f} % of the pixels (median "
        f"{np.nanmedian(summary.slope):.2f}): are the channels in the right order, and is there "
        "signal in the reference?"
    )
    count = round(summary.odd_slopes * known)
    return [Finding("session", reason, animal, session, count=count, code=ODD_SLOPES)]


@dataclass(frozen=True)
class SustainedRunning:
    """What is left of a trace's signal in running that lasts.

    Parameters
    ----------
    difference_kept
        The mean beyond 5 s into bouts minus the mean at rest, after / before; NaN where there is
        no rest or no such frame.
    variance_kept
        The variance over those frames and rest together, after / before.
    n_bouts
        Bouts of more than 5 s.
    """

    difference_kept: float
    variance_kept: float
    n_bouts: int


def sustained_running(
    before: NDArray[Any],
    after: NDArray[Any],
    is_running: NDArray[np.bool_],
    frame_rate_hz: float,
) -> SustainedRunning:
    """What a step leaves of sustained running; a high-pass takes most of it.

    Parameters
    ----------
    before, after
        (frame,): a trace, say the mean over the brain, without the step and with it; for the
        filters of a variant of `corticode.data.preprocessing.blood` alone, as `filter_channels`
        gives it.
    is_running
        (frame,).
    frame_rate_hz
        Frames per second.

    Examples
    --------
    >>> running = np.repeat([False, True], 300)
    >>> before = running + 0.0
    >>> after = np.where(np.arange(600) < 450, before, 0.4)
    >>> sustained_running(before, after, running, 30.0)
    SustainedRunning(difference_kept=0.4, variance_kept=0.16, n_bouts=1)
    """
    edges = np.flatnonzero(np.diff(is_running.astype(np.int8), prepend=0, append=0))
    n_least = round(SUSTAINED_S * frame_rate_hz)
    lasting = np.zeros(is_running.size, np.bool_)
    bouts = [(start, stop) for start, stop in edges.reshape(-1, 2) if stop - start > n_least]
    for start, stop in bouts:
        lasting[start + n_least : stop] = True
    known = np.isfinite(before) & np.isfinite(after)
    lasting, rest = lasting & known, ~is_running & known
    if not lasting.any() or not rest.any():
        return SustainedRunning(np.nan, np.nan, len(bouts))
    was, now = (float(x[lasting].mean() - x[rest].mean()) for x in (before, after))
    spread = [float(x[lasting | rest].var()) for x in (before, after)]
    return SustainedRunning(
        round(now / was, 6) if was else np.nan,
        round(spread[1] / spread[0], 6) if spread[0] else np.nan,
        len(bouts),
    )
