"""How each region's trace goes with behaviour, frame by frame: no decoder in between."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from corticode.data.prepared import PreparedSessions
from corticode.data.targets import Target
from corticode.data.windows import session_targets
from corticode.errors import DataError


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
