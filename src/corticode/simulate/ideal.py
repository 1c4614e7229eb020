"""How well a decoder that knows the generator can tell running from rest: the ceiling."""

from collections.abc import Callable

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

from corticode.simulate.behavior import simulate_behavior
from corticode.simulate.brain import Scene, make_scene
from corticode.simulate.optics import patterns, region_slopes, region_traces
from corticode.simulate.session import (
    FRAME_RATE_HZ,
    RUN_FRACTIONS,
    Mouse,
    simulate_physiology,
    stream,
)
from corticode.simulate.weights import PRODUCT_REGIONS, SOURCES

HALF_WINDOW_FRAMES = 15
STEP_FRAMES = 3
DETREND_FRAMES = 1000
STRIDES_HZ = (2.0, 2.5, 3.0, 3.5, 4.0)
LONG_DRAW_FRAMES = 24_000

Decoder = Callable[[NDArray[np.float32]], NDArray[np.float64]]


def region_weights(mouse: Mouse, scene: Scene) -> NDArray[np.float64]:
    """How strongly each source drives each region's trace, in percent; (source, region).

    A trace is the mean over pixels, which neighbouring regions share.
    """
    return np.asarray(mouse.weights @ (scene.footprints @ scene.rois.T).astype(np.float64))


def known_patterns(mouse: Mouse, scene: Scene) -> NDArray[np.float64]:
    """Everything that is planted with a pattern over regions; (pattern, region).

    The difference of left and right limbs, the sources, blood, heart beat, breathing, motion,
    blur, light.
    """
    weights = region_weights(mouse, scene)
    left, right = (weights[SOURCES.index(f"limb, {side}")] for side in ("left", "right"))
    alike = patterns(scene)[2 * len(scene.footprints) :] @ scene.rois.T
    slopes, bend = region_slopes(scene)
    every = [left - right, *weights, *alike, *slopes, bend, np.ones(weights.shape[1])]
    return np.stack([pattern for pattern in every if pattern.any()])


def window_features(traces: NDArray[np.float32], known: NDArray[np.float64]) -> NDArray[np.float64]:
    """What the regions say about each planted pattern, in windows of +-15 frames (0.5 s at 30 Hz).

    Parameters
    ----------
    traces
        Shape (frame, region).
    known
        Shape (pattern, region), as `known_patterns` gives.

    Returns
    -------
    NDArray
        Shape (window, feature): 11 lags of each pattern's course; 11 lags of the product of the
        two regions that the dial `nonlinear` plants in; the amplitude of the first pattern's
        course at five stride frequencies. The first window is that of frame 15.

    Examples
    --------
    >>> window_features(np.zeros((100, 50), np.float32), np.ones((9, 50))).shape
    (70, 115)
    """
    level = uniform_filter1d(traces, min(DETREND_FRAMES, len(traces)), axis=0)
    detrended = (traces - level).astype(np.float64)
    product = np.prod(detrended[:, np.array(PRODUCT_REGIONS) - 1], axis=1, keepdims=True)
    projected = np.concatenate([detrended @ known.T, product], axis=1)
    smoothed = uniform_filter1d(projected, STEP_FRAMES, axis=0)
    length = 2 * HALF_WINDOW_FRAMES + 1
    lags = sliding_window_view(smoothed, length, axis=0)[:, :, ::STEP_FRAMES]
    seconds = np.arange(length) / FRAME_RATE_HZ
    waves = np.exp(2j * np.pi * np.outer(seconds, STRIDES_HZ)) * np.hanning(length)[:, None]
    waves -= waves.mean(axis=0)
    strides = np.abs(sliding_window_view(projected[:, 0], length) @ waves)
    return np.concatenate([lags.reshape(len(lags), -1), strides], axis=1)


def ideal_decoder(mouse: Mouse, seed: int, n_pixels: int) -> Decoder:
    """A function from traces to scores that knows the generator of one mouse: the ceiling.

    It is a matched filter: a linear discriminant over `window_features`. Its spatial part is
    exact, the mouse's true weights. Its temporal part (the mean course of every pattern around
    running and rest, lags included, the strides, and the covariance of everything else) comes from
    a long draw of the same mouse that is no part of the cohort. No decoder of other mice can know
    as much; a decoder that makes more of the strides than their amplitude may come closer to what
    is possible.

    Parameters
    ----------
    mouse
        Whose.
    seed
        The cohort's.
    n_pixels
        Side of the movie's frames.

    Returns
    -------
    callable
        From traces, shape (frame, region), to scores of frames 15 to the 16th from the end.
    """
    dials, place = mouse.dials, mouse.number
    behavior = simulate_behavior(
        stream(seed, place, 4), LONG_DRAW_FRAMES, FRAME_RATE_HZ, RUN_FRACTIONS[place - 1]
    )
    rng = stream(seed, place, 5)
    scene = make_scene(mouse.anatomy, mouse.anatomy.pose, n_pixels, dials)
    traces = region_traces(rng, simulate_physiology(rng, mouse, behavior), scene, dials)
    known = known_patterns(mouse, scene)
    weights = fit_discriminant(window_features(traces, known), inner_frames(behavior.is_running))

    def score(traces: NDArray[np.float32]) -> NDArray[np.float64]:
        return np.asarray(window_features(traces, known) @ weights)

    return score


def inner_frames(values: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The frames that have a whole window."""
    return values[HALF_WINDOW_FRAMES:-HALF_WINDOW_FRAMES]


def fit_discriminant(
    features: NDArray[np.float64], is_running: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Weights of Fisher's linear discriminant between running and rest; (feature,)."""
    at_rest, in_run = features[~is_running].mean(axis=0), features[is_running].mean(axis=0)
    residual = features - np.where(is_running[:, None], in_run, at_rest)
    covariance = residual.T @ residual / len(residual)
    # Brought to unit variance, so that small features count as much as large ones; a dial at 0
    # leaves directions without variance, which the pseudo-inverse leaves out.
    scale = np.sqrt(np.maximum(np.diag(covariance), 1e-12))
    inverse = np.linalg.pinv(covariance / np.outer(scale, scale), rcond=1e-9, hermitian=True)
    return np.asarray(inverse @ ((in_run - at_rest) / scale) / scale)


def area_under_curve(is_running: NDArray[np.bool_], scores: NDArray[np.float64]) -> float:
    """The area under the ROC curve, run against rest; ties count half, NaN where one is missing.

    Examples
    --------
    >>> area_under_curve(np.array([False, True, True]), np.array([0.0, 0.0, 1.0]))
    0.75
    """
    if is_running.all() or not is_running.any():
        return float("nan")
    rest, run = np.sort(scores[~is_running]), scores[is_running]
    below = np.searchsorted(rest, run, "left") + np.searchsorted(rest, run, "right")
    return float(below.mean() / (2 * rest.size))
