"""Traces less what other traces of the same session explain, at leads and lags, without labels."""

import numpy as np
from numpy.typing import NDArray

from corticode.errors import DataError

# Seconds by which cortex follows a cue: motion shows in the same frame (which, with its neighbours,
# is a lag of its own), blood for seconds. Between these the response is a straight line.
KNOTS_S = (
    *(-0.5, -0.25, -0.1, 0.0, 0.1, 0.25, 0.5, 0.75, 1.0),
    *(1.25, 1.5, 1.75, 2.0, 2.5, 3.0),
)
RIDGE = 1e-6
# With fewer frames, chance alone takes a tenth and more of what is not the cues' doing.
FRAMES_A_COLUMN = 10


def regress_out(
    traces: NDArray[np.floating], cues: NDArray[np.floating], frame_rate_hz: float
) -> NDArray[np.float32]:
    """Traces less their least-squares fit on cues at lags of -0.5 to 3 s.

    Each trace is fitted by every cue's past (to 3 s) and near future (0.5 s), the response being
    straight between seventeen lags that lie closest around 0, where single frames count. Frames
    that hold NaN in a trace or a cue are left out of the fit. The trace's mean stays; nothing is
    known of labels.

    Parameters
    ----------
    traces
        (frame, region).
    cues
        (frame, cue).
    frame_rate_hz
        Frames per second.

    Returns
    -------
    NDArray
        float32, (frame, region).

    Raises
    ------
    DataError
        Too few frames for so many cues.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> cue = rng.normal(size=(3000, 1))
    >>> traces = cue + 0.1 * rng.normal(size=(3000, 2))
    >>> left = regress_out(traces, cue, 30.0)
    >>> bool(left.std() < 0.11), bool(traces.std() > 0.9)
    (True, True)
    """
    design = lagged(cues, frame_rate_hz)
    known = np.isfinite(traces).all(axis=1) & np.isfinite(cues).all(axis=1)
    needed = FRAMES_A_COLUMN * design.shape[1]
    if np.count_nonzero(known) < needed:
        raise DataError(
            f"{np.count_nonzero(known)} frames are too few to regress {cues.shape[1]} cues out at "
            f"{design.shape[1] // cues.shape[1]} lags; {needed} are needed: leave regress_out out, "
            "or the session"
        )
    inputs = design[known] - design[known].mean(axis=0)
    # Unit SD, so that the ridge is as strong on counts as on pixels; a flat cue stays 0.
    spread = inputs.std(axis=0)
    spread[spread == 0] = 1.0
    inputs /= spread
    outputs = np.asarray(traces, dtype=np.float64)
    centred = outputs[known] - outputs[known].mean(axis=0)
    gram = inputs.T @ inputs
    gram[np.diag_indices_from(gram)] += RIDGE * len(inputs)
    weights = np.linalg.solve(gram, inputs.T @ centred)
    fitted = ((design - design[known].mean(axis=0)) / spread) @ weights
    return np.asarray(outputs - fitted, dtype=np.float32)


def lagged(cues: NDArray[np.floating], frame_rate_hz: float) -> NDArray[np.float64]:
    """Cues at every lag of `KNOTS_S`, and one frame around 0, joined by straight lines.

    The shape is (frame, lag x cue). Ends are held; NaN counts as the cue's mean.
    """
    values = np.array(cues, dtype=np.float64)
    gaps = ~np.isfinite(values)
    if gaps.any():
        means = np.nanmean(np.where(gaps, np.nan, values), axis=0) if not gaps.all() else 0.0
        values = np.where(gaps, means, values)
    knots = np.unique([*(np.array(KNOTS_S) * frame_rate_hz), -1.0, 1.0])
    first, last = int(np.floor(knots[0])), int(np.ceil(knots[-1]))
    lags = np.arange(first, last + 1)
    held = np.pad(values, ((last, -first), (0, 0)), mode="edge")
    columns = []
    for k in range(len(knots)):
        weights = np.interp(lags, knots, np.eye(len(knots))[k])
        used = np.flatnonzero(weights)
        if not used.size:
            continue
        # Frame t takes the cue of t - lag.
        column = sum(weights[j] * held[last - lags[j] : last - lags[j] + len(values)] for j in used)
        columns.append(column)
    return np.concatenate(columns, axis=1)
