"""What stands beside decoders without one: regions by themselves, and what the present foretells.

The correlation of each region's trace with the behaviour, frame by frame; and, for decoders of the
future, what they must beat: how well the label, or the present, foretells it.

A decoder with shift s says the label of frame t + s from the frames around t. As behaviour comes in
bouts, it scores above 0.5 for small s though it knows of nothing but the present. Two lines say how
much that is; only above both does it predict the future (or recall the past).
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import reduce

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from corticode.data.prepared import PreparedSessions
from corticode.data.targets import Target
from corticode.data.windows import session_targets
from corticode.decode.predictions import Predictions, join
from corticode.errors import DataError
from corticode.evaluate.scores import score_sessions

SESSION = ["animal", "session"]
# More frames than a session and a shift can have.
FRAMES_APART = 2**40
REFERENCES = ("persistence_auc", "unshifted_auc")


def shift_references(predictions: Predictions, later: Predictions, shift: int) -> pd.DataFrame:
    """How well the label itself, and the decoder of the present, foretell a later label.

    The first is (1 + rho) / 2, where rho, the label's autocorrelation, is the correlation (phi) of
    the labels of frames t and t + shift over all pairs of one session. This is the AUC of the rule
    "as it is now", (sensitivity + specificity) / 2, exactly where both ends of the pairs hold the
    same share of 1; else that AUC is (1 + rho * sd(t) / sd(t + shift)) / 2. The second sets the
    decoder's score of frame t against the label of frame t + shift.

    Parameters
    ----------
    predictions
        Of the decoder without shift, for a binary target; its test part is used.
    later
        Where the labels of t + shift are looked up: the predictions of the decoder with that
        shift, which never looks across a gap in time. Pairs of `predictions` themselves may.
    shift
        Frames; above 0 is the future.

    Returns
    -------
    DataFrame
        One row a session, by animal and session: persistence_auc and unshifted_auc, NaN where
        `score_sessions` leaves them blank.

    Raises
    ------
    DataError
        The target is not binary, `later` has another, or no two frames lie `shift` apart.

    Examples
    --------
    >>> label = np.tile(np.repeat(np.array([0, 1], np.float32), 10), 6)
    >>> said = Predictions(
    ...     part=np.full(120, 2, np.int8),
    ...     animal=np.zeros(120, np.int16),
    ...     session=np.zeros(120, np.int16),
    ...     frame=np.arange(120, dtype=np.int32),
    ...     target=label,
    ...     score=label,
    ...     kind="binary",
    ...     animal_names=("m1",),
    ...     session_names=("monday",),
    ... )
    >>> [shift_references(said, said, k)["persistence_auc"].round(3).item() for k in (20, 10, 5)]
    [1.0, 0.0, 0.523]
    """
    shifted, label = _at_later_labels(predictions, shift, later)
    lines = [_persistence(shifted, label), _auc_by_session(shifted, "unshifted_auc")]
    return pd.concat(lines, axis=1)


def compare_with_references(
    predictions: Predictions, shifted: Predictions, shift: int
) -> pd.DataFrame:
    """The score of a decoder with shift beside its two reference lines, by animal.

    Parameters
    ----------
    predictions, shifted
        Of the decoders without and with the shift, otherwise alike; their test parts are used.
    shift
        Frames.

    Returns
    -------
    DataFrame
        One row an animal: animal, shift, auc (mean within-session AUC of `shifted`),
        persistence_auc, unshifted_auc, and above_both, which is missing where one of them is.

    Raises
    ------
    DataError
        As for `shift_references`.
    """
    by_session = shift_references(predictions, shifted, shift)
    lines = by_session.groupby("animal", sort=False).mean().reset_index().assign(shift=shift)
    auc = score_sessions(shifted).groupby("animal", sort=False)["auc"].mean()
    lines["auc"] = lines["animal"].map(auc)
    highest = lines[list(REFERENCES)].max(axis=1, skipna=False)
    is_known = lines["auc"].notna() & highest.notna()
    lines["above_both"] = (lines["auc"] > highest).astype("boolean").where(is_known)
    return lines[["animal", "shift", "auc", *REFERENCES, "above_both"]]


def score_across_lags(by_shift: Mapping[int, Predictions]) -> pd.DataFrame:
    """Decoders trained on the target of one lag, scored on that of every other.

    The decoder with shift i is given the window around t, and its output is set against the target
    of t + j, for every i and j: cross-temporal generalisation. Nothing is refitted. All cells are
    scored on the same windows, those whose targets are known at every lag.

    Parameters
    ----------
    by_shift
        Predictions of decoders that are alike but for their shift (frames), by this shift; their
        test parts are used.

    Returns
    -------
    DataFrame
        One row a session and pair of lags: trained_frames and tested_frames (the shifts i and j),
        then the columns of `score_sessions`.

    Raises
    ------
    DataError
        There are less than two, they differ in what they decode or decode trials, or no window
        is there at every lag.

    References
    ----------
    King & Dehaene (2014), doi:10.1016/j.tics.2014.01.002.

    Examples
    --------
    >>> label = np.random.default_rng(0).permutation(np.tile(np.array([0, 1], np.float32), 200))
    >>> now = Predictions(
    ...     part=np.full(400, 2, np.int8),
    ...     animal=np.zeros(400, np.int16),
    ...     session=np.zeros(400, np.int16),
    ...     frame=np.arange(400, dtype=np.int32),
    ...     target=label,
    ...     score=label,
    ...     kind="binary",
    ...     animal_names=("m1",),
    ...     session_names=("monday",),
    ... )
    >>> later = replace(now, score=1 - label)  # of the windows 10 frames earlier
    >>> found = score_across_lags({0: now, 10: later})
    >>> found[["trained_frames", "tested_frames", "auc"]].round(2).values.tolist()
    [[0.0, 0.0, 1.0], [0.0, 10.0, 0.48], [10.0, 0.0, 0.52], [10.0, 10.0, 0.0]]
    """
    if len(by_shift) < 2:
        raise DataError(f"{len(by_shift)} lag is given; lags are set against each other: give two")
    tests = [one.of_part("test") for one in by_shift.values()]
    both = join(tests)
    if both.of_trials:
        raise DataError(
            "a trial has one label, whichever window it is decoded from; lags are for targets "
            "that are decoded frame by frame"
        )
    which = np.repeat(np.arange(len(tests)), [one.n_windows for one in tests])
    session = both.animal.astype(np.int64) * len(both.session_names) + both.session
    shift = np.array(list(by_shift))[which]
    window = session * FRAMES_APART + both.frame - shift
    is_known = ~np.isnan(both.target)
    own = [np.flatnonzero(is_known & (which == k)) for k in range(len(tests))]
    shared = reduce(np.intersect1d, [window[at] for at in own])
    if not shared.size:
        raise DataError("no window has its target at every lag; give lags that lie closer together")
    rows = [at[np.isin(window[at], shared)] for at in own]
    rows = [at[np.argsort(window[at])] for at in rows]
    tables = []
    for trained, scored in zip(by_shift, rows, strict=True):
        for tested, labelled in zip(by_shift, rows, strict=True):
            frame, target = both.frame[labelled], both.target[labelled]
            table = score_sessions(replace(both.where(scored), frame=frame, target=target))
            table.insert(0, "tested_frames", tested)
            table.insert(0, "trained_frames", trained)
            tables.append(table)
    return pd.concat(tables, ignore_index=True)


def _at_later_labels(
    predictions: Predictions, shift: int, later: Predictions
) -> tuple[Predictions, NDArray[np.float32]]:
    """Predictions whose targets are those of t + shift, and the label of t beside each."""
    now, then = predictions.of_part("test"), later.of_part("test")
    both = join([now, then])
    if both.kind != "binary":
        raise DataError(
            f"the target is of kind {both.kind!r}; reference lines of a shift are for binary "
            "targets: score the decoder's own values"
        )
    session = both.animal.astype(np.int64) * len(both.session_names) + both.session
    moment = session * FRAMES_APART + both.frame
    known = ~np.isnan(both.target)
    is_then = np.arange(both.n_windows) >= now.n_windows
    at, after = np.flatnonzero(known & ~is_then), np.flatnonzero(known & is_then)
    _, found, found_after = np.intersect1d(moment[at] + shift, moment[after], return_indices=True)
    if found.size == 0:
        raise DataError(
            f"no two test frames lie {shift} apart within a session; give a smaller shift, or "
            "predictions of longer sessions"
        )
    at, after = at[found], after[found_after]
    shifted = replace(both.where(at), frame=both.frame[after], target=both.target[after])
    return shifted, both.target[at]


def _auc_by_session(predictions: Predictions, name: str) -> pd.Series:
    return score_sessions(predictions).set_index(SESSION)["auc"].rename(name)


def _persistence(shifted: Predictions, label: NDArray[np.float32]) -> pd.Series:
    """(1 + rho) / 2 by session, blank where a score would be."""
    auc = _auc_by_session(replace(shifted, score=label), "persistence_auc")
    # The rule's AUC is (1 + rho * sd(t) / sd(t + shift)) / 2.
    table = shifted.to_frame().assign(label=label)
    spread = table.groupby(SESSION, sort=False)[["label", "target"]].std(ddof=0)
    ratio = spread["target"] / spread["label"].where(spread["label"] > 0)
    return ((1 + (2 * auc - 1) * ratio.reindex(auc.index)) / 2).rename("persistence_auc")


def correlate_regions(prepared: PreparedSessions, target: Target) -> pd.DataFrame:
    """Pearson's correlation of each region's trace with the target, session by session.

    Traces are taken as prepared (detrended, say); scaling over a whole session does not matter.
    Frames where the region or the target has no finite value are left out.

    Parameters
    ----------
    prepared
        Sessions that share their regions.
    target
        Two states (a point-biserial correlation) or a value.

    Returns
    -------
    DataFrame
        One row a session and region: animal, session, region, pearson_r (NaN where the region or
        the target is constant).

    Raises
    ------
    DataError
        The target has several classes, or its signal is missing.

    References
    ----------
    Ajioka et al. (2024), doi:10.1371/journal.pcbi.1011074, S6 Fig.

    Examples
    --------
    >>> from corticode.data.prepared import prepare_sessions
    >>> from corticode.data.session import Session
    >>> run = np.array([0.0, 0.0, 1.0, 1.0])
    >>> traces = np.stack([2 * run, 1 - run, [0, 1, 0, 1]], axis=1)
    >>> session = Session("m1", "a", traces, ("M2", "V1", "A1"), {"run": run}, np.zeros(4, int))
    >>> correlate_regions(prepare_sessions([session]), Target("run"))
      animal session region  pearson_r
    0     m1       a     M2        1.0
    1     m1       a     V1       -1.0
    2     m1       a     A1        0.0
    """
    if target.kind == "classes":
        raise DataError(
            f"target {target.signal!r} has several classes, which have no order to go along with; "
            "correlate with a target of kind 'binary' or 'value'"
        )
    tables = []
    for k, trace in enumerate(session_targets(prepared, target)):
        found = _correlations(prepared.traces[prepared.rows(k)], trace.values)
        names = {"animal": prepared.animals[k], "session": prepared.sessions[k]}
        tables.append(pd.DataFrame({**names, "region": prepared.regions, "pearson_r": found}))
    return pd.concat(tables, ignore_index=True)


def _correlations(traces: NDArray[np.float32], values: NDArray[np.float32]) -> NDArray[np.float64]:
    """Correlation of each column of traces (frame, region) with values (frame,)."""
    known = np.isfinite(values)
    x, y = traces[known].astype(np.float64), values[known].astype(np.float64)[:, None]
    finite = np.isfinite(x)
    y = np.broadcast_to(y, x.shape)
    if not finite.all():
        x, y = np.where(finite, x, np.nan), np.where(finite, y, np.nan)
    x_about, x_varies = _about_mean(x)
    y_about, y_varies = _about_mean(y)
    varies = x_varies & y_varies
    squares = np.sum(x_about**2, axis=0) * np.sum(y_about**2, axis=0)
    found = np.full(x.shape[1], np.nan)
    np.divide(np.sum(x_about * y_about, axis=0), np.sqrt(squares), out=found, where=varies)
    clipped: NDArray[np.float64] = found.clip(-1, 1)
    return clipped


def _about_mean(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Values less their column's mean, 0 where not finite, and which columns vary."""
    finite = np.isfinite(values)
    filled = np.where(finite, values, 0)
    mean = filled.sum(axis=0) / np.maximum(finite.sum(axis=0), 1)
    low = np.min(values, axis=0, where=finite, initial=np.inf)
    high = np.max(values, axis=0, where=finite, initial=-np.inf)
    return np.where(finite, values - mean, 0), high > low
