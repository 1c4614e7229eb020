"""How well a linear filter that knows the generator can tell running from rest."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

from corticode.data.synthetic.activity import Mouse

HALF_WINDOW_FRAMES = 15
STEP_FRAMES = 3


def source_windows(traces: NDArray[np.float32], mouse: Mouse) -> NDArray[np.float64]:
    """What the regions say about each source, in windows of +-15 frames (0.5 s at 30 Hz).

    The traces, less their session mean, are projected on the mouse's true weights. As all regions
    have noise of the same size and spectrum, this loses nothing that the regions know of the
    sources. Windows are taken in steps of three frames of a three-frame mean.

    Parameters
    ----------
    traces
        Shape (frame, region).
    mouse
        Whose they are.

    Returns
    -------
    NDArray
        Shape (window, feature); a feature is one of 11 lags of one source. The first window is
        that of frame 15.

    Examples
    --------
    >>> mouse = Mouse(np.ones((9, 50)), 1.0, 0.0)
    >>> source_windows(np.zeros((100, 50), dtype=np.float32), mouse).shape
    (70, 99)
    """
    projected = (traces - traces.mean(axis=0, dtype=np.float64)) @ mouse.weights.T
    smoothed = uniform_filter1d(projected, STEP_FRAMES, axis=0)
    windows = sliding_window_view(smoothed, 2 * HALF_WINDOW_FRAMES + 1, axis=0)[:, :, ::STEP_FRAMES]
    return windows.reshape(len(windows), -1)


def fit_ideal_filter(
    traces: NDArray[np.float32], is_running: NDArray[np.bool_], mouse: Mouse
) -> NDArray[np.float64]:
    """The linear filter that knows the generator, for one mouse: the ceiling of linear decoding.

    It is a linear discriminant over the +-0.5 s window. Its spatial part is exact, the mouse's
    true weights. Its temporal part (the mean course of every source around running and rest, and
    the covariance of everything else) comes from a long draw of the same mouse that is no part of
    the cohort. No decoder of other mice can know as much. A decoder that is not linear can also
    use the strides, whose phase a linear filter cannot follow.

    Parameters
    ----------
    traces
        The long draw, shape (frame, region).
    is_running
        Shape (frame,).
    mouse
        Whose it is.

    Returns
    -------
    NDArray
        Weights, shape (feature,), for `source_windows`.
    """
    windows = source_windows(traces, mouse)
    running = is_running[HALF_WINDOW_FRAMES:-HALF_WINDOW_FRAMES]
    at_rest, in_run = windows[~running].mean(axis=0), windows[running].mean(axis=0)
    residual = windows - np.where(running[:, None], in_run, at_rest)
    covariance = residual.T @ residual / len(residual)
    # A dial at 0 leaves directions without variance; the pseudo-inverse leaves them out.
    weights = np.linalg.pinv(covariance, rcond=1e-10, hermitian=True) @ (in_run - at_rest)
    return np.asarray(weights)


def score_ideal_filter(
    weights: NDArray[np.float64],
    traces: NDArray[np.float32],
    is_running: NDArray[np.bool_],
    mouse: Mouse,
) -> float:
    """The area under the ROC curve, run against rest, of an ideal filter on one session.

    Parameters
    ----------
    weights
        What `fit_ideal_filter` gave.
    traces, is_running, mouse
        The session, as there.

    Returns
    -------
    float
        Over the frames that have a whole window.
    """
    scores = source_windows(traces, mouse) @ weights
    running = is_running[HALF_WINDOW_FRAMES:-HALF_WINDOW_FRAMES]
    rest, run = np.sort(scores[~running]), scores[running]
    below = np.searchsorted(rest, run, "left") + np.searchsorted(rest, run, "right")
    return float(below.mean() / (2 * rest.size))
