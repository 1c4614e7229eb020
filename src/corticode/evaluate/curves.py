"""Curves beside the scores: ROC, reliability, and how well the onset of a bout is told."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from corticode.data.targets import bouts
from corticode.errors import DataError
from corticode.evaluate.metrics import binary_scores

ROC_POINTS = 200
BINS = 10
# A bout must last, and be preceded by rest, so long; rest that is compared is so far from both.
STEADY_S = 2.0


def roc_curve(target: NDArray[np.floating], score: NDArray[np.floating]) -> pd.DataFrame:
    """The ROC curve at so many points as a figure can show.

    Parameters
    ----------
    target
        0 or 1, NaN where it is not known, shape (window,).
    score
        Probability of 1, shape (window,).

    Returns
    -------
    DataFrame
        false_share and true_share (of rest and of running that is called running), both rising
        from 0 to 1; no row where one class alone is there.

    Examples
    --------
    >>> roc_curve(np.array([0, 1, 1.0]), np.array([0.2, 0.1, 0.9])).true_share.tolist()
    [0.0, 0.5, 0.5, 1.0]
    """
    known = ~np.isnan(target)
    true, order = target[known] == 1, np.argsort(-score[known], kind="stable")
    if not 0 < np.count_nonzero(true) < true.size:
        return pd.DataFrame({"false_share": [], "true_share": []}, dtype=np.float64)
    ordered = score[known][order]
    last = np.append(np.flatnonzero(np.diff(ordered)), ordered.size - 1)
    shares = {
        "false_share": np.append(0, np.cumsum(~true[order])[last] / np.count_nonzero(~true)),
        "true_share": np.append(0, np.cumsum(true[order])[last] / np.count_nonzero(true)),
    }
    # Points at even steps along the curve, not of the score: none is lost where it is steep.
    along = (shares["false_share"] + shares["true_share"]) / 2
    steps = np.linspace(0, 1, ROC_POINTS)
    kept = np.unique(np.searchsorted(along, steps).clip(0, along.size - 1))
    return pd.DataFrame({name: values[kept] for name, values in shares.items()})


def reliability(
    target: NDArray[np.floating], score: NDArray[np.floating], n_bins: int = BINS
) -> pd.DataFrame:
    """How often it was 1 where a probability was said, by bins of equal width.

    Parameters
    ----------
    target, score
        As for `roc_curve`.
    n_bins
        Bins from 0 to 1.

    Returns
    -------
    DataFrame
        One row a bin that holds a window: score (mean of what was said), share (of 1 among
        them), n_windows.

    Examples
    --------
    >>> reliability(np.array([0, 1, 1.0]), np.array([0.1, 0.9, 0.9])).share.tolist()
    [0.0, 1.0]
    """
    known = ~np.isnan(target)
    bins = np.minimum((score[known] * n_bins).astype(np.int64), n_bins - 1)
    table = pd.DataFrame({"bin": bins, "score": score[known], "share": target[known]})
    grouped = table.groupby("bin")
    found = grouped[["score", "share"]].mean()
    return found.assign(n_windows=grouped.size()).reset_index(drop=True)


def auc_around_onset(
    target: NDArray[np.floating],
    score: NDArray[np.floating],
    frame_rate_hz: float,
    lags_s: NDArray[np.floating],
) -> pd.DataFrame:
    """How well frames at some time from the onset of a bout are told from steady rest.

    Counted are onsets of bouts of at least 2 s after at least 2 s of rest. A lag's AUC sets the
    frames so long after (below 0: before) each such onset against the frames of rest that are
    2 s and more from any change.

    Parameters
    ----------
    target, score
        Of one session, frame after frame, NaN where there is no window, shape (frame,).
    frame_rate_hz
        Frames per second.
    lags_s
        Seconds from the onset, shape (lag,).

    Returns
    -------
    DataFrame
        One row a lag: lag_s, auc (NaN without an onset or without steady rest) and n_onsets.

    Raises
    ------
    DataError
        Target and score differ in length.
    """
    if target.shape != score.shape:
        raise DataError(
            f"target has shape {target.shape}, score {score.shape}; give one value a frame of both"
        )
    steady = round(STEADY_S * frame_rate_hz)
    onsets = _onsets(target, steady)
    rest = score[_far_rest(target, steady) & ~np.isnan(score)]
    rows = []
    for lag_s in lags_s:
        frames = onsets + round(float(lag_s) * frame_rate_hz)
        frames = frames[(frames >= 0) & (frames < score.size)]
        said = score[frames][~np.isnan(score[frames])]
        auc = float("nan")
        if said.size and rest.size:
            both = np.concatenate([said, rest])
            auc = binary_scores(np.repeat([1.0, 0.0], [said.size, rest.size]), both)["auc"]
        rows.append({"lag_s": float(lag_s), "auc": auc, "n_onsets": int(said.size)})
    return pd.DataFrame(rows, columns=["lag_s", "auc", "n_onsets"])


def _onsets(target: NDArray[np.floating], steady: int) -> NDArray[np.intp]:
    """First frames of long bouts of 1 that follow a long bout of 0 at once."""
    start, stop, value = bouts(target)
    long = stop - start >= steady
    follows = (value[1:] == 1) & (value[:-1] == 0) & (start[1:] == stop[:-1])
    found: NDArray[np.intp] = start[1:][follows & long[1:] & long[:-1]]
    return found


def _far_rest(target: NDArray[np.floating], steady: int) -> NDArray[np.bool_]:
    """Frames of rest that are `steady` frames or more from any change."""
    far = np.zeros(target.size, dtype=np.bool_)
    for start, stop, value in zip(*bouts(target), strict=True):
        if value == 0:
            far[start + steady : max(stop - steady, start)] = True
    return far
